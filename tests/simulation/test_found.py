"""What the simulation found in the product, each as a small test of its own that failed before it was mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.journal import Entry
from portal.extensions import db
from portal.services import journal, snapshot, sync
from portal.services.journal import Answer, Policy, Uploader
from portal.store import ledger, sync_runs
from portal.store.models import Payment
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas
from tests.simulation.pscloud import ModelClient, Pscloud

AUTOMATIC = Policy("automatic", 7)


@pytest.fixture
def phone(app: Flask) -> Iterator[Phone]:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa(), now=NOW - timedelta(hours=2))
    phone = make_phone()
    phone.start()
    yield phone


def send(phone: Phone) -> Answer:
    body = phone.upload_body()
    db.session.rollback()
    return journal.receive(
        phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW + timedelta(minutes=1)
    )


def download(client: ModelClient) -> sync_runs.RunRow:
    run_id = sync.request_run("manual", "test", NOW)
    sync.run(run_id, client, lambda: NOW)  # type: ignore[arg-type]
    row = sync_runs.get(run_id)
    assert row
    return row


def test_a_phone_whose_clock_began_anew_in_1970_keeps_its_money_in_the_ledger(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.append("clock_jump", {"seconds": -1_795_000_000})
    monkeypatch.setattr(phone, "at", lambda: "1970-01-01T08:00:30.000+08:00")
    entry = phone.pay(make_soa(), 100)
    assert send(phone).verdicts[-1]["status"] == "stored"
    detail = ledger.get(entry.payload["payment"])
    assert detail and "clock_jump" in detail.row.flags and detail.row.status == "pending"
    assert db.session.execute(select(Payment.amount)).scalar_one() == 1


def test_an_soa_that_a_shifting_list_skipped_is_not_closed(app: Flask) -> None:
    rng = Random(1)
    server = Pscloud(rng, lambda: NOW, dedupes=True, soas=11)
    download(ModelClient(server, rng, lambda _what: None))
    server.faults.read = "shift"
    asked: list[str] = []

    def paid_off_after_the_first_page(what: str) -> None:
        asked.append(what)
        if asked == ["page", "page"]:
            server.active()[0].status = "settled"

    row = download(ModelClient(server, rng, paid_off_after_the_first_page))
    assert (row.status, row.closed) == ("completed", 0)
    assert "changed while it was read" in row.note


def test_equal_counts_with_other_pesos_close_nothing(app: Flask) -> None:
    rng = Random(2)
    server = Pscloud(rng, lambda: NOW, dedupes=True, soas=6)
    download(ModelClient(server, rng, lambda _what: None))

    def one_goes_one_comes(what: str) -> None:
        if what == "summary":
            server.active()[0].status = "settled"
            server.add_soa(rng)

    server.active()[-1].status = "settled"
    row = download(ModelClient(server, rng, one_goes_one_comes))
    assert (row.status, row.closed) == ("completed", 0)
    assert "amounts due do not agree" in row.note


def test_a_phone_is_not_told_that_nothing_changed_after_failed_records_were_retried(app: Flask) -> None:
    rng = Random(3)
    server = Pscloud(rng, lambda: NOW, dedupes=True, soas=6)
    broken = server.active()[0]
    broken.broken, broken.code = "amount", "A1"
    client = ModelClient(server, rng, lambda _what: None)
    run_id = download(client).id
    before = snapshot.tag(1, ["A1"], {})
    broken.broken = ""
    assert sync.retry_failed(run_id, "carla", client, NOW).repaired == 1  # type: ignore[arg-type]
    assert broken.id in [soa["id"] for soa in snapshot.snapshot(1, ["A1"], {})["soas"]]
    assert snapshot.tag(1, ["A1"], {}) != before


def test_a_forked_journal_that_arrives_later_half_first_is_taken(phone: Phone) -> None:
    soa = make_soa()
    lost = phone.pay(soa, 100)
    assert send(phone).verdicts[-1]["status"] == "stored"
    phone.entries.remove(lost)  # an older copy was put back, and the day went on
    phone.receipts -= 1
    entries = [phone.pay(soa, 200 + number) for number in range(4)]

    def upload(chosen: Sequence[Entry]) -> set[str]:
        body = phone.upload_body(chosen)
        db.session.rollback()
        uploader = Uploader(phone.terminal.user_id, "nena")
        answer = journal.receive(phone.code, body["entries"], body["signature"], uploader, AUTOMATIC, NOW + timedelta(minutes=1))
        return {verdict["status"] for verdict in answer.verdicts}

    assert upload(entries[2:]) == {"held"}
    assert upload(entries[:2]) == {"conflict"}
    assert upload(entries[2:]) == {"conflict"}
    booked = set(db.session.execute(select(Payment.id)).scalars())
    assert booked == {entry.payload["payment"] for entry in [lost, *entries]}


def test_money_of_a_forked_journal_that_came_damaged_is_booked_when_the_intact_copy_comes(phone: Phone) -> None:
    soa = make_soa()
    lost = phone.pay(soa, 100)
    send(phone)
    phone.entries.remove(lost)  # an older copy was put back, and the day went on
    phone.receipts -= 1
    entry = phone.pay(soa, 200)
    body = phone.upload_body()
    bent = {**body["entries"][-1], "payload": {**entry.payload, "amount": 1}}
    uploader = Uploader(phone.terminal.user_id, "nena")

    def upload(last: dict[str, object]) -> str:
        db.session.rollback()
        answer = journal.receive(phone.code, [*body["entries"][:-1], last], body["signature"], uploader, AUTOMATIC, NOW)
        return str(answer.verdicts[-1]["status"])

    assert upload(bent) == "conflict"
    assert ledger.get(entry.payload["payment"]) is None
    for _ in range(2):
        assert upload(body["entries"][-1]) == "conflict"
        detail = ledger.get(entry.payload["payment"])
        assert detail and detail.row.amount == 2 and "chain_fork" in detail.row.flags


def test_a_phone_hears_that_a_retry_confirmed_figures_that_had_not_changed(app: Flask) -> None:
    rng = Random(4)
    server = Pscloud(rng, lambda: NOW, dedupes=True, soas=6)
    client = ModelClient(server, rng, lambda _what: None)
    download(client)
    server.active()[0].broken = "amount"
    run_id = download(client).id
    before = snapshot.tag(1, ["A1"], {})
    server.active()[0].broken = ""
    assert sync.retry_failed(run_id, "carla", client, NOW).repaired == 1  # type: ignore[arg-type]
    assert snapshot.tag(1, ["A1"], {}) != before, "payments it holds now come off no more"

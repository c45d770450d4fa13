"""A payment rebuilt from its receipt's code: booked once, held, and one with the phone's own entry when that arrives. On both databases."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DatabaseError

from portal.domain import journal as rules
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.extensions import db
from portal.services import journal, payments, rescue, terminals
from portal.services import readings as reading_service
from portal.services.journal import Policy, Uploader
from portal.store import incidents, ledger, readings, rebuilt, remittances
from portal.store.models import AuditEntry, Payment
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, raw, store_soas

AUTOMATIC = Policy("automatic", 7)


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    make_user("carla", "office")
    make_user("ramon", "supervisor")
    store_soas(make_soa(), make_soa("S2"))
    made = make_phone("nena")
    made.start()
    return made


def send(phone: Phone, first: int = 0, last: int | None = None) -> list[tuple[str, str | None]]:
    part = phone.entries[first:last]
    body = phone.upload_body(part)
    answer = journal.receive(phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW)
    return [(verdict["status"], verdict["reason"]) for verdict in answer.verdicts]


def record(code: str, who: str = "carla", **given: str) -> rescue.Paper:
    return rescue.record_paper(code, given.get("channel", ""), given.get("reference", ""), who, AUTOMATIC, NOW)


def booked() -> int:
    return db.session.execute(select(func.count()).select_from(Payment)).scalar_one()


def kinds() -> list[str]:
    return sorted(one.kind for one in incidents.open_incidents())


def test_paper_is_booked_once_and_waits_for_a_supervisor(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 150000)
    code = phone.receipt_code(paid)
    paper = rescue.read_paper(f" https://portal.example/verify/{code}\n")
    assert (paper.receipt_number, str(paper.amount), paper.customer_name, paper.known) == (
        f"{phone.code}-00000001",
        "1500.00",
        "Dela Cruz, Maria",
        False,
    )
    record(code)
    detail = ledger.get(paid.payload["payment"])
    assert detail and detail.row.status == "pending" and "rebuilt" in detail.row.flags and "reallocated" not in detail.row.flags
    assert [(part.invoice_number, str(part.amount)) for part in detail.allocations] == [("SI-0001", "1120.00"), ("SI-0002", "380.00")]
    assert str(detail.vat_amount) == "160.71"
    assert rescue.read_paper(code).known
    with pytest.raises(Conflict, match="in the books already"):
        record(code)
    assert booked() == 1
    (waiting,) = readings.uncovered()
    assert (waiting.terminal, waiting.count, str(waiting.amount), waiting.late) == (phone.code, 1, "1500.00", 1)
    told = db.session.execute(select(AuditEntry.who).where(AuditEntry.action == "payment_rebuilt")).scalars().all()
    assert told == ["carla"]
    payments.approve([paid.payload["payment"]], "ramon", True, NOW)
    approved = ledger.get(paid.payload["payment"])
    assert approved and approved.row.status == "approved" and approved.posting


def test_the_phones_own_entry_is_the_same_payment_and_no_reading_differs(phone: Phone) -> None:
    first = phone.pay(make_soa(), 50000)
    paid = phone.pay(make_soa("S2"), 112000, tender="check", channel="BDO", reference="0012")
    send(phone, 0, 4)
    record(phone.receipt_code(paid), reference="0012")
    phone.count(1)
    phone.x_reading()
    phone.z_reading()
    phone.close()
    assert {status for status, _ in send(phone, 4)} == {"stored"}
    assert booked() == 2 and kinds() == []
    detail = ledger.get(paid.payload["payment"])
    assert detail and detail.entry_hash == paid.hash and detail.registry_id == phone.registry and detail.row.channel == "BDO"
    assert [part.generation for part in detail.allocations if part.current] == [1]
    assert [(part.generation, str(part.amount)) for part in detail.allocations if not part.current] == [(0, "1120.00")]
    seen = rebuilt.row(paid.payload["payment"])
    assert seen and seen.seen_at == NOW
    assert all(readings.get(row.id).differences == [] for row in readings.recent(9))  # type: ignore[union-attr]
    assert first.payload["payment"] != paid.payload["payment"]


def test_an_entry_that_says_something_else_than_its_paper_is_set_aside_and_told(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 50000)
    record(phone.receipt_code(paid, amount=60000))
    verdicts = send(phone)
    assert verdicts[-1][0] == "quarantined" and "not what its paper says" in str(verdicts[-1][1])
    detail = ledger.get(paid.payload["payment"])
    assert detail and str(detail.row.amount) == "600.00" and booked() == 1
    assert kinds() == ["quarantined"]


def test_another_entry_with_the_same_identity_is_set_aside(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 50000)
    record(phone.receipt_code(paid, hash_start="ab" * 16))
    assert send(phone)[-1][0] == "quarantined"
    assert booked() == 1 and kinds() == ["quarantined"]


def test_what_only_the_entry_says_is_written_once_and_never_again(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 50000)
    record(phone.receipt_code(paid))
    half, whole = paid.hash[:32], paid.hash
    others: dict[str, Any] = {"amount": 1, "receipt_number": "T99-00000001", "entry_hash": "f" * 64, "soa_id": "S2", "tender": "check"}
    for name, value in others.items():
        with pytest.raises(DatabaseError):
            db.session.execute(update(Payment).values({name: value, "entry_hash": others["entry_hash"] if name == "entry_hash" else whole}))
        db.session.rollback()
    assert send(phone)[-1][0] == "stored"
    with pytest.raises(DatabaseError):
        db.session.execute(text("UPDATE payments SET entry_hash = :half"), {"half": half})
    db.session.rollback()
    assert db.session.execute(select(Payment.entry_hash)).scalar_one() == whole


def test_the_receipt_of_a_lost_phone_closes_its_gap(phone: Phone) -> None:
    paid = [phone.pay(make_soa(), 1000) for _ in range(3)]
    record(phone.receipt_code(paid[2]))
    open_now = db.session.execute(text("SELECT first_number, last_number FROM missing_numbers WHERE state = 'open'")).all()
    assert [tuple(row) for row in open_now] == [(1, 2)]
    terminals.revoke(phone.code, "ada", NOW)
    record(phone.receipt_code(paid[0]))
    record(phone.receipt_code(paid[1]))
    assert db.session.execute(text("SELECT count(*) FROM missing_numbers WHERE state = 'open'")).scalar_one() == 0
    assert booked() == 3 and {"rebuilt", "revoked_terminal"} <= set(ledger.get(paid[0].payload["payment"]).row.flags)  # type: ignore[union-attr]


def test_what_the_paper_does_not_say_has_to_be_typed(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 1000, tender="e_wallet", channel="Maya", reference="771")
    with pytest.raises(InvalidInput, match="number that the paper shows"):
        record(phone.receipt_code(paid))
    record(phone.receipt_code(paid), channel=" Maya ", reference=" 771 ")
    detail = ledger.get(paid.payload["payment"])
    assert detail and (detail.row.channel, detail.row.reference) == ("Maya", "771")


def test_nobody_records_the_paper_of_money_they_collected_themselves(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 1000)
    with pytest.raises(Forbidden, match="you collected"):
        record(phone.receipt_code(paid), who="nena")
    assert booked() == 0


def test_paper_of_an_soa_that_is_not_known_is_booked_all_the_same(phone: Phone) -> None:
    paid = phone.pay(make_soa("S9"), 1000)
    record(phone.receipt_code(paid))
    detail = ledger.get(paid.payload["payment"])
    assert detail and {"rebuilt", "unassigned_account"} <= set(detail.row.flags) and str(detail.advance) == "10.00"


def test_what_is_no_code_or_proves_nothing_changes_nothing(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 1000)
    code = phone.receipt_code(paid)
    for wrong in ("", "   ", "x" * 2000, "ha ha!", "\x00"):
        with pytest.raises(InvalidInput):
            record(wrong)
    for forged in (
        code[:-1] + ("A" if code[-1] != "A" else "B"),
        code[:-4],
        make_phone("nena").receipt_code(paid, terminal=phone.code),
        "abc",
        "https://x/verify/",
    ):
        with pytest.raises(NotFound, match="proves nothing"):
            record(forged)
    assert booked() == 0


ORDERS: list[tuple[str, ...]] = sorted(set(itertools.permutations(["paper", "paper", "upload", "upload"])))


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_in_whatever_order_paper_and_entry_come_the_money_is_there_once(phone: Phone, order: tuple[str, ...]) -> None:
    paid = phone.pay(make_soa(), 50000)
    code = phone.receipt_code(paid)
    for step in order:
        if step == "upload":
            assert {status for status, _ in send(phone)} <= {"stored", "repeat"}
            continue
        try:
            record(code)
        except Conflict:
            assert booked() == 1
    assert booked() == 1 and kinds() == [] and send(phone)[-1][0] == "repeat"
    detail = ledger.get(paid.payload["payment"])
    assert (
        detail and detail.entry_hash == paid.hash and sum(part.amount for part in detail.allocations if part.current) == detail.row.amount
    )


def test_an_entry_damaged_on_the_way_completes_its_paper_once_an_intact_copy_comes(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 50000)
    record(phone.receipt_code(paid))
    body: dict[str, Any] = phone.upload_body()
    body["entries"][-1] = {**raw(paid), "payload": {**paid.payload, "amount": 1}}
    answer = journal.receive(phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW)
    assert answer.verdicts[-1]["status"] == "quarantined" and not rules.intact(journal.read_entries(body["entries"], phone.code)[-1])
    assert send(phone)[-1][0] == "stored"
    detail = ledger.get(paid.payload["payment"])
    assert detail and detail.entry_hash == paid.hash and booked() == 1


def expected(phone: Phone) -> list[tuple[int, int]]:
    """What the desk expects of each Z-reading of the collector: gross and late, in centavos."""
    return [(row.portal["gross"], row.portal["late_amount"]) for row in remittances.waiting_readings(phone.terminal.user_id)]


def close_day(phone: Phone) -> None:
    phone.z_reading()
    phone.close()


@pytest.mark.parametrize("parts", [1, 2], ids=["in one upload", "in two"])
def test_money_known_from_paper_before_the_z_of_the_day_before_is_expected_once(phone: Phone, parts: int) -> None:
    phone.pay(make_soa(), 1000)
    send(phone)
    sent = len(phone.entries)
    close_day(phone)
    record(phone.receipt_code((phone.open(change_fund=0), phone.pay(make_soa(), 500))[1]))
    if parts == 2:
        send(phone, sent, sent + 2)
        sent += 2
    close_day(phone)
    assert {status for status, _ in send(phone, sent)} == {"stored"}
    assert expected(phone) == [(1000, 500), (0, 0)] and readings.uncovered() == []


def test_the_office_closes_for_a_lost_phone_and_the_journal_that_comes_after_all_adds_nothing(phone: Phone) -> None:
    phone.pay(make_soa(), 1000)
    send(phone)
    sent = len(phone.entries)
    record(phone.receipt_code(phone.pay(make_soa(), 500)))
    reading_service.close_by_office(phone.registry, "ramon", "The phone fell into a canal", NOW)
    assert expected(phone) == [(1000, 500)] and readings.uncovered() == []
    close_day(phone)
    phone.open(change_fund=0)
    close_day(phone)
    send(phone, sent)
    assert expected(phone) == [(1000, 500), (0, 0)] and readings.uncovered() == [] and booked() == 2


@pytest.mark.parametrize("closed_by", ["phone", "office"])
def test_a_phone_lost_on_a_day_that_never_reached_the_portal(phone: Phone, closed_by: str) -> None:
    """The registry of the paper is not known, and the one before has its Z-reading: the office makes a further one of that."""
    phone.pay(make_soa(), 1000)
    registry = phone.registry
    if closed_by == "phone":
        close_day(phone)
    send(phone)
    if closed_by == "office":
        reading_service.close_by_office(registry, "ramon", "The phone fell into a canal", NOW)
        close_day(phone)
    sent = len(phone.entries) if closed_by == "phone" else len(phone.entries) - 2
    phone.open(change_fund=0)
    record(phone.receipt_code(phone.pay(make_soa(), 500)))
    (waiting,) = readings.uncovered()
    assert (waiting.late, waiting.revoked) == (1, False) and readings.open_registries() == []
    with pytest.raises(Conflict, match="revoke its terminal first"):
        reading_service.close_by_office(registry, "ramon", "The phone was stolen", NOW)
    terminals.revoke(phone.code, "ada", NOW)
    (shown,) = readings.open_registries()
    assert (shown.id, shown.count, str(shown.amount), shown.ended) == (registry, 1, "5.00", closed_by == "phone")
    assert readings.uncovered()[0].revoked
    made = readings.get(reading_service.close_by_office(registry, "ramon", "The phone was stolen", NOW))
    assert made and (made.row.z_counter, made.portal["present_accumulated"], made.portal["expected_cash"]) == (2, 1500, 500)
    assert expected(phone) == [(1000, 0), (0, 500)] and readings.uncovered() == [] and readings.open_registries() == []
    with pytest.raises(Conflict, match="Nothing has arrived"):
        reading_service.close_by_office(registry, "ramon", "The phone was stolen", NOW)
    close_day(phone)
    send(phone, sent)  # a rescue file of the phone, found in the end
    assert sum(gross + late for gross, late in expected(phone)) == 1500 and readings.uncovered() == [] and booked() == 2
    with pytest.raises(Conflict, match="has a later registry"):
        reading_service.close_by_office(registry, "ramon", "The phone was stolen", NOW)

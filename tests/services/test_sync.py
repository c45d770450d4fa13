"""The daily download: nothing half seen, nothing closed by mistake, nothing stuck."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from demo.pscloud.testing import running_pscloud
from portal import clock, doorbell
from portal.domain.errors import Busy, Conflict, NotFound
from portal.extensions import db
from portal.pscloud.client import PscloudClient
from portal.pscloud.profile import load
from portal.services import sync
from portal.store import collector_codes, models, soas, staging, sync_runs
from portal.store.soas import SoaFilter
from portal.store.staging_tables import staged_soas
from portal.store.sync_runs import RunRow
from tests.pscloud.server import Answer, Asked, Books, Script, invoice, record, scripted

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted() as script:
        yield script


@pytest.fixture(autouse=True)
def bell(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Rings are written down here instead of going to a Redis."""
    rings: list[tuple[Any, ...]] = []

    def ring(job_name: str, *args: int | str, job_id: str | None = None) -> bool:
        rings.append((job_name, *args))
        return True

    monkeypatch.setattr(doorbell, "ring", ring)
    monkeypatch.setattr(doorbell, "is_waiting", lambda job_name, job_id: False)
    return rings


def download(server: Script, books: Books | None = None, now: datetime = NOW) -> RunRow:
    if books is not None:
        server.reply = books
    run_id = sync.request_run("manual", "cora", now)
    sync.run(run_id, server.client(), lambda: now)
    row = sync_runs.get(run_id)
    assert row is not None
    return row


def visible() -> dict[str, tuple[str, Decimal]]:
    rows = soas.list_page(SoaFilter(status="all"), TODAY, limit=1000).rows
    return {row.id: (row.status, row.amount_due) for row in rows}


def staged_rows() -> int:
    return db.session.scalar(select(func.count()).select_from(staged_soas)) or 0


# --- the good day


def test_a_download_makes_everything_visible_with_its_numbers(any_app: Flask, server: Script) -> None:
    row = download(server, Books([record(n) for n in range(1, 6)]))
    assert (row.status, row.pages, row.total, row.succeeded, row.failed) == ("completed", 3, 5, 5, 0)
    assert (row.added, row.changed, row.unchanged, row.closed) == (5, 0, 0, 0)
    assert row.amount_due == row.pscloud_amount_due == Decimal("5050.00") and row.pscloud_count == 5
    assert row.note == "" and row.error == "" and row.active_slot is None and row.finished_at == NOW
    assert row.as_of == datetime(2026, 11, 19, 21, 0, tzinfo=UTC)
    assert soas.data_as_of() == (row.id, row.as_of)
    assert len(visible()) == 5 and staged_rows() == 0
    assert [code.code for code in collector_codes.overview(TODAY)] == ["COL-01"]
    detail = soas.get("S0001")
    assert detail and detail.version == detail.soa.version and detail.soa.invoices[0].balance == Decimal("1000.00")


def test_the_second_download_touches_only_what_changed(any_app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 5)])
    first = download(server, books)
    books.records[0] = record(1, amount_due="510.00", invoices=[invoice(balance="500.00")])
    books.records[1] = record(2, updated_at="2026-11-20T00:00:00+08:00")
    books.records.append(record(9))
    second = download(server, now=NOW + timedelta(days=1))
    assert (second.added, second.changed, second.unchanged, second.closed) == (1, 1, 3, 0)
    rows = {row.id: row for row in soas.list_page(SoaFilter(status="all"), TODAY).rows}
    assert rows["S0001"].changed_run_id == second.id and rows["S0002"].changed_run_id == first.id
    latest, oldest = soas.timeline("S0001")
    assert (latest.kind, oldest.kind, latest.link) == ("changed", "added", f"/syncs/{second.id}")
    assert ("Amount due", "1010.00", "510.00") in latest.detail
    assert ("Invoice SI-0001: balance", "1000.00", "500.00") in latest.detail


def test_what_pscloud_sends_no_more_is_closed_and_opens_again_when_it_comes_back(any_app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 11)])
    download(server, books)
    gone = books.records.pop(3)
    second = download(server, now=NOW + timedelta(days=1))
    assert (second.closed, second.unchanged, second.note) == (1, 9, "")
    detail = soas.get("S0004")
    assert detail and detail.soa.status == "closed" and detail.closed_on == (NOW + timedelta(days=1)).date()
    assert detail.version == detail.soa.version
    assert "S0004" not in {soa.id for soa in soas.for_codes(["COL-01"])}
    books.records.append(gone)
    third = download(server, now=NOW + timedelta(days=2))
    assert (third.changed, third.closed) == (1, 0)
    assert [event.kind for event in soas.timeline("S0004")] == ["reopened", "closed", "added"]
    reopened = soas.get("S0004")
    assert reopened and reopened.closed_on is None and reopened.soa.status == "active"


def test_the_day_of_closing_is_the_day_in_manila(app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 11)])
    download(server, books)
    books.records.pop()
    download(server, now=datetime(2026, 11, 20, 16, 0, tzinfo=UTC))
    detail = soas.get("S0010")
    assert detail and str(detail.closed_on) == "2026-11-21"


def test_the_same_download_twice_changes_nothing(app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 6)])
    download(server, books)
    before = [tuple(row) for row in db.session.execute(select(models.Soa.__table__))]
    again = download(server, now=NOW + timedelta(hours=1))
    assert (again.added, again.changed, again.unchanged, again.closed) == (0, 0, 5, 0)
    assert [tuple(row) for row in db.session.execute(select(models.Soa.__table__))] == before


# --- records that are wrong


def test_a_bad_record_stops_itself_and_is_kept_with_its_reason(any_app: Flask, server: Script) -> None:
    bad = record(3, amount_due="1,250.00")
    row = download(server, Books([record(1), record(2), bad, record(4), "rubbish", record(5, customer={"name": "\x00"})]))
    assert (row.status, row.total, row.succeeded, row.failed) == ("completed", 6, 3, 3)
    first, second, third = sync_runs.failures(row.id)
    assert (first.pscloud_id, first.field) == ("S0003", "amount_due") and "1,250.00" in first.reason
    assert json.loads(first.raw) == bad and "Customer 3" in first.label
    assert second.pscloud_id is None and json.loads(second.raw) == "rubbish"
    assert third.field == "customer.name"
    assert sync_runs.failures(row.id, after_id=first.id, limit=1) == [second]


def test_a_record_that_cannot_be_read_is_never_closed(app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 11)])
    download(server, books)
    books.records[2] = record(3, due_date="0000-00-00")
    books.records.pop(5)
    row = download(server, now=NOW + timedelta(days=1))
    assert (row.failed, row.closed) == (1, 1)
    assert visible()["S0003"][0] == "active" and visible()["S0006"][0] == "closed"


def test_an_unreadable_id_keeps_everything_open(app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 11)])
    download(server, books)
    books.records[2] = record(3, id=None)
    row = download(server, now=NOW + timedelta(days=1))
    assert row.closed == 0 and "cannot be read" in row.note
    assert visible()["S0003"][0] == "active"


def test_of_a_record_that_comes_twice_the_later_stays(any_app: Flask, server: Script) -> None:
    newer = record(1, amount_due="600.00", updated_at="2026-11-20T08:00:00+08:00")
    older = record(1, amount_due="700.00", updated_at="2026-11-18T08:00:00+08:00")
    row = download(server, Books([record(1), newer, record(2), older], total=2, count=2, amount_due="1610.00"))
    assert (row.total, row.succeeded, row.amount_due) == (2, 2, Decimal("1610.00"))
    assert visible()["S0001"][1] == Decimal("600.00")
    assert "2 records came more than once" in row.note


# --- closing needs certainty


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"total": 10}, "counts do not agree"),
        ({"count": 10}, "counts do not agree"),
        ({"broken": {"/api/v1/soas/summary": Answer(status=404)}}, "control totals"),
    ],
)
def test_nothing_is_closed_when_the_counts_are_in_doubt(app: Flask, server: Script, changed: dict[str, Any], says: str) -> None:
    books = Books([record(n) for n in range(1, 11)])
    download(server, books)
    books.records.pop(0)
    row = download(server, replace(books, **changed), now=NOW + timedelta(days=1))
    assert (row.status, row.closed) == ("completed", 0) and says in row.note
    assert visible()["S0001"][0] == "active"


def test_a_page_shift_that_hides_a_record_closes_nothing(app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 11)])
    download(server, books)
    shifted = [record(n) for n in (1, 2, 2, 3, 4, 5, 6, 7, 8, 9)]
    row = download(server, replace(books, records=shifted), now=NOW + timedelta(days=1))
    assert row.closed == 0 and "counts do not agree" in row.note and visible()["S0010"][0] == "active"


def test_a_list_shorter_than_announced_is_said_even_when_nothing_is_absent(app: Flask, server: Script) -> None:
    row = download(server, Books([record(1), record(2)], total=5))
    assert row.status == "completed" and "The counts do not agree" in row.note


def test_a_great_drop_waits_for_a_person(app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 11)])
    download(server, books)
    del books.records[:3]
    row = download(server, now=NOW + timedelta(days=1))
    assert (row.closed, row.waiting_to_close) == (0, 3) and "more than 20 %" in row.note and "supervisor" in row.note
    app.config["SYNC_DROP_PERCENT"] = 30
    row = download(server, now=NOW + timedelta(days=2))
    assert (row.closed, row.waiting_to_close) == (3, 0)
    earlier = sync_runs.get(row.id - 1)
    assert earlier and earlier.waiting_to_close == 0, "there is nothing left to decide"


def dropped(server: Script) -> RunRow:
    """A download that did not hold three of ten SOAs."""
    books = Books([record(n) for n in range(1, 11)], as_of="2026-11-20T09:30:00+08:00")
    download(server, books)
    del books.records[:3]
    return download(server, now=NOW + timedelta(days=1))


def test_a_supervisor_s_yes_closes_what_was_absent_once(any_app: Flask, server: Script) -> None:
    row = dropped(server)
    assert sync.close_waiting(row.id, "ramon", NOW + timedelta(days=1, hours=1)) == 3
    after = sync_runs.get(row.id)
    assert after and (after.closed, after.waiting_to_close) == (3, 0) and "ramon had the 3 SOAs closed" in after.note
    closed = soas.get("S0001")
    assert closed and closed.soa.status == "closed" and closed.closed_on == (NOW + timedelta(days=1)).date()
    assert [event.kind for event in soas.timeline("S0001")] == ["closed", "added"]
    for decide in (sync.close_waiting, sync.keep_waiting_open):
        with pytest.raises(Conflict):
            decide(row.id, "ramon", NOW + timedelta(days=2))
    again = download(server, now=NOW + timedelta(days=2))
    assert (again.unchanged, again.closed, again.waiting_to_close, again.note) == (7, 0, 0, "")
    with pytest.raises(NotFound):
        sync.close_waiting(999, "ramon", NOW)


def test_a_supervisor_s_no_leaves_them_open_until_the_next_full_download_asks_again(any_app: Flask, server: Script) -> None:
    row = dropped(server)
    sync.keep_waiting_open(row.id, "ramon", NOW + timedelta(days=1, hours=1))
    after = sync_runs.get(row.id)
    assert after and (after.closed, after.waiting_to_close) == (0, 0) and "ramon left them open" in after.note
    assert visible()["S0001"][0] == "active"
    assert download(server, now=NOW + timedelta(days=2)).waiting_to_close == 3


def test_what_pscloud_sends_again_does_not_wait_any_more(any_app: Flask, server: Script) -> None:
    row = dropped(server)
    books = server.reply
    assert isinstance(books, Books)
    books.records.insert(0, record(1, updated_at="2026-11-21T12:00:00+08:00"))
    books.as_of = "2026-11-22T09:30:00+08:00"
    run_id = sync.request_run("manual", "cora", NOW + timedelta(days=2), "quick")
    with pytest.raises(Conflict):
        sync.close_waiting(row.id, "ramon", NOW + timedelta(days=2))
    sync.run(run_id, server.client(), lambda: NOW + timedelta(days=2))
    after = sync_runs.get(row.id)
    assert after and after.waiting_to_close == 2
    assert sync.close_waiting(row.id, "ramon", NOW + timedelta(days=3)) == 2 and visible()["S0001"][0] == "active"


def test_an_empty_answer_closes_nothing(app: Flask, server: Script) -> None:
    download(server, Books([record(n) for n in range(1, 4)]))
    row = download(server, Books([]), now=NOW + timedelta(days=1))
    assert (row.status, row.total, row.closed) == ("completed", 0, 0) and len(visible()) == 3


def test_pesos_that_differ_are_said(app: Flask, server: Script) -> None:
    row = download(server, Books([record(1)], amount_due="2000.00"))
    assert row.status == "completed" and "₱990.00" in row.note and row.pscloud_amount_due == Decimal("2000.00")


# --- runs that do not make it


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(status=401), "token"),
        (Answer(status=500), "fault"),
        (Answer(b"<html>captive portal</html>"), "web page"),
        (Answer({"data": [], "next_cursor": None}), "total"),
    ],
)
def test_a_run_that_fails_leaves_what_everybody_sees(app: Flask, server: Script, answer: Answer, says: str) -> None:
    books = Books([record(n) for n in range(1, 5)])
    first = download(server, books)
    before = visible()

    def reply(asked: Asked) -> Answer:
        return answer if asked.query.get("cursor") == ["2"] else books(asked)

    books.records = [record(n, amount_due="9999.00") for n in range(1, 9)]
    server.reply = reply
    row = download(server, now=NOW + timedelta(days=1))
    assert row.status == "failed" and says in row.error and "unchanged" in row.error
    assert row.active_slot is None and row.finished_at is not None and row.pages == 1
    assert visible() == before and staged_rows() == 0
    assert soas.data_as_of() == (first.id, first.as_of)
    assert download(server, books, now=NOW + timedelta(days=2)).status == "completed"


def test_a_token_that_dies_at_the_end_fails_the_run_and_a_missing_permission_does_not(app: Flask, server: Script) -> None:
    books = Books([record(1)], broken={"/api/v1/collectors": Answer(status=401)})
    assert download(server, books).status == "failed"
    books.broken = {"/api/v1/collectors": Answer(status=403)}
    row = download(server, books)
    assert row.status == "completed" and "collector codes were not refreshed" in row.note


def test_a_snapshot_that_is_forgotten_is_read_again_from_the_start(app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 6)] + ["rubbish"])
    forgotten: list[Asked] = []

    def reply(asked: Asked) -> Answer:
        if asked.query.get("cursor") == ["4"] and not forgotten:
            forgotten.append(asked)
            books.records.pop(0)
            return Answer(status=410)
        return books(asked)

    server.reply = reply
    row = download(server)
    assert (row.status, row.total, row.succeeded, row.failed, row.pages) == ("completed", 5, 4, 1, 3)
    assert "read again from the start" in row.note and "S0001" not in visible()


def test_an_error_of_our_own_ends_the_run_too(app: Flask, server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(staging, "write_changed", broken)
    row = download(server, Books([record(1)]))
    assert row.status == "failed" and "ZeroDivisionError" in row.error and visible() == {} and staged_rows() == 0


# --- one at a time, cancelled, taken over


def test_only_one_run_at_a_time(any_app: Flask, bell: list[tuple[Any, ...]]) -> None:
    run_id = sync.request_run("manual", "cora", NOW)
    with pytest.raises(Conflict):
        sync.request_run("scheduled", "schedule", NOW)
    assert bell == [("download_soas", run_id)]
    sync.cancel(run_id, "cora", NOW)
    assert sync.request_run("manual", "cora", NOW) != run_id


def test_two_workers_with_the_same_run_do_it_once(app: Flask, server: Script) -> None:
    server.reply = Books([record(1)])
    run_id = sync.request_run("manual", "cora", NOW)
    assert sync.run(run_id, server.client(), lambda: NOW) == "completed"
    asked = len(server.asked)
    assert sync.run(run_id, server.client(), lambda: NOW) is None
    assert len(server.asked) == asked


@pytest.mark.parametrize("path", ["/api/v1/soas", "/api/v1/soas/summary"])
def test_a_run_cancelled_in_the_middle_commits_nothing(any_app: Flask, server: Script, path: str) -> None:
    """The cancelling request is another thread with a connection of its own, as in the product."""
    books = Books([record(n) for n in range(1, 6)])
    cancelled = threading.Event()

    def cancel_now(asked: Asked) -> None:
        if asked.path == path and (asked.query.get("cursor") or path.endswith("summary")) and not cancelled.is_set():
            with any_app.app_context():
                sync.cancel(sync_runs.recent()[0].id, "cora", NOW)
            cancelled.set()

    books.before = cancel_now
    row = download(server, books)
    assert cancelled.is_set()
    assert (row.status, row.error) == ("cancelled", "Cancelled by cora.")
    assert visible() == {} and staged_rows() == 0


@pytest.mark.parametrize("waits", ["for an answer", "between two tries"])
def test_cancelling_is_noticed_within_seconds_while_pscloud_keeps_us_waiting(app: Flask, server: Script, waits: str) -> None:
    books = Books([record(n) for n in range(1, 6)])
    reached, release = threading.Event(), threading.Event()

    def reply(asked: Asked) -> Answer:
        if asked.query.get("cursor"):
            reached.set()
            if waits == "between two tries":
                return Answer(status=429, headers={"Retry-After": "60"})
            release.wait(30)
        return books(asked)

    server.reply = reply
    run_id = sync.request_run("manual", "cora", clock.now())

    def work() -> None:
        with app.app_context(), PscloudClient(server.url, "t", load(), allow_private=True) as client:
            ended.append(sync.run(run_id, client, clock.now))

    ended: list[str | None] = []
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        assert reached.wait(10)
        sync.cancel(run_id, "cora", clock.now())
        worker.join(5)
        assert not worker.is_alive() and ended == [None]
    finally:
        release.set()
    row = sync_runs.get(run_id)
    assert row and row.status == "cancelled" and visible() == {} and staged_rows() == 0


def test_a_run_given_up_by_the_sweep_cannot_come_back(any_app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 6)])
    given_up: list[int] = []

    def sweep(asked: Asked) -> None:
        if asked.query.get("cursor") == ["4"] and not given_up:
            with any_app.app_context():
                given_up.append(sync.fail_stalled(NOW + timedelta(minutes=5)))

    books.before = sweep
    row = download(server, books)
    assert given_up == [1] and row.status == "failed" and "worker stopped" in row.error
    assert visible() == {} and staged_rows() == 0


def test_cancelling_what_has_ended_is_refused(app: Flask, server: Script) -> None:
    row = download(server, Books([record(1)]))
    with pytest.raises(Conflict):
        sync.cancel(row.id, "cora", NOW)
    with pytest.raises(NotFound):
        sync.cancel(999, "cora", NOW)


def test_readers_see_the_old_set_until_the_swap(any_app: Flask, server: Script) -> None:
    books = Books([record(n) for n in range(1, 6)])
    download(server, books)
    seen: list[set[Decimal]] = []

    def look(asked: Asked) -> None:
        with any_app.app_context():
            seen.append({amount for _, amount in visible().values()})

    books.records = [record(n, amount_due="2020.00") for n in range(1, 6)]
    books.before = look
    download(server, now=NOW + timedelta(days=1))
    assert len(seen) >= 5 and all(amounts == {Decimal("1010.00")} for amounts in seen)
    assert {amount for _, amount in visible().values()} == {Decimal("2020.00")}


# --- the sweep


def test_the_sweep_leaves_what_is_well(app: Flask, bell: list[tuple[Any, ...]]) -> None:
    run_id = sync.request_run("manual", "cora", NOW)
    assert sync.fail_stalled(NOW + timedelta(seconds=20)) == 0
    assert bell == [("download_soas", run_id)]
    sync_runs.claim(run_id, "lease", NOW)
    db.session.commit()
    assert sync.fail_stalled(NOW + timedelta(seconds=80)) == 0


def test_a_lost_job_is_rung_for_again(app: Flask, bell: list[tuple[Any, ...]]) -> None:
    run_id = sync.request_run("manual", "cora", NOW)
    assert sync.fail_stalled(NOW + timedelta(seconds=40)) == 0
    assert bell == [("download_soas", run_id)] * 2


def test_a_run_nobody_can_hear_of_fails(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = sync.request_run("manual", "cora", NOW)
    monkeypatch.setattr(doorbell, "ring", lambda *args, **options: False)
    assert sync.fail_stalled(NOW + timedelta(seconds=60)) == 0
    assert sync.fail_stalled(NOW + timedelta(minutes=3)) == 1
    row = sync_runs.get(run_id)
    assert row and row.status == "failed" and "Redis" in row.error


def test_a_run_no_worker_takes_fails_in_the_end(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = sync.request_run("manual", "cora", NOW)
    monkeypatch.setattr(doorbell, "is_waiting", lambda *args: True)
    assert sync.fail_stalled(NOW + timedelta(minutes=10)) == 0
    assert sync.fail_stalled(NOW + timedelta(minutes=16)) == 1
    row = sync_runs.get(run_id)
    assert row and "No worker" in row.error


def test_what_a_dead_run_left_in_staging_goes(any_app: Flask, server: Script) -> None:
    class Killed(BaseException):
        pass

    def kill(asked: Asked) -> None:
        if asked.query.get("cursor") == ["4"]:
            client.on_wait = die

    def die() -> None:
        raise Killed

    books = Books([record(n) for n in range(1, 12)], before=kill)
    server.reply = books
    run_id = sync.request_run("manual", "cora", NOW)
    client = server.client()
    client.pages_ahead = 0
    with pytest.raises(Killed):
        sync.run(run_id, client, lambda: NOW)
    db.session.rollback()
    row = sync_runs.get(run_id)
    assert row and row.status == "processing" and row.succeeded == 6 and staged_rows() == 6
    assert sync.fail_stalled(NOW + timedelta(seconds=100)) == 1
    assert staged_rows() == 0 and visible() == {}


# --- the schedule


def test_a_slot_starts_one_run_however_many_ask(any_app: Flask, bell: list[tuple[Any, ...]]) -> None:
    slots = [datetime(2026, 11, day, 21, 0, tzinfo=UTC) for day in (15, 16, 19)]
    assert sync.start_scheduled("daily", slots[0], NOW) is None, "a fresh installation starts with its next slot"
    run_id = sync.start_scheduled("daily", slots[2], NOW)
    assert run_id and bell == [("download_soas", run_id)]
    assert sync.start_scheduled("daily", slots[2], NOW) is None
    assert sync.start_scheduled("daily", slots[1], NOW) is None, "a clock that goes back starts nothing"
    row = sync_runs.get(run_id)
    assert row and (row.trigger, row.started_by) == ("scheduled", "schedule")


def test_a_slot_during_a_run_is_left_out(app: Flask) -> None:
    sync.start_scheduled("daily", datetime(2026, 11, 18, 21, 0, tzinfo=UTC), NOW)
    manual = sync.request_run("manual", "cora", NOW)
    assert sync.start_scheduled("daily", datetime(2026, 11, 19, 21, 0, tzinfo=UTC), NOW) is None
    sync.cancel(manual, "cora", NOW)
    assert sync.start_scheduled("daily", datetime(2026, 11, 19, 21, 0, tzinfo=UTC), NOW) is None


# --- failed records again


def test_failed_records_can_be_asked_for_again(any_app: Flask, server: Script) -> None:
    books = Books([record(1), record(2, amount_due="x"), record(3, due_date=""), record(4, id=5), record(5, status="on_hold")])
    row = download(server, books)
    assert (row.succeeded, row.failed) == (1, 4)
    books.records[1] = record(2, amount_due="300.00", penalty="0.00")
    books.records[4] = "gone"
    retried = sync.retry_failed(row.id, "cora", server.client(), NOW)
    assert (retried.repaired, retried.still_failed, retried.without_id) == (1, 3, 1)
    after = sync_runs.get(row.id)
    assert after and (after.total, after.succeeded, after.failed, after.added) == (5, 2, 3, 2)
    assert after.amount_due == row.amount_due + Decimal("300.00")
    assert visible()["S0002"][1] == Decimal("300.00")
    assert {failure.reason for failure in sync_runs.failures(row.id) if failure.pscloud_id == "S0005"} == {
        "PSCloud does not have this record any more."
    }


def test_a_retry_without_an_answer_changes_nothing_and_says_so(app: Flask, server: Script) -> None:
    row = download(server, Books([record(1, amount_due="x")]))
    server.answers(Answer(status=500))
    with pytest.raises(Exception, match="fault"):
        sync.retry_failed(row.id, "cora", server.client(), NOW)
    after = sync_runs.get(row.id)
    assert after and after.failed == 1 and "without an answer" in after.note


def test_a_retry_is_refused_while_a_run_is_active_and_rung_otherwise(
    app: Flask, server: Script, bell: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = download(server, Books([record(1, amount_due="x")]))
    sync.request_retry(row.id, "cora", NOW)
    assert bell[-1] == ("retry_failed", row.id, "cora")
    active = sync.request_run("manual", "cora", NOW)
    for run_id in (row.id, active):
        with pytest.raises(Conflict):
            sync.request_retry(run_id, "cora", NOW)
    sync.cancel(active, "cora", NOW)
    monkeypatch.setattr(doorbell, "ring", lambda *args, **options: False)
    with pytest.raises(Busy):
        sync.request_retry(row.id, "cora", NOW)


# --- against the simulator


def test_the_simulator_and_the_portal_agree(any_app: Flask) -> None:
    with running_pscloud(customers=60) as pscloud:

        def once() -> RunRow:
            run_id = sync.request_run("manual", "cora", NOW)
            with PscloudClient(pscloud.url, pscloud.token, load(), allow_private=True, sleep=lambda _: None) as client:
                sync.run(run_id, client, lambda: NOW)
            row = sync_runs.get(run_id)
            assert row is not None
            return row

        first = once()
        state = pscloud.state()
        assert first.status == "completed", first.error
        assert first.failed == len(state["faulty_ids"]) > 0
        assert {failure.pscloud_id for failure in sync_runs.failures(first.id, limit=500)} == set(state["faulty_ids"])
        assert first.total == first.pscloud_count and first.amount_due == first.pscloud_amount_due
        pscloud.control(fail_every=2, rate_limit_next=1, html_next=1)
        second = once()
        assert (second.status, second.unchanged, second.closed) == ("completed", first.succeeded, 0)
        pscloud.reset()
        pscloud.control(unauthorized=True)
        assert once().status == "failed"

"""Quick sync: only what changed, nothing closed for being absent, and a watermark that never passes a change (I19)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from portal import doorbell
from portal.extensions import db
from portal.services import sync, sync_download
from portal.store import soas, staging, sync_runs
from portal.store.soas import SoaFilter
from portal.store.sync_runs import RunRow
from tests.pscloud.server import Answer, Books, Script, invoice, record, scripted

START = datetime(2026, 11, 19, 21, 0, tzinfo=UTC)
"""05:00 in Manila: when the first download reads PSCloud, on both clocks."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(doorbell, "ring", lambda *_, **__: True)
    with scripted() as script:
        yield script


def download(server: Script, kind: str, now: datetime, as_of: datetime | None = None) -> RunRow:
    """One download at that moment; PSCloud's clock shows the same unless `as_of` says otherwise."""
    server.reply.as_of = (as_of or now).isoformat()  # type: ignore[attr-defined]
    run_id = sync.request_run("manual", "cora", now, kind)
    sync.run(run_id, server.client(), lambda: now)
    row = sync_runs.get(run_id)
    assert row is not None
    return row


def visible() -> dict[str, tuple[str, Decimal, str]]:
    rows = soas.list_page(SoaFilter(status="all"), START.date(), limit=1000).rows
    return {row.id: (row.status, row.amount_due, row.customer_name) for row in rows}


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def changed(one: dict[str, Any], moment: datetime, **fields: Any) -> dict[str, Any]:
    return {**one, "updated_at": moment.isoformat(), **fields}


def books(server: Script, count: int = 5) -> Books:
    held = Books([record(n) for n in range(1, count + 1)])
    server.reply = held
    assert download(server, "full", START).watermark == START
    return held


def test_only_what_changed_is_read_and_the_watermark_moves(any_app: Flask, server: Script) -> None:
    held = books(server)
    held.records[1] = changed(held.records[1], at(60), amount_due="510.00", invoices=[invoice(balance="500.00")])
    held.records.append(record(6, updated_at=at(61).isoformat()))
    server.asked.clear()
    row = download(server, "quick", at(90))
    assert (row.kind, row.status, row.total, row.added, row.changed, row.unchanged, row.closed) == ("quick", "completed", 2, 1, 1, 0, 0)
    assert row.watermark == row.as_of == at(90) and row.note == ""
    (asked,) = [one for one in server.asked if one.path == "/api/v1/soas"]
    assert asked.query["updated_since"] == [(START - sync_download.OVERLAP).isoformat()] and "status" not in asked.query
    assert visible()["S0002"][1] == Decimal("510.00") and len(visible()) == 6
    again = download(server, "quick", at(95))
    assert (again.total, again.unchanged, again.changed) == (0, 0, 0), "sixty-one minutes past is outside the overlap"
    assert soas.data_as_of() == (again.id, at(95))


def test_what_is_in_the_overlap_comes_again_and_is_not_rewritten(any_app: Flask, server: Script) -> None:
    held = books(server)
    held.records[0] = changed(held.records[0], at(9), amount_due="510.00", invoices=[invoice(balance="500.00")])
    first = download(server, "quick", at(10))
    second = download(server, "quick", at(12))
    assert (first.changed, second.total, second.changed, second.unchanged) == (1, 1, 0, 1)
    rows = {row.id: row.changed_run_id for row in soas.list_page(SoaFilter(status="all"), START.date()).rows}
    assert rows["S0001"] == first.id


def test_absent_is_never_closed_but_what_pscloud_calls_settled_is(any_app: Flask, server: Script) -> None:
    held = books(server, 8)
    held.records[2] = changed(held.records[2], at(30), status="settled")
    held.records.append(record(9, status="settled", updated_at=at(30).isoformat()))
    row = download(server, "quick", at(40))
    assert (row.closed, row.changed, row.added, row.unchanged) == (1, 1, 0, 1)
    assert visible()["S0003"][0] == "closed" and "S0009" not in visible(), "an SOA that was closed before it ever came here is not taken"
    assert soas.timeline("S0003")[0].kind == "closed"
    del held.records[0]
    gone = download(server, "quick", at(60))
    assert (gone.status, gone.closed, gone.watermark) == ("completed", 0, None) and "PSCloud says 6" in gone.note
    assert visible()["S0001"][0] == "active"
    assert download(server, "full", at(70)).closed == 1


def test_without_a_download_to_build_on_everything_is_read(any_app: Flask, server: Script) -> None:
    server.reply = Books([record(n) for n in range(1, 4)])
    row = download(server, "quick", START)
    assert (row.kind, row.added, row.watermark) == ("full", 3, START) and "everything was read" in row.note


def test_a_full_download_that_could_not_vouch_for_its_list_leaves_the_watermark(any_app: Flask, server: Script) -> None:
    held = books(server)
    held.count = 7
    assert download(server, "full", at(10)).watermark is None and sync_runs.watermark() == START
    held.count = None
    held.records[0] = changed(held.records[0], at(11), amount_due="ten")
    for kind in ("full", "quick"):
        row = download(server, kind, at(20))
        assert (row.failed, row.watermark) == (1, None), "a record that could not be read is read again by the next quick one"
    held.records[0] = changed(held.records[0], at(11), amount_due="1010.00")
    row = download(server, "quick", at(30))
    assert (row.failed, row.unchanged, row.watermark) == (0, 1, at(30))


def test_totals_that_disagree_keep_the_watermark_and_say_so(any_app: Flask, server: Script) -> None:
    held = books(server)
    held.records[0] = {**held.records[0], "amount_due": "2010.00", "invoices": [invoice(balance="2000.00")]}  # its stamp was not moved
    row = download(server, "quick", at(60))
    assert row.watermark is None and "PSCloud says 5" in row.note and "Sync now" in row.note
    held.broken["/api/v1/soas/summary"] = Answer(status=500)
    assert download(server, "quick", at(70)).watermark is None
    held.broken.clear()
    assert download(server, "full", at(80)).watermark == at(80)


def test_a_clock_of_pscloud_s_that_went_back_makes_it_a_full_download(any_app: Flask, server: Script) -> None:
    held = books(server)
    held.records[0] = changed(held.records[0], at(-120), amount_due="510.00", invoices=[invoice(balance="500.00")])
    row = download(server, "quick", at(60), as_of=at(-60))
    assert (row.kind, row.changed) == ("full", 1) and "clock went back" in row.note
    assert row.watermark == at(-60)


def test_a_clock_of_pscloud_s_that_ran_ahead_hides_nothing_once_it_is_set_right(any_app: Flask, server: Script) -> None:
    held = books(server)
    ahead = download(server, "full", at(10), as_of=at(10 + 24 * 60))
    assert ahead.watermark == at(10), "ours, when PSCloud's is later"
    held.records[0] = changed(held.records[0], at(20), amount_due="510.00", invoices=[invoice(balance="500.00")])
    assert download(server, "quick", at(30)).changed == 1


@pytest.mark.parametrize("wrong", [-10, 10])
def test_a_clock_of_pscloud_s_that_is_ten_minutes_wrong_skips_nothing(any_app: Flask, server: Script, wrong: int) -> None:
    held = books(server)
    assert download(server, "full", at(30), as_of=at(30 + wrong)).status == "completed"
    for number, minute in enumerate((40, 50, 60)):
        stamp = at(minute - 0.5 + wrong)  # half a minute before it is asked, by the clock that is wrong
        held.records[number] = changed(held.records[number], stamp, amount_due="510.00", invoices=[invoice(balance="500.00")])
        row = download(server, "quick", at(minute), as_of=at(minute + wrong))
        assert (row.changed, row.status) == (1, "completed"), minute
    held.records[3] = changed(held.records[3], at(69), amount_due="510.00", invoices=[invoice(balance="500.00")])
    assert download(server, "quick", at(70)).changed == 1, "and nothing when it is set right"


def test_a_page_that_shifts_keeps_the_watermark(any_app: Flask, server: Script) -> None:
    held = books(server)
    for n in range(4):
        held.records[n] = changed(held.records[n], at(30), amount_due="510.00", invoices=[invoice(balance="500.00")])

    def shift(asked: Any) -> None:
        if asked.query.get("cursor") == ["2"]:  # the first one leaves the page already read
            held.records[0] = changed(held.records[0], at(-60))

    held.before = shift
    row = download(server, "quick", at(40))
    assert row.status == "completed" and row.watermark is None and "moved while it was read" in row.note
    held.before = lambda _: None
    assert download(server, "quick", at(50)).watermark == at(50)
    assert {due for _, due, _ in visible().values()} == {Decimal("510.00"), Decimal("1010.00")} and len(visible()) == 5


def test_data_and_watermark_are_one_commit(any_app: Flask, server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    held = books(server)
    held.records[0] = changed(held.records[0], at(30), amount_due="510.00", invoices=[invoice(balance="500.00")])
    really = staging.clear

    def dies_at_the_end(run_id: int) -> None:
        if (sync_runs.get(run_id) or row).status == "completed":
            raise KeyboardInterrupt
        really(run_id)

    row = download(server, "quick", at(35), as_of=at(35))
    held.records[1] = changed(held.records[1], at(40), amount_due="510.00", invoices=[invoice(balance="500.00")])
    monkeypatch.setattr(staging, "clear", dies_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        download(server, "quick", at(60))
    db.session.rollback()
    assert sync_runs.watermark() == at(35) and visible()["S0002"][1] == Decimal("1010.00"), "neither is there without the other"


CHANGES = st.lists(
    st.tuples(st.integers(1, 8), st.sampled_from(["pay", "settle", "rename", "add", "quick", "full", "fail", "wait"]), st.integers(0, 40)),
    max_size=25,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_whatever_changes_between_downloads_a_vouched_for_quick_one_leaves_the_list_as_pscloud_has_it(
    app: Flask, server: Script, steps: list[tuple[int, str, int]]
) -> None:
    for table in ("soa_changes", "unconfirmed_soas", "read_pages", "sync_failures", "invoices", "soas", "staged_soas", "sync_runs"):
        db.session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names of our own
    db.session.commit()
    held, minute = books(server), 0.0
    for number, what, wait in [*steps, (1, "quick", 30)]:
        minute += wait + 0.1
        index = number % len(held.records)
        one = held.records[index]
        if what in {"quick", "full", "fail"}:
            held.broken = {"/api/v1/soas": Answer(status=400)} if what == "fail" else {}
            row = download(server, "full" if what == "full" else "quick", at(minute))
            assert row.status == ("failed" if what == "fail" else "completed")
            if row.watermark is not None:
                assert {key: value for key, value in visible().items() if value[0] == "active"} == {
                    one["id"]: ("active", Decimal(one["amount_due"]), one["customer"]["name"])
                    for one in held.records
                    if one["status"] == "active"
                }
        elif what == "pay":
            held.records[index] = changed(one, at(minute), amount_due="510.00", invoices=[invoice(balance="500.00")])
        elif what == "settle":
            held.records[index] = changed(one, at(minute), status="settled")
        elif what == "rename":
            held.records[index] = changed(one, at(minute), customer={**one["customer"], "name": f"Renamed {wait}"})
        elif what == "add":
            held.records.append(record(len(held.records) + 1, updated_at=at(minute).isoformat()))
    assert row.watermark is not None, "undisturbed, it vouches for its list"

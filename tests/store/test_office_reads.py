"""What the office's pages read, on both databases: each figure against the slow way to the same figure."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

from flask import Flask

from portal import clock
from portal.extensions import db
from portal.services import journal
from portal.services.journal import Policy, Uploader
from portal.store import collector_codes, dashboard, downloads, incident_list, incidents, ledger, sync_history, sync_runs
from portal.store.collector_codes import Listed, Sums
from portal.store.incident_list import IncidentFilter
from portal.store.ledger import PaymentFilter
from portal.store.sync_history import RunFilter
from tests.factories import NOW, make_phone, make_soa, make_user, store_soas

TODAY = date(2026, 11, 20)


def collect(name: str, *amounts: int, approval: str = "automatic") -> None:
    """A phone of this collector takes so many centavos each and uploads."""
    phone = make_phone(name)
    phone.start()
    check: dict[str, Any] = {"tender": "check", "channel": "BDO"}
    for number, amount in enumerate(amounts):
        phone.pay(make_soa(f"{name}{number}"), amount, **(check | {"reference": f"{name}{number}"} if number % 2 else {}))
    body = phone.upload_body()
    journal.receive(phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, name), Policy(approval, 7), NOW)


def test_the_parts_of_a_day_are_the_totals_of_their_filters(any_app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    make_user("jun", "collector", codes=["A1"])
    store_soas(*(make_soa(f"{name}{number}") for name in ("nena", "jun") for number in range(3)))
    collect("nena", 10000, 20050, 30001)
    collect("jun", 500, 700, approval="manual")
    found = dashboard.collected(TODAY)
    parts = [
        ({}, found.all),
        ({"status": "pending"}, found.held),
        ({"status": "unposted"}, found.unposted),
        ({"status": "completed"}, found.posted),
    ]
    parts += [({"tender": part.key}, part) for part in found.tenders] + [({"collector": part.key}, part) for part in found.collectors]
    for wanted, part in parts:
        totals = ledger.totals(PaymentFilter(date_from=TODAY, date_to=TODAY, **wanted))
        assert (part.count, part.amount) == (totals.count, totals.active_collection), wanted
    assert [part.key for part in found.collectors] == ["nena", "jun"] and [part.key for part in found.tenders] == ["cash", "check"]
    assert found.held.count == 2 and found.all.amount == Decimal("612.51")
    waiting = dashboard.waiting_payments()
    for queue, flag in ((waiting.plain, "none"), (waiting.flagged, "any")):
        assert queue.count == ledger.totals(PaymentFilter(status="pending", void="none", flag=flag)).count
    assert waiting.plain.oldest == NOW and waiting.refused == dashboard.Queue(0, None)
    assert dashboard.collected(TODAY + timedelta(days=1)).all.count == 0


def test_what_nobody_can_download_is_found_without_adding_up_every_code(any_app: Flask) -> None:
    collector_codes.refresh([Listed(f"C{number}", "", "", True) for number in range(5)], NOW)
    make_user("nena", "collector", codes=["C0", "C1", "X"])
    store_soas(*(make_soa(f"S{number}", collector_code=f"C{number % 5}") for number in range(20)), make_soa("S-", collector_code=None))
    store_soas(make_soa("SX", collector_code="X"), make_soa("SY", collector_code="Y", due_date=TODAY))
    assert collector_codes.codes_on_soas() == ["", "C0", "C1", "C2", "C3", "C4", "X", "Y"]
    slow = sum((row.sums for row in collector_codes.unassigned(TODAY) if not row.downloadable), Sums())
    assert collector_codes.stuck(TODAY) == slow and slow.accounts == 14 and slow.today_accounts == 1
    assert collector_codes.sums_by_code(TODAY, ["C1"]) == {"C1": collector_codes.sums_by_code(TODAY)["C1"]}


def test_the_latest_list_is_any_of_the_latest_day_that_had_one(any_app: Flask) -> None:
    zone = clock.zone()
    assert downloads.edition(zone) is None
    days = [NOW - timedelta(days=2), NOW, NOW + timedelta(hours=3)]
    runs = [store_soas(make_soa("S1"), now=at) for at in days]
    failed = sync_runs.add("manual", "carla", NOW + timedelta(hours=4))
    sync_runs.end(failed, "failed", NOW, "PSCloud did not answer.")
    found = downloads.edition(zone)
    assert found and (found.first_run, found.last_run) == (runs[1], runs[2])
    assert [downloads.run_of(name) for name in ("12-0", "7-1763600000000000", "", "x-1", "-1", "9" * 30 + "-1")] == [
        12,
        7,
        None,
        None,
        None,
        None,
    ]


def test_days_are_business_dates_and_tell_the_largest_download(any_app: Flask) -> None:
    zone = clock.zone()
    late = NOW.replace(hour=17)  # past midnight in Manila
    for at, succeeded, failed, seconds in ((NOW, 50, 2, 10), (NOW + timedelta(hours=1), 80, 0, 30), (late, 7, 1, 5)):
        run = sync_runs.add("manual", "carla", at)
        sync_runs.claim(run, "lease", at)
        sync_runs.complete(run, "lease", at + timedelta(seconds=seconds), succeeded=succeeded, failed=failed)
    run = sync_runs.add("scheduled", "schedule", NOW)
    sync_runs.end(run, "failed", NOW, "PSCloud did not answer.")
    earlier, today, tomorrow = sync_history.days(TODAY + timedelta(days=1), 3, zone)
    assert (earlier.runs, earlier.records, earlier.seconds) == (0, None, None)
    assert (today.runs, today.records, today.seconds, today.failed_records, today.failed_runs) == (3, 80, 30, 2, 1)
    assert (tomorrow.day, tomorrow.records, tomorrow.failed_records) == (TODAY + timedelta(days=1), 8, 1)
    assert sync_history.starters() == ["carla", "schedule"]
    assert sync_history.status_counts(RunFilter(by="carla"))["completed"] == 3 == len(list(sync_history.iterate(RunFilter(by="carla"))))
    assert [row.failed for row in sync_history.standing_failures()] == [1], "what a later full download read is no longer unread"


def test_an_incident_is_closed_once(any_app: Flask) -> None:
    incidents.add("clock_jump", "An hour.", NOW)
    incidents.add("quarantined", "Unreadable.", NOW + timedelta(hours=1))
    db.session.flush()
    (newest, oldest) = incident_list.list_page(IncidentFilter())
    assert dashboard.open_incidents() == {
        "clock_jump": dashboard.Queue(1, NOW),
        "quarantined": dashboard.Queue(1, NOW + timedelta(hours=1)),
    }
    assert incident_list.close(oldest.id, "ramon", "Repaired", NOW) and not incident_list.close(oldest.id, "ada", "Again", NOW)
    assert incident_list.count(IncidentFilter()) == 1 and incident_list.list_page(IncidentFilter())[0].id == newest.id
    (closed,) = incident_list.list_page(IncidentFilter("closed"))
    assert (closed.resolved_by, closed.resolution, closed.resolved_at) == ("ramon", "Repaired", NOW.astimezone(UTC))

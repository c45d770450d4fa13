"""No list walks a whole table: what each query of a page really does, asked of the database itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from portal.extensions import db
from portal.reports import REPORTS
from portal.store import (
    audit,
    audit_list,
    collector_codes,
    dashboard,
    downloads,
    incident_list,
    ledger,
    readings,
    report_rows,
    soa_columns,
    soas,
    sync_history,
    visits,
)
from portal.store.audit_list import AuditFilter
from portal.store.soas import SORTS, SoaFilter
from tests.blueprints.office_site import upload
from tests.factories import NOW, make_phone, make_soa, make_user, store_soas

TODAY = date(2026, 11, 20)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database meanwhile."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


LARGE = ("soas", "payments")


def walks(body: Callable[[], object], tables: tuple[str, ...] = LARGE, whole_index: bool = False) -> list[str]:
    """Steps of the plans of what `body` asks that read every row of one of these tables; with `whole_index` also those that read every
    entry of an index, which a page that stops early may, and a count may not."""
    with statements() as seen:
        body()
    db.session.rollback()
    found = []
    sqlite = db.engine.dialect.name == "sqlite"
    with db.engine.connect() as connection:
        if not sqlite:
            connection.execute(text("SET enable_seqscan = off"))  # few rows here: only what no index can answer is still walked
            connection.execute(text("SET enable_sort = off"))
        for statement, parameters in seen:
            explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
            for row in connection.exec_driver_sql(explain + statement, parameters):
                step = str(row[-1])
                words = step.split()
                if sqlite and words[0] == "SCAN" and words[1] in tables and (whole_index or "USING" not in words):
                    found.append(step)
                if not sqlite and "Seq Scan on" in step and step.split("Seq Scan on ")[1].split()[0] in tables:
                    found.append(step)
        connection.rollback()
    return found


FILTERS = {
    "all active": {},
    "collector code": {"collector_code": "A1"},
    "due between": {"due_from": date(2026, 1, 1), "due_to": date(2026, 12, 31)},
    "overdue of a code": {"collector_code": "A1", "overdue": True},
    "account number": {"q": "MP-2019-00001"},
    "name": {"q": "reyes"},
    "closed": {"status": "closed"},
}


@pytest.mark.parametrize("sort", SORTS)
def test_no_page_of_the_soa_list_walks_the_table(any_app: Flask, sort: str) -> None:
    store_soas(*(make_soa(f"S{number}", account_number=f"MP-2019-{number:05}") for number in range(60)))
    for order in (sort, f"-{sort}"):
        mark = soas.list_page(SoaFilter(sort=order), TODAY, limit=20).next
        assert mark
        for name, given in FILTERS.items():
            wanted = SoaFilter(**given, sort=order)  # type: ignore[arg-type]
            assert walks(functools.partial(soas.list_page, wanted, TODAY)) == [], name
            assert walks(functools.partial(soas.list_page, wanted, TODAY, after=mark)) == [], name
            if not wanted.q:
                assert walks(functools.partial(soas.totals, wanted, TODAY)) == [], name


def test_the_payment_list_does_not_walk_the_table(any_app: Flask) -> None:
    assert walks(lambda: ledger.list_page(ledger.PaymentFilter())) == []
    assert walks(lambda: ledger.list_page(ledger.PaymentFilter(status="pending"))) == []


def test_no_list_of_visits_walks_them(any_app: Flask) -> None:
    for kind in ("open", "promise", "no_collection", "all"):
        onward = functools.partial(visits.list_page, kind, "2026-11-20.40", 20)
        assert walks(onward, ("visits", "payments")) == [], kind
        if kind != "all":  # in the order of the rows themselves, and only a page of them
            assert walks(functools.partial(visits.list_page, kind, None, 20), ("visits", "payments")) == [], kind
    assert walks(lambda: visits.of_soa("S1"), ("visits", "payments")) == []


def test_the_list_of_a_phone_does_not_walk_the_table(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{number}", collector_code=f"A{number % 30}") for number in range(60)))
    assert walks(lambda: soa_columns.for_codes(["A1", "A2"])) == []
    assert walks(lambda: soa_columns.collected(["A1", "A2"])) == []


GROWING = (
    "soas", "soa_totals", "payments", "payment_flags", "journal_entries", "soa_downloads", "soa_changes", "sync_failures", "incidents",
    "voids", "audit_log",
)  # fmt: skip


def test_nothing_the_front_page_asks_walks_a_table_that_grows(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{number}", collector_code=f"A{number % 30}") for number in range(60)))
    make_user("nena", "collector", codes=["A1"])
    asked: dict[str, Callable[[], object]] = {
        "collected": lambda: dashboard.collected(TODAY),
        "payments": dashboard.waiting_payments,
        "voids": dashboard.waiting_voids,
        "refused voids": dashboard.refused_voids,
        "terminals": dashboard.waiting_terminals,
        "incidents": dashboard.open_incidents,
        "stuck": lambda: collector_codes.stuck(TODAY),
        "phones": lambda: downloads.collectors(downloads.edition(UTC)),
        "failures": sync_history.standing_failures,
        "undecided drop": sync_history.undecided,
        "today's download": lambda: sync_history.last_asked_since(NOW),
        "latest": lambda: ledger.list_page(ledger.PaymentFilter(), limit=8),
    }
    for name, body in asked.items():
        few = (*GROWING, "sync_runs") if name != "latest" else tuple(table for table in GROWING if table != "payments")
        # These indexes hold open incidents and undecided drops alone.
        assert [step for step in walks(body, few, whole_index=True) if not step.endswith(("_open", "_undecided"))] == [], name


def test_neither_the_history_of_downloads_nor_incidents_nor_one_code_walk(any_app: Flask) -> None:
    store_soas(make_soa("S1"))
    wanted = sync_history.RunFilter(status="completed", since=NOW, until=NOW)
    asked: dict[str, Callable[[], object]] = {
        "history": lambda: sync_history.list_page(wanted, 7),
        "days": lambda: sync_history.days(TODAY, 30, UTC),
        "failures": lambda: list(sync_history.failures(1)),
        "changes": lambda: sync_history.changes(1, "closed", 5),
        "all changes": lambda: sync_history.changes(1, "", 5),
        "count of failures": lambda: sync_history.count_failures(1),
        "incidents": lambda: incident_list.list_page(incident_list.IncidentFilter(kind="quarantined")),
        "count of incidents": lambda: incident_list.count(incident_list.IncidentFilter(kind="quarantined")),
        "code": lambda: collector_codes.find("A1", TODAY),
        "use of a code": lambda: collector_codes.use("A1"),
    }
    for name, body in asked.items():
        assert walks(body, (*GROWING, "sync_runs"), whole_index=True) == [], name


def test_what_is_in_no_z_reading_is_found_without_walking_the_payments(any_app: Flask) -> None:
    tables = db.metadata.tables
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa("S1"))
    phone = make_phone()
    phone.start()
    phone.pay(make_soa("S1"), 5000)
    upload(phone, "manual")
    keep = dict(db.session.execute(tables["payments"].select()).mappings().one())
    first = dict(db.session.execute(tables["registries"].select()).mappings().one())
    many = range(2000)
    db.session.execute(
        tables["registries"].insert(), [{**first, "id": f"r{number}", "opened_seq": 10_000 + number, "z_seq": 1} for number in many]
    )
    db.session.execute(
        tables["payments"].insert(),
        [
            {**keep, "id": f"p{number}", "registry_id": f"r{number}", "receipt_number": None, "journal_seq": 10_000 + number}
            for number in many
        ],
    )
    late = [{"payment_id": f"p{number}", "flag": "late", "detail": "", "raised_at": NOW} for number in (7, 8)]
    old = [{**late[0], "flag": "stale_soa", "payment_id": f"p{number}"} for number in range(100, 1500)]
    db.session.execute(tables["payment_flags"].insert(), [*late, *old])
    db.session.commit()
    db.session.execute(text("ANALYZE"))
    db.session.commit()
    (row,) = readings.uncovered()
    assert (row.count, row.late) == (3, 2), "one of the open registry, two late ones; the rest was settled"
    for read in (readings.uncovered, readings.open_registries):
        found = walks(read, ("payments", "payment_flags", "reading_payments"), whole_index=True)
        assert [step for step in found if not step.endswith(("_open", "_late"))] == []
    assert [step for step in walks(readings.uncovered, ("registries",), whole_index=True) if not step.endswith("_open")] == []


def test_changes_of_a_rare_kind_are_found_among_many(any_app: Flask) -> None:
    run_id = store_soas(*(make_soa(f"S{number}") for number in range(40)))
    changes = db.metadata.tables["soa_changes"]
    db.session.execute(
        changes.insert(), [{"soa_id": "S3", "run_id": run_id, "kind": kind, "changes": "{}"} for kind in ("closed", "changed")]
    )
    db.session.commit()
    every = sync_history.changes(run_id)
    assert [one.id for one in every] == sorted(one.id for one in every) and [one.kind for one in every[-2:]] == ["closed", "changed"]
    assert [one.kind for one in sync_history.changes(run_id, "closed")] == ["closed"]
    paged = [
        one.id
        for start in range(len(every) // 5 + 1)
        for one in sync_history.changes(run_id, "", every[start * 5 - 1].id if start else 0, 5)
    ]
    assert paged == [one.id for one in every]
    plan = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
    with statements() as seen:
        sync_history.changes(run_id, "closed", 5)
    db.session.rollback()
    with db.engine.connect() as connection:
        if db.engine.dialect.name != "sqlite":
            connection.execute(text("SET enable_seqscan = off"))
        steps = " ".join(str(row[-1]) for row in connection.exec_driver_sql(plan + seen[0][0], seen[0][1]))
    assert "ix_soa_changes_list" in steps and "TEMP B-TREE" not in steps and "Sort" not in steps


LOG = ("audit_log",)


def test_no_filter_of_the_audit_trail_walks_the_log_but_a_part_of_a_text(any_app: Flask) -> None:
    audit.add_all([audit.Event("nena", "login", f"payment {number}", {}, NOW) for number in range(60)])
    db.session.commit()
    since = AuditFilter(since=NOW, until=NOW)
    for wanted in (AuditFilter(who="nena"), AuditFilter(action="login"), AuditFilter(subjects=("payment 7",)), since):
        assert walks(functools.partial(audit_list.list_page, wanted), LOG) == [], wanted
        assert walks(functools.partial(audit_list.list_page, wanted, 40), LOG) == [], wanted
    assert walks(lambda: audit_list.list_page(AuditFilter(), 40), LOG) == []
    assert walks(lambda: audit_list.subjects_of("T01-00000001"), (*LARGE, "voids")) == []
    assert walks(lambda: audit.walk(0, audit.FIRST, 50), LOG) == []


def test_no_report_walks_what_grows(any_app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    store_soas(*(make_soa(f"S{number}", collector_code=f"A{number % 30}") for number in range(60)))
    grows = (*LARGE, "journal_entries", "visits", "payment_allocations")
    for collector, code in (("", ""), ("nena", ""), ("", "A1")):
        wanted = report_rows.ReportFilter(TODAY, TODAY, NOW, NOW + timedelta(days=1), collector, code)
        for report in REPORTS.values():
            found = walks(lambda report=report, wanted=wanted: list(report.rows(wanted, TODAY)), grows)  # type: ignore[misc]
            assert found == [], (report.name, collector, code)


def test_the_check_sees_a_walk(any_app: Flask) -> None:
    assert walks(lambda: db.session.execute(text("SELECT id FROM soas WHERE address = 'x'")).all())
    assert walks(lambda: db.session.execute(text("SELECT count(*) FROM incidents WHERE detail = 'x'")).all(), GROWING)


def test_the_check_sees_a_walk_along_an_index(app: Flask) -> None:
    asked = "SELECT count(*) FROM payments WHERE +business_date > '2026-01-01'"
    assert walks(lambda: db.session.execute(text(asked)).all(), whole_index=True)

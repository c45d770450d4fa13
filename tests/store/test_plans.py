"""No list walks a whole table: what each query of a page really does, asked of the database itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from portal.extensions import db
from portal.store import ledger, soa_columns, soas
from portal.store.soas import SORTS, SoaFilter
from tests.factories import make_soa, store_soas

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


def walks(body: Callable[[], object]) -> list[str]:
    """Steps of the plans of what `body` asks that read every row of a large table."""
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
                if sqlite and step.startswith(("SCAN soas", "SCAN payments")) and "USING" not in step:
                    found.append(step)
                if not sqlite and any(f"Seq Scan on {name}" in step for name in ("soas", "payments")):
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


def test_the_list_of_a_phone_does_not_walk_the_table(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{number}", collector_code=f"A{number % 30}") for number in range(60)))
    assert walks(lambda: soa_columns.for_codes(["A1", "A2"])) == []
    assert walks(lambda: soa_columns.collected(["A1", "A2"])) == []


def test_the_check_sees_a_walk(any_app: Flask) -> None:
    assert walks(lambda: db.session.execute(text("SELECT id FROM soas WHERE address = 'x'")).all())

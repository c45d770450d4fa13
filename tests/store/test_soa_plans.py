"""No order of the SOA list sorts the table first, whatever the filter: asked of each database itself."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from portal.extensions import db
from portal.store import search, soas
from portal.store.soas import SORTS, SoaFilter
from tests.factories import make_soa, store_soas

TODAY = date(2026, 11, 20)


def steps(body: Callable[[], object]) -> list[str]:
    """The plans of what `body` asks, step by step."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        body()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    db.session.rollback()
    explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
    with db.engine.connect() as connection:
        if explain == "EXPLAIN ":
            connection.execute(text("SET enable_seqscan = off"))  # few rows here: only what no index can answer is still walked
            connection.execute(text("SET enable_sort = off"))
        found = [str(row[-1]) for statement, parameters in seen for row in connection.exec_driver_sql(explain + statement, parameters)]
        connection.rollback()
    return found


def sorts(body: Callable[[], object]) -> list[str]:
    """Steps that sort all rows before the first is there; PostgreSQL's incremental sort only sorts those that are alike."""
    return [step for step in steps(body) if step == "USE TEMP B-TREE FOR ORDER BY" or re.match(r"[->\s]*Sort\b", step)]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("status", ["active", "closed", "all"])
def test_no_order_of_the_list_sorts_the_table(any_app: Flask, sort: str, status: soas.Status) -> None:
    store_soas(*(make_soa(f"S{number}", account_number=f"MP-2019-{number:05}", due_date=TODAY) for number in range(60)))
    for order in (sort, f"-{sort}"):
        wanted = SoaFilter(status=status, sort=order)
        assert sorts(functools.partial(soas.list_page, wanted, TODAY)) == [], order
        mark = soas.list_page(replace_status(wanted), TODAY, limit=20).next
        assert mark and sorts(functools.partial(soas.list_page, wanted, TODAY, after=mark)) == [], order


def test_a_deep_page_enters_the_index_at_its_mark_and_looks_at_no_row_before_it(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{number}", due_date=TODAY) for number in range(60)))
    mark = soas.list_page(SoaFilter(), TODAY, limit=20).next
    found = steps(functools.partial(soas.list_page, SoaFilter(), TODAY, after=mark))
    entered = "due_date>?" if db.engine.dialect.name == "sqlite" else "(ROW(due_date, (id)::text) > ROW("
    assert any(entered in step and "Filter" not in step for step in found), found


def replace_status(wanted: SoaFilter) -> SoaFilter:
    """The same with SOAs in it."""
    return SoaFilter(status="all", sort=wanted.sort)


def test_a_number_that_begins_so_is_looked_up_in_its_order(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{number}", account_number=f"MP-2019-{number:05}") for number in range(60)))
    asked = functools.partial(soas.list_page, SoaFilter(q="MP-2019-0000", sort="account_number"), TODAY)
    assert len(asked().rows) == 10 and sorts(asked) == []
    assert any("ix_soas_list_account" in step for step in steps(asked))


def test_sqlite_follows_the_order_of_many_and_sorts_few(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    store_soas(*(make_soa(f"S{number}") for number in range(60)))
    overdue = functools.partial(soas.list_page, SoaFilter(overdue=True, sort="-amount_due"), TODAY)
    assert any("ix_soas_list_due" in step for step in steps(overdue)) and sorts(overdue)
    monkeypatch.setattr(soas, "MANY", 10)
    assert any("ix_soas_list_amount" in step for step in steps(overdue)) and sorts(overdue) == []


def test_sqlite_looks_the_hits_of_a_rare_text_up_and_does_not_ask_every_soa(app: Flask) -> None:
    store_soas(
        *(make_soa(f"S{number}", customer_name=f"Customer {number} {'Quiambao' if number == 7 else 'Reyes'}") for number in range(400))
    )
    db.session.execute(text("ANALYZE"))
    db.session.commit()
    for status in ("active", "all"):
        for sort in SORTS:
            wanted = SoaFilter(q="quiambao", sort=sort, status=status)
            questions: tuple[Callable[[], object], ...] = (
                functools.partial(soas.list_page, wanted, TODAY),
                functools.partial(soas.totals, wanted, TODAY),
                functools.partial(list, soas.iterate(wanted, TODAY)),
            )
            for asked in questions:
                found = [step for step in steps(asked) if " soas " in f"{step} "]
                assert found and all("sqlite_autoindex_soas_1" in step for step in found), (status, sort, found)
    assert [row.id for row in soas.list_page(SoaFilter(q="quiambao"), TODAY).rows] == ["S7"]


@pytest.mark.parametrize("near", [1, 6000])
@pytest.mark.parametrize("q", ["", "dela cruz"])
def test_pages_of_active_and_closed_ones_together_are_the_whole_in_order(
    any_app: Flask, monkeypatch: pytest.MonkeyPatch, q: str, near: int
) -> None:
    monkeypatch.setattr(soas, "NEAR", near)  # in how many rows PostgreSQL looks for a text first
    soas._near_query.cache_clear()
    store_soas(
        *(
            make_soa(f"S{number:02}", due_date=date(2026, 1, 1 + number % 7), status=["active", "closed"][number % 3 == 0])
            for number in range(40)
        )
    )
    for sort in SORTS:
        for order in (sort, f"-{sort}"):
            wanted = SoaFilter(status="all", sort=order, q=q)
            whole = [row.id for row in soas.iterate(wanted, TODAY)]
            assert len(whole) == 40 and [row.id for row in soas.list_page(wanted, TODAY, limit=100).rows] == whole
            first = soas.list_page(wanted, TODAY, limit=15)
            second = soas.list_page(wanted, TODAY, limit=15, after=first.next)
            assert [row.id for row in [*first.rows, *second.rows]] == whole[:30]
            assert soas.list_page(wanted, TODAY, limit=15, before=second.previous).rows == first.rows
    soas._near_query.cache_clear()


@pytest.mark.parametrize("q", ["SOA-S1", "MP-2019-00001"])
def test_numbers_are_looked_up_in_their_own_index(app: Flask, q: str) -> None:
    store_soas(*(make_soa(f"S{number}", account_number=f"MP-2019-{number:05}") for number in range(60)))
    db.session.execute(text("ANALYZE"))
    db.session.commit()
    for body in (
        functools.partial(search.ask, q),
        functools.partial(soas.totals, SoaFilter(q=q), TODAY),
        functools.partial(soas.list_page, SoaFilter(q=q), TODAY),
    ):
        looked = [step for step in steps(body) if step.startswith(("SEARCH soas", "SCAN soas"))]
        assert looked and all("number>? AND" in step for step in looked), looked

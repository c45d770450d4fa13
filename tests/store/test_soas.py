"""The list of SOAs: the same rows in the same order on both databases, whatever is typed."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from portal.domain.soa import Soa
from portal.extensions import db
from portal.store import soa_columns, soa_totals, soas, sync_runs
from portal.store.models import Invoice
from portal.store.models import Soa as SoaRecord
from portal.store.search import fold
from portal.store.soas import SORTS, SoaFilter, SoaRow
from tests.factories import make_invoice, make_soa, store_soas

TODAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)


def test_totals_of_any_time_are_those_of_its_days(any_app: Flask) -> None:
    due = [TODAY + timedelta(days=number * 11 - 300) for number in range(60)] + [date(2026, 2, 28), date(2026, 3, 1), date(2026, 12, 31)]
    made = [
        make_soa(
            f"S{number}", due_date=day, collector_code=["A", "B", None][number % 3], invoices=[make_invoice(1, penalty=Decimal(number % 2))]
        )
        for number, day in enumerate(due)
    ]
    store_soas(*made)
    edges = [None, *(date(2026, month, day) for month in (1, 2, 3, 8) for day in (1, 2, 28)), date(2026, 12, 31), date(2027, 1, 1)]
    for since, until in itertools.product(edges, edges):
        for penalty, code in ((False, ""), (True, ""), (False, "A")):
            fitting = [
                soa
                for soa in made
                if (since or date.min) <= soa.due_date <= (until or date.max)
                and (soa.penalty > 0 or not penalty)
                and (not code or soa.collector_code == code)
            ]
            found = soas.totals(SoaFilter(due_from=since, due_to=until, penalty=penalty, collector_code=code), TODAY)
            assert (found.count, found.amount_due) == (len(fitting), sum(soa.amount_due for soa in fitting)), (since, until, penalty, code)


def test_totals_of_days_and_months_follow_whoever_writes(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{number}", due_date=TODAY + timedelta(days=number * 9)) for number in range(8)))
    assert soas.totals(SoaFilter(due_to=TODAY + timedelta(days=30)), TODAY).count == 4
    db.session.execute(text("UPDATE soa_totals SET status = 'closed', count = 2 * count WHERE count > 0"))
    assert [soas.totals(SoaFilter(status=status), TODAY).count for status in ("active", "closed", "all")] == [0, 16, 16]
    assert soas.totals(SoaFilter(status="closed", due_to=TODAY + timedelta(days=30)), TODAY).count == 8
    db.session.execute(text("DELETE FROM soa_totals"))
    assert soas.totals(SoaFilter(status="all"), TODAY).count == soas.totals(SoaFilter(status="all", due_from=TODAY), TODAY).count == 0
    soa_totals.rebuild()
    assert soa_totals.wrong() == [] and soas.totals(SoaFilter(), TODAY).count == 8


def stored() -> list[Soa]:
    """Thirty SOAs with ties in every sort column."""
    names = ["Peña, José", "dela Cruz, Ana", "SANTOS 100%", "O'Brien_x", "Ñañez \\ Co", "Zobel, Mía"]
    made = [
        make_soa(
            f"S{n:02d}",
            invoices=[make_invoice(1, penalty=Decimal(n % 3))],
            soa_number=f"2026-{n:04d}",
            customer_name=names[n % 6],
            account_number=f"HP-{n % 10:05d}",
            due_date=TODAY + timedelta(days=n % 5 - 2),
            collector_code=[None, "A", "B"][n % 3],
        )
        for n in range(30)
    ]
    store_soas(*made)
    return made


def ids(wanted: SoaFilter, **options: Any) -> list[str]:
    return [row.id for row in soas.list_page(wanted, TODAY, limit=100, **options).rows]


def walk(wanted: SoaFilter, size: int) -> tuple[list[str], list[str]]:
    """All ids, page by page to the end, and page by page back to the start."""
    forward: list[str] = []
    page = soas.list_page(wanted, TODAY, limit=size)
    assert page.previous is None
    last = page
    while True:
        forward += [row.id for row in page.rows]
        last = page
        if page.next is None:
            break
        page = soas.list_page(wanted, TODAY, after=page.next, limit=size)
        assert page.previous is not None
    backward = [row.id for row in last.rows]
    while last.previous is not None:
        last = soas.list_page(wanted, TODAY, before=last.previous, limit=size)
        backward = [row.id for row in last.rows] + backward
        assert last.next is not None
    return forward, backward


def key(name: str, row: SoaRow) -> Any:
    return {
        "name": fold(f"{row.customer_name} {row.account_number} {row.soa_number}"),
        "account_number": row.account_number,
        "due_date": row.due_date,
        "amount_due": row.amount_due,
        "collector_code": row.collector_code or "",
    }[name]


def test_pages_hold_every_row_once_in_order_for_every_sort(any_app: Flask) -> None:
    stored()
    rows = {row.id: row for row in soas.list_page(SoaFilter(), TODAY, limit=100).rows}
    assert len(rows) == 30
    for name in SORTS:
        for sign in ("", "-"):
            wanted = SoaFilter(sort=sign + name)
            expected = sorted(rows, key=lambda one, name=name: (key(name, rows[one]), one), reverse=bool(sign))  # type: ignore[misc]
            assert [row.id for row in soas.iterate(wanted, TODAY)] == expected, wanted.sort
            for size in (7, 30):
                forward, backward = walk(wanted, size)
                assert forward == expected, wanted.sort
                assert backward == expected, wanted.sort


def test_every_word_must_be_found_and_signs_are_only_signs(any_app: Flask) -> None:
    stored()

    def names(q: str) -> set[str]:
        return {row.customer_name for row in soas.list_page(SoaFilter(q=q), TODAY, limit=100).rows}

    assert names("pena jose") == names("JOSÉ  PEÑA") == names("peÑa") == {"Peña, José"}
    assert names("ana cruz hp-00001") == {"dela Cruz, Ana"}
    assert names("ana santos") == set()
    assert names("100%") == {"SANTOS 100%"} and names("%") == {"SANTOS 100%"}
    assert names("n_x") == {"O'Brien_x"} and names("_") == {"O'Brien_x"}
    assert names("\\") == {"Ñañez \\ Co"}
    assert names("O'Brien") == {"O'Brien_x"} and names("' OR 1=1 --") == set()
    assert len(names("\x00")) == len(names("   ")) == 6
    assert ids(SoaFilter(q="2026-0007")) == ["S07"]


def test_each_filter_alone_and_all_together(any_app: Flask) -> None:
    made = stored()
    assert set(ids(SoaFilter(collector_code="A"))) == {soa.id for soa in made if soa.collector_code == "A"}
    assert set(ids(SoaFilter(collector_code="-"))) == {soa.id for soa in made if soa.collector_code is None}
    assert ids(SoaFilter(collector_code="\x00")) == ids(SoaFilter(collector_code="%")) == []
    assert set(ids(SoaFilter(overdue=True))) == {soa.id for soa in made if soa.due_date < TODAY}
    assert set(ids(SoaFilter(penalty=True))) == {soa.id for soa in made if soa.penalty > 0}
    assert set(ids(SoaFilter(due_from=TODAY, due_to=TODAY))) == {soa.id for soa in made if soa.due_date == TODAY}
    every = SoaFilter(q="hp", collector_code="B", due_to=TODAY, overdue=True, penalty=True, sort="-amount_due")
    expected = {soa.id for soa in made if soa.collector_code == "B" and soa.due_date < TODAY and soa.penalty > 0}
    assert set(ids(every)) == expected and expected
    totals = soas.totals(every, TODAY)
    assert totals.count == len(expected)
    assert totals.amount_due == sum(soa.amount_due for soa in made if soa.id in expected)
    assert totals.penalty == sum(soa.penalty for soa in made if soa.id in expected)
    assert soas.totals(SoaFilter(q="nobody"), TODAY) == soa_totals.Totals(0, Decimal("0.00"), Decimal("0.00"))


def test_closed_ones_are_seen_only_when_asked_for(any_app: Flask) -> None:
    store_soas(make_soa("S1", due_date=date(2026, 1, 1)), make_soa("S2", status="closed", due_date=date(2026, 1, 1)))
    assert (ids(SoaFilter()), ids(SoaFilter(status="closed")), ids(SoaFilter(status="all"))) == (["S1"], ["S2"], ["S1", "S2"])
    rows = {row.id: row for row in soas.list_page(SoaFilter(status="all"), TODAY).rows}
    assert rows["S1"].days_overdue == 323 and rows["S2"].days_overdue == 0 and rows["S2"].closed_on == TODAY
    assert rows["S1"].invoice_count == 2


def mark(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "x", "!!!!", "é", "\x00", "A" * 10_000, mark(), mark(1), base64.b64encode(b"[" * 3000).decode()),
        mark("due_date", False, "never", "S01"),
        mark("due_date", False, 5, "S01"),
        mark("amount_due", False, 1, "S01"),
        mark("due_date", True, "2026-11-20", "S01"),
        mark("due_date", False, "2026-11-20", None),
        mark("due_date", False, "2026-11-20", "a\x00"),
        mark("due_date", False, "2026-11-20", "\ud800"),
    ],
)
def test_a_mark_that_cannot_be_read_is_the_first_page(app: Flask, wrong: str) -> None:
    stored()
    first = soas.list_page(SoaFilter(), TODAY, limit=5)
    assert soas.list_page(SoaFilter(), TODAY, after=wrong, limit=5) == first
    assert soas.list_page(SoaFilter(), TODAY, before=wrong, limit=5) == first


@pytest.mark.parametrize("value", [10**30, 1.5, True, None, [], "1"])
def test_a_mark_with_an_amount_that_is_none_is_the_first_page(app: Flask, value: object) -> None:
    stored()
    wanted = SoaFilter(sort="amount_due")
    assert soas.list_page(wanted, TODAY, after=mark("amount_due", False, value, "S01"), limit=5) == soas.list_page(wanted, TODAY, limit=5)


def test_an_unknown_sort_is_the_usual_one(app: Flask) -> None:
    stored()
    assert ids(SoaFilter(sort="id; DROP TABLE soas")) == ids(SoaFilter(sort="due_date"))


@given(st.text(max_size=40))
@example("\U0001d49c")  # a letter of mathematics, which becomes A only once it is taken apart
def test_folding_twice_is_folding_once(text: str) -> None:
    once = fold(text)
    assert fold(once) == once and "\x00" not in once and "  " not in once


def test_whole_soas_come_back_as_they_went_in(any_app: Flask) -> None:
    made = [make_soa("S1", collector_code="A"), make_soa("S2", invoices=[], collector_code="A", amount_due=Decimal("5.00")), make_soa("S3")]
    run_id = store_soas(*made)
    assert soas.get_many(["S3", "S1", "S2", "S1", "none", "\x00"]) == {soa.id: soa for soa in made}
    assert soas.for_codes(["A", "", "\x00"]) == made[:2] and soas.for_codes([]) == []
    detail = soas.get("S2")
    assert detail and detail.soa == made[1] and detail.version == made[1].version and detail.changed_run_id == run_id
    assert soas.get("none") is None and soas.get("\x00") is None and soas.timeline("\x00") == []


def test_a_phones_list_is_the_same_when_the_database_gives_it_in_another_order(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    three = [make_invoice(number, amount=Decimal(number)) for number in (1, 2, 3)]
    store_soas(
        *(make_soa(name, collector_code="A", invoices=three[:count]) for name, count in (("S9", 2), ("S10", 0), ("Ñ1", 3), ("s2", 1)))
    )
    found = soa_columns.for_codes(["A"])
    monkeypatch.setattr(soa_columns, "_by_the_way", lambda codes: None)
    assert soa_columns.for_codes(["A"]) == found and sorted(found.counts) == [0, 1, 2, 3]
    monkeypatch.undo()
    if db.engine.dialect.name == "sqlite":
        of_soas, _ = soa_columns._unsorted()
        reverse = soa_columns._lists_of(of_invoices_backwards(), func.json_group_array)
        monkeypatch.setattr(soa_columns, "_unsorted", lambda: (of_soas, reverse))
        assert soa_columns._by_the_way(["A"]) is None and soa_columns.for_codes(["A"]) == found


def of_invoices_backwards() -> Any:
    """The invoices of a phone's list, the last one first."""
    owner, *fields = soa_columns._of_invoice()
    chosen = select(owner, Invoice.position, *fields).join(SoaRecord, SoaRecord.id == Invoice.soa_id).where(*soa_columns._chosen())
    return chosen.order_by(SoaRecord.id, Invoice.position.desc()).subquery()


def test_the_data_are_as_of_the_last_completed_run(any_app: Flask) -> None:
    assert soas.data_as_of() is None
    run_id = store_soas(make_soa("S1"), now=NOW)
    sync_runs.add("manual", "cora", NOW + timedelta(hours=1))
    assert soas.data_as_of() == (run_id, NOW)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["A1", "B2", None]), st.integers(0, 2), st.integers(0, 500), st.booleans()),
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_kept_totals_are_what_the_soas_add_up_to(app: Flask, changes: list[tuple[int, str | None, int, int, bool]]) -> None:
    for number, code, days, penalty, closed in changes:
        invoices = [make_invoice(1, penalty=Decimal(penalty))]
        soa = make_soa(f"S{number}", invoices=invoices, collector_code=code, due_date=TODAY + timedelta(days=days))
        store_soas(replace(soa, status="closed") if closed else soa)
        assert soa_totals.wrong() == []
    for wanted in (
        SoaFilter(),
        SoaFilter(status="all"),
        SoaFilter(penalty=True),
        SoaFilter(collector_code="-"),
        SoaFilter(overdue=True, status="all"),
    ):
        rows = list(soas.iterate(wanted, TODAY))
        assert soas.totals(wanted, TODAY) == soa_totals.Totals(
            len(rows), sum((row.amount_due for row in rows), Decimal(0)), sum((row.penalty for row in rows), Decimal(0))
        )

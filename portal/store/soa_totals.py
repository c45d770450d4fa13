"""Count and pesos of the stored SOAs by what the list filters on, kept with every change: a million rows are never counted for a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Date, Executable, Select, bindparam, delete, func, insert, literal_column, select, union_all

from portal.domain.money import ZERO
from portal.extensions import db
from portal.store import models
from portal.store.models import SoaDayTotal, SoaMonthTotal, SoaTotal

COLUMNS = ("status", "collector_code", "due_date", "with_penalty", "count", "amount_due", "penalty")
Key = tuple[str, str, date, bool]
Sums = tuple[int, Decimal, Decimal]
NOTHING: Sums = (0, ZERO, ZERO)
STATUSES: tuple[ColumnElement[str], ...] = (literal_column("'active'"), literal_column("'closed'"))
LONG = timedelta(62)
"""Of more days than so many, whole months are in it."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Count and pesos of some SOAs."""

    count: int
    amount_due: Decimal
    penalty: Decimal


def read(status: str, code: str | None, since: date | None, until: date | None, penalty: bool) -> Totals:
    """Count and pesos of the SOAs with this status ("" for any) and collector code ("" for none, None for any), due from `since` to
    `until`, both included, with a penalty only when asked so."""
    query, values = asked(status, code, since, until, penalty)
    return told(*db.session.connection().execute(query, values).one())


def told(count: int | None, amount: Decimal | None, penalty: Decimal | None) -> Totals:
    """The row of such a query as totals: nothing adds up to no value."""
    return Totals(int(count or 0), amount or ZERO, penalty or ZERO)


def asked(status: str, code: str | None, since: date | None, until: date | None, penalty: bool) -> tuple[Select[Any], dict[str, Any]]:
    """What read() asks, and the values to ask it with; each kind of question is made once and may be part of another."""
    values: dict[str, Any] = {"status": status} if status else {}
    if code is None and since is None and until is None:
        return _all_sums(bool(status), penalty), values
    since, until = since or date.min, until or date.max
    values |= {"since": since, "until": until}
    if code is not None:
        values["code"] = code
    months = code is None and until - since > LONG
    if months:
        values["first"], values["last"] = (since + timedelta(31)).replace(day=1), until.replace(day=1)
    return _sums(bool(status), code is None, months, penalty), values


@cache
def _all_sums(one_status: bool, penalty: bool) -> Select[Any]:
    """Of every due date the months alone, without a range: PostgreSQL plans a range anew for each value, which takes longer than adding."""
    found = _part(SoaMonthTotal, (), one_status, penalty).subquery()
    return select(func.sum(found.c.count), func.sum(found.c.amount_due), func.sum(found.c.penalty))


@cache
def _sums(one_status: bool, any_code: bool, months: bool, penalty: bool) -> Select[Any]:
    """Made once each: every page of the list asks. Of a long time whole months are added up, and the days before and after them."""
    since, until, first, last = (bindparam(name, type_=Date) for name in ("since", "until", "first", "last"))
    days, month = SoaDayTotal.due_date, SoaMonthTotal.month
    parts: list[tuple[Any, tuple[ColumnElement[bool], ...]]]
    if months:
        parts = [
            (SoaMonthTotal, (month >= first, month < last)),
            (SoaDayTotal, (days >= since, days < first)),
            (SoaDayTotal, (days >= last, days <= until)),
        ]
    elif any_code:
        parts = [(SoaDayTotal, (days >= since, days <= until))]
    else:
        parts = [(SoaTotal, (SoaTotal.collector_code == bindparam("code"), SoaTotal.due_date >= since, SoaTotal.due_date <= until))]
    found = union_all(*(_part(table, conditions, one_status, penalty) for table, conditions in parts)).subquery()
    return select(func.sum(found.c.count), func.sum(found.c.amount_due), func.sum(found.c.penalty))


def _part(table: Any, conditions: tuple[ColumnElement[bool], ...], one_status: bool, penalty: bool) -> Select[*tuple[Any, ...]]:
    """Where any status will do, both are named: the key begins with it, and is used so."""
    status = table.status == bindparam("status") if one_status else table.status.in_(STATUSES)
    query = select(table.count, table.amount_due, table.penalty).where(status, *conditions)
    return query.where(table.with_penalty.is_(True)) if penalty else query


def rebuild() -> None:
    """Add everything up anew, in the current transaction; in order, so that the days of a code lie together where they are read."""
    for table in (SoaTotal, SoaDayTotal, SoaMonthTotal):  # the first empties the others, but for what was wrong in them
        db.session.execute(delete(table))
    db.session.execute(insert(SoaTotal).from_select(COLUMNS, _counted().order_by(*(literal_column(str(place)) for place in range(1, 5)))))


def wrong() -> list[tuple[str, Key]]:
    """Where the kept figures differ from what the SOAs themselves add up to, in which of the three tables. Reads every SOA."""
    real: dict[tuple[str, Key], Sums] = {}
    for (status, code, due, has), sums in _by_key(_counted()).items():
        for table, key in (
            ("soa", (status, code, due, has)),
            ("day", (status, "", due, has)),
            ("month", (status, "", due.replace(day=1), has)),
        ):
            known = real.get((table, key), NOTHING)
            real[table, key] = (known[0] + sums[0], known[1] + sums[1], known[2] + sums[2])
    kept: dict[tuple[str, Key], Sums] = {}
    tables: list[tuple[str, Any, Any, Any]] = [
        ("soa", SoaTotal, SoaTotal.collector_code, SoaTotal.due_date),
        ("day", SoaDayTotal, literal_column("''"), SoaDayTotal.due_date),
        ("month", SoaMonthTotal, literal_column("''"), SoaMonthTotal.month),
    ]
    for name, table, code, due in tables:
        rows = select(table.status, code, due, table.with_penalty, table.count, table.amount_due, table.penalty)
        kept |= {(name, key): sums for key, sums in _by_key(rows).items()}
    return sorted(one for one in real.keys() | kept.keys() if real.get(one, NOTHING) != kept.get(one, NOTHING))


def _counted() -> Select[*tuple[Any, ...]]:
    soa = models.Soa
    key = (soa.status, func.coalesce(soa.collector_code, literal_column("''")), soa.due_date, soa.penalty > ZERO)
    return select(*key, func.count(), func.sum(soa.amount_due), func.sum(soa.penalty)).group_by(*key)


def _by_key(query: Executable) -> dict[Key, Sums]:
    rows = db.session.execute(query)
    return {(status, code, due, bool(has)): (count, amount, penalty) for status, code, due, has, count, amount, penalty in rows}

"""Count and pesos of the stored SOAs by what the list filters on, kept with every change: a million rows are never counted for a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Date, Executable, Select, bindparam, delete, func, insert, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from portal.domain.money import ZERO
from portal.domain.soa import Soa
from portal.extensions import db
from portal.store import models
from portal.store.models import SoaDayTotal, SoaTotal

BATCH = 500
COLUMNS = ("status", "collector_code", "due_date", "with_penalty", "count", "amount_due", "penalty")
Key = tuple[str, str, date, bool]
Sums = tuple[int, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Totals:
    """Count and pesos of some SOAs."""

    count: int
    amount_due: Decimal
    penalty: Decimal


def note(pairs: Iterable[tuple[Soa | None, Soa]]) -> None:
    """Count these SOAs as they are now instead of as they were (None: not at all). Call it with every write, in its transaction."""
    moved: dict[Key, tuple[int, Decimal, Decimal]] = defaultdict(lambda: (0, ZERO, ZERO))
    for old, new in pairs:
        for soa, step in ((old, -1), (new, 1)):
            if soa is not None:
                key = (soa.status, soa.collector_code or "", soa.due_date, soa.penalty > 0)
                count, amount, penalty = moved[key]
                moved[key] = (count + step, amount + step * soa.amount_due, penalty + step * soa.penalty)
    rows = [dict(zip(COLUMNS, (*key, *sums), strict=True)) for key, sums in sorted(moved.items()) if any(sums)]
    dialect = sqlite if db.engine.dialect.name == "sqlite" else postgresql
    for start in range(0, len(rows), BATCH):
        statement = dialect.insert(SoaTotal).values(rows[start : start + BATCH])
        sums_of = {name: getattr(SoaTotal, name) + statement.excluded[name] for name in ("count", "amount_due", "penalty")}
        keys = [SoaTotal.status, SoaTotal.collector_code, SoaTotal.due_date, SoaTotal.with_penalty]
        db.session.execute(statement.on_conflict_do_update(index_elements=keys, set_=sums_of))


def read(status: str, code: str | None, since: date | None, until: date | None, penalty: bool) -> Totals:
    """Count and pesos of the SOAs with this status ("" for any) and collector code ("" for none, None for any), due from `since` to
    `until`, both included, with a penalty only when asked so."""
    values = {
        "status": status or "active",
        "other": status or "closed",
        "code": code,
        "since": since or date.min,
        "until": until or date.max,
    }
    count, amount, owed = db.session.connection().execute(_sums(code is None, penalty), values).one()
    return Totals(int(count or 0), amount or ZERO, owed or ZERO)


@cache
def _sums(any_code: bool, penalty: bool) -> Executable:
    """Made once each: every page of the list asks. Both statuses are named, so that the key is used whatever is asked."""
    table = SoaDayTotal if any_code else SoaTotal
    query = select(func.sum(table.count), func.sum(table.amount_due), func.sum(table.penalty)).where(
        or_(table.status == bindparam("status"), table.status == bindparam("other")),
        table.due_date >= bindparam("since", type_=Date),
        table.due_date <= bindparam("until", type_=Date),
    )
    if penalty:
        query = query.where(table.with_penalty.is_(True))
    return query if any_code else query.where(SoaTotal.collector_code == bindparam("code"))


def rebuild() -> None:
    """Add everything up anew, in the current transaction."""
    db.session.execute(delete(SoaTotal))
    db.session.execute(delete(SoaDayTotal))  # what triggers would leave of wrong sums
    db.session.execute(insert(SoaTotal).from_select(COLUMNS, _counted()))


def wrong() -> list[Key]:
    """Where the kept figures differ from what the SOAs themselves add up to; "*" stands for all codes of a day. Reads every SOA."""
    counted = _by_key(_counted())
    kept = _by_key(select(*(getattr(SoaTotal, name) for name in COLUMNS)).where(SoaTotal.count != 0))
    days: dict[Key, Sums] = defaultdict(lambda: (0, ZERO, ZERO))
    for (status, _, due, has), sums in counted.items():
        count, amount, penalty = days[status, "*", due, has]
        days[status, "*", due, has] = (count + sums[0], amount + sums[1], penalty + sums[2])
    kept_days = _by_key(
        select(*(literal_column("'*'") if name == "collector_code" else getattr(SoaDayTotal, name) for name in COLUMNS)).where(
            SoaDayTotal.count != 0
        )
    )
    pairs = ((counted, kept), (days, kept_days))
    return sorted(one for real, held in pairs for one in real.keys() | held.keys() if real.get(one) != held.get(one))


def _counted() -> Select[*tuple[Any, ...]]:
    soa = models.Soa
    key = (soa.status, func.coalesce(soa.collector_code, literal_column("''")), soa.due_date, soa.penalty > ZERO)
    return select(*key, func.count(), func.sum(soa.amount_due), func.sum(soa.penalty)).group_by(*key)


def _by_key(query: Executable) -> dict[Key, Sums]:
    rows = db.session.execute(query)
    return {(status, code, due, bool(has)): (count, amount, penalty) for status, code, due, has, count, amount, penalty in rows}

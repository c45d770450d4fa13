"""Count and pesos of the stored SOAs by what the list filters on, kept with every change: a million rows are never counted for a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import ColumnElement, Executable, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from portal.domain.money import ZERO
from portal.domain.soa import Soa
from portal.extensions import db
from portal.store import models
from portal.store.models import SoaTotal

BATCH = 500
COLUMNS = ("status", "collector_code", "due_date", "with_penalty", "count", "amount_due", "penalty")
Key = tuple[str, str, date, bool]


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


def read(*conditions: ColumnElement[bool]) -> Totals:
    """Count and pesos of the SOAs that these conditions on SoaTotal let through."""
    query = select(func.sum(SoaTotal.count), func.sum(SoaTotal.amount_due), func.sum(SoaTotal.penalty)).where(*conditions)
    count, amount, penalty = db.session.execute(query).one()
    return Totals(int(count or 0), amount or ZERO, penalty or ZERO)


def rebuild() -> None:
    """Add everything up anew, in the current transaction."""
    soa = models.Soa
    key = (soa.status, func.coalesce(soa.collector_code, ""), soa.due_date, soa.penalty > ZERO)
    sums = (func.count(), func.sum(soa.amount_due), func.sum(soa.penalty))
    db.session.execute(delete(SoaTotal))
    db.session.execute(insert(SoaTotal).from_select(COLUMNS, select(*key, *sums).group_by(*key)))


def wrong() -> list[Key]:
    """Where the kept figures differ from what the SOAs themselves add up to; reads every SOA."""
    soa = models.Soa
    key = (soa.status, func.coalesce(soa.collector_code, ""), soa.due_date, soa.penalty > ZERO)
    sums = (func.count(), func.sum(soa.amount_due), func.sum(soa.penalty))
    kept_key = (SoaTotal.status, SoaTotal.collector_code, SoaTotal.due_date, SoaTotal.with_penalty)
    kept_sums = (SoaTotal.count, SoaTotal.amount_due, SoaTotal.penalty)
    counted = _by_key(select(*key, *sums).group_by(*key))
    kept = _by_key(select(*kept_key, *kept_sums).where(SoaTotal.count != 0))
    return sorted(one for one in counted.keys() | kept.keys() if counted.get(one) != kept.get(one))


def _by_key(query: Executable) -> dict[Key, tuple[int, Decimal, Decimal]]:
    rows = db.session.execute(query)
    return {(status, code, due, bool(has)): (count, amount, penalty) for status, code, due, has, count, amount, penalty in rows}

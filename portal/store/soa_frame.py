"""What stands around the rows of the SOA list, read in one way there and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, Text, bindparam, cast, func, literal_column, select, true

from portal.extensions import db
from portal.store import soa_totals
from portal.store.models import CollectorCode, SavedFilter, Void
from portal.store.saved_filters import SavedRow
from portal.store.soa_totals import Totals
from portal.store.soas import SoaFilter, kept_by, last_run


@dataclass(frozen=True, slots=True)
class SoaFrame:
    """`data_as_of` is (id, moment of the data, UTC) of the last completed download, None before the first; `saved` the person's filters of
    the list by name. Of a whole page also every collector code in order, and the voids that nobody has decided; else none and 0.
    `totals` are those that were asked for."""

    data_as_of: tuple[int, datetime] | None
    saved: list[SavedRow]
    codes: tuple[str, ...] = ()
    voids_waiting: int = 0
    totals: Totals | None = None


def read(user_id: int, whole: bool, filter: SoaFilter | None, today: date) -> SoaFrame:
    """The frame of a `whole` page, or of the part that is asked for with each letter; with count and pesos of what `filter` lets through,
    whatever text it looks for, if one is given."""
    sums, values = (None, {}) if filter is None else soa_totals.asked(*kept_by(filter, today))
    query = _query(whole, db.engine.dialect.name == "sqlite", sums)
    row = db.session.connection().execute(query, {"user_id": user_id, **values}).one()
    (saved, codes, waiting, run_id, *moments), added = row[:7], row[7:]
    return SoaFrame(
        None if run_id is None else (run_id, next(moment for moment in moments if moment is not None)),
        sorted((SavedRow(*row) for row in json.loads(saved or "[]")), key=lambda row: (row.name.lower(), row.id)),
        tuple(sorted(json.loads(codes or "[]"))),
        waiting,
        soa_totals.told(*added) if added else None,
    )


@lru_cache(64)
def _query(whole: bool, sqlite: bool, sums: Select[Any] | None) -> Executable:
    """Made once each. Lists come as JSON, so that everything is one row; there is always one, with or without a download."""
    together: Any = func.json_group_array if sqlite else func.json_agg
    each: Any = func.json_array if sqlite else func.json_build_array

    def listed(value: ColumnElement[Any]) -> Select[Any]:
        return select(cast(together(value), Text))

    saved = listed(each(SavedFilter.id, SavedFilter.kind, SavedFilter.name, SavedFilter.query)).where(
        SavedFilter.user_id == bindparam("user_id"), SavedFilter.kind == literal_column("'soas'")
    )
    codes = listed(CollectorCode.code.expression).select_from(CollectorCode)
    waiting = select(func.count()).select_from(Void).where(Void.state == literal_column("'requested'"))
    always = select(
        saved.scalar_subquery().label("saved"),
        (codes.scalar_subquery() if whole else literal_column("NULL")).label("codes"),
        (waiting.scalar_subquery() if whole else literal_column("0")).label("waiting"),
    ).subquery()
    run = last_run().subquery()
    if sums is None:
        return select(always, run).select_from(always.outerjoin(run, true()))
    added = sums.subquery("added")
    return select(always, run, added).select_from(always.join(added, true()).outerjoin(run, true()))

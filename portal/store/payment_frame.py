"""What stands around the rows of the payment list, read in one way there and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select, Text, bindparam, cast, exists, func, literal_column, select

from portal.extensions import db
from portal.store import payment_list, payment_totals
from portal.store.models import Payment, User, Void
from portal.store.payment_list import PaymentFilter, PaymentTotals
from portal.store.types import pesos


@dataclass(frozen=True, slots=True)
class PaymentFrame:
    """`collector` is (id, display name) of the filter's collector; None without one, and for somebody who never collected. Of a whole page
    also (name, display name) of everybody who ever did, by display name, and the voids that nobody has decided; else none and 0. `totals`
    are None for a text, whose payments nobody has added up beforehand."""

    collector: tuple[int, str] | None
    totals: PaymentTotals | None
    collectors: tuple[tuple[str, str], ...] = ()
    voids_waiting: int = 0


def read(wanted: PaymentFilter, whole: bool) -> PaymentFrame:
    """The frame of a `whole` page, or of the part that is asked for with each letter."""
    sums, values = (None, {}) if wanted.q else payment_list.kept_by(wanted, wanted.collector or None)
    if wanted.collector:
        values["collector"] = wanted.collector
    if not (whole or wanted.collector or sums is not None):
        return PaymentFrame(None, None)
    query = _query(whole, bool(wanted.collector), sums, db.engine.dialect.name == "sqlite")
    groups, one, everybody, waiting = db.session.connection().execute(query, values).one()
    found = json.loads(one or "[]")
    return PaymentFrame(
        (found[0][0], found[0][1]) if found else None,
        None if groups is None else payment_list.totals_of(payment_totals.told(_exact(json.loads(groups))), wanted.status),
        tuple(sorted(((name, display) for name, display in json.loads(everybody or "[]")), key=lambda person: (person[1], person[0]))),
        waiting,
    )


def _exact(groups: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Groups with pesos in place of centavos."""
    return [(*group[:4], pesos(group[4]), pesos(group[5])) for group in groups]


@lru_cache(256)
def _query(whole: bool, collector: bool, sums: Select[Any] | None, sqlite: bool) -> Executable:
    """Made once each. Lists come as JSON, so that everything is one row."""
    together: Any = func.json_group_array if sqlite else func.json_agg
    each: Any = func.json_array if sqlite else func.json_build_array
    nothing: ColumnElement[Any] = literal_column("NULL")

    def listed(*columns: Any) -> Select[Any]:
        return select(cast(together(each(*columns)), Text))

    people = exists().where(Payment.user_id == User.id)
    one = listed(User.id, User.display_name).where(User.name == bindparam("collector"), people)
    everybody = listed(User.name, User.display_name).where(people)
    waiting = select(func.count()).select_from(Void).where(Void.state == literal_column("'requested'"))
    groups = nothing if sums is None else _as_text(sums, together, each)
    return select(
        groups.label("groups"),
        (one.scalar_subquery() if collector else nothing).label("one"),
        (everybody.scalar_subquery() if whole else nothing).label("everybody"),
        (waiting.scalar_subquery() if whole else literal_column("0")).label("waiting"),
    )


def _as_text(sums: Select[Any], together: Any, each: Any) -> ColumnElement[Any]:
    added = sums.subquery("added")
    return func.coalesce(select(cast(together(each(*added.c)), Text)).scalar_subquery(), literal_column("'[]'"))

"""The SOAs of a phone read by field: integer centavos, no object for each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from itertools import chain, repeat
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Text, bindparam, cast, func, or_, select, type_coerce

from portal.domain import columns
from portal.extensions import db
from portal.store import ledger
from portal.store.models import Invoice, Payment, PaymentAllocation, Soa, SoaChange, SyncRun, Terminal, UnconfirmedSoa, Void
from portal.store.types import Instant, Pesos


def for_codes(codes: Sequence[str]) -> columns.Table:
    """Active SOAs of these collector codes ordered by id, invoices in allocation order; columns that nobody reckons with stay JSON. To be
    read in one database snapshot."""
    found = _by_the_way(codes) if db.engine.dialect.name == "sqlite" else None
    if found:
        return found
    of_soas, of_invoices = _gathered(db.engine.dialect.name)
    soas = _read(of_soas, codes, columns.SOA_TEXTS)
    owners, *invoices = _read(of_invoices, codes, columns.INVOICE_TEXTS)
    many = Counter(owners)
    return columns.Table(soas, invoices, [many[soa_id] for soa_id in soas[0]])


def _by_the_way(codes: Sequence[str]) -> columns.Table | None:
    """The same in the order in which SQLite comes by the rows when it goes from sorted ids to their rows: sorting them takes it as long as
    all the rest. It promises no such order, so it is looked at; None when it is another."""
    of_soas, of_invoices = _unsorted()
    soas = _read(of_soas, codes, columns.SOA_TEXTS)
    owners, positions, *invoices = _read(of_invoices, codes, columns.INVOICE_TEXTS)
    ids, many = soas[0], Counter(owners)
    counts = [many[soa_id] for soa_id in ids]
    owners_follow = ids == sorted(ids) and owners == list(chain.from_iterable(map(repeat, ids, counts)))
    follow = owners_follow and positions == list(chain.from_iterable(map(range, counts)))
    return columns.Table(soas, invoices, counts) if follow else None


def _read(query: Any, codes: Sequence[str], as_json: Sequence[str]) -> list[Any]:
    found = db.session.execute(query, {"codes": _wanted(codes)}).one()
    return [
        msgspec.Raw((text or "[]").encode()) if name in as_json else msgspec.json.decode(text or "[]")
        for name, text in found._mapping.items()
    ]


@cache
def _gathered(dialect: str) -> tuple[Any, Any]:
    """The two statements. The database makes a JSON list of each column (PostgreSQL: null of no rows): reading cell by cell takes this
    process three times as long."""
    gather = func.json_group_array if dialect == "sqlite" else func.json_agg
    soas = select(*_of_soa()).where(*_chosen()).order_by(Soa.id).subquery()
    joined = select(*_of_invoice()).join(Soa, Soa.id == Invoice.soa_id).where(*_chosen())
    invoices = joined.order_by(Soa.id, Invoice.position).subquery()
    return _lists_of(soas, gather), _lists_of(invoices, gather)


@cache
def _unsorted() -> tuple[Any, Any]:
    """The two statements of `_by_the_way`; the limit keeps SQLite from giving up the order of the ids."""
    ids = select(Soa.id).where(*_chosen()).order_by(Soa.id).limit(-1).subquery()
    soas = select(*_of_soa()).select_from(ids).join(Soa, Soa.id == ids.c.id).subquery()
    owner, *fields = _of_invoice()
    invoices = select(owner, Invoice.position, *fields).select_from(ids).join(Invoice, Invoice.soa_id == ids.c.id).subquery()
    return _lists_of(soas, func.json_group_array), _lists_of(invoices, func.json_group_array)


def _of_soa() -> list[Any]:
    return [_plain(Soa, name) for name in columns.SOA_FIELDS]


def _of_invoice() -> list[Any]:
    return [Invoice.soa_id.label("owner"), *(_plain(Invoice, name) for name in columns.INVOICE_FIELDS)]


def _lists_of(rows: Any, gather: Any) -> Any:
    return select(*(cast(gather(column), Text).label(column.name) for column in rows.c))


def _plain(table: Any, name: str) -> Any:
    """The column as the database holds it: of money centavos."""
    column = getattr(table, name)
    return (type_coerce(column, BigInteger) if isinstance(column.type, Pesos) else column).label(name)


def _chosen() -> tuple[Any, Any]:
    return Soa.status == "active", Soa.collector_code.in_(bindparam("codes", expanding=True))


def _wanted(codes: Sequence[str]) -> list[str]:
    return sorted({code for code in codes if code and "\x00" not in code})


def collected(codes: Sequence[str]) -> list[str]:
    """Active SOAs of these codes with a payment that PSCloud's figures may not show yet; some may have none, none is left out."""
    since = ledger.figures_since()
    return list(db.session.execute(_collected(since is None), {"codes": _wanted(codes), "since": since}).scalars())


@cache
def _collected(all_of_them: bool) -> Any:
    query = select(Payment.soa_id).join(Soa, Soa.id == Payment.soa_id).where(*_chosen()).distinct()
    if all_of_them:
        return query
    unconfirmed = Payment.soa_id.in_(select(UnconfirmedSoa.soa_id))
    return query.where(or_(Payment.posted_at.is_(None), Payment.posted_at >= bindparam("since"), unconfirmed))


class Figures(NamedTuple):
    """What moves whenever a figure of any list does: the last download, the last change of an SOA, how many SOAs the last download could
    not confirm, the last payment, allocation and decided void."""

    run_id: int | None
    as_of: datetime | None
    change: int | None
    unconfirmed: int
    received: datetime | None
    allocation: int | None
    decided: datetime | None


def figures() -> Figures:
    """Where the figures of all lists stand, in one statement: most phones ask for a list they have already."""
    return Figures(*db.session.execute(_figures()).one())


@cache
def _figures() -> Any:
    as_of = func.coalesce(SyncRun.as_of, SyncRun.finished_at, SyncRun.requested_at, type_=Instant)
    last = select(SyncRun.id, as_of).where(SyncRun.status == "completed").order_by(SyncRun.id.desc()).limit(1).subquery()
    return select(
        *(select(column).scalar_subquery() for column in last.c),
        select(func.max(SoaChange.id)).scalar_subquery(),
        select(func.count()).select_from(UnconfirmedSoa).scalar_subquery(),
        select(func.max(Payment.received_at)).scalar_subquery(),
        select(func.max(PaymentAllocation.id)).scalar_subquery(),
        select(func.max(Void.decided_at)).scalar_subquery(),
    )


def states(user_id: int) -> list[tuple[str, str, int]]:
    """(code, state, last entry held) of a collector's terminals, by code."""
    return [(row.code, row.state, row.head_seq) for row in db.session.execute(_states(), {"user": user_id})]


@cache
def _states() -> Any:
    wanted = Terminal.user_id == bindparam("user")
    return select(Terminal.code, Terminal.state, Terminal.head_seq).where(wanted).order_by(Terminal.code)

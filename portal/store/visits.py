"""Visits without money: reasons why nothing was collected, and promises with what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from portal.domain.money import from_centavos
from portal.domain.visits import Visit as Noted
from portal.extensions import db
from portal.store.ledger import VOIDED
from portal.store.models import Payment, Soa, Terminal, User, Visit
from portal.store.terminals import TerminalRow


@dataclass(frozen=True, slots=True)
class VisitRow:
    """One visit; money in pesos, instants in UTC. `kept`: the account was collected from afterwards. Customer and number are empty when
    the portal does not hold the SOA."""

    id: int
    kind: str
    soa_id: str
    soa_number: str
    account_number: str
    customer_name: str
    collector: str
    collector_display: str
    terminal: str
    reason: str
    promised_on: date | None
    amount: Decimal | None
    note: str
    visited_at: datetime
    kept: bool


def add(visit: Noted, terminal: TerminalRow, seq: int, visited_at: datetime, now: datetime) -> None:
    """Keep what a journal entry says of a visit."""
    db.session.add(
        Visit(
            terminal_id=terminal.id,
            user_id=terminal.user_id,
            journal_seq=seq,
            kind=visit.kind,
            soa_id=visit.soa,
            reason=visit.reason,
            promised_on=visit.promised_on,
            amount=None if visit.amount is None else from_centavos(visit.amount),
            note=visit.note,
            visited_at=visited_at,
            received_at=now,
        )
    )


def _paid_since() -> ColumnElement[bool]:
    later = and_(Payment.soa_id == Visit.soa_id, Payment.collected_at > Visit.visited_at, Payment.id.not_in(VOIDED))
    return select(Payment.id).where(later).correlate(Visit).exists()


def _rows() -> Any:
    fields = (
        Visit.id,
        Visit.kind,
        Visit.soa_id,
        func.coalesce(Soa.soa_number, ""),
        func.coalesce(Soa.account_number, ""),
        func.coalesce(Soa.customer_name, ""),
        User.name,
        User.display_name,
        Terminal.code,
        Visit.reason,
        Visit.promised_on,
        Visit.amount,
        Visit.note,
        Visit.visited_at,
        _paid_since(),
    )
    people = select(*fields).join(User, User.id == Visit.user_id).join(Terminal, Terminal.id == Visit.terminal_id)
    return people.outerjoin(Soa, Soa.id == Visit.soa_id)


def _open() -> Any:
    return and_(Visit.kind == "promise", ~_paid_since())


def of_soa(soa_id: str, limit: int = 100) -> list[VisitRow]:
    """The visits to one account, the latest first."""
    if "\x00" in soa_id:
        return []
    query = _rows().where(Visit.soa_id == soa_id).order_by(Visit.id.desc()).limit(limit)
    return [VisitRow(*row) for row in db.session.execute(query)]


def list_page(kind: str, after: str | None, limit: int) -> tuple[list[VisitRow], str | None]:
    """One page and the mark of the next, None at the end. `open`: promises that nothing was collected on since, the earliest day first;
    `promise` and `no_collection`: those; `all`: both; the latest first."""
    query = _rows()
    if kind == "open":
        query = query.where(_open()).order_by(Visit.promised_on, Visit.id)
    else:
        query = query.order_by(Visit.id.desc())
        if kind != "all":
            query = query.where(Visit.kind == kind)
    if (mark := _read_mark(after)) is not None:
        day, visit_id = mark
        if kind == "open":
            query = query.where(Visit.promised_on >= day, or_(Visit.promised_on > day, Visit.id > visit_id))
        else:
            query = query.where(Visit.id < visit_id)
    rows = [VisitRow(*row) for row in db.session.execute(query.limit(limit + 1))]
    last = rows[limit - 1] if len(rows) > limit else None
    return rows[:limit], f"{(last.promised_on or date.min).isoformat()}.{last.id}" if last else None


def _read_mark(text: str | None) -> tuple[date, int] | None:
    day, _, number = (text or "").partition(".")
    try:
        return (date.fromisoformat(day), int(number)) if number.isascii() and number.isdigit() and len(number) <= 9 else None
    except ValueError:
        return None


def count_open(today: date) -> tuple[int, int]:
    """How many promises nothing was collected on since, and how many of them were for a day before `today`."""
    late = func.count().filter(Visit.promised_on < today)
    counted = db.session.execute(select(func.count(), late).select_from(Visit).where(_open())).one()
    return counted[0], counted[1]

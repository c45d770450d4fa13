"""Reads of the audit log: the filtered list, newest first, and what the subjects of its rows are called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from portal.extensions import db
from portal.store.models import AuditEntry, Payment, Remittance, User, Void

BATCH = 1_000
_COLUMNS = (
    AuditEntry.seq, AuditEntry.at, AuditEntry.who, AuditEntry.action, AuditEntry.subject, AuditEntry.detail, AuditEntry.prev,
    AuditEntry.hash,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What the list shows; empty = all. `subjects` are whole subjects, of which any may match; `q` is a part of one. `since` and
    `until` bound the moment, `until` excluded."""

    who: str = ""
    action: str = ""
    q: str = ""
    subjects: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row; `detail` is its JSON object."""

    seq: int
    at: datetime
    who: str
    action: str
    subject: str
    detail: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Names:
    """What the subjects of some rows are called, and the ids their pages have."""

    receipts: dict[str, str]
    remittances: dict[str, int]
    users: dict[str, tuple[int, str]]


def _where(query: Any, wanted: AuditFilter) -> Any:
    if wanted.who:
        query = query.where(AuditEntry.who == wanted.who)
    if wanted.action:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.subjects:
        query = query.where(AuditEntry.subject.in_(wanted.subjects))
    elif wanted.q:
        query = query.where(AuditEntry.subject.icontains(wanted.q, autoescape=True))
    if wanted.since:
        query = query.where(AuditEntry.at >= wanted.since)
    if wanted.until:
        query = query.where(AuditEntry.at < wanted.until)
    return query


def _row(seq: int, at: datetime, who: str, action: str, subject: str, detail: str, prev: str, hash_: str) -> AuditRow:
    try:
        found = json.loads(detail)
    except ValueError:
        found = None  # the portal never writes this: somebody changed the row, and whoever looks must see it
    return AuditRow(seq, at, who, action, subject, found if isinstance(found, dict) else {"detail": detail}, prev, hash_)


def list_page(wanted: AuditFilter, before_seq: int | None = None, limit: int = 50) -> list[AuditRow]:
    """Rows of a filter, the newest first, those before `before_seq` when it is given."""
    query = _where(select(*_COLUMNS), wanted).order_by(AuditEntry.seq.desc()).limit(limit)
    if before_seq is not None:
        query = query.where(AuditEntry.seq < before_seq)
    return [_row(*row) for row in db.session.execute(query)]


def iterate(wanted: AuditFilter) -> Iterator[AuditRow]:
    """Every row of a filter, the newest first, read in pages."""
    before: int | None = None
    while page := list_page(wanted, before, BATCH):
        yield from page
        before = page[-1].seq


def count(wanted: AuditFilter, most: int) -> int:
    """How many rows the filter lets through, counted up to `most`."""
    some = _where(select(AuditEntry.seq), wanted).limit(most).subquery()
    found: int = db.session.execute(select(func.count()).select_from(some)).scalar_one()
    return found


def subjects_of(text: str) -> tuple[str, ...]:
    """Whole subjects that somebody may mean by a text: the payment of a receipt or void number; empty when it is neither."""
    receipts = select(Payment.id).where(Payment.receipt_number == text.upper())
    voided = select(Void.payment_id).where(Void.void_number == text.upper())
    return tuple(dict.fromkeys([*db.session.scalars(receipts), *db.session.scalars(voided)]))


def names(payments: Iterable[str], remittances: Iterable[str], users: Iterable[str]) -> Names:
    """What these subjects are called: receipt numbers of payments, ids of remittances, ids and display names of users."""
    numbers = select(Payment.id, Payment.claimed_receipt_number).where(Payment.id.in_(list(payments)))
    slips = select(Remittance.number, Remittance.id).where(Remittance.number.in_(list(remittances)))
    people = select(User.name, User.id, User.display_name).where(User.name.in_(list(users)))
    return Names(
        {row[0]: row[1] for row in db.session.execute(numbers)},
        {row[0]: row[1] for row in db.session.execute(slips)},
        {row[0]: (row[1], row[2]) for row in db.session.execute(people)},
    )

"""What the electronic journal is made of: entries that stand for a printed document, and the facts of the payments they name, by set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import aliased

from portal.extensions import db
from portal.store.expense_tables import Expense
from portal.store.models import JournalEntry, Payment, Registry, Soa, SoaDownload, Terminal, User, Void

PRINTED = ("receipt_printed", "void_requested", "void_decided", "expense", "expense_decided", "cash_drop", "reading_x", "reading_z")
"""Kinds of entries that stand for a document."""
BATCH = 200


@dataclass(frozen=True, slots=True)
class Printed:
    """An entry that stands for a document, with its payload as the phone wrote it."""

    terminal_id: int
    terminal: str
    seq: int
    kind: str
    at: str
    payload: dict[str, Any]
    collector: str
    collector_display: str


@dataclass(frozen=True, slots=True)
class Paid:
    """The entry of a payment, and what else its receipt says: the customer's address and TIN, and of which day the phone's list was."""

    terminal: str
    at: str
    hash: str
    payload: dict[str, Any]
    address: str
    tin: str
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class VoidFacts:
    """A void as its slip tells it; `counted_seq` where the journal wrote the decision down."""

    void_number: str
    payment_id: str
    journal_seq: int
    reason: str
    requested_at: datetime
    state: str
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str
    counted_seq: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Business dates, a collector (user name), a terminal (code) and a collector code; the last three empty for all. Of a collector code:
    registries that hold a payment of it, the code as it was when the payment was booked."""

    first: date
    last: date
    collector: str = ""
    terminal: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a terminal's journal from the opening of a registry to the next opening: what was printed after the closing belongs to
    the day before it."""

    terminal_id: int
    terminal: str
    first: int
    before: int | None
    collector: str
    collector_display: str


def stretches(asked: Asked) -> list[Stretch]:
    """The stretches of the filter, terminal by terminal, each in the order of its journal."""
    later = aliased(Registry)
    following = (
        select(func.min(later.opened_seq))
        .where(later.terminal_id == Registry.terminal_id, later.opened_seq > Registry.opened_seq)
        .correlate(Registry)
        .scalar_subquery()
    )
    query = (
        select(Registry.terminal_id, Terminal.code, Registry.opened_seq, following, User.name, User.display_name)
        .join(Terminal, Terminal.id == Registry.terminal_id)
        .join(User, User.id == Registry.user_id)
        .where(Registry.business_date >= asked.first, Registry.business_date <= asked.last)
    )
    if asked.collector:
        query = query.where(User.name == asked.collector)
    if asked.terminal:
        query = query.where(Terminal.code == asked.terminal)
    if asked.code:
        query = query.where(select(Payment.id).where(Payment.registry_id == Registry.id, Payment.collector_code == asked.code).exists())
    return [Stretch(*row) for row in db.session.execute(query.order_by(Terminal.code, Registry.opened_seq))]


def _within(stretch: Stretch) -> list[ColumnElement[bool]]:
    conditions = [JournalEntry.terminal_id == stretch.terminal_id, JournalEntry.seq >= stretch.first]
    if stretch.before is not None:
        conditions.append(JournalEntry.seq < stretch.before)
    return [*conditions, JournalEntry.kind.in_(PRINTED), JournalEntry.verdict == "stored"]


def count(asked: Asked, most: int) -> int:
    """How many documents that is; not counted much beyond `most`."""
    total = 0
    for stretch in stretches(asked):
        total += db.session.execute(select(func.count()).select_from(JournalEntry).where(*_within(stretch))).scalar_one()
        if total > most:
            break
    return total


def entries(asked: Asked) -> Iterator[list[Printed]]:
    """The entries of the filter, terminal by terminal, in the order in which each printed, in batches. One stretch is read at a time: what
    is in memory is a day of one phone, however long the period."""
    columns = (JournalEntry.seq, JournalEntry.kind, JournalEntry.at, JournalEntry.payload)
    for one in stretches(asked):
        rows = db.session.execute(select(*columns).where(*_within(one)).order_by(JournalEntry.seq)).all()
        for start in range(0, len(rows), BATCH):
            yield [
                Printed(one.terminal_id, one.terminal, seq, kind, at, json.loads(payload), one.collector, one.collector_display)
                for seq, kind, at, payload in rows[start : start + BATCH]
            ]


def payments(ids: Iterable[str]) -> dict[str, Paid]:
    """The payments with these ids whose own entry is in the journal, in one statement."""
    later = aliased(SoaDownload)
    listed = (
        select(later.as_of)
        .where(later.terminal_id == Payment.terminal_id, later.seq < Payment.journal_seq)
        .order_by(later.seq.desc())
        .limit(1)
        .correlate(Payment)
        .scalar_subquery()
    )
    own = and_(JournalEntry.terminal_id == Payment.terminal_id, JournalEntry.seq == Payment.journal_seq)
    query = (
        select(Payment.id, Terminal.code, JournalEntry.at, JournalEntry.hash, JournalEntry.payload, Soa.address, Soa.tin, listed)
        .join(Terminal, Terminal.id == Payment.terminal_id)
        .join(JournalEntry, own)
        .outerjoin(Soa, Soa.id == Payment.soa_id)
        .where(Payment.id.in_(list(ids)), JournalEntry.hash == Payment.entry_hash)
    )
    return {
        row[0]: Paid(row[1], row[2], row[3], json.loads(row[4]), row[5] or "", row[6] or "", row[7]) for row in db.session.execute(query)
    }


def voids(payment_ids: Iterable[str]) -> dict[str, list[VoidFacts]]:
    """Every void of these payments, the first that was asked for first."""
    query = select(Void).where(Void.payment_id.in_(list(payment_ids))).order_by(Void.id).execution_options(populate_existing=True)
    found: dict[str, list[VoidFacts]] = {}
    for one in db.session.execute(query).scalars():
        facts = VoidFacts(
            void_number=one.void_number,
            payment_id=one.payment_id,
            journal_seq=one.journal_seq,
            reason=one.reason,
            requested_at=one.requested_at,
            state=one.state,
            decided_by=one.decided_by,
            decided_at=one.decided_at,
            decision_reason=one.decision_reason,
            counted_seq=one.counted_seq,
        )
        found.setdefault(one.payment_id, []).append(facts)
    return found


def expenses(ids: Iterable[str]) -> dict[str, tuple[int, dict[str, Any], str]]:
    """expense -> (place, payload, instant) of its own entry, of those that were decided elsewhere in the journal."""
    own = and_(JournalEntry.terminal_id == Expense.terminal_id, JournalEntry.seq == Expense.journal_seq)
    query = (
        select(Expense.id, JournalEntry.seq, JournalEntry.payload, JournalEntry.at).join(JournalEntry, own).where(Expense.id.in_(list(ids)))
    )
    return {row[0]: (row[1], json.loads(row[2]), row[3]) for row in db.session.execute(query)}

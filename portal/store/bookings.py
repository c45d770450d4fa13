"""Booking payments by set: what the books say about all payments of an upload in a few statements, and the rows they become in a few more.

The statements are made once: building one takes longer than running it, and every upload comes by here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Executable, Table, bindparam, func, select

from portal.domain.allocation import Allocation
from portal.domain.payments import Payment as Collected
from portal.domain.payments import or_key
from portal.extensions import db
from portal.store import at_once, ledger, papers, payment_totals, rebuilt, restores, soas
from portal.store.at_once import among
from portal.store.door_tables import PaymentExtra
from portal.store.models import JournalEntry, Payment, PaymentAllocation, PaymentFlag, Posting, Registry, Terminal, UnaskedPayment
from portal.store.soas import SoaDetail
from portal.store.terminals import RegistryRow, registry_columns

MANY = 500
"""Values in one IN list; SQLite takes at most 32,766 in a statement."""


@dataclass(slots=True)
class Facts:
    """What the books say about some payments of one terminal. Whoever books one of them adds it here, so that the next one meets it."""

    booked: dict[str, str]
    """Payment id -> hash of the journal entry it came from."""
    soas: dict[str, SoaDetail]
    unreflected: dict[str, list[Allocation]]
    """SOA -> what was paid on it and PSCloud's figures do not show yet."""
    registries: dict[str, RegistryRow]
    jumped: set[str]
    """Registries in which the phone's clock was moved."""
    others: dict[str, list[str]]
    """SOA -> receipt numbers that other terminals gave on it since this phone's list was made."""
    references: dict[tuple[str, str, str], list[str]]
    """(tender, channel, reference), all in small letters -> receipt numbers that carry it; voided ones left out."""
    receipts: set[str]
    """Which of the receipt numbers are taken."""
    or_numbers: dict[str, str]
    """Booklet number as it is compared -> receipt number of the payment that has it."""
    last_receipt: int
    restored: bool
    """Whether this database was ever put back from a backup."""


def facts(terminal_id: int, payments: Sequence[Collected], before_seq: int, others_since: datetime) -> Facts:
    """All that is known about these payments, read with a number of statements that does not depend on how many they are."""
    soa_ids = [payment.soa for payment in payments]
    named = _distinct(payment.reference.lower() for payment in payments if payment.reference)
    references: dict[tuple[str, str, str], list[str]] = {}
    for some in _lots(named):
        for tender, channel, reference, receipt in db.session.execute(_references(), {"references": some}):
            references.setdefault((tender, channel, reference), []).append(receipt)
    others: dict[str, list[str]] = {}
    for some in _lots(_distinct(soa_ids)):
        values = {"soas": some, "terminal": terminal_id, "since": others_since}
        for soa_id, receipt in db.session.execute(_others(), values):
            others.setdefault(soa_id, []).append(receipt)
    registry_ids = _distinct(payment.registry for payment in payments)
    places = {"terminal": terminal_id, "before": before_seq, "registries": registry_ids}
    return Facts(
        booked=dict(_pairs(_booked(), "ids", [payment.id for payment in payments])),
        soas=soas.details(soa_ids),
        unreflected=ledger.unreflected(_distinct(soa_ids)),
        registries={row.id: RegistryRow(*row) for row in db.session.execute(_registries(), {"ids": registry_ids})},
        jumped=set(db.session.execute(_jumps(), places).scalars()),
        others=others,
        references=references,
        receipts=receipts_taken([payment.receipt_number for payment in payments]),
        or_numbers=dict(_pairs(_or_numbers(), "keys", [or_key(payment.or_number) for payment in payments if payment.or_number])),
        last_receipt=db.session.execute(_last_receipt(), {"terminal": terminal_id}).scalar_one(),
        restored=restores.ever(),
    )


def receipts_taken(numbers: Iterable[str]) -> set[str]:
    """Which of these receipt numbers belong to a booked payment."""
    return {number for number, _ in _pairs(_receipts(), "numbers", numbers)}


def _distinct(values: Iterable[str]) -> list[str]:
    return sorted(set(values))


def _lots(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + MANY] for start in range(0, len(values), MANY))


def _pairs(query: Executable, name: str, values: Iterable[str]) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for some in _lots(_distinct(values)) for row in db.session.execute(query, {name: some})]


@cache
def _booked() -> Executable:
    return select(Payment.id, Payment.entry_hash).where(among(Payment.id, "ids"))


@cache
def _receipts() -> Executable:
    return select(Payment.receipt_number, Payment.id).where(among(Payment.receipt_number, "numbers"))


@cache
def _or_numbers() -> Executable:
    of_payment = select(PaymentExtra.or_key, Payment.claimed_receipt_number).join(Payment, Payment.id == PaymentExtra.payment_id)
    return of_payment.where(among(PaymentExtra.or_key, "keys"))


@cache
def _references() -> Executable:
    reference, channel = func.lower(Payment.reference), func.lower(func.coalesce(Payment.channel, ""))
    return select(Payment.tender, channel, reference, Payment.claimed_receipt_number).where(
        among(reference, "references"), Payment.id.not_in(ledger.VOIDED)
    )


@cache
def _others() -> Executable:
    return select(Payment.soa_id, Payment.claimed_receipt_number).where(
        among(Payment.soa_id, "soas"),
        Payment.terminal_id != bindparam("terminal"),
        Payment.received_at > bindparam("since"),
        Payment.id.not_in(ledger.VOIDED),
    )


@cache
def _registries() -> Executable:
    return select(*registry_columns()).where(among(Registry.id, "ids"))


@cache
def _jumps() -> Executable:
    entry = JournalEntry
    return (
        select(entry.registry_id)
        .where(
            entry.terminal_id == bindparam("terminal"),
            among(entry.registry_id, "registries"),
            entry.kind == "clock_jump",
            entry.verdict == "stored",
            entry.seq < bindparam("before"),
        )
        .distinct()
    )


@cache
def _last_receipt() -> Executable:
    return select(Terminal.last_receipt).where(Terminal.id == bindparam("terminal"))


# --- what is written


@dataclass(slots=True)
class Rows:
    """Rows of payments on their way into the ledger."""

    payments: list[dict[str, Any]] = field(default_factory=list)
    allocations: list[dict[str, Any]] = field(default_factory=list)
    flags: list[dict[str, Any]] = field(default_factory=list)
    postings: list[dict[str, Any]] = field(default_factory=list)
    unasked: list[dict[str, Any]] = field(default_factory=list)
    extras: list[dict[str, Any]] = field(default_factory=list)
    completed: list[tuple[str, dict[str, Any], list[dict[str, Any]], datetime]] = field(default_factory=list)
    """Rebuilt payments whose own entry arrived: payment, what only the entry says, the allocation printed, the instant of arrival."""


@cache
def _tables() -> tuple[tuple[str, Table], ...]:
    models = (
        ("payments", Payment),
        ("allocations", PaymentAllocation),
        ("flags", PaymentFlag),
        ("postings", Posting),
        ("unasked", UnaskedPayment),
        ("extras", PaymentExtra),
    )
    return tuple((name, model.metadata.tables[model.__tablename__]) for name, model in models)


def write(rows: Rows) -> None:
    """Insert them all. Raises IntegrityError or DataError when the database refuses one."""
    for name, table in _tables():
        at_once.insert_all(table, getattr(rows, name))
    papers.booked(rows.payments, rows.extras)
    payment_totals.booked(rows.payments, rows.flags)
    for payment_id, facts, printed, now in rows.completed:
        rebuilt.complete(payment_id, facts, printed, now)

"""X- and Z-readings as the phone printed them beside what the portal worked out. Written once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, insert, literal_column, select, union

from portal.domain.money import from_centavos
from portal.domain.readings import only_late_differs
from portal.extensions import db
from portal.store.models import Payment, PaymentFlag, Reading, ReadingPayment, Registry, Terminal, User


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One reading in a list; `differences` is how many fields phone and portal disagree on, `only_late` that nothing but late payments,
    which a phone does not know of, makes them."""

    id: int
    kind: str
    terminal: str
    collector_display: str
    business_date: date
    made_at: datetime
    z_counter: int | None
    gross: Decimal
    differences: int
    only_late: bool


@dataclass(frozen=True, slots=True)
class ReadingDetail:
    """One reading whole. `phone` and `portal` are the reading objects of docs/journal.md, money in centavos;
    `differences` holds {field, phone, portal}."""

    row: ReadingRow
    registry_id: str
    journal_seq: int
    received_at: datetime
    phone: dict[str, Any]
    portal: dict[str, Any]
    differences: list[dict[str, Any]]


def add(
    kind: str,
    terminal_id: int,
    user_id: int,
    registry_id: str,
    business_date: date,
    journal_seq: int,
    made_at: datetime,
    phone: dict[str, Any],
    portal: dict[str, Any],
    differences: list[dict[str, Any]],
    now: datetime,
) -> int:
    """Store a reading and return its id; UNIQUE (terminal, Z counter) makes a second Z of that number impossible."""
    reading = Reading(
        kind=kind,
        terminal_id=terminal_id,
        user_id=user_id,
        registry_id=registry_id,
        business_date=business_date,
        journal_seq=journal_seq,
        z_counter=portal.get("z_counter"),
        made_at=made_at,
        received_at=now,
        phone=json.dumps(phone),
        portal=json.dumps(portal),
        differences=json.dumps(differences),
        gross=from_centavos(portal["gross"]),
    )
    db.session.add(reading)
    db.session.flush()
    return reading.id


def cover(reading_id: int, payment_ids: Iterable[str], late: bool) -> None:
    """Say that these payments are in this Z-reading; the primary key refuses a payment that is in another one."""
    rows = [{"payment_id": payment_id, "reading_id": reading_id, "late": late} for payment_id in payment_ids]
    if rows:
        db.session.execute(insert(ReadingPayment), rows)


@dataclass(frozen=True, slots=True)
class LateRow:
    """A payment that a Z-reading took beside its period; `business_date` is its own, from before."""

    payment_id: str
    receipt_number: str
    customer_name: str
    business_date: date
    collected_at: datetime
    received_at: datetime
    tender: str
    channel: str | None
    reference: str | None
    amount: Decimal


def late_in(reading_id: int) -> list[LateRow]:
    """The late payments of a Z-reading, oldest receipt first."""
    query = (
        select(Payment)
        .join(ReadingPayment, ReadingPayment.payment_id == Payment.id)
        .where(ReadingPayment.reading_id == reading_id, ReadingPayment.late)
        .order_by(Payment.claimed_receipt_number, Payment.id)
    )
    return [
        LateRow(
            p.id,
            p.claimed_receipt_number,
            p.customer_name,
            p.business_date,
            p.collected_at,
            p.received_at,
            p.tender,
            p.channel,
            p.reference,
            p.amount,
        )
        for p in db.session.execute(query).scalars()
    ]


@dataclass(frozen=True, slots=True)
class UncoveredRow:
    """Money of one terminal that no Z-reading holds yet; `oldest` is its first business date, `late` counts what waits for the next Z."""

    terminal: str
    collector_name: str
    collector_display: str
    count: int
    amount: Decimal
    late: int
    oldest: date


def uncovered() -> list[UncoveredRow]:
    """What is booked and in no Z-reading yet, by terminal: of open registries, and late payments that wait for the terminal's next Z.

    Only those two are looked through: a payment whose registry had ended when it was booked is always flagged late."""
    of_open = select(Payment.id).join(Registry, Registry.id == Payment.registry_id).where(Registry.z_seq.is_(None))
    late = select(PaymentFlag.payment_id).where(PaymentFlag.flag == literal_column("'late'"))
    ended = select(Registry.id).where(Registry.id == Payment.registry_id, Registry.z_seq.is_(None)).exists()
    query = (
        select(
            Terminal.code,
            User.name,
            User.display_name,
            func.count(),
            func.sum(Payment.amount),
            func.count().filter(~ended),
            func.min(Payment.business_date),
        )
        .join(Terminal, Terminal.id == Payment.terminal_id)
        .join(User, User.id == Payment.user_id)
        .where(
            Payment.id.in_(union(of_open, late)), ~select(ReadingPayment.payment_id).where(ReadingPayment.payment_id == Payment.id).exists()
        )
        .group_by(Terminal.code, User.name, User.display_name)
        .order_by(func.min(Payment.business_date), Terminal.code)
    )
    return [UncoveredRow(*row) for row in db.session.execute(query)]


def _row(reading: Reading, code: str, display_name: str) -> ReadingRow:
    differences = len(json.loads(reading.differences))
    return ReadingRow(
        reading.id,
        reading.kind,
        code,
        display_name,
        reading.business_date,
        reading.made_at,
        reading.z_counter,
        reading.gross,
        differences,
        bool(differences) and only_late_differs(json.loads(reading.phone), json.loads(reading.portal)),
    )


def recent(limit: int = 100, before_id: int | None = None, kind: str | None = None, user_id: int | None = None) -> list[ReadingRow]:
    """Readings, newest first."""
    query = (
        select(Reading, Terminal.code, User.display_name)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .join(User, User.id == Reading.user_id)
        .order_by(Reading.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(Reading.id < before_id)
    if kind in {"X", "Z"}:
        query = query.where(Reading.kind == kind)
    if user_id is not None:
        query = query.where(Reading.user_id == user_id)
    return [_row(*found) for found in db.session.execute(query)]


def get(reading_id: int) -> ReadingDetail | None:
    """One reading, or None."""
    found = db.session.execute(
        select(Reading, Terminal.code, User.display_name)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .join(User, User.id == Reading.user_id)
        .where(Reading.id == reading_id)
    ).one_or_none()
    if found is None:
        return None
    reading = found[0]
    return ReadingDetail(
        _row(*found),
        reading.registry_id,
        reading.journal_seq,
        reading.received_at,
        json.loads(reading.phone),
        json.loads(reading.portal),
        json.loads(reading.differences),
    )

"""X- and Z-readings as the phone printed them beside what the portal worked out. Written once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, case, func, insert, literal_column, or_, select, union
from sqlalchemy.orm import aliased

from portal.domain.money import ZERO, from_centavos
from portal.domain.readings import only_late_differs
from portal.extensions import db
from portal.store.door_tables import RebuiltPayment
from portal.store.models import Payment, PaymentFlag, Reading, ReadingPayment, Registry, Terminal, User
from portal.store.reading_tables import KeptReading


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
    made_by: str | None = None


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
    reason: str = ""


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
    made_by: str | None = None,
    reason: str = "",
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
        made_by=made_by,
        reason=reason,
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
    revoked: bool
    """The terminal makes no Z-reading any more: the office does."""


def _after_its_z() -> tuple[Any, Any]:
    """What may have come to the ledger after the Z-reading of its own registry: flagged late, or rebuilt from paper."""
    late = select(PaymentFlag.payment_id).where(PaymentFlag.flag == literal_column("'late'"))
    return late, select(RebuiltPayment.payment_id)


def uncovered() -> list[UncoveredRow]:
    """What is booked and in no Z-reading yet, by terminal: of open registries, and late payments that wait for the terminal's next Z.

    Only those two are looked through, and the few that were rebuilt from paper: a payment whose registry had ended when it was booked is
    always flagged late."""
    of_open = select(Payment.id).join(Registry, Registry.id == Payment.registry_id).where(Registry.z_seq.is_(None))
    ended = select(Registry.id).where(Registry.id == Payment.registry_id, Registry.z_seq.is_(None), Registry.forced_seq.is_(None)).exists()
    query = (
        select(
            Terminal.code,
            User.name,
            User.display_name,
            func.count(),
            func.sum(Payment.amount),
            func.count().filter(~ended),
            func.min(Payment.business_date),
            Terminal.state == "revoked",
        )
        .join(Terminal, Terminal.id == Payment.terminal_id)
        .join(User, User.id == Payment.user_id)
        .where(
            Payment.id.in_(union(of_open, *_after_its_z())),
            ~select(ReadingPayment.payment_id).where(ReadingPayment.payment_id == Payment.id).exists(),
        )
        .group_by(Terminal.code, Terminal.state, User.name, User.display_name)
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
        reading.made_by,
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
        reading.reason,
    )


# --- registries that the office closes -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenRegistry:
    """A registry without a Z-reading: whose, since when, what the portal knows of it. Pesos."""

    id: str
    terminal: str
    terminal_state: str
    collector_name: str
    collector_display: str
    business_date: date
    opened_at: datetime
    last_contact_at: datetime | None
    count: int
    amount: Decimal | None
    forced: bool
    ended: bool
    """The phone made its Z-reading; what stands here came after that and waits for another."""


def open_registries(limit: int = 200) -> list[OpenRegistry]:
    """Registries that no Z-reading has closed, the oldest first; and the last one of a revoked terminal when it has its Z-reading and
    payments came to the ledger after that, uploaded or recorded from their receipts: no phone makes the Z that holds those."""
    known = (
        select(Payment.registry_id, func.count().label("count"), func.sum(Payment.amount).label("amount"))
        .where(
            Payment.registry_id.in_(select(Registry.id).where(Registry.z_seq.is_(None))),
            ~select(ReadingPayment.payment_id).where(ReadingPayment.payment_id == Payment.id).exists(),
        )
        .group_by(Payment.registry_id)
        .subquery()
    )
    since = (
        select(Payment.terminal_id, func.count().label("count"), func.sum(Payment.amount).label("amount"))
        .where(
            Payment.id.in_(union(*_after_its_z())),
            ~select(ReadingPayment.payment_id).where(ReadingPayment.payment_id == Payment.id).exists(),
        )
        .group_by(Payment.terminal_id)
        .subquery()
    )
    later = aliased(Registry)
    is_last = ~select(later.id).where(later.terminal_id == Registry.terminal_id, later.opened_seq > Registry.opened_seq).exists()
    unclosed = and_(Registry.z_seq.is_(None), Registry.forced_seq.is_(None))
    waits = and_(~unclosed, Terminal.state == "revoked", since.c.count > 0, is_last)
    query = (
        select(
            Registry.id, Terminal.code, Terminal.state, User.name, User.display_name, Registry.business_date, Registry.opened_at,
            Terminal.last_contact_at, case((unclosed, func.coalesce(known.c.count, 0)), else_=since.c.count),
            case((unclosed, known.c.amount), else_=since.c.amount), Registry.forced_seq.is_not(None), Registry.z_seq.is_not(None),
        )
        .join(Terminal, Terminal.id == Registry.terminal_id)
        .join(User, User.id == Registry.user_id)
        .outerjoin(known, known.c.registry_id == Registry.id)
        .outerjoin(since, since.c.terminal_id == Registry.terminal_id)
        .where(or_(unclosed, waits))
        .order_by(Registry.business_date, Terminal.id)
        .limit(limit)
    )  # fmt: skip
    return [OpenRegistry(*row) for row in db.session.execute(query)]


def has_later_registry(terminal_id: int, opened_seq: int) -> bool:
    """Whether a terminal opened a registry after the one opened at this journal place."""
    query = select(Registry.id).where(Registry.terminal_id == terminal_id, Registry.opened_seq > opened_seq).limit(1)
    return db.session.execute(query).first() is not None


@dataclass(frozen=True, slots=True)
class Kept:
    """The Z-reading a phone made of a registry that the office had closed: evidence beside the office's."""

    journal_seq: int
    made_at: datetime
    received_at: datetime
    phone: dict[str, Any]
    differences: list[dict[str, Any]]


def keep(reading_id: int, terminal_id: int, registry_id: str, journal_seq: int, made_at: datetime, phone: dict[str, Any],
         differences: list[dict[str, Any]], now: datetime) -> None:  # fmt: skip
    """Keep a phone's Z-reading beside the office's."""
    db.session.add(
        KeptReading(
            reading_id=reading_id, terminal_id=terminal_id, registry_id=registry_id, journal_seq=journal_seq, made_at=made_at,
            received_at=now, phone=json.dumps(phone), differences=json.dumps(differences),
        )
    )  # fmt: skip
    db.session.flush()


def kept_beside(reading_id: int) -> list[Kept]:
    """What phones made of the registry that this Z-reading of the office closed."""
    query = select(KeptReading).where(KeptReading.reading_id == reading_id).order_by(KeptReading.id)
    rows = db.session.execute(query).scalars()
    return [Kept(row.journal_seq, row.made_at, row.received_at, json.loads(row.phone), json.loads(row.differences)) for row in rows]


def of_office(registry_id: str) -> list[ReadingDetail]:
    """The Z-readings that the office made of a registry, the first first."""
    query = select(Reading.id).where(Reading.registry_id == registry_id, Reading.made_by.is_not(None)).order_by(Reading.id)
    return [detail for reading_id in db.session.scalars(query) if (detail := get(reading_id))]


# --- which terminal closed which day ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DayOf:
    """One registry in the calendar: `reading_id` is its (first) Z-reading, None while it is open."""

    registry_id: str
    terminal: str
    collector_display: str
    business_date: date
    reading_id: int | None
    z_counter: int | None
    gross: Decimal
    differs: bool
    by_office: bool


def days(first: date, last: date) -> list[DayOf]:
    """The registries of these business dates with their Z-readings, by terminal and date."""
    query = (
        select(
            Registry.id, Terminal.code, User.display_name, Registry.business_date, Reading.id, Reading.z_counter, Reading.gross,
            Reading.differences, Reading.made_by,
        )
        .join(Terminal, Terminal.id == Registry.terminal_id)
        .join(User, User.id == Registry.user_id)
        .outerjoin(Reading, and_(Reading.registry_id == Registry.id, Reading.kind == "Z"))
        .where(Registry.business_date >= first, Registry.business_date <= last)
        .order_by(Terminal.id, Registry.business_date, Registry.opened_seq, Reading.id)
    )  # fmt: skip
    found: dict[str, DayOf] = {}
    for key, code, display, day, reading_id, counter, gross, differences, made_by in db.session.execute(query):
        if key not in found:
            differs = differences not in (None, "[]")
            found[key] = DayOf(key, code, display, day, reading_id, counter, gross or ZERO, differs, made_by is not None)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One Z-reading in its terminal's chain. Money in centavos as in the reading."""

    row: ReadingRow
    figures: dict[str, Any]


def chain(terminal: str, before_counter: int | None = None, limit: int = 50) -> list[ChainRow]:
    """The Z-readings of a terminal, the latest first: each begins with the accumulated total that the one before ended with."""
    query = (
        select(Reading, Terminal.code, User.display_name)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .join(User, User.id == Reading.user_id)
        .where(Terminal.code == terminal, Reading.z_counter.is_not(None))
        .order_by(Reading.z_counter.desc())
        .limit(limit)
    )
    if before_counter is not None:
        query = query.where(Reading.z_counter < before_counter)
    return [ChainRow(_row(*found), json.loads(found[0].portal)) for found in db.session.execute(query)]

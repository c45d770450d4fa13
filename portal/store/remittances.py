"""What waits to be remitted, and the remittances: what was handed over for which Z-readings, counted by both sides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, func, select, update

from portal.domain import remittances as rules
from portal.domain.money import ZERO, centavos, from_centavos
from portal.domain.remittances import STATES, Comparison, Handed
from portal.extensions import db
from portal.store.models import (
    Payment,
    Reading,
    ReadingPayment,
    Remittance,
    RemittanceLine,
    RemittanceReading,
    Terminal,
    User,
    Void,
)


@dataclass(frozen=True, slots=True)
class DueReading:
    """A Z-reading for the desk. `portal` is the reading as the portal worked it out, money in centavos."""

    id: int
    user_id: int
    collector_name: str
    collector_display: str
    terminal: str
    z_counter: int
    business_date: date
    made_at: datetime
    portal: dict[str, Any]


def _due(query: Any) -> list[DueReading]:
    rows = db.session.execute(
        query.join(User, User.id == Reading.user_id)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .where(Reading.kind == "Z")
        .order_by(Reading.business_date, Reading.id)
    )
    return [
        DueReading(r.id, r.user_id, name, display, code, r.z_counter, r.business_date, r.made_at, json.loads(r.portal))
        for r, name, display, code in rows
    ]


def _readings() -> Any:
    return select(Reading, User.name, User.display_name, Terminal.code)


def waiting_readings(user_id: int | None = None) -> list[DueReading]:
    """The Z-readings not remitted yet, of all collectors or one, oldest first."""
    query = _readings().where(~select(RemittanceReading.reading_id).where(RemittanceReading.reading_id == Reading.id).exists())
    return _due(query if user_id is None else query.where(Reading.user_id == user_id))


def readings_of(remittance_id: int) -> list[DueReading]:
    """The Z-readings a remittance was for."""
    return _due(
        _readings()
        .join(RemittanceReading, RemittanceReading.reading_id == Reading.id)
        .where(RemittanceReading.remittance_id == remittance_id)
    )


def remitted_with(reading_ids: Iterable[int]) -> str | None:
    """The number of a remittance one of these readings was handed over with, or None."""
    return db.session.execute(
        select(Remittance.number)
        .join(RemittanceReading, RemittanceReading.remittance_id == Remittance.id)
        .where(RemittanceReading.reading_id.in_(list(reading_ids)))
        .limit(1)
    ).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Paper:
    """A payment by check, e-wallet or transfer whose paper is handed over; `voided`: its void is in the books, so it is not expected."""

    payment_id: str
    receipt_number: str
    customer_name: str
    tender: str
    channel: str | None
    reference: str | None
    amount: Decimal
    business_date: date
    late: bool
    voided: bool


def papers(reading_ids: Iterable[int]) -> list[Paper]:
    """What besides cash belongs to these Z-readings, late payments among it, in the order of a reading."""
    void = and_(Void.payment_id == Payment.id, Void.state == "approved", Void.counted_seq.is_not(None))
    query = (
        select(Payment, ReadingPayment.late, Void.id)
        .join(ReadingPayment, ReadingPayment.payment_id == Payment.id)
        .outerjoin(Void, void)
        .where(ReadingPayment.reading_id.in_(list(reading_ids)), Payment.tender != "cash")
    )
    found = [
        Paper(
            p.id,
            p.claimed_receipt_number,
            p.customer_name,
            p.tender,
            p.channel,
            p.reference,
            p.amount,
            p.business_date,
            late,
            void_id is not None,
        )
        for p, late, void_id in db.session.execute(query)
    ]
    return sorted(found, key=lambda p: (rules.OTHER_TENDERS.index(p.tender), p.channel or "", p.receipt_number, p.payment_id))


def expected_others(reading_ids: Iterable[int]) -> list[Handed]:
    """What besides cash is expected for these Z-readings, payment by payment: everything whose void is not in the books."""
    return [Handed(paper.tender, paper.channel, 1, centavos(paper.amount)) for paper in papers(reading_ids) if not paper.voided]


# --- remittances ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemittanceFilter:
    """What the list shows; empty = all. `since` and `until` bound the instant it was received, `until` excluded."""

    since: datetime | None = None
    until: datetime | None = None
    collector: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class RemittanceRow:
    """One remittance in a list, in pesos; `total` is cash counted and everything else received, `agrees` whether the other tenders do."""

    id: int
    number: str
    received_at: datetime
    received_by: str
    collector_name: str
    collector_display: str
    expected_cash: Decimal
    counted_cash: Decimal
    variance: Decimal
    others: Decimal
    total: Decimal
    agrees: bool
    state: str


@dataclass(frozen=True, slots=True)
class LineRow:
    """One tender besides cash in a remittance, in pesos."""

    tender: str
    channel: str | None
    expected_count: int
    expected_amount: Decimal
    received_count: int
    received_amount: Decimal

    @property
    def variance(self) -> Decimal:
        """Received less expected."""
        return self.received_amount - self.expected_amount

    @property
    def agrees(self) -> bool:
        """Whether count and amount are as expected."""
        return self.received_count == self.expected_count and self.variance == 0


@dataclass(frozen=True, slots=True)
class RemittanceDetail:
    """One remittance whole; `denominations` as the cashier counted them, values in centavos."""

    row: RemittanceRow
    denominations: list[dict[str, Any]]
    collector_count: Decimal | None
    reason: str
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str
    lines: list[LineRow]
    readings: list[DueReading]
    papers: list[Paper]


@dataclass(frozen=True, slots=True)
class RemittanceTotals:
    """Totals of a filter: pesos, but `count` and `waiting` are numbers of remittances."""

    count: int
    total: Decimal
    variance: Decimal
    waiting: int


def _where(query: Any, wanted: RemittanceFilter) -> Any:
    if wanted.since:
        query = query.where(Remittance.received_at >= wanted.since)
    if wanted.until:
        query = query.where(Remittance.received_at < wanted.until)
    if wanted.collector:
        query = query.where(Remittance.user_id.in_(select(User.id).where(User.name == wanted.collector)))
    if wanted.state in STATES:
        query = query.where(Remittance.state == wanted.state)
    return query


def _rows(query: Any) -> list[RemittanceRow]:
    found = list(db.session.execute(query.join(User, User.id == Remittance.user_id)))
    others: dict[int, list[LineRow]] = {}
    for remittance_id, line in _lines([remittance.id for remittance, *_ in found]):
        others.setdefault(remittance_id, []).append(line)
    rows = []
    for remittance, name, display in found:
        own = others.get(remittance.id, [])
        besides = sum((line.received_amount for line in own), ZERO)
        rows.append(
            RemittanceRow(
                remittance.id,
                remittance.number,
                remittance.received_at,
                remittance.received_by,
                name,
                display,
                remittance.expected_cash,
                remittance.counted_cash,
                remittance.variance,
                besides,
                remittance.counted_cash + besides,
                all(line.agrees for line in own),
                remittance.state,
            )
        )
    return rows


def _lines(remittance_ids: Sequence[int]) -> list[tuple[int, LineRow]]:
    query = (
        select(RemittanceLine)
        .where(RemittanceLine.remittance_id.in_(remittance_ids))
        .order_by(RemittanceLine.remittance_id, RemittanceLine.position)
    )
    return [
        (
            line.remittance_id,
            LineRow(line.tender, line.channel, line.expected_count, line.expected_amount, line.received_count, line.received_amount),
        )
        for line in db.session.execute(query).scalars()
    ]


def list_page(wanted: RemittanceFilter, before_id: int | None = None, limit: int = 50) -> list[RemittanceRow]:
    """Remittances of a filter, newest first, from before a mark on."""
    query = _where(select(Remittance, User.name, User.display_name), wanted).order_by(Remittance.id.desc()).limit(limit)
    return _rows(query if before_id is None else query.where(Remittance.id < before_id))


def totals(wanted: RemittanceFilter) -> RemittanceTotals:
    """Totals of a filter."""
    query = _where(
        select(
            func.count(),
            func.sum(Remittance.counted_cash),
            func.sum(Remittance.variance),
            func.count().filter(Remittance.state == "waiting"),
        ).select_from(Remittance),
        wanted,
    )
    count, cash, variance, waiting = db.session.execute(query).one()
    besides = _where(
        select(func.sum(RemittanceLine.received_amount)).join(Remittance, Remittance.id == RemittanceLine.remittance_id), wanted
    )
    others = db.session.execute(besides).scalar_one()
    return RemittanceTotals(count, (cash or ZERO) + (others or ZERO), variance or ZERO, waiting)


def collectors() -> list[tuple[str, str]]:
    """(name, display name) of everybody who ever remitted."""
    query = select(User.name, User.display_name).where(User.id.in_(select(Remittance.user_id))).order_by(User.display_name)
    return [(name, display) for name, display in db.session.execute(query)]


def get(remittance_id: int) -> RemittanceDetail | None:
    """One remittance, or None."""
    remittance = db.session.get(Remittance, remittance_id, populate_existing=True)
    if remittance is None:
        return None
    row = _rows(select(Remittance, User.name, User.display_name).where(Remittance.id == remittance_id))[0]
    readings = readings_of(remittance_id)
    return RemittanceDetail(
        row=row,
        denominations=json.loads(remittance.denominations),
        collector_count=remittance.collector_count,
        reason=remittance.reason,
        decided_by=remittance.decided_by,
        decided_at=remittance.decided_at,
        decision_reason=remittance.decision_reason,
        lines=[line for _, line in _lines([remittance_id])],
        readings=readings,
        papers=papers([reading.id for reading in readings]),
    )


def by_request(request_id: str) -> int | None:
    """The remittance that came of this form, or None."""
    return db.session.execute(select(Remittance.id).where(Remittance.request_id == request_id)).scalar_one_or_none()


def add(
    request_id: str,
    user_id: int,
    who: str,
    reading_ids: Sequence[int],
    denominations: Sequence[dict[str, Any]],
    comparison: Comparison,
    reason: str,
    now: datetime,
) -> tuple[int, str]:
    """Write a remittance with its lines and readings; its id and number. UNIQUE settles two at once: of one reading, of one number."""
    number = rules.number(db.session.execute(select(func.count()).select_from(Remittance)).scalar_one() + 1)
    remittance = Remittance(
        number=number,
        request_id=request_id,
        user_id=user_id,
        received_by=who,
        received_at=now,
        denominations=json.dumps(list(denominations)),
        expected_cash=from_centavos(comparison.expected_cash),
        collector_count=None if comparison.collector_count is None else from_centavos(comparison.collector_count),
        counted_cash=from_centavos(comparison.counted_cash),
        variance=from_centavos(comparison.variance),
        reason=reason,
        state=comparison.state,
    )
    db.session.add(remittance)
    db.session.flush()
    for position, line in enumerate(comparison.lines):
        db.session.add(
            RemittanceLine(
                remittance_id=remittance.id,
                position=position,
                tender=line.tender,
                channel=line.channel,
                expected_count=line.expected_count,
                expected_amount=from_centavos(line.expected_amount),
                received_count=line.received_count,
                received_amount=from_centavos(line.received_amount),
            )
        )
    db.session.add_all(RemittanceReading(reading_id=reading_id, remittance_id=remittance.id) for reading_id in reading_ids)
    db.session.flush()
    return remittance.id, number


def approve(remittance_id: int, who: str, reason: str, now: datetime) -> bool:
    """Note the decision, if it still waits for one; says whether it did."""
    done = db.session.execute(
        update(Remittance)
        .where(Remittance.id == remittance_id, Remittance.state == "waiting")
        .values(state="approved", decided_by=who, decided_at=now, decision_reason=reason)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the desk has before it: Z-readings not remitted, of how many collectors, the oldest business date, and what awaits approval."""

    readings: int
    collectors: int
    oldest: date | None
    unapproved: int


def desk() -> Desk:
    """The desk in numbers."""
    remitted = select(RemittanceReading.reading_id).where(RemittanceReading.reading_id == Reading.id).exists()
    query = select(func.count(), func.count(Reading.user_id.distinct()), func.min(Reading.business_date)).where(
        Reading.kind == "Z", ~remitted
    )
    count, collectors_waiting, oldest = db.session.execute(query).one()
    return Desk(count, collectors_waiting, oldest, totals(RemittanceFilter(state="waiting")).count)

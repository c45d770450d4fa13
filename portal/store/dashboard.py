"""What the front page counts of payments: collected on one day, and waiting for somebody. Each figure is that of a list with a filter, and
none of these queries walks the payments of other days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import and_, func, select

from portal.domain.money import ZERO
from portal.domain.payments import TENDERS
from portal.extensions import db
from portal.store.ledger import UNPOSTED
from portal.store.models import Incident, Payment, PaymentFlag, Terminal, User, Void


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a day's payments: `count` with those that are voided, `amount` in pesos without them, as the list of payments has it."""

    key: str
    label: str
    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Collected:
    """The payments of one business date: all, voided ones, by status, by tender, and by collector, who collected most first. `unposted` are
    those that are approved and not in PSCloud yet, voided ones left out."""

    all: Part
    voided: Part
    held: Part
    unposted: Part
    posted: Part
    tenders: tuple[Part, ...]
    collectors: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """Something that waits for somebody: how much of it and since when, None when nothing waits."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingPayments:
    """Payments nobody has decided on, with and without a flag, those PSCloud refused, and those being posted; none of them voided or being
    voided."""

    plain: Queue
    flagged: Queue
    refused: Queue
    processing: Queue


def collected(day: date) -> Collected:
    """The payments of a business date in parts."""
    approved = and_(Void.payment_id == Payment.id, Void.state == "approved")
    query = (
        select(Payment.user_id, Payment.tender, Payment.status, Void.id.is_not(None), func.count(), func.sum(Payment.amount))
        .outerjoin(Void, approved)
        .where(Payment.business_date == day)
        .group_by(Payment.user_id, Payment.tender, Payment.status, Void.id.is_not(None))
    )
    rows = [_Row(*row) for row in db.session.execute(query)]
    of_user: dict[int, list[_Row]] = {}
    for row in rows:
        of_user.setdefault(row.user_id, []).append(row)
    people = db.session.execute(select(User.id, User.name, User.display_name).where(User.id.in_(of_user)))
    by_collector = [_part(one.name, one.display_name, of_user[one.id]) for one in people]
    return Collected(
        all=_part("", "", rows),
        voided=Part("", "", sum(row.count for row in rows if row.voided), sum((row.amount for row in rows if row.voided), ZERO)),
        held=_part("pending", "", (row for row in rows if row.status == "pending")),
        unposted=_part("unposted", "", (row for row in rows if row.status in UNPOSTED and not row.voided)),
        posted=_part("completed", "", (row for row in rows if row.status == "completed")),
        tenders=tuple(part for tender in TENDERS if (part := _part(tender, "", (row for row in rows if row.tender == tender))).count),
        collectors=tuple(sorted(by_collector, key=lambda part: (-part.amount, part.label, part.key))),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    user_id: int
    tender: str
    status: str
    voided: bool
    count: int
    amount: Decimal


def _part(key: str, label: str, rows: Iterable[_Row]) -> Part:
    found = list(rows)
    return Part(key, label, sum(row.count for row in found), sum((row.amount for row in found if not row.voided), ZERO))


def waiting_payments() -> WaitingPayments:
    """Payments that wait for somebody in the office."""
    undone = ~select(Void.id).where(Void.payment_id == Payment.id, Void.state != "refused").exists()
    flagged = select(PaymentFlag.flag).where(PaymentFlag.payment_id == Payment.id).exists()
    pending = Payment.status == "pending"
    figures = (func.count(), func.min(Payment.received_at))
    queues = [(pending, ~flagged), (pending, flagged), (Payment.status == "failed",)]
    plain, flagged_ones, refused = (Queue(*db.session.execute(select(*figures).where(undone, *which)).one()) for which in queues)
    posting = select(func.count(), func.min(Payment.status_at)).where(undone, Payment.status == "processing")
    return WaitingPayments(plain, flagged_ones, refused, Queue(*db.session.execute(posting).one()))


def waiting_voids() -> Queue:
    """Voids that nobody has decided."""
    return Queue(*db.session.execute(select(func.count(), func.min(Void.received_at)).where(Void.state == "requested")).one())


def refused_voids() -> Queue:
    """Approved voids that PSCloud refused."""
    return Queue(*db.session.execute(select(func.count(), func.min(Void.decided_at)).where(Void.posting_status == "failed")).one())


def waiting_terminals() -> Queue:
    """Phones that wait for an admin's approval."""
    return Queue(*db.session.execute(select(func.count(), func.min(Terminal.enrolled_at)).where(Terminal.state == "waiting")).one())


def open_incidents() -> dict[str, Queue]:
    """Incidents nobody has closed, by kind."""
    query = select(Incident.kind, func.count(), func.min(Incident.raised_at)).where(Incident.resolved_at.is_(None)).group_by(Incident.kind)
    return {kind: Queue(count, oldest) for kind, count, oldest in db.session.execute(query)}

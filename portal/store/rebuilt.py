"""Payments that were booked from the code on their receipt, and what their own entry adds when it arrives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, update

from portal.extensions import db
from portal.store import payment_totals
from portal.store.door_tables import RebuiltPayment
from portal.store.models import Payment, PaymentAllocation, Registry, Soa


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A payment as it was booked from paper. `on_paper`: terminal, receipt number, journal place, pesos, tender, SOA number, instant."""

    on_paper: tuple[int, str, int, Decimal, str, str, datetime]
    business_date: date


@dataclass(frozen=True, slots=True)
class RebuiltRow:
    """Who booked a payment from paper and when; `seen_at` once the phone's own entry arrived."""

    by: str
    at: datetime
    seen_at: datetime | None


def booked(payment_id: str) -> Rebuilt | None:
    """The payment with this UUID when it was booked from paper, or None."""
    found = db.session.execute(
        select(Payment).join(RebuiltPayment, RebuiltPayment.payment_id == Payment.id).where(Payment.id == payment_id)
    ).scalar_one_or_none()
    if found is None:
        return None
    paper = (found.terminal_id, found.claimed_receipt_number, found.journal_seq, found.amount, found.tender, found.soa_number)
    return Rebuilt((*paper, found.collected_at), found.business_date)


def is_booked(payment_id: str) -> bool:
    """Whether the books hold a payment of this identity, from wherever."""
    return db.session.execute(select(Payment.id).where(Payment.id == payment_id)).first() is not None


def registry_of_day(terminal_id: int, day: date) -> str | None:
    """The registry a terminal opened for a business date, as far as it was uploaded."""
    query = select(Registry.id).where(Registry.terminal_id == terminal_id, Registry.business_date == day)
    return db.session.execute(query.order_by(Registry.opened_seq.desc()).limit(1)).scalar_one_or_none()


def row(payment_id: str) -> RebuiltRow | None:
    """What is known of a payment's rebuilding, or None."""
    found = db.session.get(RebuiltPayment, payment_id, populate_existing=True)
    return RebuiltRow(found.rebuilt_by, found.rebuilt_at, found.seen_at) if found else None


def add(payment_id: str, code: str, who: str, now: datetime) -> None:
    """Note that a payment was booked from this code."""
    db.session.execute(insert(RebuiltPayment), {"payment_id": payment_id, "code": code, "rebuilt_by": who, "rebuilt_at": now})


def complete(payment_id: str, facts: dict[str, Any], printed: list[dict[str, Any]], now: datetime) -> None:
    """Add what only the phone's own entry says, and the allocation it printed."""
    before = payment_totals.facts_of([payment_id])
    db.session.execute(update(Payment).where(Payment.id == payment_id).values(**facts))
    db.session.execute(insert(PaymentAllocation), printed)
    db.session.execute(update(RebuiltPayment).where(RebuiltPayment.payment_id == payment_id).values(seen_at=now))
    payment_totals.changed(before, payment_totals.facts_of([payment_id]))


def expected(terminal_id: int) -> Iterable[str]:
    """Payments of a terminal that were booked from paper and whose own entry has not arrived."""
    query = select(RebuiltPayment.payment_id).join(Payment, Payment.id == RebuiltPayment.payment_id)
    return db.session.execute(query.where(Payment.terminal_id == terminal_id, RebuiltPayment.seen_at.is_(None))).scalars()


def soa_of_number(soa_number: str) -> tuple[str, str, str] | None:
    """(id, account number, customer name) of the SOA with this number, an open one first; None when the portal knows none."""
    query = select(Soa.id, Soa.account_number, Soa.customer_name).where(Soa.soa_number == soa_number).order_by(Soa.status, Soa.id).limit(1)
    found = db.session.execute(query).one_or_none()
    return (found.id, found.account_number, found.customer_name) if found else None

"""What the ledger holds of a payment that its receipt says too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import exists, select

from portal.extensions import db
from portal.store.models import Payment, Void


@dataclass(frozen=True, slots=True)
class Booked:
    """One payment as booked; `amount` in pesos, `voided` once a void of it was approved."""

    terminal_id: int
    receipt_number: str
    journal_seq: int
    entry_hash: str
    amount: Decimal
    tender: str
    soa_number: str
    collected_at: datetime
    voided: bool


def booked(payment_id: str) -> Booked | None:
    """The payment with this UUID, or None."""
    voided = exists().where(Void.payment_id == Payment.id, Void.state == "approved")
    found = db.session.execute(
        select(
            Payment.terminal_id,
            Payment.claimed_receipt_number,
            Payment.journal_seq,
            Payment.entry_hash,
            Payment.amount,
            Payment.tender,
            Payment.soa_number,
            Payment.collected_at,
            voided,
        ).where(Payment.id == payment_id)
    ).one_or_none()
    return Booked(*found) if found else None

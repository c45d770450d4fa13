"""The tables of a day at the door: what else a payment said, payments known from paper alone, and photos of checks and slips."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.store.models import Model
from portal.store.types import Instant


class PaymentExtra(Model):
    """What few payments carry: branch and date of a check, the booklet's official receipt, where the phone was (millionths of a degree,
    metres). `or_key` is the booklet number as it is compared, None when another payment has it already."""

    __tablename__ = "payment_extras"
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), primary_key=True)
    branch: Mapped[str | None] = mapped_column(String(60))
    check_date: Mapped[date | None] = mapped_column()
    or_number: Mapped[str | None] = mapped_column(String(30))
    or_key: Mapped[str | None] = mapped_column(String(30), unique=True)
    or_date: Mapped[date | None] = mapped_column()
    latitude: Mapped[int | None] = mapped_column()
    longitude: Mapped[int | None] = mapped_column()
    accuracy: Mapped[int | None] = mapped_column()


class RebuiltPayment(Model):
    """A payment that was booked from its receipt's code; `seen_at` once the phone's own entry arrived and says the same."""

    __tablename__ = "rebuilt_payments"
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), primary_key=True)
    code: Mapped[str] = mapped_column(String(1000))
    rebuilt_by: Mapped[str] = mapped_column(String(60))
    rebuilt_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime | None] = mapped_column(Instant)


class PaymentPhoto(Model):
    """A photo of a check or slip, a JPEG as its bytes say. In the database, so that every backup holds it."""

    __tablename__ = "payment_photos"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    size: Mapped[int] = mapped_column()
    width: Mapped[int] = mapped_column()
    height: Mapped[int] = mapped_column()
    received_at: Mapped[datetime] = mapped_column(Instant)
    image: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    __table_args__ = (CheckConstraint("size > 0 AND width > 0 AND height > 0", name="size"),)

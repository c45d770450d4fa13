"""What else was noted of a payment at the door: branch and date of a check, the booklet's receipt, the place, photos."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, insert, select

from portal.extensions import db
from portal.store.door_tables import PaymentExtra, PaymentPhoto


@dataclass(frozen=True, slots=True)
class ExtraRow:
    """What few payments carry; degrees as texts with six decimals, `accuracy` in metres."""

    branch: str | None
    check_date: date | None
    or_number: str | None
    or_date: date | None
    latitude: str | None
    longitude: str | None
    accuracy: int | None


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """A photo without its bytes; `id` is the SHA-256 of payment and bytes."""

    id: str
    size: int
    width: int
    height: int
    received_at: datetime


def besides(payment_id: str) -> ExtraRow | None:
    """What a payment carries besides, or None."""
    found = db.session.get(PaymentExtra, payment_id)
    if found is None:
        return None
    place = [None if number is None else f"{number / 1_000_000:.6f}" for number in (found.latitude, found.longitude)]
    return ExtraRow(found.branch, found.check_date, found.or_number, found.or_date, place[0], place[1], found.accuracy)


def photos(payment_id: str) -> list[PhotoRow]:
    """The photos of a payment, the first that came first."""
    columns = (PaymentPhoto.id, PaymentPhoto.size, PaymentPhoto.width, PaymentPhoto.height, PaymentPhoto.received_at)
    found = db.session.execute(
        select(*columns).where(PaymentPhoto.payment_id == payment_id).order_by(PaymentPhoto.received_at, PaymentPhoto.id)
    )
    return [PhotoRow(*row) for row in found]


def count_photos(payment_id: str) -> int:
    """How many photos a payment has."""
    return db.session.execute(select(func.count()).select_from(PaymentPhoto).where(PaymentPhoto.payment_id == payment_id)).scalar_one()


def has_photo(photo_id: str) -> bool:
    """Whether this photo of this payment is here."""
    return db.session.execute(select(PaymentPhoto.id).where(PaymentPhoto.id == photo_id)).first() is not None


def add_photo(photo_id: str, payment_id: str, image: bytes, width: int, height: int, now: datetime) -> None:
    """Keep a photo."""
    size = {"size": len(image), "width": width, "height": height}
    db.session.execute(insert(PaymentPhoto), {"id": photo_id, "payment_id": payment_id, "image": image, "received_at": now, **size})


def image(payment_id: str, photo_id: str) -> bytes | None:
    """The bytes of a payment's photo, or None."""
    query = select(PaymentPhoto.image).where(PaymentPhoto.id == photo_id, PaymentPhoto.payment_id == payment_id)
    return db.session.execute(query).scalar_one_or_none()

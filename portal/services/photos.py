"""Photos of checks and slips: sent by phones after the money, kept once each, shown to the office. No money ever waits for one."""

from __future__ import annotations

import hashlib
from datetime import datetime

from portal.domain import jpeg
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.extensions import db
from portal.store import audit, door, ledger

MOST = 3
"""Photos of one payment."""


def keep(payment_id: str, named: str, raw: bytes, user_name: str, now: datetime) -> bool:
    """Keep a photo of a payment that this collector took; False when it is here already. `named` is the SHA-256 that the phone says it has.

    Raises NotFound while the payment is not in the books, InvalidInput for what is no photo or was damaged on the way, Conflict when the
    payment has its photos. Commits."""
    width, height = jpeg.size(raw)
    if hashlib.sha256(raw).hexdigest() != named:
        raise InvalidInput("This photo was damaged on the way. Send it again.")
    payment = ledger.get(payment_id)
    if payment is None or payment.row.collector_name != user_name:
        raise NotFound("The portal has no such payment of yours yet. Upload the payment first, then its photo.")
    photo_id = hashlib.sha256(payment_id.encode() + raw).hexdigest()
    audit.lock()
    if door.has_photo(photo_id):
        db.session.rollback()
        return False
    if door.count_photos(payment_id) >= MOST:
        db.session.rollback()
        raise Conflict(f"This payment has {MOST} photos already; no more are kept.")
    door.add_photo(photo_id, payment_id, raw, width, height, now)
    audit.add(user_name, "photo_received", payment_id, {"receipt_number": payment.row.receipt_number, "bytes": len(raw)}, now)
    db.session.commit()
    return True

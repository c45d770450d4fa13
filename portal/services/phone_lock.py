"""What the portal gives a phone right after a log-in with the password, and never otherwise: the way back when the PIN is forgotten."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Iterable

from portal.domain.errors import InvalidInput
from portal.store import terminals


def phone_number(value: object) -> str | None:
    """The random UUID that a browser gave itself, None when it has none. Raises InvalidInput."""
    if value is None:
        return None
    try:
        number = str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        number = None
    if number is None or number != value:
        raise InvalidInput("The phone did not say its own number as it should. Open the app again and log in once more.")
    return number


def secrets(user_name: str, phone: str, keys: Iterable[str]) -> list[str]:
    """One secret for each of the portal's own keys, the present one first: base64url of 32 bytes, for this user on this phone alone.

    They are made of the key, so nothing is stored, and a backup of the database opens no phone."""
    text = f"mpos-phone-recovery-1 {user_name} {phone}".encode()
    return [base64.urlsafe_b64encode(hmac.new(key.encode(), text, hashlib.sha256).digest()).rstrip(b"=").decode() for key in keys]


def terminals_of(user_id: int) -> list[dict[str, object]]:
    """This collector's terminals that are not revoked, with their last contact: a phone whose records were erased learns what it was."""
    return [
        {
            "terminal": one.code,
            "name": one.name,
            "entries": one.head_seq,
            "last_contact_at": one.last_contact_at.isoformat() if one.last_contact_at else None,
        }
        for one in terminals.of_user(user_id)
        if one.state != "revoked"
    ]

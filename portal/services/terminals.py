"""Terminals: enrolling a phone browser, approving and revoking it, checking what it signed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from sqlalchemy.exc import IntegrityError

from portal.domain import receipts
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.extensions import db
from portal.store import audit, incidents, restores, terminals
from portal.store.terminals import TerminalRow


def _decode(text: object) -> bytes:
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("not base64url")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _exactly_32(text: object) -> bytes:
    number = _decode(text)
    if len(number) != 32:
        raise ValueError("not a coordinate of P-256")
    return number


def _public_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """The P-256 key in a JWK. Raises InvalidInput."""
    try:
        if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
            raise ValueError("not a public P-256 key")
        x, y = (int.from_bytes(_exactly_32(jwk[name]), "big") for name in ("x", "y"))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except (ValueError, KeyError, binascii.Error):
        raise InvalidInput("The key of this phone is not a P-256 public key.") from None


def enroll(
    name: object, public_key: object, user_id: int, user_name: str, approval: str, now: datetime, own_code: object = None
) -> TerminalRow:
    """Enrol a browser by its public key; the same key again answers the same terminal. Raises InvalidInput, Conflict. Commits.

    `own_code` is the code the phone was given already and this database does not know: it gets that one again, and no other, if the code
    is among those kept back when the database was put back from a backup. No code ever goes to a second key."""
    if not isinstance(name, str) or not name.strip() or len(name) > 60 or not name.isprintable():
        raise InvalidInput("Give this phone a name of 1 to 60 letters, such as Nena's phone.")
    if not isinstance(public_key, Mapping):
        raise InvalidInput("The key of this phone is missing.")
    _public_key(public_key)
    x, y = (base64.urlsafe_b64encode(_exactly_32(public_key[name])).rstrip(b"=").decode() for name in ("x", "y"))
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}  # spelled in one way, so that one key is one terminal
    fingerprint = hashlib.sha256(json.dumps(jwk, sort_keys=True).encode()).hexdigest()
    for _attempt in range(5):
        known = terminals.by_fingerprint(fingerprint)
        if known:
            if known.user_id != user_id:
                raise Conflict("This phone's key is enrolled for somebody else.")
            db.session.rollback()
            return known
        number = None if own_code is None else _kept_back(own_code)
        try:
            state = "waiting" if approval == "manual" else "active"
            code = terminals.add(name.strip(), user_id, json.dumps(jwk, sort_keys=True), fingerprint, state, now, number)
            again = {} if number is None else {"again": True}
            audit.add(user_name, "terminal_enrolled", code, {"name": name.strip(), **again}, now)
            if again:
                told = f"{code} enrolled again after the database was put back from a backup. Is it really {user_name}'s phone?"
                incidents.add("enrolled_again", told, now, number, code)
            db.session.commit()
        except IntegrityError:  # another phone took the code between our look and our insert
            db.session.rollback()
            continue
        found = terminals.by_code(code)
        if found:
            return found
    raise Conflict("Many phones are being enrolled at this moment. Try again.")


def _kept_back(code: object) -> int:
    """The number of a code that only the phone which has it already may get. Raises Conflict."""
    number = receipts.terminal_number(code)
    if number is None or (terminals.by_code(str(code)) is None and not restores.skips(number)):
        raise Conflict(
            "The portal does not know this terminal. If its database was put back from a backup, the office must run "
            "`flask restored` first. Keep this phone as it is: everything is saved on it, and it tries again by itself."
        )
    if terminals.by_code(str(code)) is not None:
        raise Conflict(f"{code} belongs to another phone. Keep this phone as it is, and see the office: everything is saved on it.")
    return number


def signature_fits(public_key: str, message: bytes, signature: object) -> bool:
    """Whether `signature` (base64url, r then s, 64 bytes) is this key's over `message`."""
    try:
        raw = _decode(signature)
        if len(raw) != 64:
            return False
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        _public_key(json.loads(public_key)).verify(der, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def revoke(code: str, who: str, now: datetime) -> None:
    """Revoke a terminal: no more SOAs; what it still uploads is kept and held for a person. Raises NotFound, Conflict. Commits."""
    terminal = _get(code)
    if terminal.state == "revoked":
        raise Conflict(f"{code} was revoked before.")
    terminals.set_fields(terminal.id, state="revoked", revoked_at=now)
    audit.add(who, "terminal_revoked", code, {}, now)
    db.session.commit()


def approve(code: str, who: str, now: datetime) -> None:
    """Let a waiting terminal work. Raises NotFound, Conflict. Commits."""
    terminal = _get(code)
    if terminal.state != "waiting":
        raise Conflict(f"{code} does not wait for approval.")
    terminals.set_fields(terminal.id, state="active")
    audit.add(who, "terminal_approved", code, {}, now)
    db.session.commit()


def _get(code: str) -> TerminalRow:
    terminal = terminals.by_code(code, lock=True)
    if terminal is None:
        raise NotFound(f"There is no terminal {code}.")
    return terminal

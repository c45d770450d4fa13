"""People: adding, changing, signing in and out. Every change of who may do what ends that person's sign-ins."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy.exc import IntegrityError

from portal.access import ROLES
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.extensions import db
from portal.store import audit, users
from portal.store.users import SignedIn, UserRow

_hasher = PasswordHasher()


def _of_nobody(hasher: PasswordHasher) -> str:
    """What is verified for a name that does not exist: the cost of any other password, and none fits. Made without paying it once more
    at the start of each process."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${digest}"


_NOBODY = _of_nobody(_hasher)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,58}[a-z0-9]", re.ASCII)


class WrongLogin(Forbidden):
    """Unknown name, wrong password or disabled account: one message for all three (RELIABILITY S7)."""

    code = "wrong_login"
    status = 401

    def __init__(self) -> None:
        super().__init__("That username and password do not match an active account.")


def hash_token(token: str) -> str:
    """What the database keeps of a sign-in token."""
    return hashlib.sha256(token.encode()).hexdigest()


def sign_in(name: str, password: str, address: str, browser: str, now: datetime) -> tuple[UserRow, str]:
    """The person and the token of a new sign-in. Raises WrongLogin, after the same work whoever asks. Commits."""
    user = users.by_name(name[:200])
    stored = users.password_hash(user.id) if user else _NOBODY
    try:
        _hasher.verify(stored, password[:1024])
    except VerificationError:
        user = None
    if user is None or not user.active:
        audit.add(name[:60], "login_refused", "", {"address": address}, now)
        db.session.commit()
        raise WrongLogin
    if _hasher.check_needs_rehash(stored):
        users.set_fields(user.id, password_hash=_hasher.hash(password))
    token = secrets.token_urlsafe(32)
    users.add_sign_in(user.id, hash_token(token), address, browser, now)
    audit.add(user.name, "login", "", {"address": address}, now)
    db.session.commit()
    return user, token


def who_is(token: str, now: datetime, idle_minutes: int, hours: int) -> SignedIn | None:
    """The live sign-in a token belongs to, or None."""
    return users.signed_in(hash_token(token), now - timedelta(minutes=idle_minutes), now - timedelta(hours=hours))


def note_activity(sign_in_id: int, now: datetime) -> None:
    """Remember that a sign-in is in use. Commits."""
    users.touch_sign_in(sign_in_id, now)
    db.session.commit()


def sign_out(token: str, name: str, now: datetime) -> None:
    """End the sign-in of this token: the cookie is dead, copied or not. Commits."""
    users.end_sign_in(hash_token(token), now)
    audit.add(name, "logout", "", {}, now)
    db.session.commit()


def check_password(password: str) -> None:
    """Raise InvalidInput for a password that is too short, too long or the word itself."""
    if len(password) < 8:
        raise InvalidInput("The password needs at least 8 characters. A short sentence works well.")
    if len(password) > 256:
        raise InvalidInput("The password may have at most 256 characters.")
    if password.lower() in {"password", "12345678", "123456789", "1234567890", "qwertyuiop", "password1", "collector", "pscloud1"}:
        raise InvalidInput("That password is the first one anybody would try. Choose another.")


def _check_roles(roles: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(roles))
    wrong = [role for role in wanted if role not in ROLES]
    if wrong or not wanted:
        raise InvalidInput(f"Choose at least one role of {', '.join(ROLES)}.")
    return wanted


def _check_codes(codes: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(code.strip() for code in codes if code.strip()))
    if any(len(code) > 40 or not code.isprintable() for code in wanted):
        raise InvalidInput("A collector code has at most 40 characters.")
    return wanted


def add(name: str, display_name: str, password: str, roles: Iterable[str], codes: Iterable[str], who: str, now: datetime) -> int:
    """Add a person and return their id. Raises InvalidInput or Conflict (name taken). Commits."""
    login = name.strip().lower()
    if not NAME.fullmatch(login):
        raise InvalidInput(
            "A username has 3 to 60 letters, digits, dots, hyphens or underscores, and starts and ends with a letter or digit."
        )
    check_password(password)
    wanted_roles, wanted_codes = _check_roles(roles), _check_codes(codes)
    if users.by_name(login):
        raise Conflict(f"There is already a user named {login}.")
    try:
        user_id = users.add(login, (display_name.strip() or login)[:120], _hasher.hash(password), now)
    except IntegrityError:
        db.session.rollback()
        raise Conflict(f"There is already a user named {login}.") from None
    users.set_roles(user_id, wanted_roles)
    users.set_codes(user_id, wanted_codes, now)
    audit.add(who, "user_added", login, {"roles": wanted_roles, "codes": wanted_codes}, now)
    db.session.commit()
    return user_id


def change(user_id: int, display_name: str, roles: Iterable[str], codes: Iterable[str], active: bool, who: str, now: datetime) -> None:
    """Change a person. Nobody changes their own roles or disables themselves. Takes effect on that person's next request. Commits."""
    user = users.get(user_id)
    if user is None:
        raise NotFound("There is no such user.")
    wanted_roles, wanted_codes = _check_roles(roles), _check_codes(codes)
    if user.name == who and (set(wanted_roles) != set(user.roles) or not active):
        raise Forbidden("You cannot change your own roles or disable yourself. Ask another admin.")
    users.set_fields(user_id, display_name=(display_name.strip() or user.name)[:120], active=active)
    users.set_roles(user_id, wanted_roles)
    users.set_codes(user_id, wanted_codes, now)
    if not active or set(wanted_roles) != set(user.roles):
        users.end_all_sign_ins(user_id, now)
    before = {"roles": user.roles, "codes": user.codes, "active": user.active}
    after = {"roles": wanted_roles, "codes": wanted_codes, "active": active}
    audit.add(who, "user_changed", user.name, {"before": before, "after": after}, now)
    db.session.commit()


def set_password(user_id: int, password: str, who: str, now: datetime) -> None:
    """Set a password and end that person's other sign-ins. Commits."""
    user = users.get(user_id)
    if user is None:
        raise NotFound("There is no such user.")
    check_password(password)
    users.set_fields(user_id, password_hash=_hasher.hash(password))
    users.end_all_sign_ins(user_id, now)
    audit.add(who, "password_set", user.name, {}, now)
    db.session.commit()


def disable(name: str, who: str, now: datetime) -> None:
    """Disable a person by name. Raises NotFound. Commits."""
    user = users.by_name(name)
    if user is None:
        raise NotFound(f"There is no user named {name}.")
    change(user.id, user.display_name, user.roles, user.codes, False, who, now)


def first_admin(name: str, password: str, now: datetime) -> bool:
    """Add the first admin from the environment, when there is none. Commits."""
    if not name or not password or users.any_admin():
        return False
    add(name, name, password, ["admin"], [], "installation", now)
    return True

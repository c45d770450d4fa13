"""People: their roles, collector codes and sign-ins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, Executable, bindparam, delete, func, literal_column, select, update

from portal.extensions import db
from portal.store.models import CodeHolding, SignIn, User, UserRole
from portal.store.types import Instant


@dataclass(frozen=True, slots=True)
class UserRow:
    """One person, as the Users page and the access check need them. `last_seen_at` of any sign-in, UTC."""

    id: int
    name: str
    display_name: str
    active: bool
    roles: tuple[str, ...]
    codes: tuple[str, ...]
    created_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Somebody:
    """What every request needs to know of the person who sends it."""

    id: int
    name: str
    display_name: str
    roles: tuple[str, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a live sign-in belongs to."""

    sign_in_id: int
    last_seen_at: datetime
    user: Somebody


def _rows(users: list[User]) -> list[UserRow]:
    ids = [user.id for user in users]
    roles: dict[int, list[str]] = {}
    for user_id, role in db.session.execute(
        select(UserRole.user_id, UserRole.role).where(UserRole.user_id.in_(ids)).order_by(UserRole.role)
    ):
        roles.setdefault(user_id, []).append(role)
    codes: dict[int, list[str]] = {}
    for user_id, code in db.session.execute(
        select(CodeHolding.user_id, CodeHolding.code)
        .where(CodeHolding.user_id.in_(ids), CodeHolding.until.is_(None))
        .order_by(CodeHolding.code)
    ):
        codes.setdefault(user_id, []).append(code)
    last_seen = select(SignIn.user_id, func.max(SignIn.last_seen_at)).where(SignIn.user_id.in_(ids)).group_by(SignIn.user_id)
    seen = {row[0]: row[1] for row in db.session.execute(last_seen)}
    return [
        UserRow(
            user.id,
            user.name,
            user.display_name,
            user.active,
            tuple(roles.get(user.id, ())),
            tuple(codes.get(user.id, ())),
            user.created_at,
            seen.get(user.id),
        )
        for user in users
    ]


def all_users() -> list[UserRow]:
    """Everybody, active first, then by name."""
    return _rows(list(db.session.execute(select(User).order_by(User.active.desc(), User.name)).scalars()))


def get(user_id: int) -> UserRow | None:
    """One person, or None."""
    user = db.session.get(User, user_id)
    return _rows([user])[0] if user else None


def by_name(name: str) -> UserRow | None:
    """One person by login name (any case), or None."""
    user = db.session.execute(select(User).where(User.name == name.strip().lower())).scalar_one_or_none()
    return _rows([user])[0] if user else None


def codes_of(user_id: int) -> tuple[str, ...]:
    """The collector codes a person holds now."""
    query = select(CodeHolding.code).where(CodeHolding.user_id == user_id, CodeHolding.until.is_(None)).order_by(CodeHolding.code)
    return tuple(db.session.execute(query).scalars())


def password_hash(user_id: int) -> str:
    """The stored password hash. The user must exist."""
    return db.session.execute(select(User.password_hash).where(User.id == user_id)).scalar_one()


def add(name: str, display_name: str, hashed: str, now: datetime) -> int:
    """Insert a person; the name's UNIQUE constraint settles two at once."""
    user = User(name=name, display_name=display_name, password_hash=hashed, active=True, created_at=now)
    db.session.add(user)
    db.session.flush()
    return user.id


def set_fields(user_id: int, **values: object) -> None:
    """Update columns of one person."""
    db.session.execute(update(User).where(User.id == user_id).values(**values))


def set_roles(user_id: int, roles: Iterable[str]) -> None:
    """Replace the roles."""
    db.session.execute(delete(UserRole).where(UserRole.user_id == user_id))
    db.session.add_all(UserRole(user_id=user_id, role=role) for role in sorted(set(roles)))
    db.session.flush()


def set_codes(user_id: int, codes: Iterable[str], now: datetime) -> None:
    """Make `codes` the ones held from now on; what is no longer held keeps its history."""
    wanted = set(codes)
    held = set(db.session.execute(select(CodeHolding.code).where(CodeHolding.user_id == user_id, CodeHolding.until.is_(None))).scalars())
    db.session.execute(
        update(CodeHolding)
        .where(CodeHolding.user_id == user_id, CodeHolding.until.is_(None), CodeHolding.code.in_(held - wanted))
        .values(until=now)
    )
    db.session.add_all(CodeHolding(user_id=user_id, code=code, since=now) for code in sorted(wanted - held))
    db.session.flush()


def any_admin() -> bool:
    """Whether an active admin exists."""
    return (
        db.session.execute(
            select(User.id).join(UserRole, UserRole.user_id == User.id).where(UserRole.role == "admin", User.active).limit(1)
        ).first()
        is not None
    )


def add_sign_in(user_id: int, token_hash: str, address: str, browser: str, now: datetime) -> None:
    """Remember a sign-in by the hash of its token."""
    db.session.add(
        SignIn(user_id=user_id, token_hash=token_hash, created_at=now, last_seen_at=now, address=address[:60], browser=browser[:200])
    )


def signed_in(token_hash: str, seen_after: datetime, created_after: datetime) -> SignedIn | None:
    """The live sign-in with this token: not ended, seen and created late enough, its user active. One query: every request asks."""
    values = {"token_hash": token_hash, "seen_after": seen_after, "created_after": created_after}
    found = db.session.connection().execute(_signed_in(db.engine.dialect.name == "sqlite"), values).one_or_none()
    if found is None:
        return None
    sign_in_id, last_seen_at, user_id, name, display_name, roles, codes = found
    return SignedIn(sign_in_id, last_seen_at, Somebody(user_id, name, display_name, _parts(roles), _parts(codes)))


@cache
def _signed_in(sqlite: bool) -> Executable:
    """Made once. Roles and codes come in one text each: neither can hold the line break between them."""
    joined = func.group_concat if sqlite else func.string_agg
    end: ColumnElement[str] = literal_column("char(10)" if sqlite else "chr(10)")
    roles = select(joined(UserRole.role, end)).where(UserRole.user_id == User.id)
    codes = select(joined(CodeHolding.code, end)).where(CodeHolding.user_id == User.id, CodeHolding.until.is_(None))
    return (
        select(SignIn.id, SignIn.last_seen_at, User.id, User.name, User.display_name, roles.scalar_subquery(), codes.scalar_subquery())
        .join(User, User.id == SignIn.user_id)
        .where(
            SignIn.token_hash == bindparam("token_hash"),
            SignIn.ended_at.is_(None),
            SignIn.last_seen_at > bindparam("seen_after", type_=Instant),
            SignIn.created_at > bindparam("created_after", type_=Instant),
            User.active,
        )
    )


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(sorted(text.split("\n"))) if text else ()


def touch_sign_in(sign_in_id: int, now: datetime) -> None:
    """Note that the sign-in is in use."""
    db.session.execute(update(SignIn).where(SignIn.id == sign_in_id).values(last_seen_at=now))


def end_sign_in(token_hash: str, now: datetime) -> None:
    """End one sign-in."""
    db.session.execute(update(SignIn).where(SignIn.token_hash == token_hash, SignIn.ended_at.is_(None)).values(ended_at=now))


def end_all_sign_ins(user_id: int, now: datetime) -> None:
    """End every sign-in of a person."""
    db.session.execute(update(SignIn).where(SignIn.user_id == user_id, SignIn.ended_at.is_(None)).values(ended_at=now))

"""Terminals and their registries: enrolment, how far each journal is held, counters."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from sqlalchemy import Executable, Select, bindparam, func, select, update

from portal.domain.receipts import terminal_code
from portal.extensions import db
from portal.store import restores
from portal.store.models import Registry, SoaDownload, Terminal, User

# Statements made once where every upload comes by: building one takes longer than running it.
_TERMINALS = Terminal.metadata.tables[Terminal.__tablename__]


@dataclass(frozen=True, slots=True)
class TerminalRow:
    """One terminal, as the Terminals page and the phone need it. Money in pesos."""

    id: int
    code: str
    name: str
    user_id: int
    user_name: str
    display_name: str
    state: str
    enrolled_at: datetime
    revoked_at: datetime | None
    last_contact_at: datetime | None
    head_seq: int
    head_hash: str
    forked_at: datetime | None
    last_receipt: int
    last_void: int
    z_counter: int
    accumulated: Decimal
    public_key: str


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One registry; `z_seq` and `closed_seq` are journal places, None while still open. `forced_seq` is the last place that a Z-reading
    of the office holds, None when the office made none."""

    id: str
    terminal_id: int
    user_id: int
    business_date: date
    change_fund: Decimal
    opened_at_text: str
    opened_seq: int
    z_seq: int | None
    closed_seq: int | None
    forced_seq: int | None


@cache
def _base() -> Any:
    of_terminal = ("id", "code", "name", "user_id")
    of_user = ("name", "display_name")
    rest = ("state", "enrolled_at", "revoked_at", "last_contact_at", "head_seq", "head_hash", "forked_at", "last_receipt", "last_void")
    columns = [getattr(Terminal, name) for name in of_terminal] + [getattr(User, name) for name in of_user]
    columns += [getattr(Terminal, name) for name in (*rest, "z_counter", "accumulated", "public_key")]
    return select(*columns).join(User, User.id == Terminal.user_id)


def _one(query: Executable, values: dict[str, Any]) -> TerminalRow | None:
    found = db.session.execute(query, values).one_or_none()
    return TerminalRow(*found) if found else None


def all_terminals() -> list[TerminalRow]:
    """Every terminal ever enrolled, by code."""
    return [TerminalRow(*row) for row in db.session.execute(_base().order_by(Terminal.id))]


def of_user(user_id: int) -> list[TerminalRow]:
    """The terminals of one collector."""
    return [row for row in all_terminals() if row.user_id == user_id] if user_id else []


def by_code(code: str, lock: bool = False) -> TerminalRow | None:
    """One terminal; `lock` keeps other uploads of it out until the transaction ends."""
    return _one(_by_code(lock), {"code": code})


@cache
def _by_code(lock: bool) -> Executable:
    query: Select[Any] = _base().where(Terminal.code == bindparam("code"))
    return query.with_for_update(of=Terminal) if lock else query


def by_fingerprint(fingerprint: str) -> TerminalRow | None:
    """The terminal with this key, or None."""
    return _one(_base().where(Terminal.key_fingerprint == fingerprint), {})


def highest_number() -> int:
    """The number of the last terminal code given out, or kept back after a restore; 0 when there is none."""
    return max(db.session.execute(select(func.max(Terminal.id))).scalar() or 0, restores.last_skipped())


def add(name: str, user_id: int, public_key: str, fingerprint: str, state: str, now: datetime, number: int | None = None) -> str:
    """Enrol a terminal and return its code, one above every code ever given, unless it is to have `number`. UNIQUE settles two at once."""
    number = highest_number() + 1 if number is None else number
    code = terminal_code(number)
    db.session.add(
        Terminal(
            id=number,
            code=code,
            name=name,
            user_id=user_id,
            public_key=public_key,
            key_fingerprint=fingerprint,
            state=state,
            enrolled_at=now,
            last_contact_at=now,
        )
    )
    db.session.flush()
    return code


def set_fields(terminal_id: int, **values: object) -> None:
    """Update columns of one terminal."""
    db.session.execute(_update(tuple(values)), {"of_terminal": terminal_id, **values})


@cache
def _update(names: tuple[str, ...]) -> Executable:
    return update(_TERMINALS).where(_TERMINALS.c.id == bindparam("of_terminal")).values({name: bindparam(name) for name in names})


def open_registry(terminal_id: int) -> RegistryRow | None:
    """The registry that is open on this terminal, or None."""
    found = db.session.execute(_open_registry(), {"terminal": terminal_id}).one_or_none()
    return RegistryRow(*found) if found else None


@cache
def _open_registry() -> Executable:
    of_terminal = (Registry.terminal_id == bindparam("terminal"), Registry.closed_seq.is_(None))
    return select(*registry_columns()).where(*of_terminal).order_by(Registry.opened_seq.desc()).limit(1)


def registry_columns() -> list[Any]:
    """The columns of a RegistryRow, in its order."""
    return [getattr(Registry, one.name) for one in fields(RegistryRow)]


def registry(registry_id: str) -> RegistryRow | None:
    """One registry by its id."""
    found = db.session.execute(_registry(), {"id": registry_id}).one_or_none()
    return RegistryRow(*found) if found else None


@cache
def _registry() -> Executable:
    return select(*registry_columns()).where(Registry.id == bindparam("id"))


def registry_before(terminal_id: int, opened_seq: int) -> RegistryRow | None:
    """The registry that was opened on this terminal before the one opened at this place, or None."""
    of_terminal = (Registry.terminal_id == terminal_id, Registry.opened_seq < opened_seq)
    found = db.session.execute(select(*registry_columns()).where(*of_terminal).order_by(Registry.opened_seq.desc()).limit(1)).one_or_none()
    return RegistryRow(*found) if found else None


def by_id(terminal_id: int) -> TerminalRow | None:
    """One terminal by its number."""
    return _one(_base().where(Terminal.id == terminal_id), {})


def add_registry(
    registry_id: str,
    terminal_id: int,
    user_id: int,
    business_date: date,
    change_fund: Decimal,
    opened_at: datetime,
    opened_at_text: str,
    opened_seq: int,
) -> None:
    """Open a registry."""
    db.session.add(
        Registry(
            id=registry_id,
            terminal_id=terminal_id,
            user_id=user_id,
            business_date=business_date,
            change_fund=change_fund,
            opened_at=opened_at,
            opened_at_text=opened_at_text,
            opened_seq=opened_seq,
        )
    )
    db.session.flush()


def set_registry(registry_id: str, **values: object) -> None:
    """Update columns of one registry."""
    db.session.execute(update(Registry).where(Registry.id == registry_id).values(**values))


def add_download(
    terminal_id: int, user_id: int, seq: int, snapshot: str, as_of: datetime, at: datetime, count: int, amount_due: Decimal
) -> None:
    """Note that a phone received a snapshot."""
    db.session.add(
        SoaDownload(
            terminal_id=terminal_id,
            user_id=user_id,
            seq=seq,
            snapshot=snapshot,
            as_of=as_of,
            downloaded_at=at,
            count=count,
            amount_due=amount_due,
        )
    )
    db.session.flush()


@dataclass(frozen=True, slots=True)
class DownloadRow:
    """The snapshot a phone worked with."""

    snapshot: str
    as_of: datetime
    count: int
    amount_due: Decimal


def last_download(terminal_id: int, before_seq: int) -> DownloadRow | None:
    """The last snapshot this terminal took before that place in its journal."""
    found = db.session.execute(
        select(SoaDownload)
        .where(SoaDownload.terminal_id == terminal_id, SoaDownload.seq < before_seq)
        .order_by(SoaDownload.seq.desc())
        .limit(1)
    ).scalar_one_or_none()
    return DownloadRow(found.snapshot, found.as_of, found.count, found.amount_due) if found else None

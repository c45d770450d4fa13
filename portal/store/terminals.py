"""Terminals and their registries: enrolment, how far each journal is held, counters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import func, select, update

from portal.domain.receipts import terminal_code
from portal.extensions import db
from portal.store import restores
from portal.store.models import Registry, SoaDownload, Terminal, User


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
    """One registry; `z_seq` and `closed_seq` are journal places, None while still open."""

    id: str
    terminal_id: int
    user_id: int
    business_date: date
    change_fund: Decimal
    opened_at_text: str
    opened_seq: int
    z_seq: int | None
    closed_seq: int | None


def _row(terminal: Terminal, user: User) -> TerminalRow:
    return TerminalRow(
        terminal.id,
        terminal.code,
        terminal.name,
        terminal.user_id,
        user.name,
        user.display_name,
        terminal.state,
        terminal.enrolled_at,
        terminal.revoked_at,
        terminal.last_contact_at,
        terminal.head_seq,
        terminal.head_hash,
        terminal.forked_at,
        terminal.last_receipt,
        terminal.last_void,
        terminal.z_counter,
        terminal.accumulated,
        terminal.public_key,
    )


def all_terminals() -> list[TerminalRow]:
    """Every terminal ever enrolled, by code."""
    rows = db.session.execute(select(Terminal, User).join(User, User.id == Terminal.user_id).order_by(Terminal.id))
    return [_row(terminal, user) for terminal, user in rows]


def of_user(user_id: int) -> list[TerminalRow]:
    """The terminals of one collector."""
    return [row for row in all_terminals() if row.user_id == user_id] if user_id else []


def by_code(code: str, lock: bool = False) -> TerminalRow | None:
    """One terminal; `lock` keeps other uploads of it out until the transaction ends."""
    query = select(Terminal, User).join(User, User.id == Terminal.user_id).where(Terminal.code == code)
    if lock:
        query = query.with_for_update(of=Terminal).execution_options(populate_existing=True)
    found = db.session.execute(query).one_or_none()
    return _row(*found) if found else None


def by_fingerprint(fingerprint: str) -> TerminalRow | None:
    """The terminal with this key, or None."""
    query = select(Terminal, User).join(User, User.id == Terminal.user_id).where(Terminal.key_fingerprint == fingerprint)
    found = db.session.execute(query).one_or_none()
    return _row(*found) if found else None


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
    db.session.execute(update(Terminal).where(Terminal.id == terminal_id).values(**values))


def open_registry(terminal_id: int) -> RegistryRow | None:
    """The registry that is open on this terminal, or None."""
    found = db.session.execute(
        select(Registry)
        .where(Registry.terminal_id == terminal_id, Registry.closed_seq.is_(None))
        .order_by(Registry.opened_seq.desc())
        .limit(1)
    ).scalar_one_or_none()
    return _registry(found) if found else None


def registry(registry_id: str) -> RegistryRow | None:
    """One registry by its id."""
    found = db.session.get(Registry, registry_id, populate_existing=True)
    return _registry(found) if found else None


def _registry(row: Registry) -> RegistryRow:
    return RegistryRow(
        row.id,
        row.terminal_id,
        row.user_id,
        row.business_date,
        row.change_fund,
        row.opened_at_text,
        row.opened_seq,
        row.z_seq,
        row.closed_seq,
    )


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

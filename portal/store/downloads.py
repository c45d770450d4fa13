"""Which phone holds which SOAs: the last snapshot each told the portal of, and whose it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal

from sqlalchemy import and_, func, select

from portal.extensions import db
from portal.store.models import CodeHolding, SoaDownload, SyncRun, Terminal, User, UserRole


@dataclass(frozen=True, slots=True)
class Edition:
    """The SOAs that collectors should have: every completed download from `first_run` on, the first of the latest business date that had
    one. `last_run` is the latest of them, `as_of` PSCloud's time of it, `completed_at` ours."""

    first_run: int
    last_run: int
    as_of: datetime | None
    completed_at: datetime


@dataclass(frozen=True, slots=True)
class PhoneRow:
    """One phone of a collector, or a collector without one (`terminal` empty), and the last snapshot it told of; money in pesos. `run_id`
    is the download the snapshot was made from, None when it cannot be told."""

    user_id: int
    user_name: str
    display_name: str
    codes: tuple[str, ...]
    terminal: str
    phone: str
    terminal_state: str
    snapshot: str
    run_id: int | None
    as_of: datetime | None
    downloaded_at: datetime | None
    count: int | None
    amount_due: Decimal | None


@dataclass(frozen=True, slots=True)
class CollectorDownloads:
    """A collector and their phones. `state` is `latest` when one of them has an SOA list of the edition, `missing` when none has,
    `no_code` when the collector holds no code and so has nothing to download."""

    user_id: int
    user_name: str
    display_name: str
    codes: tuple[str, ...]
    state: str
    phones: tuple[PhoneRow, ...]


def edition(zone: tzinfo) -> Edition | None:
    """What collectors should have now, or None before the first completed download."""
    completed = (SyncRun.id, SyncRun.requested_at, SyncRun.as_of, SyncRun.finished_at)
    last = db.session.execute(select(*completed).where(SyncRun.status == "completed").order_by(SyncRun.id.desc()).limit(1)).one_or_none()
    if last is None:
        return None
    day = last.requested_at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = select(func.min(SyncRun.id)).where(
        SyncRun.status == "completed", SyncRun.requested_at >= day, SyncRun.requested_at < day + timedelta(days=1)
    )
    return Edition(db.session.execute(first).scalar_one() or last.id, last.id, last.as_of, last.finished_at or last.requested_at)


def run_of(snapshot: str) -> int | None:
    """The download a snapshot was made from, by its name (docs/phone-api.md); None for a name that is not ours."""
    found = re.match(r"([0-9]{1,12})-", snapshot, re.ASCII)
    return int(found[1]) if found else None


def collectors(current: Edition | None, codes: frozenset[str] | None = None) -> list[CollectorDownloads]:
    """Every collector who may log in, by name, or those who hold one of `codes`; phones that are not revoked, by code."""
    held: dict[int, list[str]] = {}
    for user_id, code in db.session.execute(
        select(CodeHolding.user_id, CodeHolding.code).where(CodeHolding.until.is_(None)).order_by(CodeHolding.code)
    ):
        held.setdefault(user_id, []).append(code)
    last = select(func.max(SoaDownload.seq)).where(SoaDownload.terminal_id == Terminal.id).correlate(Terminal).scalar_subquery()
    query = (
        select(User.id, User.name, User.display_name, Terminal.code, Terminal.name.label("phone"), Terminal.state, SoaDownload)
        .join(UserRole, and_(UserRole.user_id == User.id, UserRole.role == "collector"))
        .outerjoin(Terminal, and_(Terminal.user_id == User.id, Terminal.state != "revoked"))
        .outerjoin(SoaDownload, and_(SoaDownload.terminal_id == Terminal.id, SoaDownload.seq == last))
        .where(User.active)
        .order_by(User.display_name, User.id, Terminal.id)
    )
    groups: dict[int, list[PhoneRow]] = {}
    for user_id, name, display_name, terminal, phone, state, got in db.session.execute(query):
        own = tuple(held.get(user_id, ()))
        if codes is None or codes.intersection(own):
            groups.setdefault(user_id, []).append(_phone(user_id, name, display_name, own, terminal, phone, state, got))
    return [_collector(rows, current) for rows in groups.values()]


def _phone(
    user_id: int,
    name: str,
    display_name: str,
    codes: tuple[str, ...],
    terminal: str | None,
    phone: str | None,
    state: str | None,
    got: SoaDownload | None,
) -> PhoneRow:
    who = (user_id, name, display_name, codes, terminal or "", phone or "", state or "")
    if got is None:
        return PhoneRow(*who, "", None, None, None, None, None)
    return PhoneRow(*who, got.snapshot, run_of(got.snapshot), got.as_of, got.downloaded_at, got.count, got.amount_due)


def _collector(rows: list[PhoneRow], current: Edition | None) -> CollectorDownloads:
    first = rows[0]
    has = current is not None and any(row.run_id is not None and row.run_id >= current.first_run for row in rows)
    state = "no_code" if not first.codes else "latest" if has else "missing"
    phones = tuple(row for row in rows if row.terminal)
    return CollectorDownloads(first.user_id, first.user_name, first.display_name, first.codes, state, phones)

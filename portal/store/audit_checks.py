"""How far the walk along the audit log's chain has come, and what the last whole walk found. Never commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from portal.extensions import db
from portal.store.audit import FIRST, Broken
from portal.store.models import AuditCheck


@dataclass(frozen=True, slots=True)
class CheckRow:
    """`begun_at` is None when no walk is under way; `rows`, `broken_seq` and `problem` are what the last whole one found at
    `checked_at`, which is None before the first."""

    begun_at: datetime | None
    walked: int
    walked_hash: str
    checked_at: datetime | None
    rows: int
    broken_seq: int | None
    problem: str


_FIELDS = (
    AuditCheck.begun_at, AuditCheck.walked, AuditCheck.walked_hash, AuditCheck.checked_at, AuditCheck.rows, AuditCheck.broken_seq,
    AuditCheck.problem,
)  # fmt: skip


def get(lock: bool = False) -> CheckRow:
    """Where the check stands; with `lock` nobody else moves it until the transaction ends."""
    query = select(*_FIELDS).where(AuditCheck.id == 1)
    return CheckRow(*db.session.execute(query.with_for_update() if lock else query).one())


def begin(now: datetime) -> None:
    """Walk from the first row again."""
    _set(begun_at=now, walked=0, walked_hash=FIRST)


def advance(seq: int, hash_: str) -> None:
    """The walk has come to this row."""
    _set(walked=seq, walked_hash=hash_)


def finish(rows: int, broken: Broken | None, now: datetime) -> None:
    """The walk has ended after so many rows that fit, whole or at a broken link."""
    found = {"broken_seq": broken.seq, "problem": broken.problem} if broken else {"broken_seq": None, "problem": ""}
    _set(begun_at=None, checked_at=now, rows=rows, **found)


def _set(**values: object) -> None:
    db.session.execute(update(AuditCheck).where(AuditCheck.id == 1).values(**values).execution_options(synchronize_session=False))

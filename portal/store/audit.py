"""The audit log: append-only, each row holds the hash of the row before, written in the transaction of the event itself (I24, I25)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from portal.extensions import db
from portal.store.at_once import insert_all
from portal.store.models import AuditEntry, AuditHead

FIRST = "0" * 64
# Made once: every money event comes by here, and building a statement takes longer than running it.
_ENTRIES, _HEADS = (model.metadata.tables[model.__tablename__] for model in (AuditEntry, AuditHead))
_HEAD = select(_HEADS.c.seq, _HEADS.c.hash).where(_HEADS.c.id == 1).with_for_update()
_MOVE_HEAD = update(_HEADS).where(_HEADS.c.id == 1).values(seq=bindparam("new_seq"), hash=bindparam("new_hash"))


@dataclass(frozen=True, slots=True)
class Event:
    """What one row says; `detail` holds plain JSON values and never a secret."""

    who: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    at: datetime


def add(who: str, action: str, subject: str, detail: Mapping[str, Any], at: datetime) -> None:
    """Append one row. Takes the chain's lock until the transaction ends."""
    add_all([Event(who, action, subject, detail, at)])


def add_all(events: Sequence[Event]) -> None:
    """Append a row for each, in this order. Takes the chain's lock until the transaction ends."""
    if not events:
        return
    seq, hash_ = db.session.execute(_HEAD).one()
    rows = []
    for event in events:
        seq, prev, who, subject = seq + 1, hash_, event.who[:120], event.subject[:120]
        text = json.dumps(event.detail, sort_keys=True, ensure_ascii=False, default=str)
        hash_ = _hash(seq, event.at, who, event.action, subject, text, prev)
        row = {"seq": seq, "at": event.at, "who": who, "action": event.action, "subject": subject, "detail": text}
        rows.append({**row, "prev": prev, "hash": hash_})
    insert_all(_ENTRIES, rows)
    db.session.execute(_MOVE_HEAD, {"new_seq": seq, "new_hash": hash_})


def lock() -> None:
    """Take the chain's lock now, until the transaction ends: what reads first and writes then happens one after the other."""
    db.session.execute(_HEAD).one()


def _hash(seq: int, at: datetime, who: str, action: str, subject: str, detail: str, prev: str) -> str:
    parts = [str(seq), at.astimezone(UTC).isoformat(timespec="microseconds"), who, action, subject, detail, prev]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row that does not fit the chain, and how."""

    seq: int
    problem: str


def verify() -> tuple[int, Broken | None]:
    """Walk the whole chain: (rows read, the first broken link or None)."""
    seq, prev = 0, FIRST
    for row in db.session.execute(select(AuditEntry).order_by(AuditEntry.seq)).scalars().yield_per(1000):
        broken = _misfit(row, seq + 1, prev)
        if broken:
            return seq + 1, broken
        seq, prev = row.seq, row.hash
    return seq, _misfit_of_head(_head(), seq, prev)


def walk(seq: int, prev: str, most: int) -> tuple[int, str, bool, Broken | None]:
    """Walk on from row `seq`, whose hash is `prev`, over at most so many rows: (the last row that fits, its hash, whether the end was
    reached, the first broken link or None)."""
    head = _head()  # read first: rows that are written meanwhile are none of ours
    query = select(_ENTRIES).where(_ENTRIES.c.seq > seq).order_by(_ENTRIES.c.seq).limit(most)
    if head is not None:
        query = query.where(_ENTRIES.c.seq <= head[0])
    rows = db.session.execute(query).all()
    for row in rows:
        broken = _misfit(row, seq + 1, prev)
        if broken:
            return seq, prev, True, broken
        seq, prev = row.seq, row.hash
    if len(rows) == most:
        return seq, prev, False, None
    return seq, prev, True, _misfit_of_head(head, seq, prev)


def length() -> int:
    """How many rows the chain says it has."""
    head = _head()
    return head[0] if head else 0


def _head() -> tuple[int, str] | None:
    row = db.session.execute(select(_HEADS.c.seq, _HEADS.c.hash).where(_HEADS.c.id == 1)).one_or_none()
    return None if row is None else (row.seq, row.hash)


def _misfit(row: Any, seq: int, prev: str) -> Broken | None:
    if row.seq != seq:
        return Broken(seq, "is missing")
    if row.prev != prev:
        return Broken(seq, "does not follow the row before it")
    if _hash(row.seq, row.at, row.who, row.action, row.subject, row.detail, row.prev) != row.hash:
        return Broken(seq, "was changed after it was written")
    return None


def _misfit_of_head(head: tuple[int, str] | None, seq: int, prev: str) -> Broken | None:
    return Broken(head[0], "is missing at the end") if head is not None and head != (seq, prev) else None

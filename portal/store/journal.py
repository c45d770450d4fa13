"""The terminals' journals as we hold them: the main chain, and what is kept beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from portal.domain.journal import Entry
from portal.extensions import db
from portal.store.at_once import among, insert_all
from portal.store.models import JournalAside, JournalEntry, JournalUpload, Terminal

# Made once: every upload comes by here, and building a statement takes longer than running it.
_ENTRIES = JournalEntry.metadata.tables[JournalEntry.__tablename__]
_ADD_UPLOAD = insert(JournalUpload.metadata.tables[JournalUpload.__tablename__])
_STORED = select(JournalEntry.seq, JournalEntry.hash, JournalEntry.verdict, JournalEntry.reason).where(
    JournalEntry.terminal_id == bindparam("terminal"), among(JournalEntry.seq, "seqs", numbers=True)
)
_ASIDES = select(JournalAside.hash, JournalAside.state, JournalAside.reason).where(
    JournalAside.terminal_id == bindparam("terminal"),
    among(JournalAside.hash, "hashes"),
    JournalAside.state != "released",
)
_HELD = select(JournalAside.entry).where(
    JournalAside.terminal_id == bindparam("terminal"), JournalAside.seq == bindparam("seq"), JournalAside.state == "held"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What we answered to a main-chain entry."""

    hash: str
    verdict: str
    reason: str


def add_upload(terminal_id: int, user_id: int, entries: list[Entry], signature: str, now: datetime) -> int:
    """Note one upload and return its id."""
    last = entries[-1]
    values = {"terminal_id": terminal_id, "user_id": user_id, "received_at": now, "entries": len(entries)}
    values |= {"last_seq": last.seq, "last_hash": last.hash, "signature": signature[:120]}
    done = db.session.execute(_ADD_UPLOAD, values)
    return int(done.inserted_primary_key[0])  # type: ignore[attr-defined]


def stored(terminal_id: int, seqs: Iterable[int]) -> dict[int, Stored]:
    """Main-chain entries among these places."""
    rows = db.session.execute(_STORED, {"terminal": terminal_id, "seqs": list(seqs)})
    return {seq: Stored(hash_, verdict, reason) for seq, hash_, verdict, reason in rows}


def asides(terminal_id: int, hashes: Iterable[str]) -> dict[str, tuple[str, str]]:
    """hash -> (state, reason) of entries kept beside the chain."""
    rows = db.session.execute(_ASIDES, {"terminal": terminal_id, "hashes": list(hashes)})
    return {hash_: (state, reason) for hash_, state, reason in rows}


def row(
    terminal_id: int, entry: Entry, payload: str, verdict: str, reason: str, registry_id: str | None, upload_id: int, now: datetime
) -> dict[str, Any]:
    """The row an entry of the main chain becomes."""
    return {
        "terminal_id": terminal_id,
        "seq": entry.seq,
        "kind": entry.kind,
        "at": entry.at,
        "at_trusted": entry.at_trusted,
        "payload": payload,
        "prev": entry.prev,
        "hash": entry.hash,
        "verdict": verdict,
        "reason": reason,
        "registry_id": registry_id,
        "upload_id": upload_id,
        "received_at": now,
    }


def add_all(rows: list[dict[str, Any]]) -> None:
    """Append to the main chain."""
    insert_all(_ENTRIES, rows)


def mend(terminal_id: int, entry: Entry, payload: str, registry_id: str | None) -> None:
    """Put an intact copy in the place of a damaged entry with the same hash."""
    db.session.execute(
        update(JournalEntry)
        .where(JournalEntry.terminal_id == terminal_id, JournalEntry.seq == entry.seq, JournalEntry.hash == entry.hash)
        .values(
            kind=entry.kind,
            at=entry.at,
            at_trusted=entry.at_trusted,
            payload=payload,
            verdict="stored",
            reason="",
            registry_id=registry_id,
        )
    )


def quarantined_after(terminal_id: int, terminal: str, seq: int) -> list[Entry]:
    """Entries of the main chain behind a place that are kept but not booked, in journal order."""
    rows = db.session.execute(
        select(JournalEntry)
        .where(JournalEntry.terminal_id == terminal_id, JournalEntry.seq > seq, JournalEntry.verdict == "quarantined")
        .order_by(JournalEntry.seq)
    ).scalars()
    return [Entry(terminal, r.seq, r.kind, r.at, r.at_trusted, json.loads(r.payload), r.prev, r.hash) for r in rows]


def is_intact(terminal_id: int, terminal: str, seq: int) -> bool:
    """Whether the stored entry's hash fits its stored content."""
    from portal.domain.journal import intact

    row = db.session.execute(select(JournalEntry).where(JournalEntry.terminal_id == terminal_id, JournalEntry.seq == seq)).scalar_one()
    return intact(Entry(terminal, row.seq, row.kind, row.at, row.at_trusted, json.loads(row.payload), row.prev, row.hash))


def add_aside(terminal_id: int, entry: Entry, whole: str, state: str, reason: str, upload_id: int, now: datetime) -> None:
    """Keep an entry beside the chain."""
    db.session.add(
        JournalAside(
            terminal_id=terminal_id,
            seq=entry.seq,
            hash=entry.hash,
            state=state,
            reason=reason,
            entry=whole,
            upload_id=upload_id,
            received_at=now,
        )
    )
    db.session.flush()


def aside_is_intact(terminal_id: int, terminal: str, seq: int, hash_: str) -> bool:
    """Whether the entry kept beside the chain fits its hash."""
    from portal.domain.journal import intact

    text = db.session.execute(
        select(JournalAside.entry).where(JournalAside.terminal_id == terminal_id, JournalAside.seq == seq, JournalAside.hash == hash_)
    ).scalar_one()
    kept = json.loads(text)
    return intact(Entry(terminal, seq, kept["kind"], kept["at"], kept["at_trusted"], kept["payload"], kept["prev"], hash_))


def mend_aside(terminal_id: int, entry: Entry, whole: str) -> None:
    """Put an intact copy in the place of a damaged one beside the chain."""
    db.session.execute(
        update(JournalAside)
        .where(JournalAside.terminal_id == terminal_id, JournalAside.seq == entry.seq, JournalAside.hash == entry.hash)
        .values(entry=whole)
    )


def held_next(terminal_id: int, seq: int, prev: str) -> dict[str, Any] | None:
    """The held entry that now fits behind the head, as it was sent, or None."""
    for text in db.session.execute(_HELD, {"terminal": terminal_id, "seq": seq}).scalars():
        whole: dict[str, Any] = json.loads(text)
        if whole.get("prev") == prev:
            return whole
    return None


def set_aside_state(terminal_id: int, seq: int, hash_: str, state: str, reason: str) -> None:
    """Change what is said of an entry kept beside the chain."""
    db.session.execute(
        update(JournalAside)
        .where(JournalAside.terminal_id == terminal_id, JournalAside.seq == seq, JournalAside.hash == hash_)
        .values(state=state, reason=reason)
    )


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A main-chain entry with its payload read."""

    seq: int
    kind: str
    at: str
    verdict: str
    reason: str
    payload: dict[str, Any]


def of_registry(terminal_id: int, registry_id: str, kinds: Iterable[str], before_seq: int) -> list[EntryRow]:
    """Stored entries of these kinds in a registry, in journal order, before a place."""
    rows = db.session.execute(
        select(JournalEntry)
        .where(
            JournalEntry.terminal_id == terminal_id,
            JournalEntry.registry_id == registry_id,
            JournalEntry.kind.in_(list(kinds)),
            JournalEntry.seq < before_seq,
            JournalEntry.verdict == "stored",
        )
        .order_by(JournalEntry.seq)
    ).scalars()
    return [EntryRow(row.seq, row.kind, row.at, row.verdict, row.reason, json.loads(row.payload)) for row in rows]


def count_quarantined() -> int:
    """Entries kept but not booked, on all terminals."""
    return db.session.execute(select(func.count()).select_from(JournalEntry).where(JournalEntry.verdict == "quarantined")).scalar_one()


def chain(code: str) -> list[Entry]:
    """The whole main chain of a terminal, in order, for checks."""
    rows = db.session.execute(
        select(JournalEntry).join(Terminal, Terminal.id == JournalEntry.terminal_id).where(Terminal.code == code).order_by(JournalEntry.seq)
    ).scalars()
    return [Entry(code, r.seq, r.kind, r.at, r.at_trusted, json.loads(r.payload), r.prev, r.hash) for r in rows]

"""The journal's bytes, hashes and verdicts, as docs/journal.md says. Twin: static/mpos/domain/journal.mjs; vectors: journal.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from portal.domain.errors import InvalidInput

FIRST_PREV = "0" * 64
LARGEST_INTEGER = 9007199254740991
KINDS = (
    "enrolled",
    "registry_opened",
    "soa_downloaded",
    "payment",
    "void_requested",
    "void_decided",
    "receipt_printed",
    "no_collection",
    "promise",
    "expense",
    "expense_decided",
    "cash_drop",
    "count",
    "reading_x",
    "reading_z",
    "registry_closed",
    "clock_jump",
)
Verdict = Literal["stored", "repeat", "held", "conflict", "quarantined"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry as it was sent; `at` and `at_trusted` are texts, exactly as hashed."""

    terminal: str
    seq: int
    kind: str
    at: str
    at_trusted: str | None
    payload: Mapping[str, Any]
    prev: str
    hash: str

    def content(self) -> dict[str, Any]:
        """All fields but the hash: what the hash covers."""
        return {
            "terminal": self.terminal,
            "seq": self.seq,
            "kind": self.kind,
            "at": self.at,
            "at_trusted": self.at_trusted,
            "payload": self.payload,
            "prev": self.prev,
        }


def canonical(value: Any) -> bytes:
    """Canonical bytes of a JSON value (docs/journal.md 3). Raises InvalidInput for fractions, large integers, lone surrogates, odd keys."""
    _check(value, 0)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise InvalidInput("A text in this entry is not valid Unicode.") from None


def _check(value: Any, depth: int) -> None:
    if depth > 12:
        raise InvalidInput("This entry is nested too deeply.")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            raise InvalidInput("A number in this entry is too large.")
    elif isinstance(value, dict | Mapping):  # a dict is known at once, any other mapping after a long look
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise InvalidInput("A field name in this entry is not plain ASCII.")
            if type(item) is not str or depth >= 12:
                _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise InvalidInput("An entry may hold texts, whole numbers, true, false, null, lists and objects only.")


def entry_hash(content: Mapping[str, Any]) -> str:
    """Lower-case hex SHA-256 over the canonical bytes of an entry without its hash."""
    return hashlib.sha256(canonical(content)).hexdigest()


def append(terminal: str, seq: int, kind: str, at: str, at_trusted: str | None, payload: Mapping[str, Any], prev: str) -> Entry:
    """The next entry of a chain, with its hash."""
    content = {"terminal": terminal, "seq": seq, "kind": kind, "at": at, "at_trusted": at_trusted, "payload": payload, "prev": prev}
    return Entry(terminal, seq, kind, at, at_trusted, payload, prev, entry_hash(content))


def signed_text(terminal: str, seq: int, last_hash: str) -> bytes:
    """What the terminal signs for one upload (docs/journal.md 4)."""
    return f"mpos-journal-1 {terminal} {seq} {last_hash}".encode()


def intact(entry: Entry) -> bool:
    """Whether the entry's hash fits its content."""
    try:
        return entry_hash(entry.content()) == entry.hash
    except InvalidInput:
        return False


@dataclass(frozen=True, slots=True)
class Sorted:
    """What is to be done with one sent entry: `accepted`, `repeat`, `fork`, `gap` or `damaged` (in place, but its hash does not fit)."""

    entry: Entry
    place: Literal["accepted", "repeat", "fork", "gap", "damaged"]


def verify(
    entries: Iterable[Entry], head_seq: int, head_hash: str, stored: Mapping[int, str], forked: frozenset[str] = frozenset()
) -> list[Sorted]:
    """Sort entries against what is stored: `stored` maps seq -> hash of main-chain entries, `forked` holds hashes kept aside as forks.

    Pure; the order of the result is by seq. A main chain grows only by an entry whose seq is next and whose prev is the head's hash."""
    sorted_entries: list[Sorted] = []
    known = dict(stored)
    aside = set(forked)
    for entry in sorted(entries, key=lambda e: e.seq):
        if known.get(entry.seq) == entry.hash or entry.hash in aside:
            place: Literal["accepted", "repeat", "fork", "gap", "damaged"] = "repeat"
        elif entry.seq <= head_seq or entry.prev in aside or (entry.seq == head_seq + 1 and entry.prev != head_hash):
            place = "fork"
            aside.add(entry.hash)
        elif entry.seq > head_seq + 1:
            place = "gap"
        else:
            place = "accepted" if intact(entry) else "damaged"
            head_seq, head_hash = entry.seq, entry.hash
            known[entry.seq] = entry.hash
        sorted_entries.append(Sorted(entry, place))
    return sorted_entries

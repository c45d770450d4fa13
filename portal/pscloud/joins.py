"""Records of a second list put into the SOAs they belong to: asked for by batches of keys, or both lists read side by side in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec

from portal.pscloud.errors import Rejected, Retryable
from portal.pscloud.paging import ASK_ADMINISTRATOR, Ask, key_of, read_pages
from portal.pscloud.profile import Join, Keys, Profile

READ_AGAIN = 3
"""How often a batch whose list moved while it was read is read."""


class ListMoved(Exception):
    """Both lists are read side by side and one of them changed meanwhile: they must be read from the start."""


class Joiner:
    """Puts the records of every join into pages of SOAs, in their order. Never holds more than a page of each list."""

    def __init__(self, ask: Ask, profile: Profile, *, side_by_side: bool) -> None:
        """With `side_by_side`, joins that say `sorted` read their whole list once, as far as the SOAs have come; else by keys."""
        self.ask = ask
        self.joins = profile.joins
        self.merges = {name: _Merge(ask, name, join) for name, join in profile.joins.items() if side_by_side and join.sorted != "no"}

    def attach(self, records: list[bytes], moved: bool = False) -> list[bytes]:
        """These SOA records with what belongs to each. A record without a readable key stays as it is. Raises Rejected, Retryable, and
        ListMoved where lists are read side by side."""
        for name, join in self.joins.items():
            owners = [key_of(record, join.soa_key) for record in records]
            if name in self.merges:
                if moved:
                    raise ListMoved
                found = [None if key is None else self.merges[name].belonging_to(key) for key in owners]
            else:
                known = self._by_keys(name, join, list(dict.fromkeys(key for key in owners if key is not None)))
                found = [None if key is None else known.get(key, []) for key in owners]
            records = [record if some is None else _put(record, name, join, some) for record, some in zip(records, found, strict=True)]
        return records

    def finish(self) -> None:
        """After the last SOA: read on to the end where lists are read side by side. Only then it is proven that they are in order, and that
        nothing was passed over that belongs to somebody. Raises Rejected, and ListMoved."""
        for merge in self.merges.values():
            merge.finish()

    def _by_keys(self, name: str, join: Join, wanted: list[str]) -> dict[str, list[bytes]]:
        known: dict[str, list[bytes]] = {}
        for start in range(0, len(wanted), join.keys.limit):
            batch = wanted[start : start + join.keys.limit]
            for _ in range(READ_AGAIN):
                got = self._batch(name, join, batch)
                if got is not None:
                    known.update(got)
                    break
            else:
                raise Retryable(f"PSCloud's list of {name} changed again and again while it was read. Try again later.")
        return known

    def _batch(self, name: str, join: Join, batch: list[str]) -> dict[str, list[bytes]] | None:
        """The records of these keys; None when the list moved while it was read, or is not as long as PSCloud says."""
        got: dict[str, list[bytes]] = {key: [] for key in batch}
        received, total = 0, None
        for page in read_pages(self.ask, join, name, "", [*join.query.items(), *in_query(join.keys, batch)]):
            if page.moved:
                return None
            received, total = received + len(page.records), page.total
            for record in page.records:
                key = key_of(record, join.key)
                if key not in got:
                    raise Rejected(
                        f"PSCloud was asked for the {name} of certain SOAs and sent one that belongs to none of them. "
                        f"joins.{name}.keys or joins.{name}.key does not fit. {ASK_ADMINISTRATOR}"
                    )
                got[key].append(record)
        return got if total is None or received == total else None


class _Merge:
    """One list read in the order of its key, as far as it is needed."""

    def __init__(self, ask: Ask, name: str, join: Join) -> None:
        self.name, self.join = name, join
        self.stream = self._records(ask)
        self.next = next(self.stream, None)
        self.owner: str | None = None
        self.belongs: list[bytes] = []

    def _records(self, ask: Ask) -> Iterator[tuple[str, bytes]]:
        last = None
        for page in read_pages(ask, self.join, self.name, ""):
            if page.moved:
                raise ListMoved
            for record in page.records:
                key = key_of(record, self.join.key)
                if key is None:
                    continue  # it belongs to no SOA
                if last is not None and self._rank(key) < self._rank(last):
                    raise Rejected(self._disorder())
                last = key
                yield key, record

    def belonging_to(self, owner: str) -> list[bytes]:
        """The records of this owner. Owners come in order; what belongs to owners that never come is passed over."""
        if owner != self.owner:
            if self.owner is not None and self._rank(owner) < self._rank(self.owner):
                raise Rejected(self._disorder())
            while self.next is not None and self._rank(self.next[0]) < self._rank(owner):
                self.next = next(self.stream, None)
            self.owner, self.belongs = owner, []
            while self.next is not None and self.next[0] == owner:
                self.belongs.append(self.next[1])
                self.next = next(self.stream, None)
        return self.belongs

    def finish(self) -> None:
        """Read on to the end of the list."""
        while self.next is not None:
            self.next = next(self.stream, None)

    def _rank(self, key: str) -> tuple[int, str]:
        if self.join.sorted == "text":
            return 0, key
        if not key.isascii() or not key.isdecimal():
            raise Rejected(f"joins.{self.name}.sorted is number, but {key[:40]!r} is none. {ASK_ADMINISTRATOR}")
        return int(key), ""

    def _disorder(self) -> str:
        return (
            f"The SOAs and {self.name} do not come in the same order of their keys, so joins.{self.name}.sorted cannot be used. "
            'Ask PSCloud for that order in both queries, or write sorted = "no".'
        )


def in_query(keys: Keys, batch: Sequence[str]) -> list[tuple[str, str]]:
    """The query parameters that ask for these keys."""
    if keys.style == "repeat":
        return [(keys.parameter, key) for key in batch]
    quoted = ["'" + key.replace("'", "''") + "'" for key in batch]
    if keys.style == "each":
        return [(keys.parameter, " or ".join(keys.template.replace("{key}", key) for key in quoted))]
    text = json.dumps(list(batch), ensure_ascii=False) if keys.style == "json" else ",".join(quoted)
    return [(keys.parameter, keys.template.replace("{keys}", text))]


def _put(record: bytes, name: str, join: Join, found: list[bytes]) -> bytes:
    """The record, an object, with one part more. It is not decoded for that; a part of the same name is overruled."""
    text = record.strip()
    if not join.many and not found:
        return record
    part = found[0] if not join.many and len(found) == 1 else b"[" + b",".join(found) + b"]"  # two where one is expected are no guess
    inner = text[1:-1].strip()
    return b"{" + inner + (b"," if inner else b"") + msgspec.json.encode(name) + b":" + part + b"}"

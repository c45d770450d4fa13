"""Reading a list page by page, in every way PSCloud may offer; whatever does not end, or leads away from PSCloud, is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urljoin, urlsplit

from portal.domain.known_pages import NOTHING, Known, KnownPage
from portal.pscloud import answers
from portal.pscloud.errors import Rejected
from portal.pscloud.profile import Listing
from portal.pscloud.recognise import digest, mark

LONGEST_LINK = 4000
MOST_RECORDS = 100_000_000
_NEXT = re.compile(r"""<([^<>]*)>((?:\s*;\s*[\w*]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)""")
_REL = re.compile(r""";\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))""", re.IGNORECASE)
ASK_ADMINISTRATOR = "Check the connector profile with PSCloud's administrator."


class Answer(Protocol):
    """What reading a list needs of an answer: where it came from, its headers, its body, how long it took."""

    @property
    def url(self) -> str:
        """The address asked."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers; names in any case."""

    @property
    def body(self) -> bytes:
        """Its JSON."""

    @property
    def seconds(self) -> float:
        """From asking to its last byte."""

    @property
    def size(self) -> int:
        """Its bytes, decompressed."""

    @property
    def cut(self) -> bool:
        """Whether mark() of the known page stands in its body in place of the list."""


class Ask(Protocol):
    """Asks for a path with a query, or for an address on the same server that holds its query already."""

    def __call__(self, path: str, query: Sequence[tuple[str, str]] = ..., known: tuple[bytes, KnownPage] | None = ..., /) -> Answer:
        """The answer; of a page that is known and came again the same, with the list cut out."""


@dataclass(frozen=True, slots=True)
class RawPage:
    """One page. `total` is PSCloud's own number of records on all pages, None where it does not say; `moved` means that the list changed
    between two pages, so that a record may have been missed. `unchanged`: its list is that of the known page, and `records` is empty.
    `count` records; `start`, `length` and `digest` tell where the list stood in the body, and what it is recognised by."""

    answer: Answer
    records: list[bytes]
    total: int | None
    number: int
    moved: bool
    unchanged: bool = False
    count: int = 0
    start: int = 0
    length: int = 0
    digest: str | None = None


def read_pages(
    ask: Ask,
    listing: Listing,
    what: str,
    identity: str,
    query: Sequence[tuple[str, str]] | None = None,
    total: int | None = None,
    known: Known = NOTHING,
) -> Iterator[RawPage]:
    """Every page of a list. `what` names its records for people, `identity` is where a record holds what tells it from others, `total` how
    many there are when it is known from elsewhere, `known` the pages that may come again. Raises Rejected for a list that repeats, never
    ends or leads to another server."""
    walk = _Walk(listing, what, identity, list(listing.query.items()) if query is None else list(query))
    told = bool(listing.total) or total is not None
    place: tuple[str, list[tuple[str, str]]] | None = walk.first()
    while place is not None:
        page = known.pages.get(walk.pages + 1) if told and walk.by_link else None
        answer = ask(*place) if page is None else ask(*place, (known.seed, page))
        part = answers.part_or_none(answer.body, listing.records)
        unchanged = page is not None and answer.cut and part == mark(page)
        if answer.cut and not unchanged:  # the same bytes, but not where the records are: the whole page after all
            answer = ask(*place)
            part = answers.part_or_none(answer.body, listing.records)
        if page is not None and unchanged:
            found = RawPage(answer, [], None, 0, False, True, page.count, page.start, page.length, page.digest)
        else:
            found = _list_of(answer, listing, part, known.seed if told and walk.by_link else b"")
        if listing.total:
            total = count_of(found.answer.body, listing.total)
        raw = walk.take(found, total)
        if raw is not None:
            yield raw
        place = walk.next(found.answer, total)


def _list_of(answer: Answer, listing: Listing, part: bytes | None, seed: bytes) -> RawPage:
    """The records of an answer, and the answer without them: what else it says is then read at no cost. Raises Rejected."""
    records = _split(part, listing.records)
    start = -1 if part is None or not listing.records else answer.body.find(part)
    if part is None or start < 0:
        return RawPage(answer, records, None, 0, False, count=len(records))
    length = len(part)
    short = _Short(answer.url, answer.headers, answer.body[:start] + b"[]" + answer.body[start + length :], answer.seconds, answer.size)
    if answers.part_or_none(short.body, listing.records) != b"[]":  # these bytes stood elsewhere too
        return RawPage(answer, records, None, 0, False, count=len(records))
    made = digest(seed, answer.body, start, length) if seed else None
    return RawPage(short, records, None, 0, False, False, len(records), start, length, made)


@dataclass(frozen=True, slots=True)
class _Short:
    """An answer without its list."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    size: int
    cut: bool = False


class _Walk:
    """Where a list has been read to."""

    def __init__(self, listing: Listing, what: str, identity: str, query: list[tuple[str, str]]) -> None:
        self.listing, self.paging, self.what, self.identity = listing, listing.pagination, what, identity
        self.query = query
        if self.paging.limit_parameter:
            self.query = [*query, (self.paging.limit_parameter, str(self.paging.limit))]
        self.pages = self.received = self.empty = 0
        self.last_size = 0
        self.seen: set[str] = set()
        self.prints: set[bytes] = set()
        self.start = 0
        """Offset of the page being read, where the style is offset."""
        self.newest: bytes | None = None
        self.last: bytes | None = None
        """The last record read: with offsets it is asked for again as the first of the next page. When something else stands there, the
        list has moved. None when the next page is asked for without it."""

    def first(self) -> tuple[str, list[tuple[str, str]]]:
        """Where reading begins."""
        if self.paging.style == "page":
            return self.listing.path, [*self.query, (self.paging.parameter, str(self.paging.first))]
        if self.paging.style == "offset":
            return self.listing.path, [*self.query, (self.paging.parameter, "0")]
        return self.listing.path, self.query

    @property
    def by_link(self) -> bool:
        """Whether each page says what the next one is, so that its own records need not be looked at for that."""
        return self.paging.style not in {"page", "offset"}

    def take(self, page: RawPage, total: int | None) -> RawPage | None:
        """The page, less the record asked for a second time; None when nothing else is on it. Raises Rejected for what repeats."""
        records, count, moved = page.records, page.count, False
        self.last_size = count
        self.newest = records[-1] if records else None
        if self.last is not None:
            moved = not records or not self._same(records[0], self.last)
            records = records if moved else records[1:]
            count = len(records)
        if records and (self.paging.style in {"page", "offset"} or total is None):
            made = hashlib.blake2b(b"\n".join(records), digest_size=16).digest()
            if made in self.prints:
                raise Rejected(
                    f"PSCloud sent the same page of {self.what} twice, so its paging does not end. Nothing was changed here. "
                    f"{ASK_ADMINISTRATOR}"
                )
            self.prints.add(made)
        self.received += count
        self.empty = 0 if count else self.empty + 1
        if not count and not moved and self.pages and self.paging.style in {"page", "offset"}:
            return None
        self.pages += 1
        return replace(page, records=records, total=total, number=self.pages, moved=moved, count=count)

    def _same(self, one: bytes, other: bytes) -> bool:
        return one == other or (
            self.identity != "" and (key := key_of(one, self.identity)) is not None and key == key_of(other, self.identity)
        )

    def next(self, answer: Answer, total: int | None) -> tuple[str, list[tuple[str, str]]] | None:
        """Where the next page is, None at the end. Raises Rejected when there is no end or the way leads elsewhere."""
        style = self.paging.style
        if style == "none":
            return None
        if style in {"page", "offset"}:
            return self._counted(total)
        if style == "link_header":
            found: str | None = _next_link(answer.headers.get("Link") or "")
        else:
            found = self._named(answer.body)
        if not found:
            return None
        if len(found) > LONGEST_LINK:
            raise Rejected(
                f"PSCloud's answer holds no usable next page of {self.what}: it is {len(found)} characters long. {ASK_ADMINISTRATOR}"
            )
        if found in self.seen:
            raise Rejected(f"PSCloud named the same next page twice, so its list of {self.what} would never end. Nothing was changed here.")
        self._guard_end(total)
        self.seen.add(found)
        if style == "cursor":
            return self.listing.path, [*self.query, (self.paging.parameter, found)]
        return _on_the_same_server(answer.url, found, self.what), []

    def _named(self, body: bytes) -> str | None:
        try:
            part = answers.part_at(body, self.paging.next)
            value = None if part is None else answers.read_json(part)
        except ValueError:
            value = 0
        if value is None or value == "":
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value and self.paging.style == "cursor":
            return str(value)
        if not isinstance(value, str):
            raise Rejected(f"PSCloud's answer holds no usable {self.paging.next}, so the list of {self.what} cannot be read to its end.")
        return value

    def _counted(self, total: int | None) -> tuple[str, list[tuple[str, str]]] | None:
        self._guard_end(total)
        if self.paging.style == "page":
            if not self.last_size or (total is not None and self.received >= total):
                return None
            return self.listing.path, [*self.query, (self.paging.parameter, str(self.paging.first + self.pages))]
        position = self.start + self.last_size
        if not self.last_size or (total is not None and position >= total):
            return None
        # The last record is asked for again, unless the server gives so few at once that nothing else would come with it.
        again = self.last_size > 1
        self.start = position - 1 if again else position
        self.last = self.newest if again else None
        return self.listing.path, [*self.query, (self.paging.parameter, str(self.start))]

    def _guard_end(self, total: int | None) -> None:
        most = MOST_RECORDS if total is None else total + total // 10 + 1000
        if self.empty > 3 or self.received > most:
            spoken = "" if total is None else f"speaks of {total} {self.what} but "
            raise Rejected(
                f"PSCloud {spoken}keeps naming further pages after {self.received}. Nothing was changed here; "
                "tell PSCloud's administrator that its paging does not end."
            )


def _next_link(header: str) -> str | None:
    """The address of rel="next" in a Link header."""
    for link in _NEXT.finditer(header):
        rel = _REL.search(link[2])
        if rel and "next" in (rel[1] or rel[2] or "").lower().split():
            return link[1]
    return None


def _on_the_same_server(asked: str, link: str, what: str) -> str:
    """The address a link leads to. Raises Rejected when that is another server (RELIABILITY S47)."""
    try:
        address = urljoin(asked, link)
        here, there = urlsplit(asked), urlsplit(address)
        same = (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)
    except ValueError:
        same = False
    if not same or there.username is not None or there.password is not None or any(ord(letter) <= 32 for letter in address):
        raise Rejected(
            f"PSCloud's next page of {what} leads to another server ({_host_of(link)}), which is refused. Nothing was sent there "
            "and nothing was changed here; tell PSCloud's administrator."
        )
    return there._replace(fragment="").geturl()


def _host_of(link: str) -> str:
    try:
        host = urlsplit(link).hostname or "an address that cannot be read"
    except ValueError:
        host = "an address that cannot be read"
    return "".join(letter for letter in host if letter.isprintable())[:100]


def key_of(record: bytes, path: str) -> str | None:
    """The value that tells a record from others, as text; None when it is not there or no text and no whole number."""
    try:
        part = answers.part_at(record, path)
        value = None if part is None else answers.read_json(part)
    except ValueError:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def records_of(body: bytes, path: str) -> list[bytes]:
    """The records of an answer, each as its own JSON text. Raises Rejected when there is no list at that path."""
    return _split(answers.part_or_none(body, path), path)


def _split(part: bytes | None, path: str) -> list[bytes]:
    try:
        if part is None:
            raise ValueError
        return answers.split_list(part)
    except ValueError:
        named = f"named {path}" if path else "at its top"
        raise Rejected(f"PSCloud's answer holds no list {named}. {ASK_ADMINISTRATOR}") from None


def count_of(body: bytes, path: str) -> int:
    """A number of records in an answer. Raises Rejected."""
    try:
        part = answers.part_at(body, path)
        value = None if part is None else answers.read_json(part)
    except ValueError:
        value = None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_RECORDS:
        raise Rejected(f"PSCloud's answer holds no usable count named {path}. {ASK_ADMINISTRATOR}")
    return value

"""Pages that were read before: their bytes are recognised, so that the list in them need not be read again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page of an earlier run: where the list of records stood in its bytes, the list's digest, and how many records it held."""

    start: int
    length: int
    digest: str
    count: int


@dataclass(frozen=True, slots=True)
class Known:
    """The pages that may come again, by number; `seed` makes digests of another profile or release unequal."""

    seed: bytes
    pages: Mapping[int, KnownPage]


NOTHING = Known(b"", {})


def digest(seed: bytes, body: bytes, start: int, length: int) -> str:
    """What tells these bytes of a page from all others; 32 hex characters."""
    made = hashlib.sha256(seed)
    made.update(memoryview(body)[start : start + length])
    return made.hexdigest()[:32]


def mark(page: KnownPage) -> bytes:
    """What stands for the known list in a page that is cut short: JSON, and found nowhere else."""
    return b'["the same as ' + page.digest.encode() + b'"]'


def shortened(body: bytes, page: KnownPage | None, seed: bytes) -> bytes | None:
    """The page with mark() in place of its list, when the list is byte for byte the known one; None when it is not.

    The caller still has to see that the mark stands where the profile says the records are."""
    if page is None or len(body) < page.start + page.length or digest(seed, body, page.start, page.length) != page.digest:
        return None
    return body[: page.start] + mark(page) + body[page.start + page.length :]

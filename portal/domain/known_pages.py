"""Pages that were read before: their bytes are recognised, so that the list in them need not be read again."""

from __future__ import annotations

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

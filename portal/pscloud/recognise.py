"""Recognising a page that was read before by its bytes alone."""

from __future__ import annotations

from cryptography.hazmat.primitives.poly1305 import Poly1305

from portal.domain.known_pages import KnownPage


def digest(seed: bytes, body: bytes, start: int, length: int) -> str:
    """What tells these bytes of a page from all others, as far as chance goes; 32 hex characters. `seed` is 32 bytes.

    Not for bytes that somebody chooses to deceive: PSCloud could simply send what it likes. Two lists that have nothing to do with the
    seed are taken for the same once in 2^80 times, and a page is told four times as fast as by SHA-256."""
    return Poly1305.generate_tag(seed, memoryview(body)[start : start + length]).hex()


def mark(page: KnownPage) -> bytes:
    """What stands for the known list in a page that is cut short: JSON, and found nowhere else."""
    return b'["the same as ' + page.digest.encode() + b'"]'


def shortened(body: bytes, page: KnownPage | None, seed: bytes) -> bytes | None:
    """The page with mark() in place of its list, when the list is byte for byte the known one; None when it is not.

    The caller still has to see that the mark stands where the profile says the records are."""
    if page is None or len(body) < page.start + page.length or digest(seed, body, page.start, page.length) != page.digest:
        return None
    return body[: page.start] + mark(page) + body[page.start + page.length :]

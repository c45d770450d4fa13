"""JSON made small for a slow line."""

from __future__ import annotations

import gzip
from functools import lru_cache

import brotli
import msgspec


def packed(value: object, way: str | None) -> bytes:
    """`value` as JSON, compressed with `br` or `gzip`, or as it is when `way` is None. Brotli 5: beyond it each kilobyte costs too long."""
    body = msgspec.json.encode(value)
    if way == "br":
        return bytes(brotli.compress(body, quality=5))
    return gzip.compress(body, 6, mtime=0) if way == "gzip" else body


@lru_cache(maxsize=256)
def small(content: bytes, way: str) -> bytes:
    """A file's bytes as small as they get, by `br` or `gzip`. It takes its time, once for each file in each process."""
    return bytes(brotli.compress(content, quality=11)) if way == "br" else gzip.compress(content, 9, mtime=0)

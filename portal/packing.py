"""JSON made small for a slow line."""

from __future__ import annotations

import gzip

import brotli
import msgspec


def packed(value: object, way: str | None) -> bytes:
    """`value` as JSON, compressed with `br` or `gzip`, or as it is when `way` is None. Brotli 5: beyond it each kilobyte costs too long."""
    body = msgspec.json.encode(value)
    if way == "br":
        return bytes(brotli.compress(body, quality=5))
    return gzip.compress(body, 6, mtime=0) if way == "gzip" else body

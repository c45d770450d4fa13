"""Which parts of the database the models do not describe, because only one of the two databases has them."""

from __future__ import annotations

from typing import Any


def described(_item: Any, name: str | None, _kind: str, _reflected: bool, _compared: Any) -> bool:
    """False for the search index: FTS5 tables on SQLite, a GIN index on PostgreSQL (migration 0006)."""
    return not (name or "").startswith(("soa_search", "ix_soas_search"))

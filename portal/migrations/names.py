"""Which parts of the database cannot be compared with the models: only one database has them, or SQLite does not tell of them."""

from __future__ import annotations

from typing import Any


def described(_item: Any, name: str | None, _kind: str, _reflected: bool, _compared: Any) -> bool:
    """False for the search index (FTS5 tables on SQLite, GIN on PostgreSQL) and for an index over an expression (migration 0006)."""
    return not (name or "").startswith(("soa_search", "ix_soas_search", "ix_soas_list_code", "ix_payments_lower_reference"))

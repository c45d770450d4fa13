"""One consistent view of the database for a read that takes several queries."""

from __future__ import annotations

from portal.extensions import db


def begin() -> None:
    """Start a new transaction in which every query sees the same moment. Call it before anything was written."""
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

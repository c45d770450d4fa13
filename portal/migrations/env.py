"""Runs migrations on the app's own engine; one at a time, also when several processes start at once."""

from __future__ import annotations

from alembic import context
from flask import current_app
from sqlalchemy import text

from portal.migrations.names import described
from portal.store.types import Instant, Pesos

database = current_app.extensions["migrate"].db


def plain_type(kind: str, item: object, _context: object) -> str | bool:
    """Write our column types into a migration as what they are in the database, so that it never changes with our code."""
    if kind == "type" and isinstance(item, Pesos):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    """Upgrade inside one transaction, so that an interrupted migration leaves the old schema."""
    if context.is_offline_mode():
        raise SystemExit("Migrations run against a live database only.")
    with database.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(7216001)"))
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=plain_type,
            include_object=described,
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()

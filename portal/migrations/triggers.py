"""Rules that the database itself holds, whatever program writes to it."""

from __future__ import annotations

from alembic import op


def refuse(name: str, event: str, table: str, when: str, message: str) -> None:
    """One trigger that refuses, in the words of either database."""
    if op.get_bind().dialect.name == "sqlite":
        condition = f"WHEN {when}" if when else ""
        op.execute(f"CREATE TRIGGER {name} {event} ON {table} {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END")
    else:
        condition = f"WHEN ({when})" if when else ""
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} {event} ON {table} FOR EACH ROW {condition} EXECUTE FUNCTION {name}()")

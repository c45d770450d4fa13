"""lists"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEY = "status, due_date, with_penalty"
SUMS = ("count", "amount_due", "penalty")


def upgrade() -> None:
    op.create_table(
        "soa_day_totals",
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("with_penalty", sa.Boolean(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("penalty", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("status", "due_date", "with_penalty", name=op.f("pk_soa_day_totals")),
        sqlite_with_rowid=False,
    )
    sums = ", ".join(f"sum({name})" for name in SUMS)
    op.execute(f"INSERT INTO soa_day_totals SELECT {KEY}, {sums} FROM soa_totals GROUP BY {KEY}")  # noqa: S608 - our own names
    if op.get_bind().dialect.name == "sqlite":
        follow_on_sqlite()
    else:
        follow_on_postgresql()


def add(what: str) -> str:
    """SQL that adds rows to the totals of their days."""
    sums = ", ".join(f"{name} = soa_day_totals.{name} + excluded.{name}" for name in SUMS)
    return f"INSERT INTO soa_day_totals ({KEY}, {', '.join(SUMS)}) {what} ON CONFLICT ({KEY}) DO UPDATE SET {sums};"


def follow_on_sqlite() -> None:
    """Triggers that keep the totals of a day equal to those of its codes, whoever writes."""

    def row(name: str, sign: str) -> str:
        key = ", ".join(f"{name}.{column.strip()}" for column in KEY.split(","))
        return add(f"VALUES ({key}, {', '.join(f'{sign}{name}.{column}' for column in SUMS)})")

    for event, body in (("insert", row("NEW", "")), ("delete", row("OLD", "-")), ("update", row("OLD", "-") + row("NEW", ""))):
        op.execute(f"CREATE TRIGGER soa_day_totals_{event} AFTER {event.upper()} ON soa_totals BEGIN {body} END")


def follow_on_postgresql() -> None:
    """The same for all rows of a statement at once."""

    def rows(name: str, sign: str) -> str:
        sums = ", ".join(f"{sign}sum({column})" for column in SUMS)
        return add(f"SELECT {KEY}, {sums} FROM {name} GROUP BY {KEY} ORDER BY {KEY}")  # noqa: S608 - our own names

    before, after = "OLD TABLE AS before", "NEW TABLE AS after"
    for event, seen, body in (
        ("insert", after, rows("after", "")),
        ("delete", before, rows("before", "-")),
        ("update", f"{before} {after}", rows("before", "-") + rows("after", "")),
    ):
        name = f"soa_day_totals_{event}"
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event.upper()} ON soa_totals REFERENCING {seen} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
    name = "soa_day_totals_truncate"
    empty = "DELETE FROM soa_day_totals; RETURN NULL;"
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {empty} END $$")
    op.execute(f"CREATE TRIGGER {name} AFTER TRUNCATE ON soa_totals FOR EACH STATEMENT EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""lists"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SUMS = ("count", "amount_due", "penalty")
DAYS, MONTHS = "soa_day_totals", "soa_month_totals"


def upgrade() -> None:
    for table, period in ((DAYS, "due_date"), (MONTHS, "month")):
        op.create_table(
            table,
            sa.Column("status", sa.String(length=10), nullable=False),
            sa.Column(period, sa.Date(), nullable=False),
            sa.Column("with_penalty", sa.Boolean(), nullable=False),
            sa.Column("count", sa.Integer(), nullable=False),
            sa.Column("amount_due", sa.BigInteger(), nullable=False),
            sa.Column("penalty", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("status", period, "with_penalty", name=op.f(f"pk_{table}")),
            sqlite_with_rowid=False,
        )
    sqlite = op.get_bind().dialect.name == "sqlite"
    follow = follow_on_sqlite if sqlite else follow_on_postgresql
    follow("soa_totals", DAYS, "due_date", "{row}due_date")
    follow(DAYS, MONTHS, "month", "date({row}due_date, 'start of month')" if sqlite else "date_trunc('month', {row}due_date)::date")
    sums = ", ".join(f"sum({name})" for name in SUMS)
    op.execute(add(DAYS, "due_date", f"SELECT status, due_date, with_penalty, {sums} FROM soa_totals WHERE true GROUP BY 1, 2, 3"))  # noqa: S608

    op.drop_index("ix_soas_account_number", "soas")
    op.create_index("ix_soas_list_account", "soas", ["status", "account_number", "id"])


def add(table: str, period: str, rows: str) -> str:
    """SQL that adds rows to the totals of their day or month."""
    key = f"status, {period}, with_penalty"
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    return f"INSERT INTO {table} ({key}, {', '.join(SUMS)}) {rows} ON CONFLICT ({key}) DO UPDATE SET {sums};"


def follow_on_sqlite(source: str, table: str, period: str, moment: str) -> None:
    """Triggers that keep the totals of a day or month equal to what they are added up from, whoever writes."""

    def row(name: str, sign: str) -> str:
        sums = ", ".join(f"{sign}{name}.{column}" for column in SUMS)
        return add(table, period, f"VALUES ({name}.status, {moment.format(row=f'{name}.')}, {name}.with_penalty, {sums})")

    for event, body in (("insert", row("NEW", "")), ("delete", row("OLD", "-")), ("update", row("OLD", "-") + row("NEW", ""))):
        op.execute(f"CREATE TRIGGER {table}_{event} AFTER {event.upper()} ON {source} BEGIN {body} END")


def follow_on_postgresql(source: str, table: str, period: str, moment: str) -> None:
    """The same for all rows of a statement at once."""

    def rows(name: str, sign: str) -> str:
        sums = ", ".join(f"{sign}sum({column})" for column in SUMS)
        chosen = f"SELECT status, {moment.format(row='')}, with_penalty, {sums} FROM {name}"  # noqa: S608 - our own names
        return add(table, period, f"{chosen} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")

    before, after = "OLD TABLE AS before", "NEW TABLE AS after"
    for event, seen, body in (
        ("insert", after, rows("after", "")),
        ("delete", before, rows("before", "-")),
        ("update", f"{before} {after}", rows("before", "-") + rows("after", "")),
        ("truncate", "", f"TRUNCATE {table};"),
    ):
        name = f"{table}_{event}"
        told = f"REFERENCING {seen}" if seen else ""
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
        op.execute(f"CREATE TRIGGER {name} AFTER {event.upper()} ON {source} {told} FOR EACH STATEMENT EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

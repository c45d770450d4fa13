"""Keep the totals of all time too, of everybody and of each collector

The totals and tabs above the payment list were added up from a row a month and kind, those of one collector from a row a day and kind,
which took as long as the page itself. Triggers keep what they are over all time, as those of days and months are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE = "payment_ever_totals"
SUMS = ("count", "amount", "vat_amount")
TEXTS = {"tender": 14, "status": 12, "void": 10, "flags": 300}
KEY = ("user_id", *TEXTS)
EVERYBODY = "-1"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("user_id", sa.Integer(), nullable=False),
        *(sa.Column(name, plain(length), nullable=False) for name, length in TEXTS.items()),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("vat_amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name=op.f(f"pk_{TABLE}")),
        sqlite_with_rowid=False,
    )
    op.execute(rows("payment_totals", "user_id"))
    op.execute(rows("payment_totals", EVERYBODY))
    follow = follow_on_sqlite if op.get_bind().dialect.name == "sqlite" else follow_on_postgresql
    follow()


def plain(length: int) -> sa.String:
    return sa.String(length=length).with_variant(sa.String(length=length, collation="C"), "postgresql")


def add(values: str) -> str:
    """SQL that adds rows to the totals."""
    sums = ", ".join(f"{name} = {TABLE}.{name} + excluded.{name}" for name in SUMS)
    return f"INSERT INTO {TABLE} ({', '.join(KEY)}, {', '.join(SUMS)}) {values} ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {sums};"


def rows(source: str, user: str, sign: str = "") -> str:
    """SQL that adds all rows of a table, each to its collector's or all to everybody's; `WHERE true` tells SQLite that what follows is no
    join."""
    sums = ", ".join(f"{sign}sum({name})" for name in SUMS)
    chosen = f"SELECT {user}, {', '.join(TEXTS)}, {sums} FROM {source} WHERE true"  # noqa: S608 - our own names
    return add(f"{chosen} GROUP BY {', '.join(('user_id', *TEXTS) if user == 'user_id' else TEXTS)} ORDER BY 1, 2, 3, 4, 5")


def follow_on_sqlite() -> None:
    """Triggers that keep the totals equal to what they are added up from, whoever writes."""

    def row(name: str, sign: str) -> str:
        rest = ", ".join((*(f"{name}.{column}" for column in TEXTS), *(f"{sign}{name}.{column}" for column in SUMS)))
        return add(f"VALUES ({name}.user_id, {rest}), ({EVERYBODY}, {rest})")

    for event, body in (("insert", row("NEW", "")), ("delete", row("OLD", "-")), ("update", row("OLD", "-") + row("NEW", ""))):
        op.execute(f"CREATE TRIGGER {TABLE}_{event} AFTER {event.upper()} ON payment_totals BEGIN {body} END")


def follow_on_postgresql() -> None:
    """The same for all rows of a statement at once."""

    def both(name: str, sign: str) -> str:
        return rows(name, "user_id", sign) + rows(name, EVERYBODY, sign)

    before, after = "OLD TABLE AS before", "NEW TABLE AS after"
    for event, seen, body in (
        ("insert", after, both("after", "")),
        ("delete", before, both("before", "-")),
        ("update", f"{before} {after}", both("before", "-") + both("after", "")),
        ("truncate", "", f"TRUNCATE {TABLE};"),
    ):
        name = f"{TABLE}_{event}"
        told = f"REFERENCING {seen}" if seen else ""
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$")
        op.execute(f"CREATE TRIGGER {name} AFTER {event.upper()} ON payment_totals {told} FOR EACH STATEMENT EXECUTE FUNCTION {name}()")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

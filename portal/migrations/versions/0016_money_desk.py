"""Keep what the payment list counts, and give it indexes in its own order

The totals above the list and its tabs were counted from all payments for each page. They are kept now, as those of the SOA list are: by
what the list filters on, of each collector; triggers add them up by day and month. The list is in the order of business dates, so that
dates, collector, status and tender each have an index that begins where a page begins.

Checks, e-wallet payments and bank transfers get a place of their own, with every move from the collector's hand to the bank, and so do the
deposits that cash and checks are brought to the bank with. Each attempt to post a payment is kept with PSCloud's answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SUMS = ("count", "amount", "vat_amount")
KEY = ("tender", "status", "void", "flags")
DAYS, MONTHS = "payment_day_totals", "payment_month_totals"
ORDER = ["business_date", "received_at", "claimed_receipt_number", "id"]


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    add_totals(sqlite)
    reorder_list(sqlite)
    add_papers()
    add_attempts()


def plain(length: int) -> sa.String:
    return sa.String(length=length).with_variant(sa.String(length=length, collation="C"), "postgresql")


def add_totals(sqlite: bool) -> None:
    for table, period in (("payment_totals", ("user_id", "business_date")), (DAYS, ("business_date",)), (MONTHS, ("month",))):
        op.create_table(
            table,
            *(sa.Column(name, sa.Integer() if name == "user_id" else sa.Date(), nullable=False) for name in period),
            *(sa.Column(name, plain(length), nullable=False) for name, length in zip(KEY, (14, 12, 10, 300), strict=True)),
            sa.Column("count", sa.Integer(), nullable=False),
            sa.Column("amount", sa.BigInteger(), nullable=False),
            sa.Column("vat_amount", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint(*period, *KEY, name=op.f(f"pk_{table}")),
            sqlite_with_rowid=False,
        )
    follow = follow_on_sqlite if sqlite else follow_on_postgresql
    follow("payment_totals", DAYS, "business_date", "{row}business_date")
    month = "date({row}business_date, 'start of month')" if sqlite else "date_trunc('month', {row}business_date)::date"
    follow(DAYS, MONTHS, "month", month)
    if sqlite:
        flags = (
            "SELECT payment_id, ',' || group_concat(flag, ',') || ',' AS flags FROM "
            "(SELECT payment_id, flag FROM payment_flags ORDER BY payment_id, flag) GROUP BY payment_id"
        )
    else:
        flags = (
            "SELECT payment_id, ',' || string_agg(flag, ',' ORDER BY flag COLLATE \"C\") || ',' AS flags FROM payment_flags "
            "GROUP BY payment_id"
        )
    op.execute(
        "INSERT INTO payment_totals (user_id, business_date, tender, status, void, flags, count, amount, vat_amount) "  # noqa: S608
        "SELECT p.user_id, p.business_date, p.tender, p.status, coalesce(v.state, ''), coalesce(f.flags, ''), count(*), sum(p.amount), "
        "sum(p.vat_amount) FROM payments p LEFT JOIN voids v ON v.payment_id = p.id AND v.state <> 'refused' "
        f"LEFT JOIN ({flags}) f ON f.payment_id = p.id GROUP BY 1, 2, 3, 4, 5, 6"
    )


def add(table: str, period: str, rows: str) -> str:
    """SQL that adds rows to the totals of their day or month."""
    key = ", ".join((period, *KEY))
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    return f"INSERT INTO {table} ({key}, {', '.join(SUMS)}) {rows} ON CONFLICT ({key}) DO UPDATE SET {sums};"


def follow_on_sqlite(source: str, table: str, period: str, moment: str) -> None:
    """Triggers that keep the totals of a day or month equal to what they are added up from, whoever writes."""

    def row(name: str, sign: str) -> str:
        key = ", ".join(f"{name}.{column}" for column in KEY)
        sums = ", ".join(f"{sign}{name}.{column}" for column in SUMS)
        return add(table, period, f"VALUES ({moment.format(row=f'{name}.')}, {key}, {sums})")

    for event, body in (("insert", row("NEW", "")), ("delete", row("OLD", "-")), ("update", row("OLD", "-") + row("NEW", ""))):
        op.execute(f"CREATE TRIGGER {table}_{event} AFTER {event.upper()} ON {source} BEGIN {body} END")


def follow_on_postgresql(source: str, table: str, period: str, moment: str) -> None:
    """The same for all rows of a statement at once."""

    def rows(name: str, sign: str) -> str:
        sums = ", ".join(f"{sign}sum({column})" for column in SUMS)
        chosen = f"SELECT {moment.format(row='')}, {', '.join(KEY)}, {sums} FROM {name}"  # noqa: S608 - our own names
        return add(table, period, f"{chosen} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5")

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


def reorder_list(sqlite: bool) -> None:
    for name in ("ix_payments_list", "ix_payments_status", "ix_payments_business_date", "ix_payments_user_id"):
        op.drop_index(name, "payments")
    op.create_index("ix_payments_list", "payments", ORDER)
    op.create_index("ix_payments_status", "payments", ["status", *ORDER])
    op.create_index("ix_payments_collector", "payments", ["user_id", *ORDER])
    not_cash = sa.text("tender <> 'cash'")
    op.create_index("ix_payments_tender", "payments", ["tender", *ORDER], sqlite_where=not_cash, postgresql_where=not_cash)
    if not sqlite:  # what begins with the letters typed so far; equality is found by it too
        op.drop_index("ix_payments_lower_reference", "payments")
        op.execute("CREATE INDEX ix_payments_lower_reference ON payments (lower(reference) text_pattern_ops)")


STATES = "'received', 'deposited', 'cleared', 'bounced', 'settled', 'unverified', 'verified', 'not_found'"


def add_papers() -> None:
    op.create_table(
        "papers",
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("tender", plain(14), nullable=False),
        sa.Column("state", plain(12), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_by", sa.String(length=60), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_papers_state")),
        sa.CheckConstraint("tender <> 'cash'", name=op.f("ck_papers_tender")),
        sa.CheckConstraint("(tender = 'check') = (state NOT IN ('unverified', 'verified', 'not_found'))", name=op.f("ck_papers_of_tender")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_papers_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_papers")),
    )
    op.create_index("ix_papers_list", "papers", ["tender", "state", "due_on", "payment_id", "amount"])
    op.create_table(
        "deposits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", plain(12), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("bank_account", sa.String(length=120), nullable=False),
        sa.Column("slip_number", sa.String(length=60), nullable=False),
        sa.Column("deposited_on", sa.Date(), nullable=False),
        sa.Column("cash", sa.BigInteger(), nullable=False),
        sa.Column("checks", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(length=60), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("total = cash + checks AND cash >= 0 AND checks >= 0 AND total > 0", name=op.f("ck_deposits_total")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposits")),
        sa.UniqueConstraint("bank_account", "slip_number", name="uq_deposits_slip"),
        sa.UniqueConstraint("number", name=op.f("uq_deposits_number")),
        sa.UniqueConstraint("request_id", name=op.f("uq_deposits_request_id")),
    )
    op.create_index(op.f("ix_deposits_deposited_on"), "deposits", ["deposited_on"])
    op.create_table(
        "paper_moves",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=60), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("deposit_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_paper_moves_state")),
        sa.ForeignKeyConstraint(["payment_id"], ["papers.payment_id"], name=op.f("fk_paper_moves_payment_id")),
        sa.ForeignKeyConstraint(["deposit_id"], ["deposits.id"], name=op.f("fk_paper_moves_deposit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_moves")),
    )
    op.create_index(op.f("ix_paper_moves_payment_id"), "paper_moves", ["payment_id"])
    for name, column, where in (("deposit_cash", "remittance_id", "remittances.id"), ("deposit_checks", "payment_id", "papers.payment_id")):
        kind = sa.Integer() if column == "remittance_id" else sa.String(length=36)
        checks = [sa.CheckConstraint("amount > 0", name=op.f(f"ck_{name}_amount"))] if name == "deposit_cash" else []
        op.create_table(
            name,
            sa.Column("deposit_id", sa.Integer(), nullable=False),
            sa.Column(column, kind, nullable=False),
            sa.Column("amount", sa.BigInteger(), nullable=False),
            *checks,
            sa.ForeignKeyConstraint(["deposit_id"], ["deposits.id"], name=op.f(f"fk_{name}_deposit_id")),
            sa.ForeignKeyConstraint([column], [where], name=op.f(f"fk_{name}_{column}")),
            sa.PrimaryKeyConstraint("deposit_id", column, name=op.f(f"pk_{name}")),
        )
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column])
    op.execute(
        "INSERT INTO papers (payment_id, tender, state, due_on, amount, state_at, state_by, note) SELECT id, tender, "
        "CASE WHEN tender = 'check' THEN 'received' ELSE 'unverified' END, business_date, amount, received_at, '', '' FROM payments "
        "WHERE tender <> 'cash'"
    )
    for table in ("paper_moves", "deposits", "deposit_cash", "deposit_checks"):
        refuse(f"{table}_is_never_deleted", "BEFORE DELETE", table, "", f"rows of {table} are never deleted")
        refuse(f"{table}_is_written_once", "BEFORE UPDATE", table, "", f"rows of {table} are never changed")
    refuse("papers_is_never_deleted", "BEFORE DELETE", "papers", "", "rows of papers are never deleted")


def add_attempts() -> None:
    op.create_table(
        "posting_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.CheckConstraint("outcome IN ('completed', 'failed', 'postponed')", name=op.f("ck_posting_attempts_outcome")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_posting_attempts_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posting_attempts")),
    )
    op.create_index(op.f("ix_posting_attempts_payment_id"), "posting_attempts", ["payment_id"])
    refuse("posting_attempts_is_never_deleted", "BEFORE DELETE", "posting_attempts", "", "rows of posting_attempts are never deleted")
    refuse("posting_attempts_is_written_once", "BEFORE UPDATE", "posting_attempts", "", "rows of posting_attempts are never changed")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

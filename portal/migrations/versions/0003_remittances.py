"""Which Z-reading each payment is in, late ones too; remittances"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reading_payments",
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_reading_payments_payment_id")),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name=op.f("fk_reading_payments_reading_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_reading_payments")),
    )
    op.create_index(op.f("ix_reading_payments_reading_id"), "reading_payments", ["reading_id"], unique=False)
    op.create_table(
        "remittances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(length=12).with_variant(sa.String(length=12, collation="C"), "postgresql"), nullable=False),
        sa.Column("request_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("received_by", sa.String(length=60), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("denominations", sa.Text(), nullable=False),
        sa.Column("expected_cash", sa.BigInteger(), nullable=False),
        sa.Column("collector_count", sa.BigInteger(), nullable=True),
        sa.Column("counted_cash", sa.BigInteger(), nullable=False),
        sa.Column("variance", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.CheckConstraint("variance = counted_cash - expected_cash", name=op.f("ck_remittances_variance")),
        sa.CheckConstraint("variance = 0 OR reason <> ''", name=op.f("ck_remittances_reason")),
        sa.CheckConstraint("state IN ('received', 'waiting', 'approved')", name=op.f("ck_remittances_state")),
        sa.CheckConstraint("variance >= 0 OR state <> 'received'", name=op.f("ck_remittances_shortage")),
        sa.CheckConstraint("(state = 'approved') = (decided_by IS NOT NULL)", name=op.f("ck_remittances_decided")),
        sa.CheckConstraint("decided_by IS NULL OR decided_by <> received_by", name=op.f("ck_remittances_two_people")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_remittances_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittances")),
        sa.UniqueConstraint("number", name=op.f("uq_remittances_number")),
        sa.UniqueConstraint("request_id", name=op.f("uq_remittances_request_id")),
    )
    for column in ("user_id", "received_at", "state"):
        op.create_index(op.f(f"ix_remittances_{column}"), "remittances", [column], unique=False)
    op.create_table(
        "remittance_lines",
        sa.Column("remittance_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tender", sa.String(length=14), nullable=False),
        sa.Column("channel", sa.String(length=60), nullable=True),
        sa.Column("expected_count", sa.Integer(), nullable=False),
        sa.Column("expected_amount", sa.BigInteger(), nullable=False),
        sa.Column("received_count", sa.Integer(), nullable=False),
        sa.Column("received_amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("tender IN ('check', 'e_wallet', 'bank_transfer')", name=op.f("ck_remittance_lines_tender")),
        sa.ForeignKeyConstraint(["remittance_id"], ["remittances.id"], name=op.f("fk_remittance_lines_remittance_id")),
        sa.PrimaryKeyConstraint("remittance_id", "position", name=op.f("pk_remittance_lines")),
    )
    op.create_table(
        "remittance_readings",
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("remittance_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name=op.f("fk_remittance_readings_reading_id")),
        sa.ForeignKeyConstraint(["remittance_id"], ["remittances.id"], name=op.f("fk_remittance_readings_remittance_id")),
        sa.PrimaryKeyConstraint("reading_id", name=op.f("pk_remittance_readings")),
    )
    op.create_index(op.f("ix_remittance_readings_remittance_id"), "remittance_readings", ["remittance_id"], unique=False)
    take_over()
    protect()


def take_over() -> None:
    """Name the Z-reading of every payment that stood in the books when its registry was closed; what came later waits for the next Z."""
    op.execute(
        "INSERT INTO reading_payments (payment_id, reading_id, late) SELECT p.id, r.id, (1 = 0) FROM payments p "
        "JOIN journal_entries e ON e.terminal_id = p.terminal_id AND e.seq = p.journal_seq AND e.hash = p.entry_hash "
        "JOIN readings r ON r.terminal_id = p.terminal_id AND r.registry_id = p.registry_id AND r.kind = 'Z' "
        "AND p.journal_seq < r.journal_seq AND p.received_at <= r.received_at"
    )


WRITTEN_ONCE = ("reading_payments", "remittance_lines", "remittance_readings")
FACTS_OF_A_REMITTANCE = (
    "id, number, request_id, user_id, received_by, received_at, denominations, "
    "expected_cash, collector_count, counted_cash, variance, reason"
)


def protect() -> None:
    """What was counted and received stays as it was written; a decision is taken once."""
    for table in (*WRITTEN_ONCE, "remittances"):
        refuse(f"{table}_is_never_deleted", "BEFORE DELETE", table, "", f"rows of {table} are never deleted")
    for table in WRITTEN_ONCE:
        refuse(f"{table}_is_written_once", "BEFORE UPDATE", table, "", f"rows of {table} are never changed")
    facts = f"BEFORE UPDATE OF {FACTS_OF_A_REMITTANCE}"
    refuse("facts_of_a_remittance", facts, "remittances", "", "the facts of a remittance are never changed")
    refuse("decision_on_a_remittance", "BEFORE UPDATE", "remittances", "OLD.state <> 'waiting'", "a remittance is decided once")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

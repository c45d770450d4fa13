"""Expenses that wait for a decision, their photos, and cash drops: until now they were journal entries without an effect of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables of expenses, their photos and cash drops, with the rules the database itself holds."""
    op.create_table(
        "expenses",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("registry_id", sa.String(length=36), nullable=False),
        sa.Column("journal_seq", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.String(length=60), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("counted_registry_id", sa.String(length=36), nullable=True),
        sa.Column("counted_seq", sa.Integer(), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_expenses_amount")),
        sa.CheckConstraint("state IN ('requested', 'approved', 'refused')", name=op.f("ck_expenses_state")),
        sa.CheckConstraint("(state = 'requested') = (decided_at IS NULL)", name=op.f("ck_expenses_decided_at")),
        sa.CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name=op.f("ck_expenses_decided_by")),
        sa.CheckConstraint(
            "counted_seq IS NULL OR (state <> 'requested' AND counted_registry_id IS NOT NULL)", name=op.f("ck_expenses_counted")
        ),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_expenses_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_expenses_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expenses")),
        sa.UniqueConstraint("terminal_id", "journal_seq", name=op.f("uq_expenses_place")),
    )
    op.create_index(op.f("ix_expenses_counted_registry_id"), "expenses", ["counted_registry_id"])
    op.create_index("ix_expenses_state", "expenses", ["state", "spent_at", "id"])
    op.create_index("ix_expenses_spent_at", "expenses", ["spent_at", "id"])
    op.create_table(
        "expense_photos",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("expense_id", sa.String(length=36), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("size > 0 AND width > 0 AND height > 0", name=op.f("ck_expense_photos_size")),
        sa.ForeignKeyConstraint(["expense_id"], ["expenses.id"], name=op.f("fk_expense_photos_expense_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expense_photos")),
    )
    op.create_index(op.f("ix_expense_photos_expense_id"), "expense_photos", ["expense_id"])
    op.create_table(
        "cash_drops",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("registry_id", sa.String(length=36), nullable=False),
        sa.Column("journal_seq", sa.Integer(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("given_to", sa.String(length=100), nullable=False),
        sa.Column("reference", sa.String(length=60), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_cash_drops_amount")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_cash_drops_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_cash_drops_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cash_drops")),
        sa.UniqueConstraint("terminal_id", "journal_seq", name=op.f("uq_cash_drops_place")),
    )
    op.create_index("ix_cash_drops_dropped_at", "cash_drops", ["dropped_at", "id"])
    for table in ("expenses", "expense_photos", "cash_drops"):
        refuse(f"{table}_is_never_deleted", "BEFORE DELETE", table, "", f"rows of {table} are never deleted")
    for table in ("expense_photos", "cash_drops"):
        refuse(f"{table}_is_never_changed", "BEFORE UPDATE", table, "", f"rows of {table} are never changed")
    facts = "id, terminal_id, user_id, registry_id, journal_seq, amount, category, description, spent_at, received_at"
    refuse("facts_of_an_expense", f"BEFORE UPDATE OF {facts}", "expenses", "", "the facts of an expense are never changed")
    refuse(
        "decision_of_an_expense",
        "BEFORE UPDATE OF state, decided_by, decided_at, decision_reason",
        "expenses",
        "OLD.state <> 'requested'",
        "the decision of an expense is never changed",
    )
    refuse(
        "place_of_an_expense",
        "BEFORE UPDATE OF counted_registry_id, counted_seq",
        "expenses",
        "OLD.counted_seq IS NOT NULL",
        "where the journal wrote an expense down is never changed",
    )


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

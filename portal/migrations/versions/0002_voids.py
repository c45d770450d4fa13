"""voids"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "voids",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("void_number", sa.String(length=20), nullable=False),
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("registry_id", sa.String(length=36), nullable=False),
        sa.Column("journal_seq", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=False),
        sa.Column("counted_registry_id", sa.String(length=36), nullable=True),
        sa.Column("counted_seq", sa.Integer(), nullable=True),
        sa.Column("posting_status", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("last_answer", sa.Text(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('requested', 'approved', 'refused')", name=op.f("ck_voids_state")),
        sa.CheckConstraint("(state = 'requested') = (decided_at IS NULL)", name=op.f("ck_voids_decided_at")),
        sa.CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name=op.f("ck_voids_decided_by")),
        sa.CheckConstraint(
            "counted_seq IS NULL OR (state <> 'requested' AND counted_registry_id IS NOT NULL)", name=op.f("ck_voids_counted")
        ),
        sa.CheckConstraint("posting_status IN ('none', 'due', 'claimed', 'completed', 'failed')", name=op.f("ck_voids_posting_status")),
        sa.CheckConstraint("posting_status = 'none' OR state = 'approved'", name=op.f("ck_voids_posted")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_voids_payment_id")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_voids_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_voids_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voids")),
        sa.UniqueConstraint("void_number", name=op.f("uq_voids_void_number")),
    )
    for column in ("terminal_id", "payment_id", "registry_id", "counted_registry_id", "lease"):
        op.create_index(op.f(f"ix_voids_{column}"), "voids", [column])
    op.create_index("ix_voids_due", "voids", ["posting_status", "next_attempt_at"])
    op.create_index("ix_voids_state", "voids", ["state", "id"])
    not_refused = sa.text("state <> 'refused'")
    op.create_index("ux_voids_open", "voids", ["payment_id"], unique=True, sqlite_where=not_refused, postgresql_where=not_refused)
    refuse("voids_is_never_deleted", "BEFORE DELETE", "voids", "", "rows of voids are never deleted")
    facts = "id, terminal_id, void_number, payment_id, user_id, registry_id, journal_seq, reason, requested_at, received_at"
    refuse("facts_of_a_void", f"BEFORE UPDATE OF {facts}", "voids", "", "the facts of a void are never changed")
    refuse(
        "decision_of_a_void",
        "BEFORE UPDATE OF state, decided_by, decided_at, decision_reason",
        "voids",
        "OLD.state <> 'requested'",
        "the decision of a void is never changed",
    )
    refuse(
        "place_of_a_void",
        "BEFORE UPDATE OF counted_registry_id, counted_seq",
        "voids",
        "OLD.counted_seq IS NOT NULL",
        "where the journal wrote a void down is never changed",
    )
    refuse("last_void_of_a_terminal", "BEFORE UPDATE", "terminals", "NEW.last_void < OLD.last_void", "void numbers never go back")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""visits without money"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "visits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("journal_seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("soa_id", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("promised_on", sa.Date(), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("visited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('no_collection', 'promise')", name=op.f("ck_visits_kind")),
        sa.CheckConstraint("(kind = 'promise') = (promised_on IS NOT NULL)", name=op.f("ck_visits_promised_on")),
        sa.CheckConstraint("amount IS NULL OR (kind = 'promise' AND amount > 0)", name=op.f("ck_visits_amount")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_visits_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_visits_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        sa.UniqueConstraint("terminal_id", "journal_seq", name=op.f("uq_visits_terminal_id_journal_seq")),
    )
    op.create_index("ix_visits_soa", "visits", ["soa_id", "id"])
    op.create_index("ix_visits_kind", "visits", ["kind", "id"])
    op.create_index("ix_visits_promised", "visits", ["promised_on", "id"])
    refuse("visits_is_never_deleted", "BEFORE DELETE", "visits", "", "rows of visits are never deleted")
    refuse("visits_is_never_changed", "BEFORE UPDATE", "visits", "", "rows of visits are never changed")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

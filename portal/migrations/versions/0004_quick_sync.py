"""quick sync, and what must be known after the database was put back from a backup"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain ADD COLUMN: a batch would rebuild a table that others refer to.
    kind = sa.CheckConstraint("kind IN ('full', 'quick')", name=op.f("ck_sync_runs_kind"))
    op.add_column("sync_runs", sa.Column("kind", sa.String(length=8), kind, nullable=False, server_default="full"))
    op.add_column("sync_runs", sa.Column("watermark", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "restores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=120), nullable=False),
        sa.Column("first_code", sa.Integer(), nullable=False),
        sa.Column("last_code", sa.Integer(), nullable=False),
        sa.CheckConstraint("first_code <= last_code", name=op.f("ck_restores_codes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restores")),
    )
    op.create_table(
        "unasked_payments",
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("next_ask_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_unasked_payments_payment_id_payments")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_unasked_payments")),
    )
    refuse("restores_is_never_deleted", "BEFORE DELETE", "restores", "", "rows of restores are never deleted")
    refuse("restores_is_written_once", "BEFORE UPDATE", "restores", "", "rows of restores are never changed")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""Indexes for what pages ask every so often: changes of a download by kind, what is in no Z-reading yet, a drop nobody has decided"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Pages that renew themselves must not walk tables that grow for ever. Three of the indexes hold only the few rows they are for."""
    op.drop_index("ix_soa_changes_run_id", "soa_changes")
    op.create_index("ix_soa_changes_list", "soa_changes", ["run_id", "kind", "id"])
    some: tuple[tuple[str, str, str, str], ...] = (
        ("ix_registries_open", "registries", "id", "z_seq IS NULL"),
        ("ix_payment_flags_late", "payment_flags", "payment_id", "flag = 'late'"),
        ("ix_sync_runs_undecided", "sync_runs", "id", "waiting_to_close > 0"),
    )
    for name, table, column, only in some:
        op.create_index(name, table, [column], sqlite_where=sa.text(only), postgresql_where=sa.text(only))


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""Reports are prepared in the background as long lists are, so an export may be of a report"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Reports are prepared in the background as long lists are, so an export may be of a report."""
    with op.batch_alter_table("exports") as batch_op:
        batch_op.drop_constraint(op.f("ck_exports_kind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_exports_kind"), "kind IN ('soas', 'payments', 'differences', 'report')")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""Find payments by reference in any letter case, and audit rows by person and by day, without reading them all"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_payments_reference", table_name="payments")
    op.create_index("ix_payments_lower_reference", "payments", [sa.text("lower(reference)")])
    for column in ("at", "who"):
        op.create_index(op.f(f"ix_audit_log_{column}"), "audit_log", [column])


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

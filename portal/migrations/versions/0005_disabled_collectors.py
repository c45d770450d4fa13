"""disabled collectors"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("payment_flags") as batch_op:
        batch_op.drop_constraint(op.f("ck_payment_flags_flag"), type_="check")
        batch_op.create_check_constraint(
            op.f("ck_payment_flags_flag"),
            "flag IN ('reallocated', 'over_collected', 'possible_double', 'duplicate_reference', 'stale_soa', 'clock_jump', 'late', "
            "'chain_fork', 'unassigned_account', 'revoked_terminal', 'disabled_collector', 'number_quarantined')",
        )


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

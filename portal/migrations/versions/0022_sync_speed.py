"""What downloads need to be quick"""

from __future__ import annotations

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What downloads need to be quick."""


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""Reports that are made in the background"""

from __future__ import annotations

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Reports that are made in the background."""


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

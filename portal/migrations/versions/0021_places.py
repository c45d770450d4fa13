"""Where a customer lives, as PSCloud sends it"""

from __future__ import annotations

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Where a customer lives, as PSCloud sends it."""


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

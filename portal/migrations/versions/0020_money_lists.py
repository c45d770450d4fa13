"""Lists of payments at a million rows, and the remittance desk"""

from __future__ import annotations

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Lists of payments at a million rows, and the remittance desk."""


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

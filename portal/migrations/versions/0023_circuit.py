"""Whether PSCloud is asked to take payments at all: after failures in a row everybody waits, instead of each finding out by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row for each thing that may be paused; it is there from the beginning, so that it is only ever changed."""
    circuits = op.create_table(
        "circuits",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("open_until", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text(), nullable=False),
    )
    op.bulk_insert(circuits, [{"name": "posting", "failures": 0, "reason": ""}])


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""Office pages: incidents that somebody dealt with, and indexes for what the front page counts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("resolved_by", sa.String(length=60), nullable=True))
    op.add_column("incidents", sa.Column("resolution", sa.Text(), nullable=False, server_default=""))
    waiting = sa.text("resolved_at IS NULL")
    op.create_index("ix_incidents_open", "incidents", ["kind", "id"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index("ix_terminals_state", "terminals", ["state"])


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

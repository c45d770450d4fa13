"""Settings that the office changes itself, how far the audit log's chain was checked, and visits of a day by an index"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=120), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_settings_version")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    checks = op.create_table(
        "audit_checks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("walked", sa.Integer(), nullable=False),
        sa.Column("walked_hash", sa.String(length=64), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("broken_seq", sa.Integer(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_audit_checks_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_checks")),
    )
    op.create_index("ix_visits_visited", "visits", ["visited_at"])
    op.bulk_insert(checks, [{"id": 1, "walked": 0, "walked_hash": "0" * 64, "rows": 0, "problem": ""}])


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

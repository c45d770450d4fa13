"""Sync engine: staging filled in bulk, pages known again, what each download keeps of its work, SOAs that wait to be closed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def plain(length: int) -> sa.String:
    """Text that sorts by code point."""
    return sa.String(length=length).with_variant(sa.String(length=length, collation="C"), "postgresql")


def upgrade() -> None:
    # Plain ADD COLUMN: a batch would rebuild a table that others refer to.
    op.add_column("sync_runs", sa.Column("bytes_read", sa.BigInteger(), nullable=False, server_default="0"))
    for name in ("pages_unchanged", "fetch_ms", "map_ms", "write_ms", "check_ms", "swap_ms", "waiting_to_close"):
        op.add_column("sync_runs", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.add_column("sync_runs", sa.Column("last_change_id", sa.Integer(), nullable=True))
    op.add_column("sync_runs", sa.Column("all_seen", sa.Boolean(), nullable=False, server_default=sa.false()))
    # A run under way is ended: what it has staged goes with the old table.
    op.execute(
        "UPDATE sync_runs SET status = 'failed', active_slot = NULL, lease = NULL, finished_at = heartbeat_at, "
        "error = 'The portal was updated while the download ran. What everybody sees is unchanged; press Sync now.' "
        "WHERE active_slot IS NOT NULL"
    )
    op.drop_table("staged_soas")
    unlogged = {"prefixes": ["UNLOGGED"]} if op.get_bind().dialect.name == "postgresql" else {}
    op.create_table(
        "staged_soas",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("id", plain(100), nullable=False),
        sa.Column("soa_number", plain(100), nullable=False),
        sa.Column("customer_id", plain(100), nullable=False),
        sa.Column("account_number", plain(100), nullable=False),
        sa.Column("customer_name", plain(300), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("contact_number", sa.String(length=60), nullable=False),
        sa.Column("tin", sa.String(length=40), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("penalty", sa.BigInteger(), nullable=False),
        sa.Column("collector_code", plain(40), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("search_text", plain(600), nullable=False),
        **unlogged,
    )
    op.create_table(
        "staged_invoices",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("soa_id", plain(100), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("id", plain(100), nullable=False),
        sa.Column("invoice_number", sa.String(length=100), nullable=False),
        sa.Column("invoice_date", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("penalty", sa.BigInteger(), nullable=False),
        sa.Column("vat_type", sa.String(length=12), nullable=False),
        sa.Column("vat_amount", sa.BigInteger(), nullable=False),
        **unlogged,
    )
    op.create_index(op.f("ix_staged_invoices_soa_id"), "staged_invoices", ["soa_id"], unique=False)
    op.create_table(
        "read_pages",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("seen_by", sa.Integer(), nullable=True),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=True),
        sa.Column("records_count", sa.Integer(), nullable=False),
        sa.Column("records", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_read_pages_run_id")),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_read_pages")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE read_pages ALTER COLUMN records SET STORAGE EXTERNAL")  # digests do not compress
    op.create_table(
        "absent_soas",
        sa.Column("soa_id", plain(100), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_absent_soas_run_id")),
        sa.ForeignKeyConstraint(["soa_id"], ["soas.id"], name=op.f("fk_absent_soas_soa_id")),
        sa.PrimaryKeyConstraint("soa_id", name=op.f("pk_absent_soas")),
    )
    op.create_index(op.f("ix_absent_soas_run_id"), "absent_soas", ["run_id"], unique=False)


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

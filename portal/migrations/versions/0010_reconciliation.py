"""Reconciliation: reports of our books beside PSCloud's, and their differences, which stay as they are"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KINDS = ("equal", "waiting", "different", "only_here", "only_pscloud", "unreadable")
STATUSES = "status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')"
COUNTS = (
    "soas_equal", "soas_different", "soas_only_here", "soas_only_pscloud", "soas_unreadable",
    "payments_equal", "payments_waiting", "payments_different", "payments_only_here", "payments_only_pscloud", "payments_unreadable",
)  # fmt: skip
KEPT = "A finished reconciliation is kept as it is."


def upgrade() -> None:
    plain = sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql")
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_by", sa.String(length=120), nullable=False),
        sa.Column("payments_from", sa.Date(), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("active_slot", sa.Integer(), nullable=True),
        sa.Column("lease", sa.String(length=40), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("phase", sa.String(length=12), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        sa.Column("payments_listed", sa.Boolean(), nullable=False),
        sa.Column("here_count", sa.Integer(), nullable=True),
        sa.Column("here_amount", sa.BigInteger(), nullable=True),
        sa.Column("pscloud_count", sa.Integer(), nullable=True),
        sa.Column("pscloud_amount", sa.BigInteger(), nullable=True),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint(STATUSES, name=op.f("ck_reconciliations_status")),
        sa.CheckConstraint(
            "(active_slot IS NOT NULL) = (status IN ('pending', 'processing'))", name=op.f("ck_reconciliations_active_slot")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliations")),
        sa.UniqueConstraint("active_slot", name=op.f("uq_reconciliations_active_slot")),
    )
    op.create_index("ix_reconciliations_status", "reconciliations", ["status", "id"], unique=False)
    op.create_table(
        "reconciliation_staged",
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("record", sa.String(length=8), nullable=False),
        sa.Column("record_id", plain, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("document", sa.Text(), nullable=True),
        sa.CheckConstraint("record IN ('soa', 'payment')", name=op.f("ck_reconciliation_staged_record")),
        sa.CheckConstraint(f"kind IN ({', '.join(map(repr, KINDS))})", name=op.f("ck_reconciliation_staged_kind")),
        sa.ForeignKeyConstraint(["report_id"], ["reconciliations.id"], name=op.f("fk_reconciliation_staged_report_id")),
        sa.PrimaryKeyConstraint("report_id", "record", "record_id", name=op.f("pk_reconciliation_staged")),
    )
    op.create_table(
        "reconciliation_differences",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("report_id", sa.Integer(), nullable=False),
        sa.Column("record", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("record_id", sa.String(length=100), nullable=False),
        sa.Column("number", sa.String(length=100), nullable=False),
        sa.Column("account_number", sa.String(length=100), nullable=False),
        sa.Column("customer_name", sa.String(length=300), nullable=False),
        sa.Column("amount_here", sa.BigInteger(), nullable=True),
        sa.Column("amount_pscloud", sa.BigInteger(), nullable=True),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("groups", sa.String(length=400), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.CheckConstraint("record IN ('soa', 'payment')", name=op.f("ck_reconciliation_differences_record")),
        sa.CheckConstraint(f"kind IN ({', '.join(map(repr, KINDS[1:]))})", name=op.f("ck_reconciliation_differences_kind")),
        sa.ForeignKeyConstraint(["report_id"], ["reconciliations.id"], name=op.f("fk_reconciliation_differences_report_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_differences")),
    )
    for name, columns in (
        ("list", ["report_id", "record", "kind", "id"]),
        ("report", ["report_id", "id"]),
        ("one", ["report_id", "record", "record_id"]),
    ):
        op.create_index(f"ix_reconciliation_differences_{name}", "reconciliation_differences", columns, unique=False)
    _keep_finished()
    _let_exports_hold_differences()


def _keep_finished() -> None:
    """Refuse what would change a finished report or its differences, in the words of either database."""
    rules = [
        ("reconciliations_kept", "UPDATE", "reconciliations", "OLD.status = 'completed'"),
        ("reconciliations_not_deleted", "DELETE", "reconciliations", "OLD.status = 'completed'"),
        ("reconciliation_differences_unchanged", "UPDATE", "reconciliation_differences", "TRUE"),
    ]
    for event, row in (("INSERT", "NEW"), ("DELETE", "OLD")):
        finished = f"EXISTS (SELECT 1 FROM reconciliations WHERE id = {row}.report_id AND status = 'completed')"  # noqa: S608 - nothing of it comes from outside
        rules.append((f"reconciliation_differences_{event.lower()}", event, "reconciliation_differences", finished))
    for name, event, table, when in rules:
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, '{KEPT}'); END")
            continue
        row = "OLD" if event == "DELETE" else "NEW"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} THEN RAISE EXCEPTION '{KEPT}' "
            f"USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN {row}; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _let_exports_hold_differences() -> None:
    """The differences of a report are a long list like others."""
    with op.batch_alter_table("exports") as batch_op:
        batch_op.drop_constraint(op.f("ck_exports_kind"), type_="check")
        batch_op.create_check_constraint(op.f("ck_exports_kind"), "kind IN ('soas', 'payments', 'differences')")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

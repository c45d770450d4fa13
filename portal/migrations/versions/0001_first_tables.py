"""first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.String(length=120), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=120), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_log")),
    )
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_log_action"), ["action"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_log_subject"), ["subject"], unique=False)

    op.create_table(
        "collector_codes",
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source IN ('pscloud', 'own')", name=op.f("ck_collector_codes_source")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_collector_codes")),
    )
    op.create_table(
        "schedule_slots",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("last_slot", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_schedule_slots")),
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.String(length=12), nullable=False),
        sa.Column("started_by", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("active_slot", sa.Integer(), nullable=True),
        sa.Column("lease", sa.String(length=40), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("succeeded", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("pscloud_count", sa.Integer(), nullable=True),
        sa.Column("pscloud_amount_due", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("(active_slot IS NOT NULL) = (status IN ('pending', 'processing'))", name=op.f("ck_sync_runs_active_slot")),
        sa.CheckConstraint("status IN ('pending', 'processing', 'completed', 'failed', 'cancelled')", name=op.f("ck_sync_runs_status")),
        sa.CheckConstraint("trigger IN ('scheduled', 'manual')", name=op.f("ck_sync_runs_trigger")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
        sa.UniqueConstraint("active_slot", name=op.f("uq_sync_runs_active_slot")),
    )
    with op.batch_alter_table("sync_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sync_runs_requested_at"), ["requested_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sync_runs_status"), ["status"], unique=False)

    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("display_name", sa.String(length=120), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
    )
    op.create_table(
        "code_holdings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_code_holdings_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_holdings")),
    )
    with op.batch_alter_table("code_holdings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_code_holdings_code"), ["code"], unique=False)
        batch_op.create_index(batch_op.f("ix_code_holdings_user_id"), ["user_id"], unique=False)

    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(length=60), nullable=False),
        sa.Column("browser", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_ins_token_hash")),
    )
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sign_ins_user_id"), ["user_id"], unique=False)

    op.create_table(
        "soa_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("soa_id", sa.String(length=100), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('added', 'changed', 'closed', 'reopened')", name=op.f("ck_soa_changes_kind")),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_soa_changes_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_soa_changes")),
    )
    with op.batch_alter_table("soa_changes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_soa_changes_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_soa_changes_soa_id"), ["soa_id"], unique=False)

    op.create_table(
        "soas",
        sa.Column("id", sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql"), nullable=False),
        sa.Column("soa_number", sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql"), nullable=False),
        sa.Column("customer_id", sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql"), nullable=False),
        sa.Column("account_number", sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql"), nullable=False),
        sa.Column("customer_name", sa.String(length=300).with_variant(sa.String(length=300, collation="C"), "postgresql"), nullable=False),
        sa.Column("search_text", sa.String(length=600).with_variant(sa.String(length=600, collation="C"), "postgresql"), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("contact_number", sa.String(length=60), nullable=False),
        sa.Column("tin", sa.String(length=40), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("penalty", sa.BigInteger(), nullable=False),
        sa.Column("collector_code", sa.String(length=40).with_variant(sa.String(length=40, collation="C"), "postgresql"), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("changed_run_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('active', 'closed')", name=op.f("ck_soas_status")),
        sa.ForeignKeyConstraint(["changed_run_id"], ["sync_runs.id"], name=op.f("fk_soas_changed_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_soas")),
    )
    with op.batch_alter_table("soas", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_soas_account_number"), ["account_number"], unique=False)
        batch_op.create_index("ix_soas_code", ["collector_code", "status", "due_date", "id"], unique=False)
        batch_op.create_index("ix_soas_list_amount", ["status", "amount_due", "id"], unique=False)
        batch_op.create_index("ix_soas_list_due", ["status", "due_date", "id"], unique=False)
        batch_op.create_index("ix_soas_list_name", ["status", "search_text", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_soas_soa_number"), ["soa_number"], unique=False)

    op.create_table(
        "staged_soas",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("soa_id", sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql"), nullable=False),
        sa.Column("version", sa.String(length=16), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_staged_soas_run_id")),
        sa.PrimaryKeyConstraint("run_id", "soa_id", name=op.f("pk_staged_soas")),
    )
    op.create_table(
        "sync_failures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("pscloud_id", sa.String(length=100), nullable=True),
        sa.Column("label", sa.String(length=300), nullable=False),
        sa.Column("field", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name=op.f("fk_sync_failures_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_failures")),
    )
    with op.batch_alter_table("sync_failures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sync_failures_run_id"), ["run_id"], unique=False)

    op.create_table(
        "terminals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("key_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_contact_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("head_seq", sa.Integer(), nullable=False),
        sa.Column("head_hash", sa.String(length=64), nullable=False),
        sa.Column("forked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_receipt", sa.Integer(), nullable=False),
        sa.Column("last_void", sa.Integer(), nullable=False),
        sa.Column("z_counter", sa.Integer(), nullable=False),
        sa.Column("accumulated", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'active', 'revoked')", name=op.f("ck_terminals_state")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_terminals_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_terminals")),
        sa.UniqueConstraint("code", name=op.f("uq_terminals_code")),
        sa.UniqueConstraint("key_fingerprint", name=op.f("uq_terminals_key_fingerprint")),
    )
    with op.batch_alter_table("terminals", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_terminals_user_id"), ["user_id"], unique=False)

    op.create_table(
        "user_roles",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.CheckConstraint("role IN ('collector', 'office', 'supervisor', 'admin')", name=op.f("ck_user_roles_role")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_roles_user_id")),
        sa.PrimaryKeyConstraint("user_id", "role", name=op.f("pk_user_roles")),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.String(length=100), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_incidents_terminal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_incidents_raised_at"), ["raised_at"], unique=False)

    op.create_table(
        "invoices",
        sa.Column("soa_id", sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql"), nullable=False),
        sa.Column("id", sa.String(length=100).with_variant(sa.String(length=100, collation="C"), "postgresql"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("invoice_number", sa.String(length=100), nullable=False),
        sa.Column("invoice_date", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("penalty", sa.BigInteger(), nullable=False),
        sa.Column("vat_type", sa.String(length=12), nullable=False),
        sa.Column("vat_amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["soa_id"], ["soas.id"], name=op.f("fk_invoices_soa_id")),
        sa.PrimaryKeyConstraint("soa_id", "id", name=op.f("pk_invoices")),
    )
    op.create_table(
        "journal_uploads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("last_hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_journal_uploads_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_journal_uploads_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_uploads")),
    )
    with op.batch_alter_table("journal_uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_journal_uploads_terminal_id"), ["terminal_id"], unique=False)

    op.create_table(
        "payments",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("registry_id", sa.String(length=36), nullable=False),
        sa.Column("journal_seq", sa.Integer(), nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.Column("receipt_number", sa.String(length=24), nullable=True),
        sa.Column("claimed_receipt_number", sa.String(length=24), nullable=False),
        sa.Column("soa_id", sa.String(length=100), nullable=False),
        sa.Column("soa_number", sa.String(length=100), nullable=False),
        sa.Column("account_number", sa.String(length=100), nullable=False),
        sa.Column("customer_name", sa.String(length=300), nullable=False),
        sa.Column("collector_code", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("tender", sa.String(length=14), nullable=False),
        sa.Column("channel", sa.String(length=60), nullable=True),
        sa.Column("reference", sa.String(length=60), nullable=True),
        sa.Column("tendered", sa.BigInteger(), nullable=True),
        sa.Column("change", sa.BigInteger(), nullable=True),
        sa.Column("mode", sa.String(length=14), nullable=False),
        sa.Column("vatable", sa.BigInteger(), nullable=False),
        sa.Column("vat_amount", sa.BigInteger(), nullable=False),
        sa.Column("vat_exempt", sa.BigInteger(), nullable=False),
        sa.Column("zero_rated", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("collected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("allocation_generation", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=False),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pscloud_id", sa.String(length=100), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'approved', 'processing', 'completed', 'failed')", name=op.f("ck_payments_status")),
        sa.CheckConstraint("tender IN ('cash', 'check', 'e_wallet', 'bank_transfer')", name=op.f("ck_payments_tender")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount")),
        sa.CheckConstraint("tendered IS NULL OR tendered - change = amount", name=op.f("ck_payments_change")),
        sa.CheckConstraint("vatable >= 0 AND vat_amount >= 0 AND vat_exempt >= 0 AND zero_rated >= 0", name=op.f("ck_payments_vat")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_payments_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_payments_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("receipt_number", name=op.f("uq_payments_receipt_number")),
    )
    with op.batch_alter_table("payments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_payments_business_date"), ["business_date"], unique=False)
        batch_op.create_index("ix_payments_list", ["received_at", "claimed_receipt_number", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payments_received_at"), ["received_at"], unique=False)
        batch_op.create_index("ix_payments_reference", ["tender", "channel", "reference"], unique=False)
        batch_op.create_index(batch_op.f("ix_payments_registry_id"), ["registry_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payments_soa_id"), ["soa_id"], unique=False)
        batch_op.create_index("ix_payments_status", ["status", "received_at", "claimed_receipt_number", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payments_terminal_id"), ["terminal_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payments_user_id"), ["user_id"], unique=False)

    op.create_table(
        "readings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=1), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("registry_id", sa.String(length=36), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("journal_seq", sa.Integer(), nullable=False),
        sa.Column("z_counter", sa.Integer(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("portal", sa.Text(), nullable=False),
        sa.Column("differences", sa.Text(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(kind = 'Z') = (z_counter IS NOT NULL)", name=op.f("ck_readings_z_counter")),
        sa.CheckConstraint("kind IN ('X', 'Z')", name=op.f("ck_readings_kind")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_readings_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_readings_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_readings")),
        sa.UniqueConstraint("terminal_id", "journal_seq", name=op.f("uq_readings_terminal_id_journal_seq")),
        sa.UniqueConstraint("terminal_id", "z_counter", name=op.f("uq_readings_terminal_id_z_counter")),
    )
    with op.batch_alter_table("readings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_readings_business_date"), ["business_date"], unique=False)
        batch_op.create_index(batch_op.f("ix_readings_registry_id"), ["registry_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_readings_terminal_id"), ["terminal_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_readings_user_id"), ["user_id"], unique=False)

    op.create_table(
        "registries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("change_fund", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at_text", sa.String(length=40), nullable=False),
        sa.Column("opened_seq", sa.Integer(), nullable=False),
        sa.Column("z_seq", sa.Integer(), nullable=True),
        sa.Column("closed_seq", sa.Integer(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_registries_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_registries_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registries")),
        sa.UniqueConstraint("terminal_id", "opened_seq", name=op.f("uq_registries_terminal_id_opened_seq")),
    )
    with op.batch_alter_table("registries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_registries_business_date"), ["business_date"], unique=False)
        batch_op.create_index(batch_op.f("ix_registries_user_id"), ["user_id"], unique=False)

    op.create_table(
        "soa_downloads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("snapshot", sa.String(length=80), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("downloaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("amount_due", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_soa_downloads_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_soa_downloads_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_soa_downloads")),
        sa.UniqueConstraint("terminal_id", "seq", name=op.f("uq_soa_downloads_terminal_id_seq")),
    )
    op.create_table(
        "journal_asides",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("upload_id", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('held', 'conflict', 'released')", name=op.f("ck_journal_asides_state")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_journal_asides_terminal_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["journal_uploads.id"], name=op.f("fk_journal_asides_upload_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_asides")),
        sa.UniqueConstraint("terminal_id", "seq", "hash", name=op.f("uq_journal_asides_terminal_id_seq_hash")),
    )
    op.create_table(
        "journal_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("at_trusted", sa.String(length=40), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.String(length=36), nullable=True),
        sa.Column("upload_id", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("verdict IN ('stored', 'quarantined')", name=op.f("ck_journal_entries_verdict")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_journal_entries_seq")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_journal_entries_terminal_id")),
        sa.ForeignKeyConstraint(["upload_id"], ["journal_uploads.id"], name=op.f("fk_journal_entries_upload_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entries")),
        sa.UniqueConstraint("terminal_id", "seq", name=op.f("uq_journal_entries_terminal_id_seq")),
    )
    with op.batch_alter_table("journal_entries", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_journal_entries_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_journal_entries_registry_id"), ["registry_id"], unique=False)

    op.create_table(
        "payment_allocations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("soa_id", sa.String(length=100), nullable=False),
        sa.Column("invoice_id", sa.String(length=100), nullable=True),
        sa.Column("invoice_number", sa.String(length=100), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(invoice_id IS NULL) = (kind = 'advance')", name=op.f("ck_payment_allocations_advance")),
        sa.CheckConstraint("kind IN ('penalty', 'principal', 'advance')", name=op.f("ck_payment_allocations_kind")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_allocations_amount")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_payment_allocations_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_allocations")),
        sa.UniqueConstraint("payment_id", "generation", "position", name=op.f("uq_payment_allocations_payment_id_generation_position")),
    )
    with op.batch_alter_table("payment_allocations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_payment_allocations_payment_id"), ["payment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_payment_allocations_soa_id"), ["soa_id"], unique=False)

    op.create_table(
        "payment_flags",
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("flag", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "flag IN ('reallocated', 'over_collected', 'possible_double', 'duplicate_reference', 'stale_soa', 'clock_jump', 'late', "
            "'chain_fork', 'unassigned_account', 'revoked_terminal', 'number_quarantined')",
            name=op.f("ck_payment_flags_flag"),
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_payment_flags_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", "flag", name=op.f("pk_payment_flags")),
    )
    op.create_table(
        "postings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome_unknown", sa.Boolean(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("last_answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('due', 'claimed', 'completed', 'failed')", name=op.f("ck_postings_status")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_postings_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_postings")),
        sa.UniqueConstraint("payment_id", name=op.f("uq_postings_payment_id")),
    )
    with op.batch_alter_table("postings", schema=None) as batch_op:
        batch_op.create_index("ix_postings_due", ["status", "next_attempt_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_postings_lease"), ["lease"], unique=False)

    op.create_table(
        "unconfirmed_soas",
        sa.Column("soa_id", sa.String(length=100), nullable=False),
        sa.Column("confirmed_run_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["confirmed_run_id"], ["sync_runs.id"], name=op.f("fk_unconfirmed_soas_confirmed_run_id")),
        sa.ForeignKeyConstraint(["soa_id"], ["soas.id"], name=op.f("fk_unconfirmed_soas_soa_id")),
        sa.PrimaryKeyConstraint("soa_id", name=op.f("pk_unconfirmed_soas")),
    )
    op.execute("INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '" + "0" * 64 + "')")
    protect()


FACTS_OF_A_PAYMENT = (
    "id, terminal_id, user_id, registry_id, journal_seq, entry_hash, receipt_number, claimed_receipt_number, soa_id, soa_number, "
    "account_number, customer_name, collector_code, amount, tender, channel, reference, tendered, change, mode, vatable, vat_amount, "
    "vat_exempt, zero_rated, balance_after, business_date, collected_at, received_at"
)
WRITTEN_ONCE = ("audit_log", "journal_uploads", "payment_allocations", "readings")
NEVER_DELETED = (*WRITTEN_ONCE, "payments", "journal_entries", "journal_asides", "registries", "terminals", "users", "incidents")


def protect() -> None:
    """Triggers behind the rules: the ledger only grows, and no rule in the code can be forgotten by another program."""
    for table in NEVER_DELETED:
        refuse(f"{table}_is_never_deleted", "BEFORE DELETE", table, "", f"rows of {table} are never deleted")
    for table in WRITTEN_ONCE:
        refuse(f"{table}_is_written_once", "BEFORE UPDATE", table, "", f"rows of {table} are never changed")
    refuse("facts_of_a_payment", f"BEFORE UPDATE OF {FACTS_OF_A_PAYMENT}", "payments", "", "the facts of a payment are never changed")
    refuse(
        "stored_journal_entry",
        "BEFORE UPDATE",
        "journal_entries",
        "OLD.verdict = 'stored' OR NEW.hash <> OLD.hash OR NEW.seq <> OLD.seq OR NEW.terminal_id <> OLD.terminal_id",
        "a stored journal entry is never changed",
    )
    refuse(
        "terminal_counters",
        "BEFORE UPDATE",
        "terminals",
        "NEW.accumulated < OLD.accumulated OR NEW.z_counter < OLD.z_counter "
        "OR NEW.last_receipt < OLD.last_receipt OR NEW.head_seq < OLD.head_seq",
        "the counters of a terminal never go back",
    )


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

"""A day at the door: what else a payment says, payments rebuilt from paper, photos of checks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A customer's paper is proof enough to book a payment whose phone is lost; an official receipt of a booklet is money too."""
    add_flags()
    add_tables()
    let_a_rebuilt_payment_be_completed()
    add_void_codes()


FLAGS = (
    "reallocated", "over_collected", "possible_double", "duplicate_reference", "stale_soa", "clock_jump", "late", "chain_fork",
    "unassigned_account", "revoked_terminal", "disabled_collector", "number_quarantined",
)  # fmt: skip
NEW_FLAGS = ("rebuilt", "or_entry", "or_number_taken", "large_advance")


def one_of(flags: tuple[str, ...]) -> str:
    return f"flag IN ({', '.join(map(repr, flags))})"


def add_flags() -> None:
    name = op.f("ck_payment_flags_flag")
    # SQLite makes the table anew; told what it is, since reading it there follows its key to an index that cannot be read.
    as_it_is = sa.Table(
        "payment_flags",
        sa.MetaData(),
        sa.Column(
            "payment_id", sa.String(length=36), sa.ForeignKey("payments.id", name=op.f("fk_payment_flags_payment_id")), nullable=False
        ),
        sa.Column("flag", sa.String(length=24), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(one_of(FLAGS), name=name),
        sa.PrimaryKeyConstraint("payment_id", "flag", name=op.f("pk_payment_flags")),
    )
    with op.batch_alter_table("payment_flags", copy_from=as_it_is) as batch_op:
        batch_op.drop_constraint(name, type_="check")
        batch_op.create_check_constraint(name, one_of(FLAGS + NEW_FLAGS))


def add_tables() -> None:
    op.create_table(
        "payment_extras",
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("branch", sa.String(length=60), nullable=True),
        sa.Column("check_date", sa.Date(), nullable=True),
        sa.Column("or_number", sa.String(length=30), nullable=True),
        sa.Column("or_key", sa.String(length=30), nullable=True),
        sa.Column("or_date", sa.Date(), nullable=True),
        sa.Column("latitude", sa.Integer(), nullable=True),
        sa.Column("longitude", sa.Integer(), nullable=True),
        sa.Column("accuracy", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_payment_extras_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payment_extras")),
        sa.UniqueConstraint("or_key", name=op.f("uq_payment_extras_or_key")),
    )
    op.create_table(
        "rebuilt_payments",
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=1000), nullable=False),
        sa.Column("rebuilt_by", sa.String(length=60), nullable=False),
        sa.Column("rebuilt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_rebuilt_payments_payment_id")),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_rebuilt_payments")),
    )
    op.create_table(
        "payment_photos",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", sa.String(length=36), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("size > 0 AND width > 0 AND height > 0", name=op.f("ck_payment_photos_size")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_payment_photos_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_photos")),
    )
    op.create_index("ix_payment_photos_payment_id", "payment_photos", ["payment_id"])
    for table in ("payment_extras", "rebuilt_payments", "payment_photos"):
        refuse(f"{table}_is_never_deleted", "BEFORE DELETE", table, "", f"rows of {table} are never deleted")


FACTS_OF_A_PAYMENT = (
    "id, terminal_id, user_id, registry_id, journal_seq, entry_hash, receipt_number, claimed_receipt_number, soa_id, soa_number, "
    "account_number, customer_name, collector_code, amount, tender, channel, reference, tendered, change, mode, vatable, vat_amount, "
    "vat_exempt, zero_rated, balance_after, business_date, collected_at, received_at"
)
ON_PAPER = (
    "id", "terminal_id", "user_id", "journal_seq", "claimed_receipt_number", "soa_id", "soa_number", "amount", "tender", "collected_at",
    "received_at", "collector_code",
)  # fmt: skip
"""What a receipt's code says, and what the portal gave itself: the phone's own entry cannot change it."""


def let_a_rebuilt_payment_be_completed() -> None:
    """The paper holds half of the entry's hash. The entry with that hash adds, once, what no paper says; nothing else changes facts."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER facts_of_a_payment")
    else:
        op.execute("DROP TRIGGER facts_of_a_payment ON payments")
        op.execute("DROP FUNCTION facts_of_a_payment()")
    same = " AND ".join(f"NEW.{name} = OLD.{name}" for name in ON_PAPER)
    once = "length(OLD.entry_hash) = 32 AND length(NEW.entry_hash) = 64 AND substr(NEW.entry_hash, 1, 32) = OLD.entry_hash"
    number = "coalesce(NEW.receipt_number, '') = coalesce(OLD.receipt_number, '')"
    event, message = f"BEFORE UPDATE OF {FACTS_OF_A_PAYMENT}", "the facts of a payment are never changed"
    refuse("facts_of_a_payment", event, "payments", f"NOT ({once} AND {number} AND {same})", message)


def add_void_codes() -> None:
    """A supervisor beside the collector approves a void there and then; what was given and what became of it is kept."""
    op.create_table(
        "void_codes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("void_number", sa.String(length=20), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("challenge", sa.String(length=8), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_void_codes_amount")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_void_codes_terminal_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_void_codes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_void_codes")),
    )
    op.create_index(op.f("ix_void_codes_user_id"), "void_codes", ["user_id"])
    op.create_index("ix_void_codes_void_number", "void_codes", ["terminal_id", "void_number"])
    outcomes = ("approved", "wrong", "revoked", "not_entitled", "locked", "not_taken")
    op.create_table(
        "void_code_uses",
        sa.Column("void_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("code_id", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"outcome IN ({', '.join(map(repr, outcomes))})", name=op.f("ck_void_code_uses_outcome")),
        sa.CheckConstraint("outcome <> 'approved' OR code_id IS NOT NULL", name=op.f("ck_void_code_uses_approved")),
        sa.ForeignKeyConstraint(["code_id"], ["void_codes.id"], name=op.f("fk_void_code_uses_code_id")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_void_code_uses_terminal_id")),
        sa.ForeignKeyConstraint(["void_id"], ["voids.id"], name=op.f("fk_void_code_uses_void_id")),
        sa.PrimaryKeyConstraint("void_id", name=op.f("pk_void_code_uses")),
        sa.UniqueConstraint("code_id", name=op.f("uq_void_code_uses_code_id")),
    )
    op.create_index("ix_void_code_uses_terminal", "void_code_uses", ["terminal_id", "outcome", "received_at"])
    facts = "id, user_id, terminal_id, void_number, amount, challenge, secret, issued_at"
    refuse("facts_of_a_void_code", f"BEFORE UPDATE OF {facts}", "void_codes", "", "the facts of a code for a void are never changed")
    revoked = "OLD.revoked_at IS NOT NULL"
    refuse("void_code_is_revoked_once", "BEFORE UPDATE OF revoked_at", "void_codes", revoked, "a code for a void is taken back once")
    refuse("void_code_uses_never_change", "BEFORE UPDATE", "void_code_uses", "", "what became of a code for a void is never changed")
    for table in ("void_codes", "void_code_uses"):
        refuse(f"{table}_is_never_deleted", "BEFORE DELETE", table, "", f"rows of {table} are never deleted")


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

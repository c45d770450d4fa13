"""The office may say, once and before it is posted, which SOA a payment of an unlisted account belongs to."""

from __future__ import annotations

from alembic import op

from portal.migrations.triggers import refuse

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

FACTS = (
    "id", "terminal_id", "user_id", "registry_id", "journal_seq", "entry_hash", "receipt_number", "claimed_receipt_number", "soa_id",
    "soa_number", "account_number", "customer_name", "collector_code", "amount", "tender", "channel", "reference", "tendered", "change",
    "mode", "vatable", "vat_amount", "vat_exempt", "zero_rated", "balance_after", "business_date", "collected_at", "received_at",
)  # fmt: skip
ON_PAPER = (
    "id", "terminal_id", "user_id", "journal_seq", "claimed_receipt_number", "soa_id", "soa_number", "amount", "tender", "collected_at",
    "received_at", "collector_code",
)  # fmt: skip
"""What the entry of a rebuilt payment cannot change (0017)."""
ASSIGNED = ("soa_id", "soa_number", "account_number", "collector_code")


def upgrade() -> None:
    """Beside the one completion of a rebuilt payment, the one assignment of a payment that has no SOA yet; nothing else changes facts."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        op.execute("DROP TRIGGER facts_of_a_payment")
    else:
        op.execute("DROP TRIGGER facts_of_a_payment ON payments")
        op.execute("DROP FUNCTION facts_of_a_payment()")
    same = "IS" if sqlite else "IS NOT DISTINCT FROM"
    paper = " AND ".join(f"NEW.{name} = OLD.{name}" for name in ON_PAPER)
    once = "length(OLD.entry_hash) = 32 AND length(NEW.entry_hash) = 64 AND substr(NEW.entry_hash, 1, 32) = OLD.entry_hash"
    number = "coalesce(NEW.receipt_number, '') = coalesce(OLD.receipt_number, '')"
    kept = " AND ".join(f"NEW.{name} {same} OLD.{name}" for name in FACTS if name not in ASSIGNED)
    unlisted = "substr(OLD.soa_id, 1, 8) = 'account:' AND substr(NEW.soa_id, 1, 8) <> 'account:'"
    unposted = "OLD.status IN ('pending', 'failed') AND NEW.status = OLD.status AND OLD.posted_at IS NULL AND NEW.posted_at IS NULL"
    allowed = f"({once} AND {number} AND {paper}) OR ({unlisted} AND {unposted} AND {kept})"
    event, message = f"BEFORE UPDATE OF {', '.join(FACTS)}", "the facts of a payment are never changed"
    refuse("facts_of_a_payment", event, "payments", f"NOT ({allowed})", message)


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

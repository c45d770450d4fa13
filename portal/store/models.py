"""The tables. What must never happen is a constraint here (or a trigger in the migrations), not only a rule elsewhere."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.domain.payments import FLAGS, STATUSES, TENDERS
from portal.domain.visits import KINDS as VISIT_KINDS
from portal.domain.voids import STATES as VOID_STATES
from portal.extensions import Base, db
from portal.store.types import Instant, Pesos

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def one_of(column: str, words: tuple[str, ...]) -> str:
    """SQL that lets only these words into a column."""
    return f"{column} IN ({', '.join(repr(word) for word in words)})"


def plain(length: int) -> String:
    """Text that sorts by code point on both databases, so that a list and its page marks agree whatever language the server speaks."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


ROLES = ("collector", "office", "supervisor", "admin")
NOT_REFUSED = text("state <> 'refused'")
NOT_RESOLVED = text("resolved_at IS NULL")
HELD = text("state = 'held'")
NOT_CASH = text("tender <> 'cash'")
PAYMENT_ORDER = ("business_date", "received_at", "claimed_receipt_number", "id")
RUN_STATUSES = ("pending", "processing", "completed", "failed", "cancelled")
RUN_KINDS = ("full", "quick")
CHANGE_KINDS = ("added", "changed", "closed", "reopened")
EXPORT_KINDS = ("soas", "payments", "differences", "report")
FILTER_KINDS = ("soas", "payments")
COMPARED = ("soa", "payment")
VERDICTS = ("equal", "waiting", "different", "only_here", "only_pscloud", "unreadable")
EXPORT_FORMATS = ("csv", "xlsx", "pdf")


class User(Model):
    """A person. `name` is what they log in with, lower case; never deleted, only disabled."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60), unique=True)
    display_name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(Instant)


class UserRole(Model):
    """A role somebody holds; several are allowed."""

    __tablename__ = "user_roles"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)
    __table_args__ = (CheckConstraint(one_of("role", ROLES), name="role"),)


class SignIn(Model):
    """One sign-in of one browser; the cookie holds the token, we hold only its hash. Ended = the cookie is dead, copied or not."""

    __tablename__ = "sign_ins"
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    address: Mapped[str] = mapped_column(String(60), default="")
    browser: Mapped[str] = mapped_column(String(200), default="")


class CollectorCode(Model):
    """An area or assignment code, PSCloud's or our own."""

    __tablename__ = "collector_codes"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), default="")
    area: Mapped[str] = mapped_column(String(200), default="")
    active: Mapped[bool] = mapped_column(default=True)
    source: Mapped[str] = mapped_column(String(10), default="pscloud")
    updated_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (CheckConstraint(one_of("source", ("pscloud", "own")), name="source"),)


class CodeHolding(Model):
    """Who holds a collector code since when, and until when they did. `code` may be one PSCloud has not named yet."""

    __tablename__ = "code_holdings"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    code: Mapped[str] = mapped_column(String(40), index=True)
    since: Mapped[datetime] = mapped_column(Instant)
    until: Mapped[datetime | None] = mapped_column(Instant)


class SyncRun(Model):
    """One download of SOAs. `active_slot` is 1 while Pending or Processing, else NULL: UNIQUE makes a second one impossible. `watermark`
    is the moment of PSCloud's up to which every change is here since this run completed; NULL when it could not vouch for that.

    `bytes_read` are those of the pages, decompressed, and `pages_unchanged` how many of the pages were those of the run before. The phases
    in milliseconds overlap: fetching goes on while records are mapped and written. `waiting_to_close` is how many SOAs a supervisor must
    decide about (absent_soas). `last_change_id` is the newest row of soa_changes when this full run completed; `all_seen` that it read
    every record once, and every SOA that is open here among them."""

    __tablename__ = "sync_runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    trigger: Mapped[str] = mapped_column(String(12))
    kind: Mapped[str] = mapped_column(String(8), default="full")
    watermark: Mapped[datetime | None] = mapped_column(Instant)
    started_by: Mapped[str] = mapped_column(String(120), default="")
    status: Mapped[str] = mapped_column(String(12), index=True)
    active_slot: Mapped[int | None] = mapped_column(unique=True)
    lease: Mapped[str | None] = mapped_column(String(40))
    heartbeat_at: Mapped[datetime] = mapped_column(Instant)
    requested_at: Mapped[datetime] = mapped_column(Instant, index=True)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    as_of: Mapped[datetime | None] = mapped_column(Instant)
    pages: Mapped[int] = mapped_column(default=0)
    total: Mapped[int | None] = mapped_column()
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    closed: Mapped[int] = mapped_column(default=0)
    amount_due: Mapped[Decimal] = mapped_column(Pesos, default=Decimal(0))
    pscloud_count: Mapped[int | None] = mapped_column()
    pscloud_amount_due: Mapped[Decimal | None] = mapped_column(Pesos)
    error: Mapped[str] = mapped_column(Text, default="")
    note: Mapped[str] = mapped_column(Text, default="")
    bytes_read: Mapped[int] = mapped_column(BigInteger, default=0)
    pages_unchanged: Mapped[int] = mapped_column(default=0)
    fetch_ms: Mapped[int] = mapped_column(default=0)
    map_ms: Mapped[int] = mapped_column(default=0)
    write_ms: Mapped[int] = mapped_column(default=0)
    check_ms: Mapped[int] = mapped_column(default=0)
    swap_ms: Mapped[int] = mapped_column(default=0)
    waiting_to_close: Mapped[int] = mapped_column(default=0)
    last_change_id: Mapped[int | None] = mapped_column()
    all_seen: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (
        Index("ix_sync_runs_undecided", "id", sqlite_where=text("waiting_to_close > 0"), postgresql_where=text("waiting_to_close > 0")),
        CheckConstraint(one_of("status", RUN_STATUSES), name="status"),
        CheckConstraint("(active_slot IS NOT NULL) = (status IN ('pending', 'processing'))", name="active_slot"),
        CheckConstraint(one_of("trigger", ("scheduled", "manual")), name="trigger"),
        CheckConstraint(one_of("kind", RUN_KINDS), name="kind"),
    )


class SyncFailure(Model):
    """One record a run could not read: the raw payload and the reason in plain words."""

    __tablename__ = "sync_failures"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    pscloud_id: Mapped[str | None] = mapped_column(String(100))
    label: Mapped[str] = mapped_column(String(300), default="")
    field: Mapped[str] = mapped_column(String(80), default="")
    reason: Mapped[str] = mapped_column(Text)
    raw: Mapped[str] = mapped_column(Text)


class Soa(Model):
    """An SOA as the last completed run left it. `id` is PSCloud's; `search_text` is name, account and SOA number, folded."""

    __tablename__ = "soas"
    id: Mapped[str] = mapped_column(plain(100), primary_key=True)
    soa_number: Mapped[str] = mapped_column(plain(100), index=True)
    customer_id: Mapped[str] = mapped_column(plain(100))
    account_number: Mapped[str] = mapped_column(plain(100))
    customer_name: Mapped[str] = mapped_column(plain(300))
    search_text: Mapped[str] = mapped_column(plain(600))
    address: Mapped[str] = mapped_column(Text, default="")
    contact_number: Mapped[str] = mapped_column(String(60), default="")
    tin: Mapped[str] = mapped_column(String(40), default="")
    issued_on: Mapped[date] = mapped_column()
    due_date: Mapped[date] = mapped_column()
    amount_due: Mapped[Decimal] = mapped_column(Pesos)
    penalty: Mapped[Decimal] = mapped_column(Pesos)
    collector_code: Mapped[str | None] = mapped_column(plain(40))
    status: Mapped[str] = mapped_column(String(10))
    closed_on: Mapped[date | None] = mapped_column()
    updated_at: Mapped[datetime] = mapped_column(Instant)
    version: Mapped[str] = mapped_column(String(16))
    changed_run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"))
    invoices: Mapped[list[Invoice]] = relationship(order_by="Invoice.position", cascade="all, delete-orphan")
    __table_args__ = (
        CheckConstraint(one_of("status", ("active", "closed")), name="status"),
        Index("ix_soas_list_name", "status", "search_text", "id"),
        Index("ix_soas_list_account", "status", "account_number", "id"),
        Index("ix_soas_list_due", "status", "due_date", "id"),
        Index("ix_soas_list_amount", "status", "amount_due", "id"),
        Index("ix_soas_code", "collector_code", "status", "due_date", "id"),
    )


class SoaTotal(Model):
    """Count and pesos of the SOAs that are alike in what the list filters on; "" is no collector code. Kept with every write of SOAs."""

    __tablename__ = "soa_totals"
    status: Mapped[str] = mapped_column(String(10), primary_key=True)
    collector_code: Mapped[str] = mapped_column(plain(40), primary_key=True)
    due_date: Mapped[date] = mapped_column(primary_key=True)
    with_penalty: Mapped[bool] = mapped_column(primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount_due: Mapped[Decimal] = mapped_column(Pesos)
    penalty: Mapped[Decimal] = mapped_column(Pesos)


class SoaDayTotal(Model):
    """SoaTotal over all collector codes. Triggers keep it with every write of SoaTotal (migration 0013)."""

    __tablename__ = "soa_day_totals"
    status: Mapped[str] = mapped_column(String(10), primary_key=True)
    due_date: Mapped[date] = mapped_column(primary_key=True)
    with_penalty: Mapped[bool] = mapped_column(primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount_due: Mapped[Decimal] = mapped_column(Pesos)
    penalty: Mapped[Decimal] = mapped_column(Pesos)


class SoaMonthTotal(Model):
    """SoaDayTotal of each month, by its first day; kept by triggers too."""

    __tablename__ = "soa_month_totals"
    status: Mapped[str] = mapped_column(String(10), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    with_penalty: Mapped[bool] = mapped_column(primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount_due: Mapped[Decimal] = mapped_column(Pesos)
    penalty: Mapped[Decimal] = mapped_column(Pesos)


class SearchWord(Model):
    """A word that is or was in a customer's name, folded, also spelled backwards: what a mistyped word is mended with."""

    __tablename__ = "search_words"
    word: Mapped[str] = mapped_column(plain(40), primary_key=True)
    backwards: Mapped[str] = mapped_column(plain(40), index=True)


class Invoice(Model):
    """An invoice of an SOA, in allocation order (`position`)."""

    __tablename__ = "invoices"
    soa_id: Mapped[str] = mapped_column(plain(100), ForeignKey("soas.id"), primary_key=True)
    id: Mapped[str] = mapped_column(plain(100), primary_key=True)
    position: Mapped[int] = mapped_column()
    invoice_number: Mapped[str] = mapped_column(String(100))
    invoice_date: Mapped[date] = mapped_column()
    due_date: Mapped[date] = mapped_column()
    description: Mapped[str] = mapped_column(Text, default="")
    amount: Mapped[Decimal] = mapped_column(Pesos)
    balance: Mapped[Decimal] = mapped_column(Pesos)
    penalty: Mapped[Decimal] = mapped_column(Pesos)
    vat_type: Mapped[str] = mapped_column(String(12))
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)


class UnconfirmedSoa(Model):
    """An open SOA that the last completed download did not hold or could not read: its figures are those of `confirmed_run_id`, and
    payments posted since then are not in them, however many downloads were completed meanwhile."""

    __tablename__ = "unconfirmed_soas"
    soa_id: Mapped[str] = mapped_column(ForeignKey("soas.id"), primary_key=True)
    confirmed_run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"))


class SoaChange(Model):
    """What one run changed on one SOA; `changes` is JSON {field: [before, after]}."""

    __tablename__ = "soa_changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    soa_id: Mapped[str] = mapped_column(String(100), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"))
    kind: Mapped[str] = mapped_column(String(10))
    changes: Mapped[str] = mapped_column(Text, default="{}")
    __table_args__ = (
        CheckConstraint(one_of("kind", CHANGE_KINDS), name="kind"),
        Index("ix_soa_changes_list", "run_id", "kind", "id"),
    )


class Terminal(Model):
    """One enrolled phone browser, its public key and how far we hold its journal. Never deleted, its code never reused."""

    __tablename__ = "terminals"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(12), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    public_key: Mapped[str] = mapped_column(Text)
    key_fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[str] = mapped_column(String(10), default="active", index=True)
    enrolled_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    last_contact_at: Mapped[datetime | None] = mapped_column(Instant)
    head_seq: Mapped[int] = mapped_column(default=0)
    head_hash: Mapped[str] = mapped_column(String(64), default="0" * 64)
    forked_at: Mapped[datetime | None] = mapped_column(Instant)
    last_receipt: Mapped[int] = mapped_column(default=0)
    last_void: Mapped[int] = mapped_column(default=0)
    z_counter: Mapped[int] = mapped_column(default=0)
    accumulated: Mapped[Decimal] = mapped_column(Pesos, default=Decimal(0))
    __table_args__ = (CheckConstraint(one_of("state", ("waiting", "active", "revoked")), name="state"),)


class JournalUpload(Model):
    """One accepted upload: who sent it, its signature and what it ended with."""

    __tablename__ = "journal_uploads"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    received_at: Mapped[datetime] = mapped_column(Instant)
    entries: Mapped[int] = mapped_column()
    last_seq: Mapped[int] = mapped_column()
    last_hash: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str] = mapped_column(String(120))


class JournalEntry(Model):
    """One entry of a terminal's main chain, as it was sent. Only `verdict`, `reason` and a damaged payload may ever change."""

    __tablename__ = "journal_entries"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    seq: Mapped[int] = mapped_column()
    kind: Mapped[str] = mapped_column(String(20), index=True)
    at: Mapped[str] = mapped_column(String(40))
    at_trusted: Mapped[str | None] = mapped_column(String(40))
    payload: Mapped[str] = mapped_column(Text)
    prev: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    verdict: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(Text, default="")
    registry_id: Mapped[str | None] = mapped_column(String(36), index=True)
    upload_id: Mapped[int] = mapped_column(ForeignKey("journal_uploads.id"))
    received_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        UniqueConstraint("terminal_id", "seq"),
        CheckConstraint(one_of("verdict", ("stored", "quarantined")), name="verdict"),
        CheckConstraint("seq > 0", name="seq"),
    )


class JournalAside(Model):
    """An entry kept beside the main chain: held behind a gap, or in conflict with what is stored. `entry` is it whole, as JSON."""

    __tablename__ = "journal_asides"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    seq: Mapped[int] = mapped_column()
    hash: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text, default="")
    entry: Mapped[str] = mapped_column(Text)
    upload_id: Mapped[int] = mapped_column(ForeignKey("journal_uploads.id"))
    received_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        UniqueConstraint("terminal_id", "seq", "hash"),
        CheckConstraint(one_of("state", ("held", "conflict", "released")), name="state"),
        Index("ix_journal_asides_held", "terminal_id", "seq", sqlite_where=HELD, postgresql_where=HELD),
    )


class Registry(Model):
    """One business day on one terminal. `forced_seq` is the last journal place that a Z-reading of the office holds, when it made one."""

    __tablename__ = "registries"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    business_date: Mapped[date] = mapped_column(index=True)
    change_fund: Mapped[Decimal] = mapped_column(Pesos)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    opened_at_text: Mapped[str] = mapped_column(String(40))
    opened_seq: Mapped[int] = mapped_column()
    z_seq: Mapped[int | None] = mapped_column()
    closed_seq: Mapped[int | None] = mapped_column()
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    forced_seq: Mapped[int | None] = mapped_column()
    forced_at: Mapped[datetime | None] = mapped_column(Instant)
    __table_args__ = (
        UniqueConstraint("terminal_id", "opened_seq"),
        Index("ix_registries_open", "id", sqlite_where=text("z_seq IS NULL"), postgresql_where=text("z_seq IS NULL")),
    )


class SoaDownload(Model):
    """A phone received a snapshot: when, of when, how many and how much."""

    __tablename__ = "soa_downloads"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    seq: Mapped[int] = mapped_column()
    snapshot: Mapped[str] = mapped_column(String(80))
    as_of: Mapped[datetime] = mapped_column(Instant)
    downloaded_at: Mapped[datetime] = mapped_column(Instant)
    count: Mapped[int] = mapped_column()
    amount_due: Mapped[Decimal] = mapped_column(Pesos)
    __table_args__ = (UniqueConstraint("terminal_id", "seq"),)


class Payment(Model):
    """Money taken for one SOA. Everything but status, period and allocation generation is written once (trigger)."""

    __tablename__ = "payments"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    registry_id: Mapped[str] = mapped_column(String(36), index=True)
    journal_seq: Mapped[int] = mapped_column()
    entry_hash: Mapped[str] = mapped_column(String(64))
    receipt_number: Mapped[str | None] = mapped_column(String(24), unique=True)
    claimed_receipt_number: Mapped[str] = mapped_column(String(24))
    soa_id: Mapped[str] = mapped_column(String(100), index=True)
    soa_number: Mapped[str] = mapped_column(String(100))
    account_number: Mapped[str] = mapped_column(String(100))
    customer_name: Mapped[str] = mapped_column(String(300))
    collector_code: Mapped[str] = mapped_column(String(40), default="")
    amount: Mapped[Decimal] = mapped_column(Pesos)
    tender: Mapped[str] = mapped_column(String(14))
    channel: Mapped[str | None] = mapped_column(String(60))
    reference: Mapped[str | None] = mapped_column(String(60))
    tendered: Mapped[Decimal | None] = mapped_column(Pesos)
    change: Mapped[Decimal | None] = mapped_column(Pesos)
    mode: Mapped[str] = mapped_column(String(14))
    vatable: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_exempt: Mapped[Decimal] = mapped_column(Pesos)
    zero_rated: Mapped[Decimal] = mapped_column(Pesos)
    balance_after: Mapped[Decimal] = mapped_column(Pesos)
    business_date: Mapped[date] = mapped_column()
    collected_at: Mapped[datetime] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant, index=True)
    allocation_generation: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(String(12))
    status_reason: Mapped[str] = mapped_column(Text, default="")
    status_at: Mapped[datetime] = mapped_column(Instant)
    pscloud_id: Mapped[str | None] = mapped_column(String(100))
    posted_at: Mapped[datetime | None] = mapped_column(Instant)
    terminal: Mapped[Terminal] = relationship(viewonly=True)
    user: Mapped[User] = relationship(viewonly=True)
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("vatable >= 0 AND vat_amount >= 0 AND vat_exempt >= 0 AND zero_rated >= 0", name="vat"),
        CheckConstraint("tendered IS NULL OR tendered - change = amount", name="change"),
        CheckConstraint(one_of("tender", TENDERS), name="tender"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        Index("ix_payments_list", *PAYMENT_ORDER),
        Index("ix_payments_status", "status", *PAYMENT_ORDER),
        Index("ix_payments_collector", "user_id", *PAYMENT_ORDER),
        Index("ix_payments_tender", "tender", *PAYMENT_ORDER, sqlite_where=NOT_CASH, postgresql_where=NOT_CASH),
    )


class PaymentFlag(Model):
    """Why a payment is held for a person."""

    __tablename__ = "payment_flags"
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), primary_key=True)
    flag: Mapped[str] = mapped_column(String(24), primary_key=True)
    detail: Mapped[str] = mapped_column(Text, default="")
    raised_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint(one_of("flag", tuple(FLAGS)), name="flag"),
        Index("ix_payment_flags_late", "payment_id", sqlite_where=text("flag = 'late'"), postgresql_where=text("flag = 'late'")),
    )


class PaymentAllocation(Model):
    """A part of a payment. Generation 0 is what the phone printed; a higher one replaced it, and none is ever changed."""

    __tablename__ = "payment_allocations"
    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    generation: Mapped[int] = mapped_column()
    position: Mapped[int] = mapped_column()
    soa_id: Mapped[str] = mapped_column(String(100), index=True)
    invoice_id: Mapped[str | None] = mapped_column(String(100))
    invoice_number: Mapped[str | None] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal] = mapped_column(Pesos)
    __table_args__ = (
        UniqueConstraint("payment_id", "generation", "position"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint(one_of("kind", ("penalty", "principal", "advance")), name="kind"),
        CheckConstraint("(invoice_id IS NULL) = (kind = 'advance')", name="advance"),
    )


class Reading(Model):
    """An X- or Z-reading: as the phone printed it, as the portal worked it out, and whether they agree. Never updated.

    One that the office made for a phone that cannot has `made_by` and a reason, no phone's figures, and as its place the Z counter below
    zero: it stands in no journal."""

    __tablename__ = "readings"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(1))
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    registry_id: Mapped[str] = mapped_column(String(36), index=True)
    business_date: Mapped[date] = mapped_column(index=True)
    journal_seq: Mapped[int] = mapped_column()
    z_counter: Mapped[int | None] = mapped_column()
    made_at: Mapped[datetime] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant)
    phone: Mapped[str] = mapped_column(Text)
    portal: Mapped[str] = mapped_column(Text)
    differences: Mapped[str] = mapped_column(Text, default="[]")
    gross: Mapped[Decimal] = mapped_column(Pesos)
    made_by: Mapped[str | None] = mapped_column(String(60))
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    terminal: Mapped[Terminal] = relationship(viewonly=True)
    user: Mapped[User] = relationship(viewonly=True)
    __table_args__ = (
        UniqueConstraint("terminal_id", "z_counter"),
        UniqueConstraint("terminal_id", "journal_seq"),
        CheckConstraint("(kind = 'Z') = (z_counter IS NOT NULL)", name="z_counter"),
        CheckConstraint(one_of("kind", ("X", "Z")), name="kind"),
    )


class ReadingPayment(Model):
    """The one Z-reading a payment is in: its own registry's or, when it was booked after that, the next one (`late`). Never updated."""

    __tablename__ = "reading_payments"
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), primary_key=True)
    reading_id: Mapped[int] = mapped_column(ForeignKey("readings.id"), index=True)
    late: Mapped[bool] = mapped_column()


class Remittance(Model):
    """What a collector handed over at the desk for one or more Z-readings, counted by both. Only the decision is ever changed (trigger).

    `request_id` names the form that was sent, so that a second press finds the first; `received_by` and `decided_by` are user names."""

    __tablename__ = "remittances"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(plain(12), unique=True)
    request_id: Mapped[str] = mapped_column(String(36), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    received_by: Mapped[str] = mapped_column(String(60))
    received_at: Mapped[datetime] = mapped_column(Instant, index=True)
    denominations: Mapped[str] = mapped_column(Text)
    expected_cash: Mapped[Decimal] = mapped_column(Pesos)
    collector_count: Mapped[Decimal | None] = mapped_column(Pesos)
    counted_cash: Mapped[Decimal] = mapped_column(Pesos)
    variance: Mapped[Decimal] = mapped_column(Pesos)
    reason: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(10), index=True)
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decision_reason: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        CheckConstraint("variance = counted_cash - expected_cash", name="variance"),
        CheckConstraint("variance = 0 OR reason <> ''", name="reason"),
        CheckConstraint(one_of("state", ("received", "waiting", "approved")), name="state"),
        CheckConstraint("variance >= 0 OR state <> 'received'", name="shortage"),
        CheckConstraint("(state = 'approved') = (decided_by IS NOT NULL)", name="decided"),
        CheckConstraint("decided_by IS NULL OR decided_by <> received_by", name="two_people"),
    )


class RemittanceLine(Model):
    """What was handed over besides cash, per tender and channel: what the Z-readings say beside what was received."""

    __tablename__ = "remittance_lines"
    remittance_id: Mapped[int] = mapped_column(ForeignKey("remittances.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    tender: Mapped[str] = mapped_column(String(14))
    channel: Mapped[str | None] = mapped_column(String(60))
    expected_count: Mapped[int] = mapped_column()
    expected_amount: Mapped[Decimal] = mapped_column(Pesos)
    received_count: Mapped[int] = mapped_column()
    received_amount: Mapped[Decimal] = mapped_column(Pesos)
    __table_args__ = (CheckConstraint(one_of("tender", tuple(tender for tender in TENDERS if tender != "cash")), name="tender"),)


class RemittanceReading(Model):
    """Which remittance a Z-reading was handed over with; the primary key lets it be handed over once."""

    __tablename__ = "remittance_readings"
    reading_id: Mapped[int] = mapped_column(ForeignKey("readings.id"), primary_key=True)
    remittance_id: Mapped[int] = mapped_column(ForeignKey("remittances.id"), index=True)


class Incident(Model):
    """Something a person must look at: a fork, a quarantined entry, a reading that differs by a centavo. Closed once, by a person."""

    __tablename__ = "incidents"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(30))
    terminal_id: Mapped[int | None] = mapped_column(ForeignKey("terminals.id"))
    subject: Mapped[str] = mapped_column(String(100), default="")
    detail: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime] = mapped_column(Instant, index=True)
    resolved_at: Mapped[datetime | None] = mapped_column(Instant)
    resolved_by: Mapped[str | None] = mapped_column(String(60))
    resolution: Mapped[str] = mapped_column(Text, default="", server_default="")
    __table_args__ = (Index("ix_incidents_open", "kind", "id", sqlite_where=NOT_RESOLVED, postgresql_where=NOT_RESOLVED),)


class Posting(Model):
    """What we still owe PSCloud, or owed. Claimed by conditional UPDATE with a lease; `outcome_unknown` means ask before sending again."""

    __tablename__ = "postings"
    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), unique=True)
    status: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(Instant)
    lease: Mapped[str | None] = mapped_column(String(40), index=True)
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    outcome_unknown: Mapped[bool] = mapped_column(default=False)
    last_error: Mapped[str] = mapped_column(Text, default="")
    last_answer: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint(one_of("status", ("due", "claimed", "completed", "failed")), name="status"),
        Index("ix_postings_due", "status", "next_attempt_at"),
    )


class Restore(Model):
    """This database was put back from a backup: terminal codes with a number from `first_code` to `last_code` may have been given out since
    that backup, so each goes only to the phone that says it is its own. Written once (trigger)."""

    __tablename__ = "restores"
    id: Mapped[int] = mapped_column(primary_key=True)
    restored_at: Mapped[datetime] = mapped_column(Instant)
    who: Mapped[str] = mapped_column(String(120))
    first_code: Mapped[int] = mapped_column()
    last_code: Mapped[int] = mapped_column()
    __table_args__ = (CheckConstraint("first_code <= last_code", name="codes"),)


class UnaskedPayment(Model):
    """A payment that waits for a person or failed, and that PSCloud may hold all the same from before a restore: it is to be asked."""

    __tablename__ = "unasked_payments"
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), primary_key=True)
    next_ask_at: Mapped[datetime] = mapped_column(Instant)


class Void(Model):
    """A collector's request to void one payment, the office's decision, and what PSCloud must hear of it (`posting_status` and what follows
    it). The request is written once, the decision once, and where the journal wrote the decision down once (triggers)."""

    __tablename__ = "voids"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"), index=True)
    void_number: Mapped[str] = mapped_column(String(20), unique=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    registry_id: Mapped[str] = mapped_column(String(36), index=True)
    journal_seq: Mapped[int] = mapped_column()
    reason: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(10), default="requested")
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decision_reason: Mapped[str] = mapped_column(Text, default="")
    counted_registry_id: Mapped[str | None] = mapped_column(String(36), index=True)
    counted_seq: Mapped[int | None] = mapped_column()
    posting_status: Mapped[str] = mapped_column(String(12), default="none")
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(Instant)
    lease: Mapped[str | None] = mapped_column(String(40), index=True)
    lease_until: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str] = mapped_column(Text, default="")
    last_answer: Mapped[str] = mapped_column(Text, default="")
    posted_at: Mapped[datetime | None] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint(one_of("state", VOID_STATES), name="state"),
        CheckConstraint("(state = 'requested') = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("counted_seq IS NULL OR (state <> 'requested' AND counted_registry_id IS NOT NULL)", name="counted"),
        CheckConstraint(one_of("posting_status", ("none", "due", "claimed", "completed", "failed")), name="posting_status"),
        CheckConstraint("posting_status = 'none' OR state = 'approved'", name="posted"),
        Index("ux_voids_open", "payment_id", unique=True, sqlite_where=NOT_REFUSED, postgresql_where=NOT_REFUSED),
        Index("ix_voids_due", "posting_status", "next_attempt_at"),
        Index("ix_voids_state", "state", "id"),
    )


class Visit(Model):
    """A visit without money: why nothing could be collected, or a promise to pay. Written once, never changed (triggers)."""

    __tablename__ = "visits"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    journal_seq: Mapped[int] = mapped_column()
    kind: Mapped[str] = mapped_column(String(20))
    soa_id: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(Text, default="")
    promised_on: Mapped[date | None] = mapped_column()
    amount: Mapped[Decimal | None] = mapped_column(Pesos)
    note: Mapped[str] = mapped_column(Text, default="")
    visited_at: Mapped[datetime] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        UniqueConstraint("terminal_id", "journal_seq"),
        CheckConstraint(one_of("kind", VISIT_KINDS), name="kind"),
        CheckConstraint("(kind = 'promise') = (promised_on IS NOT NULL)", name="promised_on"),
        CheckConstraint("amount IS NULL OR (kind = 'promise' AND amount > 0)", name="amount"),
        Index("ix_visits_soa", "soa_id", "id"),
        Index("ix_visits_kind", "kind", "id"),
        Index("ix_visits_promised", "promised_on", "id"),
        Index("ix_visits_visited", "visited_at"),
    )


class Export(Model):
    """A list that is too long to wait for, written to a file by a worker. `chosen` is its filter as JSON, `query` the same as an address.
    Its row and its file live for a week."""

    __tablename__ = "exports"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    format: Mapped[str] = mapped_column(String(4))
    query: Mapped[str] = mapped_column(Text)
    chosen: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    day: Mapped[date] = mapped_column()
    status: Mapped[str] = mapped_column(String(12), index=True)
    lease: Mapped[str | None] = mapped_column(String(40))
    heartbeat_at: Mapped[datetime] = mapped_column(Instant)
    rows_done: Mapped[int] = mapped_column(default=0)
    rows_total: Mapped[int | None] = mapped_column()
    size: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint(one_of("kind", EXPORT_KINDS), name="kind"),
        CheckConstraint(one_of("format", EXPORT_FORMATS), name="format"),
        CheckConstraint(one_of("status", RUN_STATUSES), name="status"),
        CheckConstraint("(finished_at IS NULL) = (status IN ('pending', 'processing'))", name="finished_at"),
        CheckConstraint("(size IS NOT NULL) = (status = 'completed')", name="size"),
    )


class SavedFilter(Model):
    """A filter of a list that somebody keeps under a name; `query` is the filter as an address."""

    __tablename__ = "saved_filters"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        UniqueConstraint("user_id", "kind", "name", name="uq_saved_filters_name"),
        CheckConstraint(one_of("kind", FILTER_KINDS), name="kind"),
    )


class Reconciliation(Model):
    """One comparison of our books with PSCloud's, kept as a report. `active_slot` is 1 while Pending or Processing, else NULL: UNIQUE makes
    a second one impossible. A completed one is never changed or removed (triggers), nor are its differences."""

    __tablename__ = "reconciliations"
    id: Mapped[int] = mapped_column(primary_key=True)
    started_by: Mapped[str] = mapped_column(String(120))
    payments_from: Mapped[date | None] = mapped_column()
    status: Mapped[str] = mapped_column(String(12))
    active_slot: Mapped[int | None] = mapped_column(unique=True)
    lease: Mapped[str | None] = mapped_column(String(40))
    heartbeat_at: Mapped[datetime] = mapped_column(Instant)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    phase: Mapped[str] = mapped_column(String(12), default="")
    done: Mapped[int] = mapped_column(default=0)
    expected: Mapped[int | None] = mapped_column()
    as_of: Mapped[datetime | None] = mapped_column(Instant)
    soas_equal: Mapped[int] = mapped_column(default=0)
    soas_different: Mapped[int] = mapped_column(default=0)
    soas_only_here: Mapped[int] = mapped_column(default=0)
    soas_only_pscloud: Mapped[int] = mapped_column(default=0)
    soas_unreadable: Mapped[int] = mapped_column(default=0)
    payments_equal: Mapped[int] = mapped_column(default=0)
    payments_waiting: Mapped[int] = mapped_column(default=0)
    payments_different: Mapped[int] = mapped_column(default=0)
    payments_only_here: Mapped[int] = mapped_column(default=0)
    payments_only_pscloud: Mapped[int] = mapped_column(default=0)
    payments_unreadable: Mapped[int] = mapped_column(default=0)
    payments_listed: Mapped[bool] = mapped_column(default=False)
    here_count: Mapped[int | None] = mapped_column()
    here_amount: Mapped[Decimal | None] = mapped_column(Pesos)
    pscloud_count: Mapped[int | None] = mapped_column()
    pscloud_amount: Mapped[Decimal | None] = mapped_column(Pesos)
    fields: Mapped[str] = mapped_column(Text, default="{}")
    error: Mapped[str] = mapped_column(Text, default="")
    note: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        CheckConstraint(one_of("status", RUN_STATUSES), name="status"),
        CheckConstraint("(active_slot IS NOT NULL) = (status IN ('pending', 'processing'))", name="active_slot"),
        Index("ix_reconciliations_status", "status", "id"),
    )


class ReconciliationStaged(Model):
    """What a comparison has read of PSCloud so far: which SOAs and what they were, and the payments of PSCloud's list. Gone at its end."""

    __tablename__ = "reconciliation_staged"
    report_id: Mapped[int] = mapped_column(ForeignKey("reconciliations.id"), primary_key=True)
    record: Mapped[str] = mapped_column(String(8), primary_key=True)
    record_id: Mapped[str] = mapped_column(plain(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    amount: Mapped[Decimal | None] = mapped_column(Pesos)
    document: Mapped[str | None] = mapped_column(Text)
    __table_args__ = (
        CheckConstraint(one_of("record", COMPARED), name="record"),
        CheckConstraint(one_of("kind", VERDICTS), name="kind"),
    )


class ReconciliationDifference(Model):
    """One record that is not equal on both sides. `reason` is a key of domain.reconciliation.CASES, `fields` JSON [[name, here, PSCloud]],
    `groups` the fields' groups between commas, `detail` what was said about it, `raw` PSCloud's record where it cannot be read."""

    __tablename__ = "reconciliation_differences"
    id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[int] = mapped_column(ForeignKey("reconciliations.id"))
    record: Mapped[str] = mapped_column(String(8))
    kind: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(String(24))
    record_id: Mapped[str] = mapped_column(String(100))
    number: Mapped[str] = mapped_column(String(100), default="")
    account_number: Mapped[str] = mapped_column(String(100), default="")
    customer_name: Mapped[str] = mapped_column(String(300), default="")
    amount_here: Mapped[Decimal | None] = mapped_column(Pesos)
    amount_pscloud: Mapped[Decimal | None] = mapped_column(Pesos)
    fields: Mapped[str] = mapped_column(Text, default="[]")
    groups: Mapped[str] = mapped_column(String(400), default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    raw: Mapped[str] = mapped_column(Text, default="")
    search_text: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        CheckConstraint(one_of("record", COMPARED), name="record"),
        CheckConstraint(one_of("kind", tuple(word for word in VERDICTS if word != "equal")), name="kind"),
        Index("ix_reconciliation_differences_list", "report_id", "record", "kind", "id"),
        Index("ix_reconciliation_differences_report", "report_id", "id"),
        Index("ix_reconciliation_differences_one", "report_id", "record", "record_id"),
    )


class AuditEntry(Model):
    """Who did what; each row carries the hash of the row before (RELIABILITY I24). Never updated or deleted (trigger)."""

    __tablename__ = "audit_log"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Instant, index=True)
    who: Mapped[str] = mapped_column(String(120), index=True)
    action: Mapped[str] = mapped_column(String(40), index=True)
    subject: Mapped[str] = mapped_column(String(120), index=True)
    detail: Mapped[str] = mapped_column(Text, default="{}")
    prev: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Model):
    """One row: the end of the audit chain, locked by whoever appends."""

    __tablename__ = "audit_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column()
    hash: Mapped[str] = mapped_column(String(64))


class AuditCheck(Model):
    """One row: how far the walk along the audit chain that is under way has come (`begun_at` is NULL when none is), and what the last
    whole one found."""

    __tablename__ = "audit_checks"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    begun_at: Mapped[datetime | None] = mapped_column(Instant)
    walked: Mapped[int] = mapped_column(default=0)
    walked_hash: Mapped[str] = mapped_column(String(64), default="0" * 64)
    checked_at: Mapped[datetime | None] = mapped_column(Instant)
    rows: Mapped[int] = mapped_column(default=0)
    broken_seq: Mapped[int | None] = mapped_column()
    problem: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (CheckConstraint("id = 1", name="id"),)


class Setting(Model):
    """A setting the office chose itself; one without a row has the value of the environment. `value` is JSON; `version` counts the
    changes of all settings, so that a form which was opened before the last of them is noticed."""

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column()
    changed_at: Mapped[datetime] = mapped_column(Instant)
    changed_by: Mapped[str] = mapped_column(String(120))
    __table_args__ = (CheckConstraint("version > 0", name="version"),)


class ScheduleSlot(Model):
    """The last slot of a periodic job that was started, so that a missed one is caught up once."""

    __tablename__ = "schedule_slots"
    job: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_slot: Mapped[datetime] = mapped_column(Instant)


from portal.store import door_tables, expense_tables, missing_tables, money_tables, reading_tables, staging_tables, void_code_tables  # noqa: E402, F401 - the rest of the tables; they need the classes above

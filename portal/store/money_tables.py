"""The tables of the money desk: kept totals of payments, checks and transfers on their way to the bank, deposits."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.store.models import Model, one_of, plain
from portal.store.types import Instant, Pesos


class PaymentTotal(Model):
    """Count and pesos of the payments that are alike in what the list filters on. `void` is "", requested or approved; `flags` are all of a
    payment's in their order, each between commas, or "". Kept with every write of payments, flags and voids (store/payment_totals.py)."""

    __tablename__ = "payment_totals"
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    business_date: Mapped[date] = mapped_column(primary_key=True)
    tender: Mapped[str] = mapped_column(plain(14), primary_key=True)
    status: Mapped[str] = mapped_column(plain(12), primary_key=True)
    void: Mapped[str] = mapped_column(plain(10), primary_key=True)
    flags: Mapped[str] = mapped_column(plain(300), primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)


class PaymentDayTotal(Model):
    """PaymentTotal over all collectors. Triggers keep it with every write of PaymentTotal (migration 0016)."""

    __tablename__ = "payment_day_totals"
    business_date: Mapped[date] = mapped_column(primary_key=True)
    tender: Mapped[str] = mapped_column(plain(14), primary_key=True)
    status: Mapped[str] = mapped_column(plain(12), primary_key=True)
    void: Mapped[str] = mapped_column(plain(10), primary_key=True)
    flags: Mapped[str] = mapped_column(plain(300), primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)


class PaymentMonthTotal(Model):
    """PaymentDayTotal of each month, by its first day; kept by triggers too."""

    __tablename__ = "payment_month_totals"
    month: Mapped[date] = mapped_column(primary_key=True)
    tender: Mapped[str] = mapped_column(plain(14), primary_key=True)
    status: Mapped[str] = mapped_column(plain(12), primary_key=True)
    void: Mapped[str] = mapped_column(plain(10), primary_key=True)
    flags: Mapped[str] = mapped_column(plain(300), primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)


class PaymentEverTotal(Model):
    """PaymentTotal over all time, of each collector and, as user -1, of everybody; kept by triggers too (migration 0020)."""

    __tablename__ = "payment_ever_totals"
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tender: Mapped[str] = mapped_column(plain(14), primary_key=True)
    status: Mapped[str] = mapped_column(plain(12), primary_key=True)
    void: Mapped[str] = mapped_column(plain(10), primary_key=True)
    flags: Mapped[str] = mapped_column(plain(300), primary_key=True)
    __table_args__ = ({"sqlite_with_rowid": False},)
    count: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    vat_amount: Mapped[Decimal] = mapped_column(Pesos)


PAPER_STATES = ("received", "deposited", "cleared", "bounced", "settled", "unverified", "verified", "not_found")


class Paper(Model):
    """A check, e-wallet payment or bank transfer on its way to the bank: where it stands now. A check is `received` until a deposit holds
    it; the others are `unverified` until somebody finds them on the provider's statement. `due_on` is the date on the check, otherwise the
    business date. Made when the payment is booked; every move is written down in paper_moves too."""

    __tablename__ = "papers"
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), primary_key=True)
    tender: Mapped[str] = mapped_column(plain(14))
    state: Mapped[str] = mapped_column(plain(12))
    due_on: Mapped[date] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    state_at: Mapped[datetime] = mapped_column(Instant)
    state_by: Mapped[str] = mapped_column(String(60), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        CheckConstraint(one_of("state", PAPER_STATES), name="state"),
        CheckConstraint("tender <> 'cash'", name="tender"),
        CheckConstraint("(tender = 'check') = (state NOT IN ('unverified', 'verified', 'not_found'))", name="of_tender"),
        Index("ix_papers_list", "tender", "state", "due_on", "payment_id", "amount"),
    )


class PaperMove(Model):
    """One move of a paper: who, when, why, with which deposit. Never changed (trigger)."""

    __tablename__ = "paper_moves"
    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("papers.payment_id"), index=True)
    state: Mapped[str] = mapped_column(String(12))
    at: Mapped[datetime] = mapped_column(Instant)
    who: Mapped[str] = mapped_column(String(60))
    note: Mapped[str] = mapped_column(Text, default="")
    deposit_id: Mapped[int | None] = mapped_column(ForeignKey("deposits.id"))
    __table_args__ = (CheckConstraint(one_of("state", PAPER_STATES), name="state"),)


class Deposit(Model):
    """Cash and checks brought to a bank with one slip. `request_id` names the form that was sent. Never changed (trigger)."""

    __tablename__ = "deposits"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(plain(12), unique=True)
    request_id: Mapped[str] = mapped_column(String(36), unique=True)
    bank_account: Mapped[str] = mapped_column(String(120))
    slip_number: Mapped[str] = mapped_column(String(60))
    deposited_on: Mapped[date] = mapped_column(index=True)
    cash: Mapped[Decimal] = mapped_column(Pesos)
    checks: Mapped[Decimal] = mapped_column(Pesos)
    total: Mapped[Decimal] = mapped_column(Pesos)
    made_by: Mapped[str] = mapped_column(String(60))
    made_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint("total = cash + checks AND cash >= 0 AND checks >= 0 AND total > 0", name="total"),
        UniqueConstraint("bank_account", "slip_number", name="uq_deposits_slip"),
    )


class DepositCash(Model):
    """How much of a remittance's cash a deposit holds. Never changed (trigger)."""

    __tablename__ = "deposit_cash"
    deposit_id: Mapped[int] = mapped_column(ForeignKey("deposits.id"), primary_key=True)
    remittance_id: Mapped[int] = mapped_column(ForeignKey("remittances.id"), primary_key=True, index=True)
    amount: Mapped[Decimal] = mapped_column(Pesos)
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)


class DepositCheck(Model):
    """A check a deposit holds. Never changed (trigger)."""

    __tablename__ = "deposit_checks"
    deposit_id: Mapped[int] = mapped_column(ForeignKey("deposits.id"), primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("papers.payment_id"), primary_key=True, index=True)
    amount: Mapped[Decimal] = mapped_column(Pesos)


class PostingAttempt(Model):
    """One attempt to post a payment and what came of it: `completed`, `failed` or `postponed`, why, and PSCloud's raw answer where it gave
    one. Never changed (trigger)."""

    __tablename__ = "posting_attempts"
    id: Mapped[int] = mapped_column(primary_key=True)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), index=True)
    at: Mapped[datetime] = mapped_column(Instant)
    attempt: Mapped[int] = mapped_column()
    outcome: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(Text, default="")
    answer: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (CheckConstraint(one_of("outcome", ("completed", "failed", "postponed")), name="outcome"),)


class Circuit(Model):
    """Whether PSCloud is asked at all to take payments: failures in a row, since when, and until when nobody asks. Migration 0023 makes its
    only row, `posting`."""

    __tablename__ = "circuits"
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    failures: Mapped[int] = mapped_column()
    since: Mapped[datetime | None] = mapped_column(Instant)
    open_until: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[str] = mapped_column(Text)

"""The tables of cash that leaves a collector's hand before the remittance: expenses with their photos, and cash drops."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.expenses import STATES
from portal.store.models import Model, one_of
from portal.store.types import Instant, Pesos


class Expense(Model):
    """Money a collector spent, and the office's decision. The expense is written once, the decision once, and where the journal wrote the
    decision down once (triggers)."""

    __tablename__ = "expenses"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    registry_id: Mapped[str] = mapped_column(String(36))
    journal_seq: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    category: Mapped[str] = mapped_column(String(60))
    description: Mapped[str] = mapped_column(Text)
    spent_at: Mapped[datetime] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(10), default="requested")
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decision_reason: Mapped[str] = mapped_column(Text, default="")
    counted_registry_id: Mapped[str | None] = mapped_column(String(36), index=True)
    counted_seq: Mapped[int | None] = mapped_column()
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint(one_of("state", STATES), name="state"),
        CheckConstraint("(state = 'requested') = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("(decided_at IS NULL) = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("counted_seq IS NULL OR (state <> 'requested' AND counted_registry_id IS NOT NULL)", name="counted"),
        UniqueConstraint("terminal_id", "journal_seq", name="uq_expenses_place"),
        Index("ix_expenses_state", "state", "spent_at", "id"),
        Index("ix_expenses_spent_at", "spent_at", "id"),
    )


class ExpensePhoto(Model):
    """A photo of the paper of an expense, a JPEG as its bytes say. In the database, so that every backup holds it."""

    __tablename__ = "expense_photos"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    expense_id: Mapped[str] = mapped_column(ForeignKey("expenses.id"), index=True)
    size: Mapped[int] = mapped_column()
    width: Mapped[int] = mapped_column()
    height: Mapped[int] = mapped_column()
    received_at: Mapped[datetime] = mapped_column(Instant)
    image: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    __table_args__ = (CheckConstraint("size > 0 AND width > 0 AND height > 0", name="size"),)


class CashDrop(Model):
    """Cash a collector handed over before the remittance. Written once, never changed (triggers)."""

    __tablename__ = "cash_drops"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    registry_id: Mapped[str] = mapped_column(String(36))
    journal_seq: Mapped[int] = mapped_column()
    amount: Mapped[Decimal] = mapped_column(Pesos)
    given_to: Mapped[str] = mapped_column(String(100))
    reference: Mapped[str] = mapped_column(String(60))
    description: Mapped[str] = mapped_column(Text)
    dropped_at: Mapped[datetime] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        UniqueConstraint("terminal_id", "journal_seq", name="uq_cash_drops_place"),
        Index("ix_cash_drops_dropped_at", "dropped_at", "id"),
    )

"""The tables of the codes by which supervisors approve voids where they stand."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.void_codes import OUTCOMES
from portal.store.models import Model, one_of
from portal.store.types import Instant, Pesos


class VoidCode(Model):
    """A code that a supervisor gave for one void. The code itself is not kept: it follows from `secret` and the facts beside it."""

    __tablename__ = "void_codes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    void_number: Mapped[str] = mapped_column(String(20))
    amount: Mapped[Decimal] = mapped_column(Pesos)
    challenge: Mapped[str] = mapped_column(String(8))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    issued_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_void_codes_void_number", "terminal_id", "void_number"),
    )


class VoidCodeUse(Model):
    """What became of the code that came with a void: one for each void that carried one, one void for each code."""

    __tablename__ = "void_code_uses"
    void_id: Mapped[int] = mapped_column(ForeignKey("voids.id"), primary_key=True, autoincrement=False)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    code_id: Mapped[int | None] = mapped_column(ForeignKey("void_codes.id"), unique=True)
    outcome: Mapped[str] = mapped_column(String(12))
    received_at: Mapped[datetime] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint(one_of("outcome", OUTCOMES), name="outcome"),
        CheckConstraint("outcome <> 'approved' OR code_id IS NOT NULL", name="approved"),
        Index("ix_void_code_uses_terminal", "terminal_id", "outcome", "received_at"),
    )

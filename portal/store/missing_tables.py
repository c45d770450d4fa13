"""The tables of numbers that phones gave out and that have not arrived: the gaps, and up to where each terminal was looked at."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.numbers import SERIES, STATES
from portal.store.models import Model, one_of
from portal.store.types import Instant

NOT_ARRIVED = text("state <> 'arrived'")


class MissingNumber(Model):
    """A run of numbers of one terminal that it gave out and that did not arrive: open, explained by a supervisor, or arrived since.

    What arrives out of the middle of a run parts it; the parts keep when it was found and what was said of it."""

    __tablename__ = "missing_numbers"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    series: Mapped[str] = mapped_column(String(8))
    first_number: Mapped[int] = mapped_column()
    last_number: Mapped[int] = mapped_column()
    state: Mapped[str] = mapped_column(String(10), default="open")
    found_at: Mapped[datetime] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[str] = mapped_column(Text, default="")
    arrived_at: Mapped[datetime | None] = mapped_column(Instant)
    __table_args__ = (
        CheckConstraint(one_of("series", SERIES), name="series"),
        CheckConstraint(one_of("state", STATES), name="state"),
        CheckConstraint("first_number >= 1 AND first_number <= last_number", name="numbers"),
        CheckConstraint("(state = 'arrived') = (arrived_at IS NOT NULL)", name="arrived"),
        CheckConstraint("state <> 'explained' OR (decided_by IS NOT NULL AND reason <> '')", name="explained"),
        Index("ix_missing_numbers_state", "state", "id"),
        Index("ix_missing_numbers_terminal", "terminal_id", "series", "id", sqlite_where=NOT_ARRIVED, postgresql_where=NOT_ARRIVED),
    )


class NumberMark(Model):
    """Up to which entry, receipt, void and Z-reading a terminal's numbers were looked at: what is missing below has its row."""

    __tablename__ = "number_marks"
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(default=0)
    receipt: Mapped[int] = mapped_column(default=0)
    void: Mapped[int] = mapped_column(default=0)
    z: Mapped[int] = mapped_column(default=0)

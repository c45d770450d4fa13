"""The table of Z-readings that are evidence: a phone made them after the office had closed their registry."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.store.models import Model
from portal.store.types import Instant


class KeptReading(Model):
    """The Z-reading a phone made of a registry that the office had closed by one of its own (`reading_id`). It moved nothing and is never
    changed (trigger); `differences` is how it differs from the office's."""

    __tablename__ = "kept_readings"
    id: Mapped[int] = mapped_column(primary_key=True)
    terminal_id: Mapped[int] = mapped_column(ForeignKey("terminals.id"))
    registry_id: Mapped[str] = mapped_column(String(36))
    reading_id: Mapped[int] = mapped_column(ForeignKey("readings.id"), index=True)
    journal_seq: Mapped[int] = mapped_column()
    made_at: Mapped[datetime] = mapped_column(Instant)
    received_at: Mapped[datetime] = mapped_column(Instant)
    phone: Mapped[str] = mapped_column(Text)
    differences: Mapped[str] = mapped_column(Text)
    __table_args__ = (UniqueConstraint("terminal_id", "journal_seq"),)

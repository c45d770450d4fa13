"""The tables a download works in: what it has read and nobody sees yet, and what it remembers of PSCloud's pages for the next one."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Integer, String, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import db
from portal.store.models import Model, plain
from portal.store.types import Instant, Pesos

# Staging is filled in bulk and belongs to one run at a time: no key and no foreign key, and on PostgreSQL unlogged (migration 0008).
staged_soas = Table(
    "staged_soas",
    db.metadata,
    Column("run_id", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("id", plain(100), nullable=False),
    Column("soa_number", plain(100), nullable=False),
    Column("customer_id", plain(100), nullable=False),
    Column("account_number", plain(100), nullable=False),
    Column("customer_name", plain(300), nullable=False),
    Column("address", Text, nullable=False),
    Column("contact_number", String(60), nullable=False),
    Column("tin", String(40), nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("amount_due", Pesos, nullable=False),
    Column("penalty", Pesos, nullable=False),
    Column("collector_code", plain(40)),
    Column("status", String(10), nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("version", String(16), nullable=False),
    Column("search_text", plain(600), nullable=False),
)
"""SOAs a run has read that may differ from what is stored, and that nobody sees yet; `place` counts them in the order they came."""

staged_invoices = Table(
    "staged_invoices",
    db.metadata,
    Column("run_id", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("soa_id", plain(100), nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("id", plain(100), nullable=False),
    Column("invoice_number", String(100), nullable=False),
    Column("invoice_date", Date, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("description", Text, nullable=False),
    Column("amount", Pesos, nullable=False),
    Column("balance", Pesos, nullable=False),
    Column("penalty", Pesos, nullable=False),
    Column("vat_type", String(12), nullable=False),
    Column("vat_amount", Pesos, nullable=False),
)
"""The invoices of staged SOAs; `place` is their SOA's."""


class ReadPage(Model):
    """One page of PSCloud's list as a run read it: which records it held, so that the next run sees at once what is still the same.

    `records` is JSON [[SOA id, version, digest], ...] of those that could be read. `start`, `length` and `digest` are those of the list in
    the page's bytes; without a digest the page is never skipped. Pages of the last completed full run stay; `seen_by` is the run under way
    that met the page again."""

    __tablename__ = "read_pages"
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    seen_by: Mapped[int | None] = mapped_column()
    start: Mapped[int] = mapped_column()
    length: Mapped[int] = mapped_column()
    digest: Mapped[str | None] = mapped_column(String(32))
    records_count: Mapped[int] = mapped_column()
    records: Mapped[str] = mapped_column(Text)


class AbsentSoa(Model):
    """An open SOA that a complete download did not hold, which is not closed before a supervisor says so: too many were gone at once."""

    __tablename__ = "absent_soas"
    soa_id: Mapped[str] = mapped_column(plain(100), ForeignKey("soas.id"), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"), index=True)

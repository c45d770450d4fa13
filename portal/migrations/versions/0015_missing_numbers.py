"""Numbers that phones gave out and that have not arrived, each with its explanation, and Z-readings that the office makes for a phone"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from portal.migrations.triggers import refuse

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

NOT_ARRIVED = sa.text("state <> 'arrived'")
HELD = sa.text("state = 'held'")


def upgrade() -> None:
    missing = op.create_table(
        "missing_numbers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("series", sa.String(length=8), nullable=False),
        sa.Column("first_number", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("series IN ('receipt', 'void', 'z')", name=op.f("ck_missing_numbers_series")),
        sa.CheckConstraint("state IN ('open', 'explained', 'arrived')", name=op.f("ck_missing_numbers_state")),
        sa.CheckConstraint("first_number >= 1 AND first_number <= last_number", name=op.f("ck_missing_numbers_numbers")),
        sa.CheckConstraint("(state = 'arrived') = (arrived_at IS NOT NULL)", name=op.f("ck_missing_numbers_arrived")),
        sa.CheckConstraint("state <> 'explained' OR (decided_by IS NOT NULL AND reason <> '')", name=op.f("ck_missing_numbers_explained")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_missing_numbers_terminal_id_terminals")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_missing_numbers")),
    )
    op.create_index("ix_missing_numbers_state", "missing_numbers", ["state", "id"])
    op.create_index(
        "ix_missing_numbers_terminal",
        "missing_numbers",
        ["terminal_id", "series", "id"],
        sqlite_where=NOT_ARRIVED,
        postgresql_where=NOT_ARRIVED,
    )
    marks = op.create_table(
        "number_marks",
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("receipt", sa.Integer(), nullable=False),
        sa.Column("void", sa.Integer(), nullable=False),
        sa.Column("z", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_number_marks_terminal_id_terminals")),
        sa.PrimaryKeyConstraint("terminal_id", name=op.f("pk_number_marks")),
    )
    op.create_index("ix_journal_asides_held", "journal_asides", ["terminal_id", "seq"], sqlite_where=HELD, postgresql_where=HELD)
    look_at_what_is_there(missing, marks)
    let_the_office_close()


def let_the_office_close() -> None:
    """Room for the Z-reading that the office makes of a registry whose phone cannot, and for the phone's own that arrives after all."""
    # Plain ADD COLUMN: a batch would rebuild tables that others refer to.
    op.add_column("registries", sa.Column("forced_seq", sa.Integer(), nullable=True))
    op.add_column("registries", sa.Column("forced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("readings", sa.Column("made_by", sa.String(length=60), nullable=True))
    op.add_column("readings", sa.Column("reason", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "kept_readings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terminal_id", sa.Integer(), nullable=False),
        sa.Column("registry_id", sa.String(length=36), nullable=False),
        sa.Column("reading_id", sa.Integer(), nullable=False),
        sa.Column("journal_seq", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("differences", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["reading_id"], ["readings.id"], name=op.f("fk_kept_readings_reading_id_readings")),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name=op.f("fk_kept_readings_terminal_id_terminals")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_readings")),
        sa.UniqueConstraint("terminal_id", "journal_seq", name=op.f("uq_kept_readings_terminal_id_journal_seq")),
    )
    op.create_index("ix_kept_readings_reading_id", "kept_readings", ["reading_id"])
    refuse("kept_readings_are_never_deleted", "BEFORE DELETE", "kept_readings", "", "rows of kept_readings are never deleted")
    refuse("kept_readings_are_written_once", "BEFORE UPDATE", "kept_readings", "", "rows of kept_readings are never changed")


def look_at_what_is_there(missing: sa.Table, marks: sa.Table) -> None:
    """Find the gaps of every terminal once, reading its numbers in their order; from here on each upload does so for itself."""
    bind = op.get_bind()
    # SQLite keeps instants as UTC without a zone (portal.store.types.Instant).
    now = datetime.now(UTC) if bind.dialect.name != "sqlite" else datetime.now(UTC).replace(tzinfo=None)
    for terminal, code, head, receipt, void in bind.execute(
        sa.text("SELECT id, code, head_seq, last_receipt, last_void FROM terminals ORDER BY id")
    ).all():
        z, printed = z_numbers(bind, terminal)
        there = {
            "receipt": numbers(bind, "SELECT receipt_number FROM payments WHERE terminal_id = :terminal", terminal, f"{code}-"),
            "void": numbers(bind, "SELECT void_number FROM voids WHERE terminal_id = :terminal", terminal, f"{code}-V"),
            "z": iter(sorted(printed)),
        }
        of_terminal = {"terminal_id": terminal, "state": "open", "found_at": now, "reason": ""}
        rows = [
            {**of_terminal, "series": series, "first_number": first, "last_number": last}
            for series, highest in (("receipt", receipt), ("void", void), ("z", z))
            for first, last in gaps(there[series], highest)
        ]
        if rows:
            bind.execute(missing.insert(), rows)
        bind.execute(marks.insert(), [{"terminal_id": terminal, "seq": head, "receipt": receipt, "void": void, "z": z}])


def numbers(bind: Any, query: str, terminal: int, before: str) -> Iterator[int]:
    """The numbers that are there, in their order."""
    found = (row[0] for row in bind.execute(sa.text(query), {"terminal": terminal}))
    digits = (text.removeprefix(before) for text in found if text is not None and text.startswith(before))
    return iter(sorted(int(number) for number in digits if number.isdigit()))


def z_numbers(bind: Any, terminal: int) -> tuple[int, set[int]]:
    """The highest Z counter that the phone names, and those whose Z-reading is there."""
    query = (
        "SELECT kind, payload FROM journal_entries WHERE terminal_id = :terminal AND verdict = 'stored' "
        "AND kind IN ('registry_opened', 'reading_z', 'registry_closed')"
    )
    highest, there = 0, set()
    for kind, payload in bind.execute(sa.text(query), {"terminal": terminal}):
        found = json.loads(payload)
        number = found.get("z_counter") if isinstance(found, dict) else None
        if type(number) is int and 0 < number < 2**31:
            highest = max(highest, number)
            if kind == "reading_z":
                there.add(number)
    return highest, there


def gaps(there: Iterable[int], highest: int) -> Iterator[tuple[int, int]]:
    """The runs from 1 to the highest that are not there."""
    expected = 1
    for number, _ in groupby(there):
        if number > highest:
            break
        if number > expected:
            yield expected, number - 1
        expected = number + 1
    if expected <= highest:
        yield expected, highest


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward: a ledger is never taken back.")

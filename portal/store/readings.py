"""X- and Z-readings as the phone printed them beside what the portal worked out. Written once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from portal.domain.money import from_centavos
from portal.extensions import db
from portal.store.models import Reading, Terminal, User


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One reading in a list; `differences` is how many fields phone and portal disagree on."""

    id: int
    kind: str
    terminal: str
    collector_display: str
    business_date: date
    made_at: datetime
    z_counter: int | None
    gross: Decimal
    differences: int


@dataclass(frozen=True, slots=True)
class ReadingDetail:
    """One reading whole. `phone` and `portal` are the reading objects of docs/journal.md, money in centavos;
    `differences` holds {field, phone, portal}."""

    row: ReadingRow
    registry_id: str
    journal_seq: int
    received_at: datetime
    phone: dict[str, Any]
    portal: dict[str, Any]
    differences: list[dict[str, Any]]


def add(
    kind: str,
    terminal_id: int,
    user_id: int,
    registry_id: str,
    business_date: date,
    journal_seq: int,
    made_at: datetime,
    phone: dict[str, Any],
    portal: dict[str, Any],
    differences: list[dict[str, Any]],
    now: datetime,
) -> None:
    """Store a reading; UNIQUE (terminal, Z counter) makes a second Z of that number impossible."""
    db.session.add(
        Reading(
            kind=kind,
            terminal_id=terminal_id,
            user_id=user_id,
            registry_id=registry_id,
            business_date=business_date,
            journal_seq=journal_seq,
            z_counter=portal.get("z_counter"),
            made_at=made_at,
            received_at=now,
            phone=json.dumps(phone),
            portal=json.dumps(portal),
            differences=json.dumps(differences),
            gross=from_centavos(portal["gross"]),
        )
    )
    db.session.flush()


def _row(reading: Reading, code: str, display_name: str) -> ReadingRow:
    return ReadingRow(
        reading.id,
        reading.kind,
        code,
        display_name,
        reading.business_date,
        reading.made_at,
        reading.z_counter,
        reading.gross,
        len(json.loads(reading.differences)),
    )


def recent(limit: int = 100, before_id: int | None = None, kind: str | None = None, user_id: int | None = None) -> list[ReadingRow]:
    """Readings, newest first."""
    query = (
        select(Reading, Terminal.code, User.display_name)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .join(User, User.id == Reading.user_id)
        .order_by(Reading.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(Reading.id < before_id)
    if kind in {"X", "Z"}:
        query = query.where(Reading.kind == kind)
    if user_id is not None:
        query = query.where(Reading.user_id == user_id)
    return [_row(*found) for found in db.session.execute(query)]


def get(reading_id: int) -> ReadingDetail | None:
    """One reading, or None."""
    found = db.session.execute(
        select(Reading, Terminal.code, User.display_name)
        .join(Terminal, Terminal.id == Reading.terminal_id)
        .join(User, User.id == Reading.user_id)
        .where(Reading.id == reading_id)
    ).one_or_none()
    if found is None:
        return None
    reading = found[0]
    return ReadingDetail(
        _row(*found),
        reading.registry_id,
        reading.journal_seq,
        reading.received_at,
        json.loads(reading.phone),
        json.loads(reading.portal),
        json.loads(reading.differences),
    )

"""Incidents: what a person must look at, raised beside the event that caused it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from portal.extensions import db
from portal.store.models import Incident, Terminal


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One open incident."""

    id: int
    kind: str
    terminal: str | None
    subject: str
    detail: str
    raised_at: datetime


def add(kind: str, detail: str, at: datetime, terminal_id: int | None = None, subject: str = "") -> None:
    """Raise an incident in the current transaction."""
    db.session.add(Incident(kind=kind, detail=detail, raised_at=at, terminal_id=terminal_id, subject=subject[:100]))


@dataclass(frozen=True, slots=True)
class NewIncident:
    """An incident to be raised."""

    kind: str
    detail: str
    at: datetime
    terminal_id: int | None = None
    subject: str = ""


def add_all(found: Iterable[NewIncident]) -> None:
    """Raise them all in the current transaction."""
    for one in found:
        add(one.kind, one.detail, one.at, one.terminal_id, one.subject)


def open_incidents(limit: int = 50) -> list[IncidentRow]:
    """Unresolved incidents, newest first."""
    rows = db.session.execute(
        select(Incident, Terminal.code)
        .outerjoin(Terminal, Terminal.id == Incident.terminal_id)
        .where(Incident.resolved_at.is_(None))
        .order_by(Incident.id.desc())
        .limit(limit)
    )
    return [IncidentRow(i.id, i.kind, code, i.subject, i.detail, i.raised_at) for i, code in rows]


def count_open() -> int:
    """How many incidents nobody has resolved."""
    return db.session.execute(select(func.count()).select_from(Incident).where(Incident.resolved_at.is_(None))).scalar_one()

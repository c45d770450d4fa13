"""The list of incidents: those that wait, those that were closed and how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from portal.extensions import db
from portal.store.models import Incident, Terminal, User


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """What the list shows; `state` open or closed, `kind` and `terminal` empty = all."""

    state: str = "open"
    kind: str = ""
    terminal: str = ""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident; who closed it, when and with which words, when somebody did."""

    id: int
    kind: str
    terminal: str | None
    subject: str
    detail: str
    raised_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    resolution: str


def _where(query: Any, wanted: IncidentFilter) -> Any:
    query = query.where(Incident.resolved_at.is_(None) if wanted.state == "open" else Incident.resolved_at.is_not(None))
    if wanted.kind:
        query = query.where(Incident.kind == wanted.kind)
    if wanted.terminal:
        query = query.where(Incident.terminal_id.in_(select(Terminal.id).where(Terminal.code == wanted.terminal)))
    return query


def list_page(wanted: IncidentFilter, before_id: int | None = None, limit: int = 50) -> list[IncidentRow]:
    """Incidents of a filter, the latest first, those before `before_id` when it is given."""
    query = (
        _where(select(Incident, Terminal.code, User.display_name), wanted)
        .outerjoin(Terminal, Terminal.id == Incident.terminal_id)
        .outerjoin(User, User.name == Incident.resolved_by)
        .order_by(Incident.id.desc())
        .limit(limit)
        .execution_options(populate_existing=True)
    )
    if before_id is not None:
        query = query.where(Incident.id < before_id)
    return [
        IncidentRow(i.id, i.kind, code, i.subject, i.detail, i.raised_at, i.resolved_at, name or i.resolved_by or "", i.resolution)
        for i, code, name in db.session.execute(query)
    ]


def count(wanted: IncidentFilter) -> int:
    """How many incidents the filter lets through."""
    found: int = db.session.execute(_where(select(func.count()).select_from(Incident), wanted)).scalar_one()
    return found


def kinds() -> list[str]:
    """Every kind that was ever raised, by name."""
    return sorted(db.session.scalars(select(Incident.kind).distinct()))


def terminals() -> list[str]:
    """Codes of the terminals that any incident is about, in order."""
    about = select(Incident.terminal_id).where(Incident.terminal_id.is_not(None))
    return list(db.session.scalars(select(Terminal.code).where(Terminal.id.in_(about)).order_by(Terminal.id)))


def close(incident_id: int, who: str, resolution: str, now: datetime) -> bool:
    """Close an open incident; False when there is none with this number, or it is closed already."""
    done = db.session.execute(
        update(Incident)
        .where(Incident.id == incident_id, Incident.resolved_at.is_(None))
        .values(resolved_at=now, resolved_by=who, resolution=resolution)
        .execution_options(synchronize_session=False)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def exists(incident_id: int) -> bool:
    """Whether there is an incident with this number."""
    return db.session.execute(select(Incident.id).where(Incident.id == incident_id)).first() is not None

"""Filters of lists that people keep under a name. Everybody sees their own. Never commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Executable, bindparam, delete, func, select, update

from portal.extensions import db
from portal.store.models import SavedFilter


@dataclass(frozen=True, slots=True)
class SavedRow:
    """One saved filter; `query` is the part of an address after the question mark."""

    id: int
    kind: str
    name: str
    query: str


def of_user(user_id: int, kind: str) -> list[SavedRow]:
    """Somebody's filters of one list, by name."""
    return [SavedRow(*row) for row in db.session.connection().execute(_of_user(), {"user_id": user_id, "kind": kind})]


@cache
def _of_user() -> Executable:
    """Made once: every page of a list asks."""
    return (
        select(SavedFilter.id, SavedFilter.kind, SavedFilter.name, SavedFilter.query)
        .where(SavedFilter.user_id == bindparam("user_id"), SavedFilter.kind == bindparam("kind"))
        .order_by(func.lower(SavedFilter.name), SavedFilter.id)
    )


def get(filter_id: int, user_id: int) -> SavedRow | None:
    """A filter, if it is this person's."""
    query = select(SavedFilter.id, SavedFilter.kind, SavedFilter.name, SavedFilter.query).where(
        SavedFilter.id == filter_id, SavedFilter.user_id == user_id
    )
    row = db.session.execute(query).one_or_none()
    return None if row is None else SavedRow(*row)


def add(user_id: int, kind: str, name: str, query: str, now: datetime) -> int:
    """Keep a filter. The unique name raises IntegrityError when this person has one of that name."""
    saved = SavedFilter(user_id=user_id, kind=kind, name=name, query=query, created_at=now)
    db.session.add(saved)
    db.session.flush()
    return saved.id


def rename(filter_id: int, name: str) -> None:
    """Give it another name. Raises IntegrityError as `add` does."""
    db.session.execute(update(SavedFilter).where(SavedFilter.id == filter_id).values(name=name))


def remove(filter_id: int) -> None:
    """Forget it."""
    db.session.execute(delete(SavedFilter).where(SavedFilter.id == filter_id))

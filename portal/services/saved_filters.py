"""Keeping the filters of a list under a name: own ones only, a few dozen each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.exc import IntegrityError

from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.extensions import db
from portal.store import exports, saved_filters
from portal.store.saved_filters import SavedRow

MOST = 30
LONGEST_NAME = 60


def save(user_id: int, kind: str, name: str, query: str, now: datetime) -> int:
    """Keep a filter (as it stands in the address) under a name. Commits.

    Raises InvalidInput for an empty filter or name, Conflict for a name in use or too many."""
    name = _clean(name)
    if not query:
        raise InvalidInput("There is no filter to save. Choose what the list should show, then save it.")
    exports.lock_user(user_id)
    own = saved_filters.of_user(user_id, kind)
    if len(own) >= MOST:
        db.session.rollback()
        raise Conflict(f"You have {MOST} saved filters, which is the most. Delete one that you do not need, then save this one.")
    same = next((one for one in own if one.query == query), None)
    if same:
        db.session.rollback()
        raise Conflict(f"You have saved this filter already, under the name {same.name}.")
    try:
        saved = saved_filters.add(user_id, kind, name, query, now)
    except IntegrityError:
        raise _taken(name) from None
    db.session.commit()
    return saved


def rename(filter_id: int, user_id: int, name: str) -> SavedRow:
    """Give an own filter another name. Commits. Raises NotFound, InvalidInput, Conflict for a name in use."""
    name, found = _clean(name), _own(filter_id, user_id)
    try:
        saved_filters.rename(filter_id, name)
    except IntegrityError:
        raise _taken(name) from None
    db.session.commit()
    return found


def delete(filter_id: int, user_id: int) -> SavedRow:
    """Forget an own filter. Commits. Raises NotFound."""
    found = _own(filter_id, user_id)
    saved_filters.remove(filter_id)
    db.session.commit()
    return found


def _own(filter_id: int, user_id: int) -> SavedRow:
    found = saved_filters.get(filter_id, user_id)
    if found is None:
        raise NotFound("You have no saved filter of this number. It may have been deleted in another window.")
    return found


def _taken(name: str) -> Conflict:
    db.session.rollback()
    return Conflict(f"You have a saved filter named {name} already. Choose another name, or delete that one first.")


def _clean(name: str) -> str:
    name = " ".join("".join(c for c in name if c.isprintable()).split())
    if not name or len(name) > LONGEST_NAME:
        raise InvalidInput(f"Give the filter a name of 1 to {LONGEST_NAME} characters.")
    return name

"""Closing an incident: a person looked at it and says what came of it."""

from __future__ import annotations

from datetime import datetime

from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.extensions import db
from portal.store import audit, incident_list

SHORTEST, LONGEST = 3, 500


def close(incident_id: int, who: str, resolution: str, now: datetime) -> None:
    """Close an incident with what came of it. Raises InvalidInput, NotFound, or Conflict when it is closed already. Commits."""
    words = " ".join(resolution.split())
    if not SHORTEST <= len(words) <= LONGEST or "\x00" in words:
        raise InvalidInput(f"Say in {SHORTEST} to {LONGEST} letters what you found and what was done, so that others need not ask.")
    if not incident_list.exists(incident_id):
        raise NotFound("There is no incident with this number.")
    if not incident_list.close(incident_id, who, words, now):
        db.session.rollback()
        raise Conflict("Somebody has closed this incident already. Load the page again to see what came of it.")
    audit.add(who, "incident_closed", f"incident {incident_id}", {"resolution": words}, now)
    db.session.commit()

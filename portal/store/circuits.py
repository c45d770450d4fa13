"""Whether PSCloud is asked at all to take payments (the table circuits). Never commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from portal.extensions import db
from portal.store.money_tables import Circuit

POSTING = "posting"


@dataclass(frozen=True, slots=True)
class State:
    """Runs that failed one after the other, since when and why; until when nobody asks."""

    failures: int
    since: datetime | None
    open_until: datetime | None
    reason: str


def read() -> State:
    """How it stands."""
    columns = (Circuit.failures, Circuit.since, Circuit.open_until, Circuit.reason)
    return State(*db.session.execute(select(*columns).where(Circuit.name == POSTING)).one())


def fail(reason: str, at: datetime) -> int:
    """Count one more failure. Returns how many there are in a row."""
    values = {"failures": Circuit.failures + 1, "since": func.coalesce(Circuit.since, at), "reason": reason}
    statement = update(Circuit).where(Circuit.name == POSTING).values(values).returning(Circuit.failures)
    return db.session.execute(statement).scalar_one()


def pause(until: datetime | None) -> None:
    """Let nobody ask until then; None lets the next one ask."""
    db.session.execute(update(Circuit).where(Circuit.name == POSTING).values(open_until=until))


def close() -> None:
    """PSCloud took something: all is well. Writes nothing when it was."""
    well = {"failures": 0, "since": None, "open_until": None, "reason": ""}
    db.session.execute(update(Circuit).where(Circuit.name == POSTING, Circuit.failures > 0).values(well))

"""The last slot of each periodic job that was started, so that of several schedulers one starts it. Never commits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.store.models import ScheduleSlot


def last_slot(job: str) -> datetime | None:
    """The slot that was started last, in UTC; None for a job that has none yet."""
    return db.session.scalar(select(ScheduleSlot.last_slot).where(ScheduleSlot.job == job))


def take(job: str, slot: datetime) -> bool:
    """Whether the caller is to start the job for its latest slot (UTC): once, however many slots were missed, and only the first who
    asks. It sticks with the caller's commit. A job seen for the first time starts with its next slot."""
    seen = last_slot(job)
    if seen is None:
        try:
            with db.session.begin_nested():
                db.session.execute(insert(ScheduleSlot).values(job=job, last_slot=slot))
        except IntegrityError:
            pass  # another scheduler wrote the same row at the same moment
        return False
    if seen >= slot:
        return False
    moved = db.session.execute(
        update(ScheduleSlot).where(ScheduleSlot.job == job, ScheduleSlot.last_slot == seen).values(last_slot=slot),
        execution_options={"synchronize_session": False},
    )
    return int(moved.rowcount) == 1  # type: ignore[attr-defined]

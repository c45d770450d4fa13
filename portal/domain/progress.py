"""How fast something long goes, and how long it still takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

BEFORE_IT_SAYS = 2.0
"""Seconds of work before a rate means anything."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`percent` 0 to 100, `rate` in records per second, `left` in seconds; None where it cannot be told yet."""

    done: int
    total: int | None
    percent: int | None
    rate: float | None
    left: int | None


def estimate(done: int, total: int | None, started: datetime | None, counted: datetime) -> Progress:
    """Where a run stands that had done so much when it was last counted. More than the total means that the total was wrong: it is
    left out then."""
    known = total if total and done <= total else None
    seconds = (counted - started).total_seconds() if started else 0.0
    rate = done / seconds if done and seconds >= BEFORE_IT_SAYS else None
    return Progress(
        done=done,
        total=known,
        percent=100 * done // known if known else None,
        rate=rate,
        left=round((known - done) / rate) if known is not None and rate else None,
    )

"""Jobs that wait in the database for a worker: whether there is still hope, and what to say when there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

RING_AGAIN = timedelta(seconds=30)
NO_JOB = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a kind of job waits for a worker that is busy, and what is said when none came, or when none could be told."""

    for_worker: timedelta
    nobody_came: str
    nobody_heard: str

    def why_given_up(self, waited: timedelta, is_waiting: Callable[[], bool], ring_again: Callable[[], bool]) -> str:
        """Why a job that has waited so long is given up; empty while there is hope. Where it lies in no queue it is rung for again."""
        if waited >= self.for_worker:
            return self.nobody_came
        if waited < RING_AGAIN or is_waiting():
            return ""
        if ring_again() or waited < NO_JOB:
            return ""
        return self.nobody_heard

"""Jobs that wait in the database for a worker: whether there is still hope, and what to say when there is none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from portal import doorbell

RING_AGAIN = timedelta(seconds=30)
NO_JOB = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a kind of job waits for a worker that is busy, and what is said when none came, or when none could be told."""

    job: str
    for_worker: timedelta
    nobody_came: str
    nobody_heard: str

    def why_given_up(self, number: int, job_id: str, waited: timedelta) -> str:
        """Why the job of this number is given up; empty while there is hope, after ringing again where its ring was lost."""
        if waited >= self.for_worker:
            return self.nobody_came
        if waited < RING_AGAIN or doorbell.is_waiting(self.job, job_id):
            return ""
        if doorbell.ring(self.job, number, job_id=job_id) or waited < NO_JOB:
            return ""
        return self.nobody_heard

"""SOA Daily Download: asking for a run, cancelling it, giving up one whose worker is gone, and deciding about a great drop (DOMAIN 9).

The run itself is in sync_download.py, what makes it visible in sync_swap.py, asking for failed records again in sync_retry.py."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError

from portal import doorbell
from portal.domain.errors import Conflict, NotFound
from portal.extensions import db
from portal.services.sync_download import run
from portal.services.sync_retry import Retried, request_retry, retry_failed
from portal.services.sync_work import business_date, many
from portal.services.waiting import Patience
from portal.store import audit, read_pages, schedule, seen, staging, sync_runs

__all__ = [
    "Retried",
    "cancel",
    "close_waiting",
    "fail",
    "fail_stalled",
    "keep_waiting_open",
    "request_retry",
    "request_run",
    "retry_failed",
    "run",
    "start_scheduled",
]

SILENCE = timedelta(seconds=90)
"""A running run shows life every few seconds; after this long without, its worker is gone."""
PATIENCE = Patience(
    timedelta(minutes=15),
    "No worker took the download within 15 minutes. Check that the worker for downloads is running, then press Sync now.",
    "The job queue (Redis) did not answer, so no worker heard of the download. Press Sync now when it is back.",
)


# --- asking for a run


def request_run(trigger: str, who: str, now: datetime, kind: str = "full") -> int:
    """A new run, waiting for a worker; `trigger` is scheduled or manual. Commits and rings. Raises Conflict while another is active.

    `kind` full reads every open SOA and closes those that are gone; quick reads only what changed since the last watermark, closes what
    PSCloud itself calls closed, and becomes a full one where it cannot vouch for more."""
    try:
        run_id = sync_runs.add(trigger, who, now, kind)
    except IntegrityError:
        db.session.rollback()
        raise Conflict("A download is already waiting or running. Wait for it to end, or cancel it first.", "sync_active") from None
    audit.add(who, "sync_requested", f"sync {run_id}", {"trigger": trigger, "kind": kind}, now)
    db.session.commit()
    doorbell.ring("download_soas", run_id, job_id=_job_id(run_id))
    return run_id


def start_scheduled(job: str, slot: datetime, now: datetime) -> int | None:
    """The daily run, if this slot of the job is still to be started; None when it is not, or when another run is active, which
    brings the same records. The slot and the run are one commit, so neither can be lost without the other. Rings."""
    if not schedule.take(job, slot) or sync_runs.active() is not None:
        db.session.commit()
        return None
    try:
        return request_run("scheduled", "schedule", now)
    except Conflict:
        return None  # somebody pressed Sync now at this very moment; the slot is looked at again at the next tick


def cancel(run_id: int, who: str, now: datetime) -> None:
    """End a waiting or running run at once; its worker finds out at its next step. Commits.

    Raises NotFound, or Conflict when it has ended."""
    if sync_runs.get(run_id) is None:
        raise NotFound("There is no such download.")
    if not sync_runs.is_free(run_id) or not sync_runs.end(run_id, "cancelled", now, f"Cancelled by {who}."):
        db.session.rollback()
        raise Conflict("This download has already ended, or is just being finished; there is nothing left to cancel.")
    staging.clear(run_id)
    read_pages.forget_run(run_id)
    audit.add(who, "sync_cancelled", f"sync {run_id}", {}, now)
    db.session.commit()


def fail(run_id: int, reason: str, now: datetime) -> None:
    """A run that cannot even begin, because the settings are wrong, ends Failed with this reason. Commits."""
    sync_runs.end(run_id, "failed", now, reason)
    db.session.commit()


def fail_stalled(now: datetime) -> int:
    """End runs whose worker is gone, ring again for those nobody has taken, and clear what ended runs left in staging. Commits.

    Returns the number of runs ended."""
    ended = 0
    for run_id in sync_runs.silent_since(now - SILENCE):
        reason = "The worker stopped before the download was finished. What everybody sees is unchanged; press Sync now to start again."
        ended += sync_runs.end(run_id, "failed", now, reason)
    staging.clear_ended()
    read_pages.forget_ended()
    waiting = sync_runs.waiting()
    db.session.commit()  # Redis is asked outside any transaction: when it hangs, nobody else has to wait for us
    for one in waiting:
        reason = _why_nobody_came(one.id, now - one.requested_at)
        if reason:
            ended += sync_runs.end(one.id, "failed", now, reason)
            db.session.commit()
    return ended


def _why_nobody_came(run_id: int, waited: timedelta) -> str:
    """Why a waiting run is given up; empty while there is hope."""
    job = _job_id(run_id)
    return PATIENCE.why_given_up(
        waited, lambda: doorbell.is_waiting("download_soas", job), lambda: doorbell.ring("download_soas", run_id, job_id=job)
    )


def _job_id(run_id: int) -> str:
    return f"download-{run_id}"


# --- a great drop


def close_waiting(run_id: int, who: str, now: datetime) -> int:
    """Close the SOAs that a completed download did not hold and that wait for a supervisor's yes. Returns how many. Commits.

    Raises NotFound, or Conflict when nothing waits any more or while another download is active, which may hold them."""
    waiting = _waiting(run_id)
    today, closed, last = business_date(now), 0, ""
    while ids := seen.held(run_id, last, staging.PORTION):
        closed += staging.close(run_id, ids, today)
        last = ids[-1]
    seen.let_go(run_id)
    seen.forget_closed()
    note = f"{waiting.note} {who} had the {many(closed, 'SOA')} closed that PSCloud did not send."
    sync_runs.change_numbers(run_id, waiting_to_close=0, closed=waiting.closed + closed, note=note.strip())
    audit.add(who, "sync_drop_accepted", f"sync {run_id}", {"closed": closed}, now)
    db.session.commit()
    return closed


def keep_waiting_open(run_id: int, who: str, now: datetime) -> None:
    """Leave the SOAs open that wait for a supervisor's yes. The next full download asks again if they are still gone. Commits.

    Raises NotFound, or Conflict when nothing waits any more."""
    waiting = _waiting(run_id)
    seen.let_go(run_id)
    note = f"{waiting.note} {who} left them open."
    sync_runs.change_numbers(run_id, waiting_to_close=0, note=note.strip())
    audit.add(who, "sync_drop_refused", f"sync {run_id}", {"left_open": waiting.waiting_to_close}, now)
    db.session.commit()


def _waiting(run_id: int) -> sync_runs.RunRow:
    found = sync_runs.get_locked(run_id)
    if found is None:
        raise NotFound("There is no such download.")
    if not found.waiting_to_close:
        db.session.rollback()
        raise Conflict("No SOAs of this download wait to be closed any more. A later download may have held them, or somebody decided.")
    if sync_runs.active() is not None:
        db.session.rollback()
        raise Conflict("A download is waiting or running and may hold these SOAs. Wait for it to end.")
    return found

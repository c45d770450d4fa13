"""Checking the audit log's chain little by little: every day by itself, and when somebody asks. Nobody waits for a million rows."""

from __future__ import annotations

from datetime import datetime, timedelta

from portal import doorbell
from portal.extensions import db
from portal.store import audit, audit_checks, incidents

STEP = 5_000
"""Rows looked at in one transaction: some 50 ms."""
EVERY = timedelta(days=1)


def request(now: datetime) -> bool:
    """Check from the first row on; True when that is done already, else a worker goes on. Commits and may ring."""
    audit_checks.begin(now)
    if step(now):
        return True
    doorbell.ring("check_audit")
    return False


def step(now: datetime) -> bool:
    """Look at the next rows of a walk that is under way; True when none is, or this was its end. Commits.

    May run in several places at once: each takes the rows after those of the other."""
    state = audit_checks.get(lock=True)
    if state.begun_at is None:
        db.session.rollback()
        return True
    seq, hash_, ended, broken = audit.walk(state.walked, state.walked_hash, STEP)
    if not ended:
        audit_checks.advance(seq, hash_)
    else:
        audit_checks.finish(seq, broken, now)
        if broken and (broken.seq, broken.problem) != (state.broken_seq, state.problem):
            incidents.add("audit_log_broken", _told(broken), now, subject=f"audit {broken.seq}")
    db.session.commit()
    return ended


def run(now: datetime) -> None:
    """Walk to the end. Commits step by step."""
    while not step(now):
        continue


def sweep(now: datetime) -> None:
    """Take one step of a walk that is under way, or begin one when the last is a day old. Commits."""
    state = audit_checks.get()
    if state.begun_at is None:
        if state.checked_at is not None and timedelta(0) <= now - state.checked_at < EVERY:
            db.session.rollback()
            return
        audit_checks.begin(now)
    step(now)


def _told(broken: audit.Broken) -> str:
    return (
        f"The audit log is broken: entry {broken.seq} {broken.problem}. Somebody changed the database past the portal. Keep the newest "
        "backups, compare this entry with the one in them, and ask who had access to the database server."
    )

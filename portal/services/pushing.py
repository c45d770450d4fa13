"""A push: everything that is due goes to PSCloud, payments first, then voids; and the circuit that stops pushes while PSCloud is away.

Each payment and void has growing pauses of its own. With thousands waiting that alone would mean one failing request after the other, so
after a few failures in a row nobody asks for a while; then one push finds out, and either all goes on or the pause doubles (F18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from portal.extensions import db
from portal.pscloud.client import PscloudClient
from portal.services import postings, void_postings
from portal.store import circuits, voids
from portal.store import postings as outbox

log = structlog.get_logger(__name__)
OPENS_AFTER = 3
"""Pushes that failed one after the other, without PSCloud taking or refusing anything."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=20), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Paused:
    """PSCloud takes nothing since `since`; asked again at `until`, or by the next push when that has passed."""

    since: datetime
    until: datetime
    reason: str


def push(client: PscloudClient, now: Callable[[], datetime]) -> tuple[postings.Outcome, void_postings.Outcome]:
    """Post what is due, tell PSCloud of voids, and remember how it went. Asks whatever the circuit says: who calls it has looked."""
    posted, told = postings.post_due(client, now), void_postings.post_due(client, now)
    reason = posted.reason or told.reason
    if posted.completed or posted.failed or told.completed or told.failed:
        if circuits.read().failures >= OPENS_AFTER:
            _hasten(now())
        circuits.close()
    elif reason:
        failures = circuits.fail(reason, now())
        if failures >= OPENS_AFTER:
            pause = min(FIRST_PAUSE * 2 ** min(failures - OPENS_AFTER, 10), LONGEST_PAUSE)
            circuits.pause(now() + pause)
            log.warning("pushes are paused", failures=failures, seconds=pause.total_seconds(), reason=reason)
    db.session.commit()
    return posted, told


def lets_through(now: datetime) -> bool:
    """Whether a push may ask PSCloud now. Ends its transaction."""
    state = circuits.read()
    db.session.rollback()
    return state.open_until is None or state.open_until <= now


def paused() -> Paused | None:
    """For people: that PSCloud takes nothing, and why; None while all is well."""
    state = circuits.read()
    if state.failures < OPENS_AFTER or state.since is None or state.open_until is None:
        return None
    return Paused(state.since, state.open_until, state.reason)


def try_now(now: datetime) -> None:
    """Let the next push ask at once: somebody knows that PSCloud is back. What waited for its own pause goes with it. Commits."""
    circuits.pause(now)
    _hasten(now)
    db.session.commit()


def _hasten(now: datetime) -> None:
    """What was put off while PSCloud was away need not sit out its own pause."""
    outbox.hasten(now)
    voids.hasten(now)

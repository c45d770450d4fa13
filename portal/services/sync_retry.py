"""Asking PSCloud again for just the records that a download could not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import doorbell
from portal.domain.errors import Busy, Conflict, NotFound
from portal.domain.money import ZERO
from portal.domain.soa import Soa
from portal.extensions import db
from portal.pscloud import mapping
from portal.pscloud.client import PscloudClient, PscloudError
from portal.pscloud.mapping import MappingError
from portal.services.sync_stream import raw_text
from portal.services.sync_work import business_date
from portal.store import audit, seen, soas, staging, sync_runs
from portal.store.sync_runs import FailureRow

PORTION = 100
"""Records that are asked for and written together: each may be long."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a run's failed records when PSCloud was asked for them again."""

    repaired: int
    still_failed: int
    without_id: int


def request_retry(run_id: int, who: str, now: datetime) -> None:
    """Have a worker ask PSCloud again for the run's failed records. Raises NotFound, Conflict or Busy. Commits and rings."""
    _retriable(run_id)
    audit.add(who, "sync_retry_requested", f"sync {run_id}", {}, now)
    db.session.commit()
    if not doorbell.ring("retry_failed", run_id, who, job_id=f"retry-{run_id}-{int(now.timestamp())}"):
        raise Busy("The job queue (Redis) does not answer, so the records were not asked for again. Try again in a minute.")


def retry_failed(run_id: int, who: str, client: PscloudClient, now: datetime) -> Retried:
    """Ask PSCloud again for each record of a completed run that could not be read, and take over those that now can. Commits every hundred.

    Raises NotFound, Conflict while a download is active or when the run did not complete. Where PSCloud does not answer, nothing more is
    changed, the run's note says so, and PSCloud's error is raised."""
    _retriable(run_id)
    done = Retried(0, 0, 0)
    last = 0
    while failures := sync_runs.failures(run_id, last, PORTION):
        db.session.commit()  # nothing may stay open while we wait for PSCloud
        last = failures[-1].id
        try:
            answers = {one.pscloud_id: client.soa(one.pscloud_id) for one in failures if one.pscloud_id}
        except PscloudError as error:
            sync_runs.change_numbers(run_id, note=f"The failed records were asked for again, without an answer. {error.message}")
            db.session.commit()
            raise
        _retriable(run_id)
        done = _settle(run_id, failures, answers, client, who, now, done)
    db.session.commit()
    return done


def _settle(
    run_id: int,
    failures: Sequence[FailureRow],
    answers: Mapping[str, bytes | None],
    client: PscloudClient,
    who: str,
    now: datetime,
    before: Retried,
) -> Retried:
    """Take over what can be read now, and commit."""
    repaired: dict[str, Soa] = {}
    settled: list[int] = []
    for failure in failures:
        if not failure.pscloud_id:
            continue
        raw = answers[failure.pscloud_id]
        if raw is None:
            sync_runs.change_failure(failure.id, "", "PSCloud does not have this record any more.", failure.raw)
            continue
        try:
            soa = mapping.to_soa(raw, client.profile)
            if soa.id != failure.pscloud_id:
                raise MappingError("", f"PSCloud answered with another record ({soa.id}).")
        except MappingError as error:
            sync_runs.change_failure(failure.id, error.field[:80], error.reason, raw_text(raw))
            continue
        repaired[soa.id] = soa
        settled.append(failure.id)
    written = _take_over(run_id, repaired, settled, now)
    still = len(failures) - len(settled)
    detail = {"repaired": len(settled), "still_failed": still, "added": written.added, "changed": written.changed}
    audit.add(who, "sync_retried", f"sync {run_id}", detail, now)
    db.session.commit()
    nameless = sum(not failure.pscloud_id for failure in failures)
    return Retried(before.repaired + len(settled), before.still_failed + still, before.without_id + nameless)


def _retriable(run_id: int) -> None:
    found = sync_runs.get(run_id)
    if found is None:
        raise NotFound("There is no such download.")
    if found.status != "completed":
        raise Conflict("Only the records of a completed download can be asked for again. Press Sync now instead.")
    if sync_runs.active() is not None:
        raise Conflict("A download is waiting or running and will read these records too. Wait for it to end.")


def _take_over(run_id: int, repaired: Mapping[str, Soa], settled: Sequence[int], now: datetime) -> staging.Written:
    """Write repaired records, unless what is stored is newer, and correct the run's numbers."""
    stored = soas.get_many(list(repaired))
    newer = [soa for soa in repaired.values() if soa.id not in stored or soa.updated_at >= stored[soa.id].updated_at]
    written = staging.write(run_id, newer, business_date(now))
    seen.confirm(list(repaired))
    removed = sync_runs.remove_failures(run_id, settled)
    found = sync_runs.get(run_id)
    if found is None:
        raise NotFound("There is no such download.")
    numbers: dict[str, Any] = {
        "succeeded": found.succeeded + removed,
        "failed": found.failed - removed,
        "added": found.added + written.added,
        "changed": found.changed + written.changed,
        "unchanged": found.unchanged + removed - written.added - written.changed,
        "amount_due": found.amount_due + sum((soa.amount_due for soa in repaired.values()), ZERO),
    }
    sync_runs.change_numbers(run_id, **numbers)
    return written

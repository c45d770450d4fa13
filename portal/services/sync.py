"""SOA Daily Download: one run at a time reads PSCloud into staging, and one transaction makes it visible (DOMAIN 9)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import current_app
from sqlalchemy.exc import IntegrityError

from portal import doorbell
from portal.domain.errors import Busy, Conflict, NotFound
from portal.domain.money import ZERO, show_pesos
from portal.domain.soa import Soa
from portal.extensions import db
from portal.pscloud import mapping
from portal.pscloud.client import AuthFailed, Page, PscloudClient, PscloudError, Summary
from portal.pscloud.mapping import CollectorRecord, MappingError
from portal.services import settings
from portal.store import audit, collector_codes, ledger, schedule, soas, staging, sync_runs
from portal.store.sync_runs import FailureRow, NewFailure

log = logging.getLogger(__name__)

SILENCE = timedelta(seconds=90)
"""A running run shows life at least every minute; after this long without, its worker is gone."""
OVERLAP = timedelta(minutes=15)
"""A quick download asks for changes from this long before the last watermark: PSCloud's clock may have been set back by that much (F27)."""
RING_AGAIN = timedelta(seconds=30)
NO_JOB = timedelta(minutes=2)
NO_WORKER = timedelta(minutes=15)
HEARTBEAT = timedelta(seconds=5)
LONGEST_RAW = 200_000
OVERTIME = "JobTimeoutException"
"""What the queue raises in the middle of a job that exceeds its time; known here by its name only."""


class RunEnded(Exception):
    """The run was cancelled, or given up by the sweep, while we worked on it: nothing of it may be written any more."""


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
    waiting = sync_runs.waiting()
    db.session.commit()  # Redis is asked outside any transaction: when it hangs, nobody else has to wait for us
    for run in waiting:
        reason = _why_nobody_came(run.id, now - run.requested_at)
        if reason:
            ended += sync_runs.end(run.id, "failed", now, reason)
            db.session.commit()
    return ended


def _why_nobody_came(run_id: int, waited: timedelta) -> str:
    """Why a waiting run is given up; empty while there is hope, after ringing again where its job was lost."""
    if waited >= NO_WORKER:
        return "No worker took the download within 15 minutes. Check that the worker for downloads is running, then press Sync now."
    if waited < RING_AGAIN or doorbell.is_waiting("download_soas", _job_id(run_id)):
        return ""
    if doorbell.ring("download_soas", run_id, job_id=_job_id(run_id)) or waited < NO_JOB:
        return ""
    return "The job queue (Redis) did not answer, so no worker heard of the download. Press Sync now when it is back."


def _job_id(run_id: int) -> str:
    return f"download-{run_id}"


# --- the run


@dataclass
class _Work:
    """One run in progress, with its numbers so far; `announced` is PSCloud's own count, where its list says one, `moved` that the list
    changed from page to page. A quick run reads what changed `since`; `mark` is the watermark it began with. `first_as_of` is PSCloud's
    time on the first page, `started` ours before anything was asked."""

    run_id: int
    lease: str
    client: PscloudClient
    now: Callable[[], datetime]
    seen: datetime
    started: datetime
    pages: int = 0
    succeeded: int = 0
    failed: int = 0
    amount_due: Decimal = ZERO
    announced: int | None = None
    as_of: datetime | None = None
    first_as_of: datetime | None = None
    mark: datetime | None = None
    since: datetime | None = None
    repeated: int = 0
    moved: bool = False
    left_open: bool = False
    notes: list[str] = field(default_factory=list)


def run(run_id: int, client: PscloudClient, now_fn: Callable[[], datetime]) -> str | None:
    """Do a waiting run from the first page to the swap; returns its status at the end, or None when it was not ours to do.

    Whatever happens the run ends: Completed, or Failed with a plain reason. Running twice at once is harmless: one claim wins. Commits
    page by page; the SOAs that everybody sees change in one transaction at the end, and only if the run is still ours then."""
    lease = secrets.token_hex(16)
    started = now_fn()
    claimed = sync_runs.claim(run_id, lease, started)
    db.session.commit()
    if not claimed:
        return None
    work = _Work(run_id, lease, client, now_fn, started, started)
    client.on_wait = lambda: _show_life(work)
    try:
        _prepare(work)
        _download(work)
        codes = _ask_collectors(work)
        summary = _ask_summary(work)
        _swap(work, codes, summary)
        return "completed"
    except RunEnded:
        db.session.rollback()
        staging.clear(run_id)
        db.session.commit()
        log.info("Download %s was ended by somebody else; nothing of it was kept.", run_id)
        return None
    except PscloudError as error:
        return _fail(work, error.message)
    except Exception as error:
        log.exception("Download %s failed", run_id)
        if type(error).__name__ == OVERTIME:
            return _fail(
                work, "The download took too long and was stopped. Press Sync now; if it ends like this again, PSCloud is too slow."
            )
        return _fail(work, f"The portal could not finish the download ({type(error).__name__}). The log of the worker says more.")
    finally:
        client.on_wait = _nothing


def _nothing() -> None:
    return None


def _fail(work: _Work, reason: str) -> str | None:
    db.session.rollback()
    ended = sync_runs.end(work.run_id, "failed", work.now(), f"{reason} What everybody sees is unchanged.", work.lease)
    staging.clear(work.run_id)
    db.session.commit()
    return "failed" if ended else None


def _show_life(work: _Work) -> None:
    """Between requests: show that the run lives, and notice that it was cancelled."""
    now = work.now()
    if now - work.seen < HEARTBEAT:
        return
    if not sync_runs.keep(work.run_id, work.lease, now):
        raise RunEnded
    db.session.commit()
    work.seen = now


def _prepare(work: _Work) -> None:
    """What a quick run builds on; without it, it becomes a full one."""
    found = sync_runs.get(work.run_id)
    work.mark = sync_runs.watermark()
    db.session.rollback()  # nothing may stay open while we wait for PSCloud
    if found is None or found.kind != "quick":
        return
    if work.mark is None:
        _read_all(work, "No download could vouch for all of PSCloud's changes yet, so everything was read.")
    elif work.client.profile.soas.changes is None:
        _read_all(work, "The connector profile cannot ask for changes only (soas.changes), so everything was read.")
    else:
        work.since = work.mark - OVERLAP


def _begin_again(work: _Work, why: str) -> None:
    """Forget what was read so far, and say why."""
    staging.clear(work.run_id)
    sync_runs.remove_failures(work.run_id)
    work.pages = work.repeated = 0
    work.notes.append(why)
    work.succeeded = work.failed = 0
    work.amount_due = ZERO
    work.moved = False


def _read_all(work: _Work, why: str) -> None:
    """Go on as a full run, from the first page."""
    work.since = None
    _begin_again(work, why)
    if not sync_runs.keep(work.run_id, work.lease, work.now(), kind="full"):
        raise RunEnded
    db.session.commit()


def _download(work: _Work) -> None:
    for page in work.client.soa_pages(work.since):
        if work.since is not None and work.mark is not None and (page.as_of is None or page.as_of < work.mark):
            # Changes it stamped meanwhile may lie before what we would ask for.
            _read_all(work, "PSCloud's clock went back since the last download, so everything was read.")
            _download(work)
            return
        _stage(work, page)


def _stage(work: _Work, page: Page) -> None:
    """Stage one page and its failures, and commit them with the run's progress."""
    now = work.now()
    if not sync_runs.keep(work.run_id, work.lease, now):
        raise RunEnded
    if page.restarted:
        _begin_again(work, "PSCloud forgot the list while it was being read, so it was read again from the start.")
    good, bad = _read(page, work.client)
    put = staging.put(work.run_id, good)
    sync_runs.add_failures(work.run_id, bad)
    work.moved |= page.moved or (work.pages > 0 and page.total != work.announced)
    work.first_as_of = page.as_of if work.pages == 0 else work.first_as_of
    work.pages += 1
    work.announced, work.as_of = page.total, page.as_of
    work.repeated += put.again
    work.succeeded += put.fresh
    work.failed += len(bad)
    work.amount_due += put.amount_due
    sync_runs.keep(
        work.run_id,
        work.lease,
        now,
        pages=work.pages,
        total=work.succeeded + work.failed,
        succeeded=work.succeeded,
        failed=work.failed,
        amount_due=work.amount_due,
        as_of=page.as_of,
        pscloud_count=page.total,
    )
    db.session.commit()
    work.seen = now


def _read(page: Page, client: PscloudClient) -> tuple[list[Soa], list[NewFailure]]:
    good: list[Soa] = []
    bad: list[NewFailure] = []
    for raw in page.records:
        try:
            good.append(mapping.to_soa(raw, client.profile))
        except MappingError as error:
            bad.append(NewFailure(error.pscloud_id, error.label, error.field[:80], error.reason, _raw_text(raw)))
    return good, bad


def _raw_text(raw: bytes) -> str:
    """The record as it came, fit for a text column."""
    text = raw.decode("utf-8", "replace").replace("\x00", "�")
    return text if len(text) <= LONGEST_RAW else f"{text[:LONGEST_RAW]} ... (cut; {len(text)} characters in all)"


def _ask_collectors(work: _Work) -> list[CollectorRecord] | None:
    """PSCloud's collector codes; None, with a note, when it does not give them: the SOAs do not depend on them."""
    try:
        codes, unreadable = work.client.collectors()
    except PscloudError as error:
        if isinstance(error, AuthFailed) and error.status == 401:
            raise
        work.notes.append(f"The collector codes were not refreshed. {error.message}")
        return None
    if unreadable:
        work.notes.append(f"{_many(len(unreadable), 'collector code')} could not be read: {unreadable[0]}")
    return codes


def _ask_summary(work: _Work) -> Summary | None:
    """PSCloud's control totals; None, with a note, when it does not give them."""
    try:
        return work.client.summary()
    except PscloudError as error:
        if isinstance(error, AuthFailed) and error.status == 401:
            raise
        work.notes.append(f"PSCloud's control totals could not be asked. {error.message}")
        return None


def _swap(work: _Work, codes: list[CollectorRecord] | None, summary: Summary | None) -> None:
    """One transaction: everything of this run becomes visible together with the run's end, or nothing does."""
    now = work.now()
    today = _business_date(now)
    # First the run's own row, so that nobody can end this run from here on; it is let go by the commit.
    if not sync_runs.keep(work.run_id, work.lease, now):
        raise RunEnded
    staged = staging.totals(work.run_id)
    failed_ids = sync_runs.failed_ids(work.run_id)
    if codes is not None:
        listed = [collector_codes.Listed(one.code, one.name, one.area, one.active) for one in codes]
        collector_codes.refresh(listed, now)
    quick = work.since is not None
    written = staging.write_changed(work.run_id, today, skip_closed_strangers=quick)
    if quick:
        doubt = _doubt_about_changes(work, staged, failed_ids, summary)
        closed = written.closed
        if doubt and summary is not None:
            work.notes.append(f"{doubt[0].upper()}{doubt[1:]}")
        staging.note_unconfirmed(work.run_id, ledger.figures_since())
    else:
        doubt = _doubt_about_totals(work, staged, failed_ids, summary)
        closed = written.closed + _close_absent(work, failed_ids, doubt, today, told=summary is not None)
        staging.note_unconfirmed(work.run_id)
    if work.repeated:
        work.notes.append(f"{_many(work.repeated, 'record')} came more than once; the latest version of each was taken.")
    if not quick and summary is not None and summary.amount_due != staged.amount_due:
        difference = show_pesos(summary.amount_due - staged.amount_due)
        who = f", which may belong to the {_many(len(failed_ids), 'record')} that could not be read" if failed_ids else ""
        read, said = show_pesos(staged.amount_due), show_pesos(summary.amount_due)
        work.notes.append(f"PSCloud's summary says {said} is due, and {read} was read: a difference of {difference}{who}.")
    done = sync_runs.complete(
        work.run_id,
        work.lease,
        work.now(),
        total=staged.count + len(failed_ids),
        succeeded=staged.count,
        failed=len(failed_ids),
        added=written.added,
        changed=written.changed,
        unchanged=written.unchanged,
        closed=closed,
        amount_due=staged.amount_due,
        pscloud_count=work.announced if summary is None else summary.count,
        pscloud_amount_due=None if summary is None else summary.amount_due,
        as_of=work.as_of or work.started,  # never later than what was read
        watermark=None if doubt or failed_ids or work.left_open else _watermark(work),
        note=" ".join(work.notes),
    )
    if not done:
        raise RunEnded
    staging.clear(work.run_id)
    db.session.commit()


def _close_absent(work: _Work, failed_ids: list[str | None], doubt: str, today: date, told: bool) -> int:
    """Close what is absent from a complete snapshot, unless something speaks against it; then say so. Returns how many were closed."""
    absent, active = staging.count_absent(work.run_id)
    objection = doubt or _objection_to_closing(absent, active, failed_ids)
    if absent and not objection:
        return staging.close_absent(work.run_id, today)
    if absent:
        work.left_open = True
        stay = "stays" if absent == 1 else "stay"
        work.notes.append(f"{_many(absent, 'SOA')} that PSCloud did not send {stay} open: {objection}")
    elif doubt and told:
        work.notes.append(f"{doubt[0].upper()}{doubt[1:]}")
    return 0


def _watermark(work: _Work) -> datetime | None:
    """PSCloud's time when it began to answer; ours when that is earlier: a clock of PSCloud's that ran ahead and was set right must not
    hide what changes until it comes there again. None when PSCloud does not tell its time."""
    return None if work.first_as_of is None else min(work.first_as_of, work.started)


def _doubt_about_changes(work: _Work, staged: staging.Totals, failed_ids: list[str | None], summary: Summary | None) -> str:
    """Why this quick download may have missed a change, in plain words; then the watermark stays where it was."""
    if summary is None:
        return "PSCloud's control totals could not be asked."
    if work.announced not in {None, _distinct(work, staged, failed_ids)} or work.moved:
        return "PSCloud's list of changes moved while it was read, so one may have been missed. The next download settles it."
    here = staging.open_totals()
    if (here.count, here.amount_due) != (summary.count, summary.amount_due):
        return (
            f"after this quick download {here.count:,} SOAs with {show_pesos(here.amount_due)} due are open here, and PSCloud says "
            f"{summary.count:,} with {show_pesos(summary.amount_due)}. Sync now settles it if PSCloud was just changing."
        )
    return ""


def _distinct(work: _Work, staged: staging.Totals, failed_ids: list[str | None]) -> int:
    """How many different records were read, whether or not they could be understood."""
    known = {one for one in failed_ids if one is not None}
    return staged.count + failed_ids.count(None) + len(known) - staging.count_staged(work.run_id, known)


def _doubt_about_totals(work: _Work, staged: staging.Totals, failed_ids: list[str | None], summary: Summary | None) -> str:
    """Why the snapshot may not be complete, in plain words; empty when PSCloud's own totals confirm it.

    Counts alone do not: an SOA that leaves a page already read makes room for one that is then never read, and both counts agree."""
    if summary is None:
        return "the count could not be checked against PSCloud's control totals."
    distinct = _distinct(work, staged, failed_ids)
    if work.announced not in {None, distinct} or distinct != summary.count:
        listed = "" if work.announced is None else f"PSCloud's list announced {work.announced:,} and "
        return (
            f"the counts do not agree. {distinct:,} different SOAs were read, {listed}its summary "
            f"says {summary.count:,}. The next download settles it if PSCloud was just changing."
        )
    if work.moved:
        return "PSCloud's list changed while it was read, so one of them may have been missed. The next download settles it."
    if not failed_ids and summary.amount_due != staged.amount_due:
        return "the amounts due do not agree. The next download settles it if PSCloud was just changing."
    return ""


def _objection_to_closing(absent: int, active: int, failed_ids: list[str | None]) -> str:
    """Why SOAs that are absent from a complete snapshot must not be closed all the same; empty when they may be."""
    unreadable = failed_ids.count(None)
    if unreadable:
        return f"{_many(unreadable, 'record')} arrived whose PSCloud id cannot be read, and it may be one of them."
    limit = settings.current().sync_drop_percent
    if absent * 100 > active * limit:
        return (
            f"closing them would close more than {limit} % of the {active:,} open SOAs at once. "
            "Check in PSCloud whether this is right; if it is, raise that share in Settings for one download."
        )
    return ""


# --- records that failed


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
    """Ask PSCloud again for each record of a completed run that could not be read, and take over those that now can. Commits once.

    Raises NotFound, Conflict while a download is active or when the run did not complete. Where PSCloud does not answer, nothing is
    changed, the run's note says so, and PSCloud's error is raised."""
    _retriable(run_id)
    failures: list[FailureRow] = []
    while page := sync_runs.failures(run_id, failures[-1].id if failures else 0, 500):
        failures += page
    db.session.commit()  # nothing may stay open while we wait for PSCloud
    answers: dict[str, bytes | None] = {}
    try:
        for failure in failures:
            if failure.pscloud_id and failure.pscloud_id not in answers:
                answers[failure.pscloud_id] = client.soa(failure.pscloud_id)
    except PscloudError as error:
        sync_runs.change_numbers(run_id, note=f"The failed records were asked for again, without an answer. {error.message}")
        db.session.commit()
        raise
    _retriable(run_id)
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
            sync_runs.change_failure(failure.id, error.field[:80], error.reason, _raw_text(raw))
            continue
        repaired[soa.id] = soa
        settled.append(failure.id)
    result = _take_over(run_id, repaired, settled, now)
    retried = Retried(len(settled), len(failures) - len(settled), sum(not failure.pscloud_id for failure in failures))
    detail = {"repaired": retried.repaired, "still_failed": retried.still_failed, **result}
    audit.add(who, "sync_retried", f"sync {run_id}", detail, now)
    db.session.commit()
    return retried


def _retriable(run_id: int) -> None:
    found = sync_runs.get(run_id)
    if found is None:
        raise NotFound("There is no such download.")
    if found.status != "completed":
        raise Conflict("Only the records of a completed download can be asked for again. Press Sync now instead.")
    if sync_runs.active() is not None:
        raise Conflict("A download is waiting or running and will read these records too. Wait for it to end.")


def _take_over(run_id: int, repaired: dict[str, Soa], settled: list[int], now: datetime) -> dict[str, int]:
    """Write repaired records, unless what is stored is newer, and correct the run's numbers."""
    stored = soas.get_many(list(repaired))
    pairs = [(stored.get(soa.id), soa) for soa in repaired.values() if soa.id not in stored or soa.updated_at >= stored[soa.id].updated_at]
    pairs = [(old, soa) for old, soa in pairs if old is None or old.version != soa.version]
    staging.write(run_id, pairs, _business_date(now))
    staging.confirm(list(repaired))
    removed = sync_runs.remove_failures(run_id, settled)
    found = sync_runs.get(run_id)
    if found is None:
        raise NotFound("There is no such download.")
    added = sum(old is None for old, _ in pairs)
    numbers: dict[str, Any] = {
        "succeeded": found.succeeded + removed,
        "failed": found.failed - removed,
        "added": found.added + added,
        "changed": found.changed + len(pairs) - added,
        "unchanged": found.unchanged + removed - len(pairs),
        "amount_due": found.amount_due + sum((soa.amount_due for soa in repaired.values()), ZERO),
    }
    sync_runs.change_numbers(run_id, **numbers)
    return {"added": added, "changed": len(pairs) - added}


def _business_date(now: datetime) -> date:
    return now.astimezone(current_app.config.get("ZONE", UTC)).date()


def _many(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number:,} {word}s"

"""A run of the SOA Daily Download: reads PSCloud into staging, and one transaction at the end makes it visible (sync_swap.py)."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

from portal.domain.money import from_centavos
from portal.extensions import db, read_only
from portal.pscloud.client import AuthFailed, PscloudClient, PscloudError, Summary
from portal.pscloud.fast import Reader
from portal.pscloud.mapping import CollectorRecord
from portal.services import sync_swap
from portal.services.sync_stream import Reading, readings
from portal.services.sync_work import ReadAgain, RunEnded, Work, many
from portal.store import read_pages, seen, staging, sync_runs

log = logging.getLogger(__name__)

OVERLAP = timedelta(minutes=15)
"""A quick download asks for changes from this long before the last watermark: PSCloud's clock may have been set back by that much (F27)."""
AT_ONCE = 1500
RECORDS_AT_ONCE = 20_000
"""SOAs that are written and records that are noted together, and"""
PATIENCE = 1.0
"""after how many seconds fewer are."""
OVERTIME = "JobTimeoutException"
"""What the queue raises in the middle of a job that exceeds its time; known here by its name only."""


def run(run_id: int, client: PscloudClient, now_fn: Callable[[], datetime]) -> str | None:
    """Do a waiting run from the first page to the swap; returns its status at the end, or None when it was not ours to do.

    Whatever happens the run ends: Completed, or Failed with a plain reason. Running twice at once is harmless: one claim wins. Commits what
    it has read every second or so; the SOAs that everybody sees change in one transaction at the end, and only if the run is still ours."""
    lease = secrets.token_hex(16)
    started = now_fn()
    claimed = sync_runs.claim(run_id, lease, started)
    db.session.commit()
    if not claimed:
        return None
    work = Work(run_id, lease, client, now_fn, started, started)
    try:
        _prepare(work)
        try:
            _read_and_swap(work)
        except ReadAgain as doubt:
            db.session.rollback()
            work.memory = read_pages.NOTHING
            del work.notes[work.reasons :]
            work.begin_again(str(doubt))
            _read_and_swap(work)
        return "completed"
    except RunEnded:
        db.session.rollback()
        _clear(run_id)
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


def _clear(run_id: int) -> None:
    staging.clear(run_id)
    read_pages.forget_run(run_id)


def _fail(work: Work, reason: str) -> str | None:
    db.session.rollback()
    ended = sync_runs.end(work.run_id, "failed", work.now(), f"{reason} What everybody sees is unchanged.", work.lease, **work.figures())
    _clear(work.run_id)
    db.session.commit()
    return "failed" if ended else None


def _prepare(work: Work) -> None:
    """What the run builds on: a quick one on a watermark (without it, it becomes a full one), a full one on what is remembered."""
    found = sync_runs.get(work.run_id)
    work.mark = sync_runs.watermark()
    work.memory = read_pages.recall()
    work.last_change = staging.last_change()
    db.session.rollback()  # nothing may stay open while we wait for PSCloud
    if found is None or found.kind != "quick":
        return
    if work.mark is None:
        _read_all(work, "No download could vouch for all of PSCloud's changes yet, so everything was read.")
    elif work.client.profile.soas.changes is None:
        _read_all(work, "The connector profile cannot ask for changes only (soas.changes), so everything was read.")
    else:
        work.since = work.mark - OVERLAP


def _read_all(work: Work, why: str) -> None:
    """Go on as a full run, from the first page."""
    work.since = None
    work.begin_again(why)
    if not sync_runs.keep(work.run_id, work.lease, work.now(), kind="full"):
        raise RunEnded
    db.session.commit()


def _read_and_swap(work: Work) -> None:
    if not _download(work):
        _read_all(work, "PSCloud's clock went back since the last download, so everything was read.")
        _download(work)
    work.client.on_wait = work.show_life
    work.reasons = len(work.notes)
    with work.phase("check"):
        codes = _ask_collectors(work)
        summary = _ask_summary(work)
    sync_swap.swap(work, codes, summary)


def _download(work: Work) -> bool:
    """Read every page into staging; False when a quick run must become a full one."""
    waiting: list[Reading] = []
    memory = work.memory if work.since is None else read_pages.NOTHING
    flushed, full = time.monotonic(), 0.0
    reader, rows = Reader(work.client.profile), staging.maker(work.run_id)
    with closing(readings(work.client, work.since, memory, reader, rows, work.show_life)) as stream:
        for reading in stream:
            if reading is None:
                if waiting:
                    _stage(work, waiting)
                    waiting.clear()
                    flushed, full = time.monotonic(), 0.0
                continue
            page = reading.page
            if work.since is not None and work.mark is not None and (page.as_of is None or page.as_of < work.mark):
                return False  # changes it stamped meanwhile may lie before what we would ask for
            if page.restarted:
                waiting.clear()
                work.begin_again("PSCloud forgot the list while it was being read, so it was read again from the start.")
            waiting.append(reading)
            _count(work, reading)
            if memory.whole and work.pages == 1:
                _look_meanwhile(work)
            full += reading.found / AT_ONCE + len(reading.records) / RECORDS_AT_ONCE
            if not work.client.pages_ahead or full >= 1 or time.monotonic() - flushed > PATIENCE:
                _stage(work, waiting)
                waiting.clear()
                flushed, full = time.monotonic(), 0.0
    _stage(work, waiting)
    return True


def _look_meanwhile(work: Work) -> None:
    """Add up what is open here while PSCloud goes on sending, for a run that may find everything as it was."""
    mode = read_only.set(True)
    work.here = seen.open_totals()
    db.session.rollback()  # nothing may stay open while we wait for PSCloud
    read_only.reset(mode)


def _count(work: Work, reading: Reading) -> None:
    page = reading.page
    work.moved |= page.moved or (work.pages > 0 and page.total != work.announced)
    work.first_as_of = page.as_of if work.pages == 0 else work.first_as_of
    work.announced, work.as_of = page.total, page.as_of
    work.pages += 1
    work.pages_unchanged += page.unchanged
    work.bytes_read += page.size
    work.succeeded += page.count if page.unchanged else len(reading.records)
    work.skipped += reading.skipped
    work.failed += len(reading.failed)
    work.amount_due += from_centavos(sum(rows.centavos for rows in reading.rows))
    work.phases["fetch"] += page.seconds
    work.phases["map"] += reading.seconds


def _stage(work: Work, waiting: list[Reading]) -> None:
    """Write what was read, and commit it with the run's progress. Raises RunEnded."""
    with work.phase("write"):
        staging.put_rows([rows for reading in waiting for rows in reading.rows], work.words)
        work.staged += sum(reading.found for reading in waiting)
        sync_runs.add_failures(work.run_id, [one for reading in waiting for one in reading.failed])
        known = [reading.page.number for reading in waiting if reading.page.unchanged]
        read_pages.note(work.run_id, [reading.noted for reading in waiting if not reading.page.unchanged], work.memory.run_id, known)
        progress = {
            "total": work.succeeded + work.failed,
            "succeeded": work.succeeded,
            "failed": work.failed,
            "amount_due": work.amount_due,
            "as_of": work.as_of,
            "pscloud_count": work.announced,
        }
        # Last, because the run's row is locked from here to the commit, and whoever wants to cancel would be told that it is too late.
        now = work.now()
        if not sync_runs.keep(work.run_id, work.lease, now, **progress, **work.figures()):
            raise RunEnded
        db.session.commit()
    work.alive_at = now


def _ask_collectors(work: Work) -> list[CollectorRecord] | None:
    """PSCloud's collector codes; None, with a note, when it does not give them: the SOAs do not depend on them."""
    try:
        codes, unreadable = work.client.collectors()
    except PscloudError as error:
        if isinstance(error, AuthFailed) and error.status == 401:
            raise
        work.notes.append(f"The collector codes were not refreshed. {error.message}")
        return None
    if unreadable:
        work.notes.append(f"{many(len(unreadable), 'collector code')} could not be read: {unreadable[0]}")
    return codes


def _ask_summary(work: Work) -> Summary | None:
    """PSCloud's control totals; None, with a note, when it does not give them."""
    try:
        return work.client.summary()
    except PscloudError as error:
        if isinstance(error, AuthFailed) and error.status == 401:
            raise
        work.notes.append(f"PSCloud's control totals could not be asked. {error.message}")
        return None

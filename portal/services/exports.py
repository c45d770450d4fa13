"""Files of lists that are too long to wait for: asked for on a page, written by a worker, kept for a week for whoever asked."""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from flask import current_app

from portal import doorbell
from portal.domain.errors import Conflict, NotFound, PortalError
from portal.extensions import db, read_only
from portal.services.waiting import Patience
from portal.store import audit, exports
from portal.store.exports import ExportRow

log = logging.getLogger(__name__)

MOST_AT_ONCE = 3
"""Exports of one person that may be waiting or under way."""
KEPT = timedelta(days=7)
SILENCE = timedelta(minutes=3)
"""Longer than a worker is silent while it closes a file of a million rows."""
HEARTBEAT = timedelta(seconds=1)
PATIENCE = Patience(
    timedelta(minutes=60),
    "No worker took this file within an hour. Check that the worker for exports is running, then ask again.",
    "The job queue (Redis) did not answer, so no worker heard of this file. Ask again when it is back.",
)
OVERTIME = "JobTimeoutException"
Tell = Callable[[int], None]
Write = Callable[[ExportRow, Path, Tell, Tell], Path]
"""Makes the file of an export in a folder: (export, folder, tell how many rows are written, announce how many there will be). It
announces once, when it is not reading. Returns where the file is."""


class ExportEnded(Exception):
    """It was cancelled, or given up by the sweep, while we worked on it."""


# --- asking, cancelling, fetching


def request(
    user_id: int, who: str, kind: str, form: str, query: str, chosen: str, words: Sequence[str], day: date, now: datetime, called: str = ""
) -> int:
    """Have a worker write the file; the same one that is under way already is not begun twice. `called` is what of its kind it is, where
    there are several. Commits and rings.

    Raises Conflict when too many of this person's are under way."""
    exports.lock_user(user_id)
    active = exports.active_of(user_id)
    same = [one.id for one in active if (one.kind, one.format, one.chosen, one.day) == (kind, form, chosen, day)]
    if same:
        db.session.rollback()
        return same[0]
    if len(active) >= MOST_AT_ONCE:
        db.session.rollback()
        raise Conflict(f"{MOST_AT_ONCE} of your files are being prepared. Wait for one of them, or cancel one, then ask again.")
    export_id = exports.add(user_id, kind, form, query, chosen, words, day, now)
    audit.add(who, "export_requested", f"export {export_id}", {"list": called or kind, "format": form, "filter": query}, now)
    db.session.commit()
    doorbell.ring("export_list", export_id, job_id=_job_id(export_id))
    return export_id


def found(export_id: int, user_id: int, admin: bool) -> ExportRow:
    """An export, for the person who asked for it or an admin. Raises NotFound for everybody else."""
    export = exports.get(export_id)
    if export is None or (export.user_id != user_id and not admin):
        raise NotFound(f"There is no file of this number for you. Files are kept for {KEPT.days} days.")
    return export


def file_of(export: ExportRow) -> Path:
    """Where the finished file lies. Raises NotFound."""
    file = _file(export.id, export.format)
    if export.status != "completed" or not file.is_file():
        raise NotFound("This file is not here: it is not finished, or was deleted. Ask for it again from the list.")
    return file


def cancel(export: ExportRow, who: str, now: datetime) -> None:
    """End a waiting or running export; its worker finds out within a second or two. Commits. Raises Conflict when it has ended."""
    if not exports.end(export.id, "cancelled", now, f"Cancelled by {who}."):
        db.session.rollback()
        raise Conflict("This file is finished already, or was cancelled before; there is nothing left to cancel.")
    audit.add(who, "export_cancelled", f"export {export.id}", {}, now)
    db.session.commit()


# --- the work


@dataclass
class _Work:
    """One export in progress."""

    export_id: int
    lease: str
    now: Callable[[], datetime]
    seen: datetime
    written: dict[str, int] = field(default_factory=dict)

    def announce(self, total: int) -> None:
        """How many rows there will be. What was read until now is let go: setting a PDF takes minutes, and needs no open transaction."""
        db.session.rollback()
        self._keep(rows_total=total)

    def tell(self, done: int) -> None:
        """How many rows are written; raises ExportEnded when nobody wants them any more."""
        self.written = {"rows_done": done}
        if self.now() - self.seen >= HEARTBEAT:
            self._keep()

    def _keep(self, **values: int) -> None:
        self.seen = self.now()
        with _own_transaction():
            kept = exports.keep(self.export_id, self.lease, self.seen, **self.written, **values)
            db.session.commit()
        if not kept:
            raise ExportEnded


@contextmanager
def _own_transaction() -> Iterator[None]:
    """A session beside the one that is reading the list: progress is seen at once, and the reading goes on in its own snapshot."""
    writing = read_only.set(False)
    try:
        with current_app.app_context():
            yield
    finally:
        read_only.reset(writing)


def run(export_id: int, write: Write, now_fn: Callable[[], datetime]) -> str | None:
    """Write the file of a waiting export; returns its status at the end, or None when it was not ours to do. Commits.

    Whatever happens it ends: Completed, or Failed with a plain reason. The list is read in one transaction that only reads, so that
    nobody waits for it; the file appears under its name when it is whole."""
    work = _Work(export_id, secrets.token_hex(8), now_fn, now_fn())
    claimed = exports.claim(export_id, work.lease, work.seen)
    export = exports.get(export_id)
    db.session.commit()
    if not claimed or export is None:
        return None
    place = _folder() / f"{export_id}-{work.lease}"
    reading = read_only.set(True)
    try:
        _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        place.mkdir(mode=0o700)
        file = write(export, place, work.tell, work.announce)
        work.announce(work.written.get("rows_done", 0))
        file.chmod(0o600)
        size = file.stat().st_size
        file.replace(_file(export_id, export.format))
        with _own_transaction():
            done = exports.complete(export_id, work.lease, size, now_fn())
            db.session.commit()
        return "completed" if done else None
    except ExportEnded:
        log.info("Export %s was ended by somebody else; its file was not kept.", export_id)
        return None
    except Exception as error:
        log.exception("Export %s failed", export_id, exc_info=not isinstance(error, PortalError))
        return _fail(work, _reason(error))
    finally:
        db.session.rollback()
        read_only.reset(reading)
        shutil.rmtree(place, ignore_errors=True)


def _reason(error: Exception) -> str:
    if isinstance(error, PortalError):
        return error.message
    if type(error).__name__ == OVERTIME:
        return "The file took too long and was given up. Narrow the filter, then ask again."
    if isinstance(error, OSError):
        return f"The file could not be written ({error.strerror or type(error).__name__}). The administrator should look at the disk."
    return f"The portal could not write the file ({type(error).__name__}). The log of the worker says more."


def _fail(work: _Work, reason: str) -> str | None:
    db.session.rollback()
    with _own_transaction():
        ended = exports.end(work.export_id, "failed", work.now(), reason, work.lease)
        db.session.commit()
    return "failed" if ended else None


# --- the sweep


def sweep(now: datetime) -> None:
    """End exports whose worker is gone, ring again for those nobody has taken, and delete files that are old or nobody's. Commits."""
    for export_id in exports.silent_since(now - SILENCE):
        exports.end(export_id, "failed", now, "The worker stopped before the file was finished. Ask for it again.")
    exports.remove(exports.ended_before(now - KEPT))
    waiting = exports.waiting()
    db.session.commit()  # Redis is asked outside any transaction
    _tidy()
    for export in waiting:
        if reason := _why_given_up(export.id, now - export.created_at):
            exports.end(export.id, "failed", now, reason)
            db.session.commit()


def _why_given_up(export_id: int, waited: timedelta) -> str:
    name = _job_id(export_id)
    return PATIENCE.why_given_up(
        waited, lambda: doorbell.is_waiting("export_list", name), lambda: doorbell.ring("export_list", export_id, job_id=name)
    )


def _tidy() -> None:
    """Delete what lies in the folder and belongs to no export that is finished or being written."""
    if not _folder().is_dir():
        return
    lying = {place: int(number) for place in _folder().iterdir() if (number := place.name.partition("-")[0].partition(".")[0]).isdigit()}
    known = exports.with_files(list(lying.values()))
    db.session.commit()
    for place, export_id in lying.items():
        if place.is_dir() and known.get(export_id) != "processing":
            shutil.rmtree(place, ignore_errors=True)
        elif place.is_file() and export_id not in known:
            place.unlink(missing_ok=True)


def _job_id(export_id: int) -> str:
    return f"export-{export_id}"


def _folder() -> Path:
    folder: Path = current_app.config["DATA_DIR"] / "exports"
    return folder


def _file(export_id: int, form: str) -> Path:
    return _folder() / f"{export_id}.{form}"

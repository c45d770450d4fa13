"""Downloads as files: the history that is filtered, and the records one download could not read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence

from flask import Blueprint, Response
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query
from portal.blueprints.sync import KINDS, STATUSES, TRIGGERS, found, read_filter
from portal.domain.errors import InvalidInput
from portal.exports import XLSX, Cell, csv_response, write_xlsx
from portal.extensions import limiter
from portal.store import sync_history
from portal.store.sync_history import RunFilter

bp = Blueprint("sync_files", __name__)
MOST_IN_EXCEL = 20_000
"""Rows that are put into an Excel file while somebody waits; CSV is sent as it is read and has no limit."""
Columns = Sequence[tuple[str, int]]
RUNS: Columns = (
    ("Download", 10), ("Asked for", 19), ("Started", 19), ("Finished", 19), ("Kind", 8), ("Trigger", 10), ("Started by", 16),
    ("Status", 12), ("Seconds", 10), ("Pages", 8), ("Total", 10), ("Success", 10), ("Failed", 10), ("Added", 10), ("Changed", 10),
    ("Unchanged", 10), ("Closed", 10), ("Amount due", 16), ("PSCloud count", 14), ("PSCloud amount due", 18), ("Reason", 40), ("Note", 40),
)  # fmt: skip
FAILURES: Columns = (("PSCloud id", 20), ("Record", 36), ("Field", 18), ("Reason", 60), ("Raw payload", 80))


def own_name() -> str:
    """Key of a limit per person."""
    return f"user {current_user.name}" if current_user.is_authenticated else "nobody"


@bp.get("/syncs.<any(csv,xlsx):form>")
@roles("office", "admin")
@limiter.limit("60 per minute", key_func=own_name)
def history(form: str) -> Response:
    """The filtered history. Raises InvalidInput when part of the filter cannot be used: the file would hold more than was asked for."""
    query = Query("sync.index")
    wanted = read_filter(query)
    if query.problems:
        raise InvalidInput(" ".join(query.problems.values()))
    counts = sync_history.status_counts(wanted)
    count = counts.get(wanted.status, 0) if wanted.status else sum(counts.values())
    words = [words for _, words in query.chips] or ["All downloads"]
    return file(form, "SOA Daily Download", f"downloads-{clock.today()}", RUNS, lambda: run_rows(wanted), count, words)


@bp.get("/syncs/<int:run_id>/failed-records.<any(csv,xlsx):form>")
@roles("office", "admin")
@limiter.limit("60 per minute", key_func=own_name)
def failed_records(run_id: int, form: str) -> Response:
    """The records one download could not read, each with its raw payload and the reason."""
    run = found(run_id)
    count = sync_history.count_failures(run.id)
    title = f"Failed records of download {run.id}"
    return file(form, title, f"failed-records-{run.id}", FAILURES, lambda: failure_rows(run.id), count, [f"Download {run.id}"])


def run_rows(wanted: RunFilter) -> Iterator[Sequence[Cell]]:
    """The cells of each download."""
    for run in sync_history.iterate(wanted):
        seconds = run.duration_seconds
        yield (
            run.id, run.requested_at, run.started_at, run.finished_at, KINDS[run.kind], TRIGGERS[run.trigger], run.started_by,
            STATUSES[run.status], None if seconds is None else round(seconds), run.pages, run.total, run.succeeded, run.failed, run.added,
            run.changed, run.unchanged, run.closed, run.amount_due, run.pscloud_count, run.pscloud_amount_due, run.error, run.note,
        )  # fmt: skip


def failure_rows(run_id: int) -> Iterator[Sequence[Cell]]:
    """The cells of each record."""
    for one in sync_history.failures(run_id):
        yield (one.pscloud_id, one.label, one.field, one.reason, one.raw)


def file(
    form: str, title: str, name: str, columns: Columns, rows: Callable[[], Iterable[Sequence[Cell]]], count: int, words: Sequence[str]
) -> Response:
    """The rows as CSV or Excel. Raises InvalidInput for an Excel file that would take too long."""
    if form == "csv":
        return csv_response(f"{name}.csv", [label for label, _ in columns], rows())
    if count > MOST_IN_EXCEL:
        raise InvalidInput(
            f"An Excel file holds at most {MOST_IN_EXCEL:,} rows here, and these are {count:,}. Take CSV, which holds them all."
        )
    out = io.BytesIO()
    about: list[tuple[str, Cell]] = [("Filter", ", ".join(words)), ("Made", clock.now()), ("Rows", count)]
    write_xlsx(out, title, columns, rows(), lambda: about)
    response = Response(out.getvalue(), mimetype=XLSX)
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.xlsx")
    return response

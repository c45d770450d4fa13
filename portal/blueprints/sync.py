"""SOA Daily Download: the history of downloads from PSCloud, the one under way, and the records that could not be read."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.domain.errors import InvalidInput, NotFound
from portal.services import sync as service
from portal.store import sync_runs

bp = Blueprint("sync", __name__)
STATUSES = {
    "": "All",
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "processing": "Processing",
    "pending": "Pending",
}
KINDS = ("full", "quick")
PAGE = 50


@bp.get("/syncs")
@roles("office", "admin")
def index() -> Response:
    """The history, newest first; while a run is active the part asks again every two seconds."""
    query = Query("sync.index")
    status, before_id = query.choice("status", "Status", STATUSES), query.number("before_id")
    rows = sync_runs.recent(limit=PAGE, before_id=before_id, status=status or None)
    return answer(
        "sync/index.html",
        "sync/_results.html",
        query=query,
        rows=rows,
        active=sync_runs.active(),
        completed=sync_runs.last_completed(),
        before_id=before_id,
        older=rows[-1].id if len(rows) == PAGE else None,
    )


@bp.post("/syncs")
@roles("office", "admin")
def start() -> ResponseReturnValue:
    """Ask for a run now, full or quick. One at a time: a second asker is told so."""
    kind = request.form.get("kind", "full")
    if kind not in KINDS:
        raise InvalidInput("Choose a full or a quick download.")
    service.request_run("manual", current_user.name, clock.now(), kind)
    flash("The download has been started. The list changes when it is complete.", "good")
    return redirect(url_for("sync.index"), 303)


@bp.get("/syncs/<int:run_id>")
@roles("office", "admin")
def show(run_id: int) -> Response:
    """One run: figures, PSCloud's own totals beside ours, failed records with raw payload and reason."""
    run = sync_runs.get(run_id)
    if run is None:
        raise NotFound("There is no download with this number.")
    query = Query("sync.show", run_id=run_id)
    failures = sync_runs.failures(run_id, after_id=query.number("after_id") or 0, limit=PAGE)
    older = failures[-1].id if len(failures) == PAGE else None
    return answer("sync/show.html", "sync/_run.html", run=run, failures=failures, query=query, older=older)


@bp.post("/syncs/<int:run_id>/cancel")
@roles("office", "admin")
def cancel(run_id: int) -> ResponseReturnValue:
    """Stop a run; what the office and the phones see stays as it was."""
    service.cancel(run_id, current_user.name, clock.now())
    flash("The download was cancelled. The SOAs of the last completed download stay in use.", "good")
    return redirect(url_for("sync.index"), 303)


@bp.post("/syncs/<int:run_id>/retry-failed")
@roles("office", "admin")
def retry_failed(run_id: int) -> ResponseReturnValue:
    """Have PSCloud asked again for the records that could not be read."""
    service.request_retry(run_id, current_user.name, clock.now())
    flash("PSCloud is asked again for the failed records. Those that can be read now leave this list.", "good")
    return redirect(url_for("sync.show", run_id=run_id), 303)

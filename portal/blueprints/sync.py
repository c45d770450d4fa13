"""SOA Daily Download: the history of downloads from PSCloud, the one under way, and the records that could not be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer, wants_partial
from portal.domain import charts, progress
from portal.domain.charts import Chart
from portal.domain.errors import InvalidInput, NotFound
from portal.domain.progress import Progress
from portal.filters import day as show_day
from portal.filters import duration, short_day
from portal.services import sync as service
from portal.store import sync_history, sync_runs
from portal.store.sync_history import DayRow, RunFilter
from portal.store.sync_runs import RunRow

bp = Blueprint("sync", __name__)
STATUSES = {
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "processing": "Processing",
    "pending": "Pending",
}
KINDS = {"full": "Full", "quick": "Quick"}
CHANGES = {"added": "New", "changed": "Changed", "closed": "Closed", "reopened": "Owed again"}
PAGE = 50
CHART_DAYS = 30


def read_filter(query: Query) -> RunFilter:
    """The filter in the address; dates are business dates on which a download was asked for."""
    first, last = query.days("from", "From", "to", "To")
    starters = {name: "Schedule" if name == "schedule" else name for name in sync_history.starters()}
    return RunFilter(
        status=query.choice("status", "Status", STATUSES),
        kind=query.choice("kind", "Kind", KINDS),
        by=query.choice("by", "Started by", starters),
        since=clock.midnight(first) if first else None,
        until=clock.midnight(last + timedelta(days=1)) if last else None,
    )


@bp.get("/syncs")
@roles("office", "admin")
def index() -> Response:
    """The history, newest first. htmx asks for what is going on and for the charts by themselves (`part`); the answer to somebody who
    watches a run (`was`) that it ended has the history and the charts asked for again."""
    part = request.args.get("part") if wants_partial() else None
    if part == "now":
        active = sync_runs.active()
        response = answer("sync/index.html", "sync/_now.html", **now(active))
        if request.args.get("was") and (active is None or str(active.id) != request.args["was"]):
            response.headers["HX-Trigger"] = "download-ended"
        return response
    if part == "charts":
        return answer("sync/index.html", "sync/_charts.html", charts=month())
    query = Query("sync.index")
    wanted, before_id = read_filter(query), query.number("before_id")
    rows = sync_history.list_page(wanted, before_id, PAGE)
    context: dict[str, Any] = {
        "query": query,
        "rows": rows,
        "differing": {row.id for row in rows if row.status == "completed" and agrees(row) is False},
        "counts": sync_history.status_counts(wanted),
        "statuses": {word: STATUSES[word] for word in ("completed", "failed", "cancelled")},
        "before_id": before_id,
        "older": rows[-1].id if len(rows) == PAGE else None,
    }
    if not wants_partial():
        context |= {"starters": sync_history.starters(), "kinds": KINDS, "charts": month(), **now(sync_runs.active())}
    return answer("sync/index.html", "sync/_partial.html", **context)


def now(active: RunRow | None) -> dict[str, Any]:
    """What the top of the page says: the download under way, or how the last one ended."""
    return {
        "active": active,
        "progress": None if active is None else measured(active),
        "last": next(iter(sync_runs.recent(limit=1)), None),
        "completed": sync_runs.last_completed(),
    }


def measured(run: RunRow) -> Progress:
    """How far a run is, by what its worker last wrote down."""
    return progress.estimate(run.succeeded + run.failed, run.pscloud_count, run.started_at, run.heartbeat_at)


def agrees(run: RunRow) -> bool | None:
    """Whether a full download agrees with PSCloud's own totals; None when there are none, or for a quick one, which reads only a part."""
    if run.kind != "full" or run.pscloud_count is None:
        return None
    same_pesos = run.pscloud_amount_due is None or run.failed > 0 or run.pscloud_amount_due == run.amount_due
    return run.pscloud_count == run.succeeded + run.failed and same_pesos


@dataclass(frozen=True, slots=True)
class Series:
    """One chart of the last days: what it answers, its bars, how its scale reads, what each bar says, and all of it in one sentence."""

    name: str
    title: str
    tone: str
    chart: Chart
    scale: Sequence[str]
    told: Sequence[str]
    summary: str


@dataclass(frozen=True, slots=True)
class Month:
    """The charts of the last days and the figures they are drawn from."""

    days: Sequence[DayRow]
    series: Sequence[Series]

    @property
    def empty(self) -> bool:
        """Whether there was no download at all."""
        return not any(one.runs for one in self.days)


def month() -> Month:
    """The downloads of the last thirty business dates."""
    days = sync_history.days(clock.today(), CHART_DAYS, clock.zone())
    longest = max((one.seconds or 0 for one in days), default=0)
    unit = 3600 if longest > 3600 else 60 if longest > 60 else 1
    troubles = [one.failed_records + one.failed_runs if one.runs else None for one in days]
    return Month(
        days,
        (
            _series("records", "Records read", "", days, [one.records for one in days], _records),
            _series("duration", "Time taken", "", days, [one.seconds for one in days], _time, unit, duration),
            _series("failures", "Failures", "bad", days, troubles, _failures),
        ),
    )


def _records(one: DayRow) -> str:
    return f"{_counted(one.records, 'record')} read" if one.records is not None else "no completed download"


def _time(one: DayRow) -> str:
    return duration(one.seconds) if one.seconds is not None else "no completed download"


def _failures(one: DayRow) -> str:
    parts = [(one.failed_runs, "failed download"), (one.failed_records, "failed record")]
    return ", ".join(_counted(count, noun) for count, noun in parts if count) or ("no failure" if one.runs else "no download")


def _counted(count: int | None, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _series(
    name: str,
    title: str,
    tone: str,
    days: Sequence[DayRow],
    values: Sequence[int | None],
    tell: Callable[[DayRow], str],
    unit: int = 1,
    words: Callable[[int], str] = "{:,}".format,
) -> Series:
    chart = charts.bars(values, unit)
    known = [(value, one) for value, one in zip(values, days, strict=True) if value is not None]
    if not known:
        summary = "None in these days."
    elif chart.empty:
        summary = "None in these days." if tone else "Too little to be drawn."
    else:
        most, least = max(known, key=lambda pair: pair[0])[1], min(known, key=lambda pair: pair[0])[1]
        summary = f"Most on {short_day(most.day)}: {tell(most)}."
        if most is not least and not tone:
            summary += f" Least on {short_day(least.day)}: {tell(least)}."
    scale = ["0" if value == 0 else words(value) for value in chart.scale]
    return Series(name, title, tone, chart, scale, [f"{show_day(one.day)}: {tell(one)}" for one in days], summary)


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
    run = found(run_id)
    query = Query("sync.show", run_id=run_id)
    after_id = query.number("after_id")
    failures = sync_runs.failures(run_id, after_id=after_id or 0, limit=PAGE)
    kind, change_id = query.choice("change", "Change", CHANGES), query.number("change_id")
    changed = run.added or run.changed or run.closed
    changes = sync_history.changes(run_id, kind, change_id or 0, PAGE) if changed and not run.active else []
    return answer(
        "sync/show.html",
        "sync/_run.html",
        run=run,
        changes=changes,
        changed=changed,
        kinds=CHANGES,
        change_id=change_id,
        onward=changes[-1].id if len(changes) == PAGE else None,
        progress=measured(run),
        failures=failures,
        standing=sync_history.count_failures(run_id),
        query=query,
        after_id=after_id,
        older=failures[-1].id if len(failures) == PAGE else None,
    )


def found(run_id: int) -> RunRow:
    """The run. Raises NotFound."""
    run = sync_runs.get(run_id)
    if run is None:
        raise NotFound("There is no download with this number.")
    return run


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


@bp.post("/syncs/<int:run_id>/absent")
@roles("supervisor")
def decide_absent(run_id: int) -> ResponseReturnValue:
    """A supervisor's word on SOAs that a download did not hold and that are too many to be closed without one."""
    match request.form.get("answer"):
        case "close":
            closed = service.close_waiting(run_id, current_user.name, clock.now())
            flash(f"{closed:,} SOAs were closed. They are no longer in the collectors' lists.", "good")
        case "keep":
            service.keep_waiting_open(run_id, current_user.name, clock.now())
            flash("The SOAs stay open. The next full download asks again if PSCloud still does not send them.", "good")
        case _:
            raise InvalidInput("Say whether the SOAs are to be closed or to stay open.")
    return redirect(url_for("sync.show", run_id=run_id), 303)


TRIGGERS: Mapping[str, str] = {"scheduled": "Scheduled", "manual": "Manual"}

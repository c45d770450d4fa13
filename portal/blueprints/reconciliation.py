"""Reconciliation: compare our SOAs and payments with PSCloud's now, and what earlier comparisons found."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock, doorbell
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.domain import reconciliation as domain
from portal.domain.errors import InvalidInput, NotFound
from portal.services import payments
from portal.services import reconciliation as service
from portal.store import reconciliations as store
from portal.store.reconciliations import DifferenceFilter, ReportRow

bp = Blueprint("reconciliation", __name__)
PAGE = 20
USUAL = timedelta(days=92)
"""Payments of so many days are compared unless somebody chooses otherwise."""
OUTCOMES = {kind: words for kind, words in domain.KIND_WORDS.items() if kind != "equal"}


def finished(report_id: int | None) -> ReportRow:
    """A report whose differences can be read. Raises NotFound."""
    report = None if report_id is None else store.get(report_id)
    if report is None or report.status != "completed":
        raise NotFound("There is no finished reconciliation with this number.")
    return report


def read_filter(query: Query, report: ReportRow) -> DifferenceFilter:
    """The filter of a report's differences in the address."""
    return DifferenceFilter(
        report.id,
        record=query.choice("record", "Records", {"soa": "SOAs", "payment": "Payments"}),
        kind=query.choice("outcome", "Result", OUTCOMES),
        field=query.choice("field", "Field", {name: domain.FIELDS[name] for name in report.fields if name in domain.FIELDS}),
        q=query.text("q", "Text"),
    )


@bp.get("/reconciliation")
@roles("office", "admin")
def index() -> ResponseReturnValue:
    """The latest comparison and those before it; while one is under way the part asks again every two seconds.

    With `report` the address is that of a file of a report, and leads to the report itself."""
    query = Query("reconciliation.index")
    if report_id := query.number("report"):
        shown = Query("reconciliation.show", report_id=report_id)
        read_filter(shown, finished(report_id))
        return redirect(shown.url())
    before_id = query.number("before_id")
    rows = store.recent(limit=PAGE, before_id=before_id)
    return answer(
        "reconciliation/index.html",
        "reconciliation/_results.html",
        query=query,
        rows=rows,
        active=store.active(),
        before_id=before_id,
        older=rows[-1].id if len(rows) == PAGE else None,
        usual=clock.today() - USUAL,
    )


@bp.post("/reconciliation")
@roles("office", "admin")
def start() -> ResponseReturnValue:
    """Compare now. One at a time: a second asker is told so."""
    typed = request.form.get("payments_from", "").strip()
    try:
        payments_from = date.fromisoformat(typed) if typed else None
    except ValueError:
        payments_from = date.min
    if payments_from is not None and not 2000 <= payments_from.year <= 2200:
        raise InvalidInput("Payments collected from: write a date such as 2026-11-20, or leave it empty to compare all payments.")
    report_id = service.request(current_user.name, payments_from, clock.now())
    return redirect(url_for("reconciliation.show", report_id=report_id), 303)


@bp.get("/reconciliation/<int:report_id>")
@roles("office", "admin")
def show(report_id: int) -> Response:
    """One comparison: how far it is, or what it found, with the list of differences."""
    report = store.get(report_id)
    if report is None:
        raise NotFound("There is no reconciliation with this number.")
    query = Query("reconciliation.show", report_id=report_id)
    wanted = read_filter(query, report)
    page = store.list_page(wanted, after=query.number("after"), before=query.number("before")) if report.status == "completed" else None
    response = answer(
        "reconciliation/show.html",
        "reconciliation/_differences.html" if request.headers.get("HX-Target") == "results" else "reconciliation/_report.html",
        report=report,
        latest=report.status == "completed" and store.last_completed() == report,
        query=query,
        page=page,
        total=listed(report, wanted),
        outcomes=OUTCOMES,
        kinds=domain.KIND_WORDS,
        meanings=domain.KIND_MEANINGS,
        cases=domain.CASES,
        fields=domain.FIELDS,
        words_of=domain.words_of,
    )
    response.vary.add("HX-Target")
    return response


@bp.post("/reconciliation/<int:report_id>/send-again/<uuid:payment_id>")
@roles("supervisor")
def send_again(report_id: int, payment_id: UUID) -> ResponseReturnValue:
    """Send a payment to PSCloud again that this report says was lost there."""
    payments.send_again(str(payment_id), report_id, current_user.name, request.form.get("reason", ""), clock.now())
    doorbell.ring("post_payments")
    flash("The payment will be sent to PSCloud again. PSCloud is asked first whether it has it after all.", "good")
    return redirect(url_for("payments.show", payment_id=payment_id), 303)


def listed(report: ReportRow, wanted: DifferenceFilter) -> int | None:
    """How many differences the filter lets through, where the report's own counts tell; None where they would have to be counted."""
    if wanted.q or (wanted.field and (wanted.record or wanted.kind)):
        return None
    if wanted.field:
        return report.fields.get(wanted.field, 0)
    return sum(
        count
        for record in domain.RECORDS
        for kind, count in report.counts(record).items()
        if kind != "equal" and wanted.record in {"", record} and wanted.kind in {"", kind}
    )


@bp.post("/reconciliation/<int:report_id>/cancel")
@roles("office", "admin")
def cancel(report_id: int) -> ResponseReturnValue:
    """Stop a comparison; nothing of it is kept."""
    service.cancel(report_id, current_user.name, clock.now())
    flash("The comparison was cancelled. Nothing had been changed by it.", "good")
    return redirect(url_for("reconciliation.index"), 303)

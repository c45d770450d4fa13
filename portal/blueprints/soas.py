"""SOA Customer List: every stored SOA, filtered while typing, with its totals and the story of each account."""

from __future__ import annotations

from typing import cast

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import plain_reads, roles
from portal.blueprints.pages import Query, answer, wants_partial
from portal.domain.errors import NotFound
from portal.domain.money import from_centavos
from portal.filters import STATUS_WORDS, TENDER_WORDS, pesos
from portal.filters import day as show_day
from portal.store import collector_codes, ledger, saved_filters, soas, visits
from portal.store.soas import SoaFilter, Status, TimelineEvent

bp = Blueprint("soas", __name__)
SORTS = ("name", "account_number", "due_date", "amount_due", "collector_code")
COUNTED = 5_000
"""Up to so many SOAs that hold a text are counted before the page is shown."""
STATUSES = {"active": "Active", "closed": "Closed", "all": "All"}
NO_CODE = "-"


def read_filter(query: Query) -> SoaFilter:
    """The filter in the address (INTERFACES, SOA list query); an unknown collector code simply matches nothing."""
    due_from, due_to = query.days("due_from", "Due from", "due_to", "Due to")
    text, code = query.text("q", "Text"), query.text("collector_code", "Collector code", most=40)
    if code == NO_CODE:
        query.chips[-1] = ("collector_code", "No collector code")
    return SoaFilter(
        q=text,
        collector_code=code,
        due_from=due_from,
        due_to=due_to,
        overdue=query.flag("overdue", "Overdue"),
        penalty=query.flag("penalty", "With penalty"),
        status=cast(Status, query.choice("status", "Status", STATUSES, "active")),
        sort=query.sort(SORTS, "due_date"),
    )


@bp.get("/soas")
@roles("office", "admin")
@plain_reads
def index() -> Response:
    """The list; htmx gets the part with rows, count and totals, and asks for totals that take long by themselves."""
    query, today = Query("soas.index"), clock.today()
    typed = read_filter(query)
    if wants_partial() and request.args.get("part") == "totals":
        return make_response(render_template("soas/_totals.html", totals=soas.totals(typed, today)))
    filter, page = soas.find(typed, today, after=query.cursor("after"), before=query.cursor("before"))
    if filter.q != typed.q:
        query.replace("q", filter.q, f"Text: {filter.q}")
    whole, most = request.args.get("part") == "counted", 0 if wants_partial() else COUNTED
    totals = soas.totals(filter, today) if whole else soas.totals_at_once(filter, today, page, most)
    return answer(
        "soas/index.html",
        "soas/_partial.html",
        query=query,
        typed=typed,
        filter=filter,
        page=page,
        totals=totals,
        codes=[] if wants_partial() else collector_codes.known_codes(),
        data_as_of=soas.data_as_of(),
        saved=saved_filters.of_user(current_user.id, "soas"),
    )


@bp.get("/soas/<path:soa_id>")
@roles("office", "admin")
def show(soa_id: str) -> ResponseReturnValue:
    """One SOA: its figures, invoices, payments and what each download changed."""
    detail = soas.get(soa_id)
    if detail is None:
        raise NotFound("There is no SOA with this number here. It may not have been downloaded yet.")
    payments = ledger.payments_of_soa(soa_id)
    found = [*soas.timeline(soa_id), *map(payment_event, payments), *map(visit_event, visits.of_soa(soa_id))]
    events = sorted(found, key=lambda event: event.at, reverse=True)
    return answer(
        "soas/show.html",
        "soas/_detail.html",
        detail=detail,
        soa=detail.soa,
        payments=payments,
        events=events,
        today=clock.today(),
        collected=from_centavos(sum(part.amount for part in ledger.unreflected([soa_id]).get(soa_id, []))),
    )


def payment_event(row: ledger.PaymentRow) -> TimelineEvent:
    """A payment as the account's timeline tells it."""
    title = f"{pesos(row.amount)} collected by {row.collector_display}, {TENDER_WORDS[row.tender]}, {STATUS_WORDS[row.status].lower()}"
    title += {"approved": ", voided", "requested": ", a void was asked for"}.get(row.void, "")
    return TimelineEvent(at=row.collected_at, kind="payment", title=title, detail=[], link=f"/payments/{row.id}")


def visit_event(row: visits.VisitRow) -> TimelineEvent:
    """A visit without money as the account's timeline tells it."""
    if row.promised_on:
        what = f"{pesos(row.amount)} promised" if row.amount else "Payment promised"
        title = f"{what} for {show_day(row.promised_on)}, noted by {row.collector_display}"
    else:
        title = f"Could not collect: {row.reason}, noted by {row.collector_display}"
    detail = [("Note", "", row.note)] if row.note else []
    return TimelineEvent(at=row.visited_at, kind=row.kind, title=title, detail=detail, link="")

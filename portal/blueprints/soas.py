"""SOA Customer List: every stored SOA, filtered while typing, with its totals and the story of each account."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import cast

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import plain_reads, roles
from portal.blueprints import timeline
from portal.blueprints.pages import Query, answer, wants_partial
from portal.domain.allocation import Allocation
from portal.domain.errors import NotFound
from portal.domain.money import from_centavos
from portal.store import ledger, soa_frame, soas
from portal.store.soas import SoaFilter, Status

bp = Blueprint("soas", __name__)
SORTS = ("name", "account_number", "due_date", "amount_due", "collector_code")
EVERY = SoaFilter(status="all")
COUNTED, LARGE = 5_000, 100_000
"""Up to so many SOAs that hold a text are counted before the page is shown, unless there are so many in all."""
INVOICES, PAYMENTS, EVENTS = 12, 8, 25
"""So many of each stand on an account's page until all are asked for."""
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
    text, whole = soas.has_text(filter), not wants_partial()
    kept = filter if not text else EVERY if whole else None
    frame = soa_frame.read(current_user.id, whole, kept, today)
    if not text:
        totals = frame.totals
    elif request.args.get("part") == "counted":
        totals = soas.totals(filter, today)
    else:
        later = frame.totals is None or frame.totals.count > LARGE
        totals = soas.totals_at_once(filter, today, page, most=0 if later else COUNTED)
    return answer(
        "soas/index.html",
        "soas/_partial.html",
        query=query,
        typed=typed,
        filter=filter,
        page=page,
        totals=totals,
        codes=frame.codes,
        data_as_of=frame.data_as_of,
        saved=frame.saved,
        voids_waiting=frame.voids_waiting,
    )


@bp.get("/soas/<path:soa_id>")
@roles("office", "admin")
def show(soa_id: str) -> ResponseReturnValue:
    """One SOA: its figures, its invoices with what was collected on them since, its payments and its story; `all` shows long ones whole."""
    detail = soas.get(soa_id)
    if detail is None:
        raise NotFound("There is no SOA with this number here. It may not have been downloaded yet.")
    payments = sorted(ledger.payments_of_soa(soa_id), key=lambda row: row.collected_at, reverse=True)
    events = timeline.of_account(detail, payments)
    parts = ledger.unreflected([soa_id]).get(soa_id, [])
    whole = request.args.get("all") == "1"
    return answer(
        "soas/show.html",
        "soas/_detail.html",
        detail=detail,
        soa=detail.soa,
        payments=payments if whole else payments[:PAYMENTS],
        payment_count=len(payments),
        invoices=detail.soa.invoices if whole else detail.soa.invoices[:INVOICES],
        events=events if whole else events[:EVENTS],
        event_count=len(events),
        today=clock.today(),
        collected=from_centavos(sum(part.amount for part in parts)),
        collected_on=collected_on(parts),
        advance=from_centavos(sum(part.amount for part in parts if part.kind == "advance")),
    )


def collected_on(parts: Iterable[Allocation]) -> dict[str, Decimal]:
    """Pesos of these parts of payments by the invoice they pay, penalty and principal together."""
    found: dict[str, int] = {}
    for part in parts:
        if part.invoice is not None:
            found[part.invoice] = found.get(part.invoice, 0) + part.amount
    return {invoice: from_centavos(amount) for invoice, amount in found.items()}

"""Collection and Payments: what the phones brought in, what waits for a person, and what PSCloud answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock, doorbell
from portal.access import plain_reads, roles
from portal.blueprints.pages import Query, answer, own_way_back, wants_partial
from portal.domain.errors import InvalidInput, NotFound
from portal.domain.payments import TENDER_WORDS, UNLISTED
from portal.domain.soa import Invoice
from portal.filters import FLAG_WORDS, STATUS_WORDS
from portal.services import payments as service
from portal.services import pushing
from portal.store import door, ledger, papers, payment_frame, postings, rebuilt, soas, voids
from portal.store.ledger import PaymentFilter
from portal.store.payment_frame import PaymentFrame

bp = Blueprint("payments", __name__)
STATUSES = {word: STATUS_WORDS[word] for word in ("pending", "approved", "processing", "completed", "failed")}
CHOICES = {**STATUSES, "unposted": "Not posted yet"}
"""What the list can be asked for: a status, or all that are to be posted and are not in PSCloud yet."""
WAITING = ("approved", "processing", "unposted")
FLAGS = {"any": "Any flag", "none": "No flag", **FLAG_WORDS}
VOIDS = {"none": "Neither", "requested": "Asked for", "approved": "Voided"}
CHOICE_LISTS = (tuple(TENDER_WORDS.items()), tuple(FLAGS.items()), tuple(VOIDS.items()))


def read_filter(query: Query, collectors: Mapping[str, str] | None = None) -> PaymentFilter:
    """The filter in the address (INTERFACES, payment list query); `collectors` are those that may be asked for, by default everybody who
    ever collected."""
    if collectors is None:
        collectors = dict(ledger.collectors()) if request.args.get("collector") else {}
    date_from, date_to = query.days("from", "From", "to", "To")
    return PaymentFilter(
        date_from=date_from,
        date_to=date_to,
        collector=query.choice("collector", "Collector", collectors),
        tender=query.choice("tender", "Tender", TENDER_WORDS),
        status=query.choice("status", "Status", CHOICES),
        flag=query.choice("flag", "Flag", FLAGS),
        q=query.text("q", "Text"),
        void=query.choice("void", "Void", VOIDS),
    )


def _read(whole: bool) -> tuple[Query, PaymentFilter, PaymentFrame]:
    """The filter in the address and what stands around its list. That its collector ever collected is asked together with all the rest."""
    query, name = Query("payments.index"), request.args.get("collector", "")
    if name.isprintable() and len(name) <= 60:
        wanted = read_filter(query, {name: name})
        frame = payment_frame.read(wanted, whole)
        if frame.collector:
            query.replace("collector", name, f"Collector: {frame.collector[1]}")
        if frame.collector or not name:
            return query, wanted, frame
        query = Query("payments.index")
    wanted = read_filter(query, {})
    return query, wanted, payment_frame.read(wanted, whole)


@bp.get("/payments")
@roles("office", "admin")
@plain_reads
def index() -> Response:
    """The list with its totals and a count per status; htmx gets the part that changes."""
    whole = not wants_partial()
    if not whole and request.args.get("part") == "totals":
        query = Query("payments.index")
        totals = ledger.totals(read_filter(query))
        return make_response(render_template("payments/_totals.html", totals=totals, query=query, statuses=STATUSES))
    query, wanted, frame = _read(whole)
    user_id = frame.collector[0] if frame.collector else None
    page = ledger.list_page(wanted, after=query.cursor("after"), before=query.cursor("before"), user_id=user_id)
    counted = frame.totals
    if counted is None:
        counted = ledger.totals(wanted) if request.args.get("part") == "counted" else ledger.totals_of_page(wanted, page)
    return answer(
        "payments/index.html",
        "payments/_partial.html",
        query=query,
        filter=wanted,
        page=page,
        pickable=pickable(page.rows),
        totals=counted,
        collectors=frame.collectors,
        others=CHOICE_LISTS,
        voids_waiting=frame.voids_waiting,
        statuses=STATUSES,
        tenders=TENDER_WORDS,
        paused=pushing.paused() if wanted.status in WAITING else None,
    )


@bp.post("/payments/try-now")
@roles("office", "admin")
def try_now() -> ResponseReturnValue:
    """Ask PSCloud at once instead of after the pause."""
    pushing.try_now(clock.now())
    doorbell.ring("post_payments")
    flash("PSCloud is asked now. Look again in a moment.", "good")
    return redirect(own_way_back(url_for("payments.index", status="approved")), 303)


@bp.get("/payments/<uuid:payment_id>")
@roles("office", "admin")
def show(payment_id: UUID) -> Response:
    """One payment: allocation, flags, VAT, its way to PSCloud."""
    detail = ledger.get(str(payment_id))
    if detail is None:
        raise NotFound("There is no payment with this number.")
    return answer(
        "payments/show.html",
        "payments/_detail.html",
        detail=detail,
        row=detail.row,
        may_approve=may_approve(detail.row),
        voids=voids.of_payment(detail.row.id),
        proof=ledger.proof(detail),
        attempts=postings.attempts_of(detail.row.id),
        moves=papers.moves_of(detail.row.id) if detail.row.tender != "cash" else [],
        paper=next(iter(papers.some([detail.row.id])), None) if detail.row.tender != "cash" else None,
        invoices=invoices_of(detail.row),
        assignable=may_assign(detail.row),
        account_soas=soas.open_of_account(detail.row.account_number) if may_assign(detail.row) else [],
        extra=door.besides(detail.row.id),
        photos=door.photos(detail.row.id),
        rebuilt=rebuilt.row(detail.row.id),
    )


@bp.get("/payments/<uuid:payment_id>/photos/<photo_id>")
@roles("office", "admin")
def photo(payment_id: UUID, photo_id: str) -> Response:
    """A photo of a check or slip. Nothing but an image, whatever its bytes hold."""
    found = door.image(str(payment_id), photo_id) if photo_id.isalnum() else None
    if found is None:
        raise NotFound("There is no such photo.")
    response = Response(found, mimetype="image/jpeg")
    response.headers["Content-Disposition"] = f'inline; filename="{photo_id[:16]}.jpg"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def invoices_of(row: ledger.PaymentRow) -> tuple[Invoice, ...]:
    """Invoices a payment that is not posted could be allocated on anew, for those who may."""
    if row.status not in ("pending", "failed") or row.void or not current_user.can("supervisor"):
        return ()
    soa = soas.get_many([row.soa_id]).get(row.soa_id)
    return soa.invoices if soa is not None and soa.status == "active" else ()


def may_assign(row: ledger.PaymentRow) -> bool:
    """Whether this person may give it an SOA: it has none, is not posted, not being voided and not their own."""
    open_here = row.soa_id.startswith(UNLISTED) and row.status in ("pending", "failed") and not row.void
    return bool(open_here and current_user.can("supervisor") and row.collector_name != current_user.name)


def may_approve(row: ledger.PaymentRow) -> bool:
    """Whether this person may approve it: the office what carries no flag, a supervisor also what does (DOMAIN 1); nobody what is being
    voided."""
    return row.id in pickable([row])


def pickable(rows: Iterable[ledger.PaymentRow]) -> set[str]:
    """Those of these payments that this person may approve."""
    if not current_user.can("office"):
        return set()
    releases = current_user.can("supervisor")
    return {row.id for row in rows if row.status == "pending" and not row.void and (releases or not row.flags)}


@bp.post("/payments/approve")
@roles("office")
def approve() -> ResponseReturnValue:
    """Approve one or many; all of them or, when one may not be approved, none."""
    chosen = list(dict.fromkeys(request.form.getlist("payment")))
    if not 0 < len(chosen) <= 200:
        raise InvalidInput("Tick the payments to approve, at most 200 at once.")
    count = service.approve(chosen, current_user.name, current_user.can("supervisor"), clock.now())
    doorbell.ring("post_payments")
    flash(f"{count} {'payment was' if count == 1 else 'payments were'} approved and will be posted to PSCloud.", "good")
    return redirect(own_way_back(url_for("payments.index")), 303)


@bp.post("/payments/<uuid:payment_id>/hold")
@roles("office")
def hold(payment_id: UUID) -> ResponseReturnValue:
    """Hold an approved payment before it is posted."""
    service.hold(str(payment_id), current_user.name, request.form.get("reason", ""), clock.now())
    flash("The payment is held. It is not posted until it is approved again.", "good")
    return redirect(url_for("payments.show", payment_id=payment_id), 303)


@bp.post("/payments/<uuid:payment_id>/return")
@roles("office")
def give_back(payment_id: UUID) -> ResponseReturnValue:
    """Return a pending payment to its collector with a reason."""
    service.give_back(str(payment_id), current_user.name, request.form.get("reason", ""), clock.now())
    flash("The payment is returned to its collector. It stays Pending, with your reason, until somebody approves it.", "good")
    return redirect(url_for("payments.show", payment_id=payment_id), 303)


@bp.post("/payments/<uuid:payment_id>/reallocate")
@roles("supervisor")
def reallocate(payment_id: UUID) -> ResponseReturnValue:
    """Allocate a payment that is not posted anew, the invoices that are ticked first."""
    chosen = request.form.getlist("invoice")
    service.reallocate(str(payment_id), current_user.name, chosen, request.form.get("reason", ""), clock.now())
    flash("The payment is allocated anew. What the receipt says is kept beside it.", "good")
    return redirect(url_for("payments.show", payment_id=payment_id), 303)


@bp.post("/payments/<uuid:payment_id>/assign")
@roles("supervisor")
def assign(payment_id: UUID) -> ResponseReturnValue:
    """Give a payment of an account that was in no list to an SOA."""
    number = request.form.get("soa", "").strip()
    customer = service.assign(str(payment_id), current_user.name, number, request.form.get("reason", ""), clock.now())
    flash(f"The payment belongs to SOA {number} of {customer} now, and is allocated there.", "good")
    return redirect(url_for("payments.show", payment_id=payment_id), 303)


@bp.post("/payments/<uuid:payment_id>/retry")
@roles("office")
def retry(payment_id: UUID) -> ResponseReturnValue:
    """Send a failed payment to PSCloud again, under the same reference."""
    service.retry(str(payment_id), current_user.name, clock.now())
    doorbell.ring("post_payments")
    flash("The payment will be sent to PSCloud again. PSCloud is asked first whether it has it already.", "good")
    return redirect(url_for("payments.show", payment_id=payment_id), 303)

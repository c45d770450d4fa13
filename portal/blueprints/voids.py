"""Voids: what collectors ask to undo, and what a supervisor decided of it."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock, doorbell
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.domain.errors import NotFound
from portal.services import voids as service
from portal.store import voids
from portal.store.voids import VoidRow

bp = Blueprint("voids", __name__)
STATES = {"requested": "Waiting", "approved": "Approved", "refused": "Refused", "failed": "Refused by PSCloud", "all": "All"}
PAGE = 50


@bp.get("/voids")
@roles("office", "admin")
def index() -> Response:
    """Requests that wait, the oldest first; what was decided, the newest first."""
    query = Query("voids.index")
    state, after_id = query.choice("state", "State", STATES, default="requested"), query.number("after_id")
    rows, onward = voids.list_page(state, after_id, PAGE)
    return answer(
        "voids/index.html",
        "voids/_results.html",
        query=query,
        state=state,
        states=STATES,
        rows=rows,
        totals=voids.totals(),
        failed=voids.count_failed(),
        after_id=after_id,
        onward=onward,
        may_decide=may_decide,
    )


@bp.get("/voids/<int:void_id>")
@roles("office", "admin")
def show(void_id: int) -> Response:
    """One void: what was asked, its payment, and for a supervisor the decision."""
    void = voids.get(void_id)
    if void is None:
        raise NotFound("There is no void with this number.")
    others = [other for other in voids.of_payment(void.payment_id) if other.id != void.id]
    return answer("voids/show.html", "voids/_detail.html", void=void, others=others, may_decide=may_decide(void))


def may_decide(void: VoidRow) -> bool:
    """Whether this person may decide it: a supervisor who neither asked for it nor collected the payment (DOMAIN 1)."""
    return void.state == "requested" and bool(current_user.can("supervisor")) and current_user.name not in {void.asked_by, void.collector}


@bp.post("/voids/<int:void_id>/approve")
@roles("supervisor")
def approve(void_id: int) -> ResponseReturnValue:
    """Approve a void; PSCloud is told when it holds the payment."""
    if service.approve(void_id, current_user.name, "", clock.now()):
        doorbell.ring("post_payments")
        flash("The void is approved. PSCloud holds the payment and is told to void it too.", "good")
    else:
        flash("The void is approved. The payment is not in PSCloud and will not be posted.", "good")
    return redirect(url_for("voids.show", void_id=void_id), 303)


@bp.post("/voids/<int:void_id>/refuse")
@roles("supervisor")
def refuse(void_id: int) -> ResponseReturnValue:
    """Refuse a void with a reason; the payment goes on as before."""
    service.refuse(void_id, current_user.name, request.form.get("reason", ""), clock.now())
    doorbell.ring("post_payments")
    flash("The void is refused. The payment goes on as before.", "good")
    return redirect(url_for("voids.show", void_id=void_id), 303)


@bp.post("/voids/<int:void_id>/retry")
@roles("office")
def retry(void_id: int) -> ResponseReturnValue:
    """Tell PSCloud of an approved void again after it refused."""
    service.retry(void_id, current_user.name, clock.now())
    doorbell.ring("post_payments")
    flash("PSCloud will be told of this void again.", "good")
    return redirect(url_for("voids.show", void_id=void_id), 303)

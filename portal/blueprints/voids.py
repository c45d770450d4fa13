"""Voids: what collectors ask to undo, and what a supervisor decided of it."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock, doorbell
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.domain.errors import NotFound, PortalError
from portal.services import void_codes
from portal.services import voids as service
from portal.store import void_codes as code_store
from portal.store import voids
from portal.store.voids import VoidRow

bp = Blueprint("voids", __name__)
STATES = {"requested": "Waiting", "approved": "Approved", "refused": "Refused", "failed": "Refused by PSCloud", "all": "All"}
PAGE = 50
TYPED = ("void_number", "amount", "challenge")


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
    code = code_store.outcome_of(void.id)
    return answer("voids/show.html", "voids/_detail.html", void=void, others=others, may_decide=may_decide(void), code=code)


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


@bp.get("/voids/codes")
@roles("supervisor")
def codes() -> Response:
    """What to type to give a code for a void, and the codes of this supervisor that no void has carried yet."""
    return _code_form({}, "")


def _code_form(typed: dict[str, str], problem: str) -> Response:
    given = code_store.open_of(int(current_user.id))
    return answer("voids/codes.html", "voids/_codes.html", given=given, typed=typed, problem=problem)


@bp.post("/voids/codes")
@roles("supervisor")
def give_code() -> ResponseReturnValue:
    """Give the code for one void; what was typed stays when something is wrong with it."""
    typed = {name: request.form.get(name, "")[:40] for name in TYPED}
    try:
        code_id = void_codes.issue(current_user.name, **typed, now=clock.now())
    except PortalError as error:
        return _code_form(typed, error.message), error.status
    return redirect(url_for("voids.code", code_id=code_id), 303)


@bp.get("/voids/codes/<int:code_id>")
@roles("supervisor")
def code(code_id: int) -> Response:
    """A code, to the supervisor who gave it and to nobody else."""
    given = void_codes.own(code_id, current_user.name)
    usable = given.revoked_at is None and given.void_id is None
    digits = void_codes.code_of(given) if usable else ""
    known = void_codes.known_payment(given)
    response = answer("voids/code.html", "voids/_code.html", given=given, digits=digits, known=known)
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/voids/codes/<int:code_id>/revoke")
@roles("supervisor")
def revoke_code(code_id: int) -> ResponseReturnValue:
    """Take a code back that no void has carried yet."""
    void_codes.revoke(code_id, current_user.name, clock.now())
    flash("The code is taken back. A void that comes with it waits to be decided as any other.", "good")
    return redirect(url_for("voids.codes"), 303)

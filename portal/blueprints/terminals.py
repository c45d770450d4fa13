"""Terminals: the enrolled phones, how far the portal holds their journals, and which of them may no longer collect."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock, doorbell
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.domain.errors import InvalidInput, PortalError
from portal.filters import STATUS_WORDS
from portal.services import rescue, settings
from portal.services import terminals as service
from portal.services.journal import Policy
from portal.store import terminals

bp = Blueprint("terminals", __name__)
STATES = {word: STATUS_WORDS[word] for word in ("waiting", "active", "revoked")}


@bp.get("/terminals")
@roles("office", "admin")
def index() -> Response:
    """All terminals or those of one state; those that wait for a person come first."""
    query = Query("terminals.index")
    state = query.choice("state", "State", STATES)
    order = list(STATES)
    every = sorted(terminals.all_terminals(), key=lambda row: (order.index(row.state), row.id))
    return answer(
        "terminals/index.html",
        "terminals/_results.html",
        query=query,
        rows=[row for row in every if state in {"", row.state}],
        states=STATES,
        counts={word: sum(row.state == word for row in every) for word in STATES},
    )


@bp.get("/rescue")
@roles("office")
def rescue_form() -> Response:
    """Where a phone's rescue file is handed in."""
    return rescue_page()


def rescue_page(status: int = 200, **shown: Any) -> Response:
    """The page with both ways in, and what became of the one that was tried."""
    nothing = {"taken": None, "problem": "", "paper": None, "recorded": None, "paper_problem": "", "typed": ""}
    response = answer("terminals/rescue.html", "terminals/_rescue.html", **(nothing | shown))
    response.status_code = status
    return response


@bp.post("/rescue/receipt")
@roles("office")
def read_receipt() -> Response:
    """What the code of a receipt says, before anything is recorded."""
    typed = request.form.get("code", "")
    try:
        return rescue_page(paper=rescue.read_paper(typed))
    except PortalError as error:
        return rescue_page(422, paper_problem=error.message, typed=typed[:1100])


@bp.post("/rescue/receipt/record")
@roles("office")
def record_receipt() -> ResponseReturnValue:
    """Record the payment of a receipt whose phone is lost; it is held for approval."""
    form, chosen = request.form, settings.current()
    policy = Policy(chosen.payment_approval, chosen.stale_soa_days)
    code = form.get("code", "")
    try:
        paper = rescue.record_paper(code, form.get("channel", ""), form.get("reference", ""), current_user.name, policy, clock.now())
    except InvalidInput as error:
        try:
            return rescue_page(422, paper=rescue.read_paper(code), paper_problem=error.message)
        except PortalError:
            return rescue_page(422, paper_problem=error.message, typed=code[:1100])
    except PortalError as error:
        return rescue_page(422, paper_problem=error.message, typed=code[:1100])
    return rescue_page(recorded=paper)


@bp.post("/rescue")
@roles("office")
def take_rescue_file() -> Response:
    """Take a rescue file and tell what became of each terminal's entries; the same file again changes nothing."""
    file = request.files.get("file")
    chosen = settings.current()
    policy = Policy(chosen.payment_approval, chosen.stale_soa_days)
    taken, problem = None, ""
    if file is None or not file.filename:
        problem = "Choose the file first."
    else:
        try:
            taken = rescue.take(file.read(), current_user.name, policy, clock.now())
        except PortalError as error:
            problem = error.message
    if taken and any(one.approved for one in taken):
        doorbell.ring("post_payments")
    return rescue_page(422 if problem else 200, taken=taken, problem=problem)


@bp.post("/terminals/<code>/revoke")
@roles("admin")
def revoke(code: str) -> ResponseReturnValue:
    """Bar a lost phone: its later uploads are kept and held, its code is never used again."""
    service.revoke(code, current_user.name, clock.now())
    flash(f"{code} is revoked. It gets no SOAs; payments it still sends are kept and wait for a person.", "good")
    return redirect(url_for("terminals.index"), 303)


@bp.post("/terminals/<code>/approve")
@roles("admin")
def approve(code: str) -> ResponseReturnValue:
    """Let a newly enrolled phone collect."""
    service.approve(code, current_user.name, clock.now())
    flash(f"{code} may collect from now on.", "good")
    return redirect(url_for("terminals.index"), 303)

"""Expenses: what collectors spent out of the cash in hand, and what a supervisor decided of it; and cash they handed over early."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.domain.errors import NotFound
from portal.services import expenses as service
from portal.store import expenses
from portal.store.expenses import ExpenseRow

bp = Blueprint("expenses", __name__)
STATES = {"requested": "Waiting", "approved": "Approved", "refused": "Refused", "all": "All"}
PAGE = 50


@bp.get("/expenses")
@roles("office", "admin")
def index() -> Response:
    """Expenses that wait, the oldest first; what was decided, the latest first."""
    query = Query("expenses.index")
    state, after_id = query.choice("state", "State", STATES, default="requested"), (query.cursor("after") or "")[:36]
    rows, onward = expenses.list_page(state, after_id, PAGE)
    return answer(
        "expenses/index.html",
        "expenses/_results.html",
        query=query,
        state=state,
        states=STATES,
        rows=rows,
        totals=expenses.totals(),
        drops=expenses.drop_totals(),
        after_id=after_id,
        onward=onward,
        may_decide=may_decide,
    )


@bp.get("/expenses/cash-drops")
@roles("office", "admin")
def drops() -> Response:
    """Cash that collectors handed over before the remittance, the latest first."""
    query = Query("expenses.drops")
    after_id = query.number("after")
    rows, onward = expenses.drop_page(after_id, PAGE)
    return answer(
        "expenses/drops.html",
        "expenses/_drops.html",
        query=query,
        rows=rows,
        totals=expenses.totals(),
        drops=expenses.drop_totals(),
        states=STATES,
        after_id=after_id,
        onward=onward,
    )


def _found(expense_id: UUID) -> ExpenseRow:
    row = expenses.get(str(expense_id))
    if row is None:
        raise NotFound("There is no such expense.")
    return row


@bp.get("/expenses/<uuid:expense_id>")
@roles("office", "admin")
def show(expense_id: UUID) -> Response:
    """One expense with its paper, and for a supervisor the decision."""
    row = _found(expense_id)
    photos = expenses.photos(row.id)
    return answer("expenses/show.html", "expenses/_detail.html", expense=row, photos=photos, may_decide=may_decide(row))


@bp.get("/expenses/<uuid:expense_id>/photos/<photo_id>")
@roles("office", "admin")
def photo(expense_id: UUID, photo_id: str) -> Response:
    """A photo of an expense's paper. Nothing but an image, whatever its bytes hold."""
    found = expenses.image(str(expense_id), photo_id) if photo_id.isalnum() else None
    if found is None:
        raise NotFound("There is no such photo.")
    response = make_response(found)
    response.headers["Content-Type"] = "image/jpeg"
    response.headers["Content-Disposition"] = f'inline; filename="{photo_id[:16]}.jpg"'
    return response


def may_decide(row: ExpenseRow) -> bool:
    """Whether this person may decide it: a supervisor who did not spend the money."""
    return row.state == "requested" and bool(current_user.can("supervisor")) and current_user.name != row.collector


@bp.post("/expenses/<uuid:expense_id>/approve")
@roles("supervisor")
def approve(expense_id: UUID) -> ResponseReturnValue:
    """Approve an expense; the phone hears of it at its next contact."""
    service.approve(str(expense_id), current_user.name, request.form.get("reason", ""), clock.now())
    flash("The expense is approved. It comes off expected cash as soon as the phone has heard of it.", "good")
    return redirect(url_for("expenses.show", expense_id=expense_id), 303)


@bp.post("/expenses/<uuid:expense_id>/refuse")
@roles("supervisor")
def refuse(expense_id: UUID) -> ResponseReturnValue:
    """Refuse an expense with a reason; the cash stays expected."""
    service.refuse(str(expense_id), current_user.name, request.form.get("reason", ""), clock.now())
    flash("The expense is refused. The cash stays expected of the collector.", "good")
    return redirect(url_for("expenses.show", expense_id=expense_id), 303)

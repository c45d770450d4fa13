"""Terminals: the enrolled phones, how far the portal holds their journals, and which of them may no longer collect."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.filters import STATUS_WORDS
from portal.services import terminals as service
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

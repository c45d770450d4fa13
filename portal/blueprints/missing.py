"""Missing numbers: what each phone gave out and what has not arrived, until it does or a supervisor says why it will not."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer, own_way_back
from portal.services import missing as service
from portal.store import missing
from portal.store.missing import MissingFilter

bp = Blueprint("missing", __name__)
STATES = {"open": "Missing", "explained": "Explained", "arrived": "Arrived since", "all": "All"}
SERIES = {"receipt": "Receipts", "void": "Voids", "z": "Z-readings"}
PAGE = 50


@bp.get("/missing-numbers")
@roles("office", "admin")
def index() -> Response:
    """The gaps of a filter, the latest found first, and apart from them what is still on phones."""
    query = Query("missing.index")
    terminals, collectors = missing.terminals(), missing.collectors()
    wanted = MissingFilter(
        state=query.choice("state", "State", STATES, default="open"),
        series=query.choice("series", "Numbers", SERIES),
        terminal=query.choice("terminal", "Terminal", {code: code for code in terminals}),
        collector=query.choice("collector", "Collector", dict(collectors)),
    )
    before_id = query.number("before_id")
    rows = missing.list_page(wanted, before_id, PAGE)
    runs, numbers = missing.count(wanted)
    return answer(
        "missing/index.html",
        "missing/_results.html",
        query=query,
        rows=rows,
        beside=missing.beside(rows),
        runs=runs,
        numbers=numbers,
        state=wanted.state,
        states=STATES,
        series=SERIES,
        terminals=terminals,
        collectors=collectors,
        on_phones=missing.on_the_phone() if wanted.state == "open" and not before_id else [],
        before_id=before_id,
        older=rows[-1].id if len(rows) == PAGE else None,
        may_explain=current_user.can("supervisor"),
    )


@bp.post("/missing-numbers/<int:missing_id>/explain")
@roles("supervisor")
def explain(missing_id: int) -> ResponseReturnValue:
    """Say why these numbers will not arrive."""
    service.explain(missing_id, current_user.name, request.form.get("reason", ""), clock.now())
    flash(
        "The explanation is kept with the numbers and in the audit trail. Should they arrive after all, they close by themselves.", "good"
    )
    return redirect(own_way_back(url_for("missing.index")), 303)


@bp.post("/missing-numbers/<int:missing_id>/reopen")
@roles("supervisor")
def reopen(missing_id: int) -> ResponseReturnValue:
    """Take an explanation back."""
    service.reopen(missing_id, current_user.name, request.form.get("reason", ""), clock.now())
    flash("The numbers are missing again. The explanation that was taken back stays in the audit trail.", "good")
    return redirect(own_way_back(url_for("missing.index")), 303)

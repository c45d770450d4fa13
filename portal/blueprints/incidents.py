"""Incidents: what a phone, an upload or PSCloud did that a person must look at, and what came of it."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer, own_way_back
from portal.filters import INCIDENT_WORDS, incident_word
from portal.services import incidents as service
from portal.store import incident_list
from portal.store.incident_list import IncidentFilter

bp = Blueprint("incidents", __name__)
STATES = {"open": "Open", "closed": "Closed"}
PAGE = 50


@bp.get("/incidents")
@roles("office", "admin")
def index() -> Response:
    """Open incidents, or closed ones, the latest first."""
    query = Query("incidents.index")
    kinds = {word: incident_word(word) for word in sorted({*INCIDENT_WORDS, *incident_list.kinds()}, key=incident_word)}
    terminals = incident_list.terminals()
    wanted = IncidentFilter(
        state=query.choice("state", "State", STATES, default="open"),
        kind=query.choice("kind", "Kind", kinds),
        terminal=query.choice("terminal", "Terminal", {code: code for code in terminals}),
    )
    before_id = query.number("before_id")
    rows = incident_list.list_page(wanted, before_id, PAGE)
    return answer(
        "incidents/index.html",
        "incidents/_results.html",
        query=query,
        rows=rows,
        state=wanted.state,
        states=STATES,
        counts={state: incident_list.count(IncidentFilter(state, wanted.kind, wanted.terminal)) for state in STATES},
        kinds=kinds,
        terminals=terminals,
        before_id=before_id,
        older=rows[-1].id if len(rows) == PAGE else None,
        may_close=current_user.can("supervisor", "admin"),
    )


@bp.post("/incidents/<int:incident_id>/close")
@roles("supervisor", "admin")
def close(incident_id: int) -> ResponseReturnValue:
    """Close an incident with what came of it."""
    service.close(incident_id, current_user.name, request.form.get("resolution", ""), clock.now())
    flash("The incident is closed. What came of it is kept with it and in the audit trail.", "good")
    return redirect(own_way_back(url_for("incidents.index")), 303)

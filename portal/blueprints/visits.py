"""Visits: what collectors noted where they took no money."""

from __future__ import annotations

from flask import Blueprint, Response

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.store import visits

bp = Blueprint("visits", __name__)
KINDS = {"open": "Promised, not paid", "promise": "Promises", "no_collection": "Could not collect", "all": "All"}
PAGE = 50


@bp.get("/visits")
@roles("office", "admin")
def index() -> Response:
    """Promises that wait for money, the earliest day first; other visits, the latest first."""
    query = Query("visits.index")
    kind, after = query.choice("kind", "Kind", KINDS, default="open"), query.cursor("after")
    rows, onward = visits.list_page(kind, after, PAGE)
    today = clock.today()
    waiting, late = visits.count_open(today)
    return answer(
        "visits/index.html",
        "visits/_results.html",
        query=query,
        kind=kind,
        kinds=KINDS,
        rows=rows,
        after=after,
        onward=onward,
        today=today,
        waiting=waiting,
        late=late,
    )

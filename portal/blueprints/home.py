"""The front page: each role's home. Every number leads to the list behind it."""

from __future__ import annotations

from flask import Blueprint, redirect
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import answer
from portal.store import incidents, ledger, remittances, soas, sync_runs, voids

bp = Blueprint("home", __name__)


@bp.get("/")
@roles("collector", "office", "admin")
def index() -> ResponseReturnValue:
    """The office's numbers of today; a collector's home is the phone app."""
    if not current_user.can("office", "admin"):
        return redirect("/mpos/")
    today = clock.today()
    return answer(
        "home/index.html",
        "home/_board.html",
        today=today,
        active_run=sync_runs.active(),
        last_run=next(iter(sync_runs.recent(limit=1)), None),
        completed=sync_runs.last_completed(),
        soas=soas.totals(soas.SoaFilter(), today),
        overdue=soas.totals(soas.SoaFilter(overdue=True), today),
        collected=ledger.totals(ledger.PaymentFilter(date_from=today, date_to=today)),
        waiting=ledger.status_counts(ledger.PaymentFilter(void="none")),
        voids=voids.totals()["requested"],
        voids_failed=voids.count_failed(),
        desk=remittances.desk(),
        latest=ledger.list_page(ledger.PaymentFilter(), limit=8).rows,
        incidents=incidents.open_incidents(20),
    )

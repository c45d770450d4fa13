"""Collector Code: areas and assignments, who holds them, what is owed under them, and SOAs that nobody is assigned to."""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import answer
from portal.services import collector_codes as service
from portal.store import collector_codes

bp = Blueprint("collectors", __name__)


@bp.get("/collector-codes")
@roles("office", "admin")
def index() -> Response:
    """All codes with holders, accounts and pesos; then the SOAs without a code we know."""
    today = clock.today()
    return answer(
        "collectors/index.html",
        "collectors/_results.html",
        codes=collector_codes.overview(today),
        unknown=collector_codes.without_known_code(today),
    )


@bp.post("/collector-codes")
@roles("admin")
def add() -> ResponseReturnValue:
    """Add a code of our own."""
    code = request.form.get("code", "")
    service.add(code, request.form.get("name", ""), request.form.get("area", ""), current_user.name, clock.now())
    flash(f"Collector code {code.strip()} was added.", "good")
    return redirect(url_for("collectors.index"), 303)


@bp.post("/collector-codes/remove")
@roles("admin")
def remove() -> ResponseReturnValue:
    """Remove a code that nobody holds and no SOA carries."""
    code = request.form.get("code", "")
    service.remove(code, current_user.name, clock.now())
    flash(f"Collector code {code} was removed.", "good")
    return redirect(url_for("collectors.index"), 303)

"""Saved filters: what somebody often looks at, kept under a name of their own."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, own_way_back
from portal.blueprints.soas import read_filter
from portal.domain.errors import InvalidInput
from portal.services import saved_filters as service

bp = Blueprint("saved_filters", __name__)


@bp.post("/soas/saved-filters")
@roles("office", "admin")
def save() -> ResponseReturnValue:
    """Keep the filter in the address of the SOA list under a name."""
    query = Query("soas.index")
    read_filter(query)
    if query.problems:
        raise InvalidInput(" ".join(query.problems.values()))
    service.save(current_user.id, "soas", request.form.get("name", ""), query.url().partition("?")[2], clock.now())
    flash("The filter is saved. It stands above the list whenever you come here.", "good")
    return redirect(query.url(), 303)


@bp.post("/soas/saved-filters/<int:filter_id>/rename")
@roles("office", "admin")
def rename(filter_id: int) -> ResponseReturnValue:
    """Give an own filter another name."""
    service.rename(filter_id, current_user.id, request.form.get("name", ""))
    flash("The filter has its new name.", "good")
    return redirect(own_way_back(url_for("soas.index")), 303)


@bp.post("/soas/saved-filters/<int:filter_id>/delete")
@roles("office", "admin")
def delete(filter_id: int) -> ResponseReturnValue:
    """Forget an own filter."""
    found = service.delete(filter_id, current_user.id)
    flash(f"The saved filter {found.name} was deleted.", "good")
    return redirect(own_way_back(url_for("soas.index")), 303)

"""Users: who may log in, their roles and the collector codes they hold. Nobody edits their own roles."""

from __future__ import annotations

import re

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import answer
from portal.domain.errors import NotFound
from portal.services import users as service
from portal.store import collector_codes, users
from portal.store.users import UserRow

bp = Blueprint("users", __name__)
ROLE_CHOICES = (
    ("collector", "Collector", "the phone app only"),
    ("office", "Office", "downloads, SOAs, payments"),
    ("supervisor", "Supervisor", "all of office, approves what is held, reports"),
    ("admin", "Admin", "users, codes, terminals; handles no money"),
)


@bp.get("/users")
@roles("admin")
def index() -> Response:
    """Everybody, and the form that adds somebody."""
    return answer(
        "users/index.html", "users/_results.html", rows=users.all_users(), role_choices=ROLE_CHOICES, codes=collector_codes.known_codes()
    )


@bp.get("/users/<int:user_id>")
@roles("admin")
def show(user_id: int) -> Response:
    """One person: name, roles, codes, password."""
    return answer(
        "users/show.html", "users/_detail.html", person=found(user_id), role_choices=ROLE_CHOICES, codes=collector_codes.known_codes()
    )


@bp.post("/users")
@roles("admin")
def add() -> ResponseReturnValue:
    """Add a person."""
    form = request.form
    name = form.get("name", "")
    service.add(
        name, form.get("display_name", ""), form.get("password", ""), form.getlist("roles"), read_codes(), current_user.name, clock.now()
    )
    flash(f"{name.strip().lower()} can log in now.", "good")
    return redirect(url_for("users.index"), 303)


@bp.post("/users/<int:user_id>")
@roles("admin")
def change(user_id: int) -> ResponseReturnValue:
    """Change name, roles, codes and whether the person may log in; one's own roles stay as they are."""
    person, form = found(user_id), request.form
    own = person.name == current_user.name
    wanted_roles = person.roles if own else form.getlist("roles")
    active = True if own else form.get("active") == "1"
    service.change(user_id, form.get("display_name", ""), wanted_roles, read_codes(), active, current_user.name, clock.now())
    flash(f"{person.name} was changed. It holds from that person's next click on.", "good")
    return redirect(url_for("users.show", user_id=user_id), 303)


@bp.post("/users/<int:user_id>/disable")
@roles("admin")
def disable(user_id: int) -> ResponseReturnValue:
    """Bar a person at once; what they did stays under their name."""
    person = found(user_id)
    service.change(user_id, person.display_name, person.roles, person.codes, False, current_user.name, clock.now())
    flash(f"{person.name} can no longer log in, and is logged out everywhere.", "good")
    return redirect(url_for("users.index"), 303)


@bp.post("/users/<int:user_id>/password")
@roles("admin")
def set_password(user_id: int) -> ResponseReturnValue:
    """Set a new password; the person is logged out everywhere."""
    person = found(user_id)
    service.set_password(user_id, request.form.get("password", ""), current_user.name, clock.now())
    flash(f"{person.name} has a new password and must log in with it.", "good")
    return redirect(url_for("users.show", user_id=user_id), 303)


def read_codes() -> list[str]:
    """The collector codes in the form: one text, separated by commas, semicolons or lines."""
    return [code.strip() for code in re.split(r"[,;\n]", request.form.get("codes", "")) if code.strip()]


def found(user_id: int) -> UserRow:
    """The person. Raises NotFound."""
    person = users.get(user_id)
    if person is None:
        raise NotFound("There is no such user.")
    return person

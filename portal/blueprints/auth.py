"""Logging in and out of the office."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import ROLES, public, roles
from portal.extensions import limiter
from portal.security import start_session
from portal.services import users
from portal.services.users import WrongLogin

bp = Blueprint("auth", __name__)


def account_and_address() -> str:
    """Key of the limit for one account from one address, so that a rival elsewhere locks nobody out (S6)."""
    name = request.form.get("username", "")
    if request.is_json:
        sent = json_body()
        name = sent.get("username", "") if isinstance(sent, dict) else ""
    return f"{str(name).strip().lower()[:60]} {request.remote_addr}"


def address() -> str:
    """Key of the limit for one address."""
    return request.remote_addr or ""


def json_body() -> object:
    """The JSON of this request; None when it is no JSON that can be read."""
    try:
        found: object = request.get_json(silent=True)
    except RecursionError:
        return None
    return found


def refused(response: Response) -> bool:
    """Only a refused login counts against the limit: a whole office logs in from one address in the morning."""
    return response.status_code in {401, 403}


def limited(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """Slows down who guesses passwords (S6): by the account at this address, and by the address for all accounts together. Each has a short
    and a long window, so that going on means waiting longer, and neither locks the account for those who are elsewhere."""
    for setting, key in (("LOGIN_ATTEMPTS", account_and_address), ("LOGIN_ATTEMPTS_OF_AN_ADDRESS", address)):
        limit = partial(_setting, setting)
        view = limiter.shared_limit(limit, setting, key_func=key, exempt_when=_only_looks, deduct_when=refused)(view)
    return view


def _setting(name: str) -> str:
    return str(current_app.config[name])


def _only_looks() -> bool:
    return request.method != "POST"


def own_path(target: str | None) -> str:
    """`target` if it is a path of this site, else the front page (S48)."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or any(ord(c) < 32 or c == "\\" for c in target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target


@bp.route("/login", methods=["GET", "POST"])
@public
@limited
def login() -> ResponseReturnValue:
    """The login page; POST logs in and goes to where the person was heading."""
    target = own_path(request.values.get("next"))
    if request.method != "POST":
        if current_user.is_authenticated:
            return redirect(target)
        return render_template("auth/login.html", error=None, username="", next=target)
    name = request.form.get("username", "")
    try:
        person, token = users.sign_in(
            name, request.form.get("password", ""), request.remote_addr or "", request.user_agent.string, clock.now()
        )
    except WrongLogin as wrong:
        return render_template("auth/login.html", error=wrong.message, username=name, next=target), 401
    start_session(person, token)
    return redirect(target, 303)


@bp.post("/logout")
@roles(*ROLES)
def logout() -> ResponseReturnValue:
    """End this sign-in; a copy of its cookie is dead from now on."""
    users.sign_out(current_user.token, current_user.name, clock.now())
    session.clear()
    response = redirect(url_for("auth.login"), 303)
    response.headers["Clear-Site-Data"] = '"cache"'
    return response

"""The gate in front of every view: who is asking, may they, and which headers go with the answer (RELIABILITY 7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, has_request_context, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import UserMixin, current_user
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadRequest, NotFound, Unauthorized
from werkzeug.exceptions import Forbidden as ForbiddenPage
from werkzeug.routing import IntegerConverter

from portal import access, clock
from portal.extensions import db, login_manager, patience, read_only
from portal.services import users
from portal.store.users import Somebody, UserRow

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TOUCH_EVERY = timedelta(minutes=1)


class Person(UserMixin):
    """The signed-in user of this request."""

    def __init__(self, row: UserRow | Somebody, token: str) -> None:
        self.id = row.id
        self.name = row.name
        self.display_name = row.display_name
        self.roles = frozenset(row.roles)
        self.collector_codes = row.codes
        self.token = token

    def get_id(self) -> str:
        """The sign-in token: what the signed cookie carries in place of a user id, so that it can be ended."""
        return self.token

    def can(self, *roles: str) -> bool:
        """Whether one of these roles is held, or implied by one that is."""
        return bool(access.effective(self.roles) & set(roles))


class Id(IntegerConverter):
    """A whole number in an address that fits an INTEGER column of either database; a longer one is simply not found."""

    regex = r"\d{1,9}"


class Cookies(SecureCookieSessionInterface):
    """The session cookie: `__Host-` and Secure on every HTTPS request; plain only over loopback HTTP, where a browser refuses Secure."""

    def get_cookie_name(self, app: Flask) -> str:
        """Name by the scheme of this request."""
        return "__Host-portal" if _https() else "portal"

    def get_cookie_secure(self, app: Flask) -> bool:
        """Secure on HTTPS."""
        return _https()

    def get_cookie_domain(self, app: Flask) -> None:
        """None: `__Host-` allows no domain."""

    def get_cookie_path(self, app: Flask) -> str:
        """The whole origin."""
        return "/"

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Only when something in it changed: a file that any cache may keep must carry nobody's session."""
        return session.modified


def _never_typed(text: str) -> bool:
    """Whether a text holds NUL: PostgreSQL stores none, SQLite stops reading at it, and no person types it."""
    return "\x00" in text


def _https() -> bool:
    return has_request_context() and request.is_secure


@login_manager.user_loader
def load_person(token: str) -> Person | None:
    """The person a live sign-in belongs to; None once it was ended, idle too long, or its user disabled.

    Raises what went wrong when it cannot be told, but once in a request: the page that reports it asks again who is signed in."""
    from flask import current_app

    if not isinstance(token, str) or g.get("sign_in_unreadable"):
        return None
    now = clock.now()
    try:
        found = users.who_is(token, now, current_app.config["IDLE_MINUTES"], current_app.config["SIGN_IN_HOURS"])
    except Exception:
        g.sign_in_unreadable = True
        raise
    if found is None:
        return None
    g.sign_in = found
    return Person(found.user, token)


def _same_site() -> bool:
    """Whether a changing request comes from our own pages, as far as the browser says (S20)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:  # such as http://[
        return False
    # A proxy that ends TLS without telling us leaves http here; the other way round nobody honest comes from http.
    return parts.netloc == request.host and (parts.scheme == "https" or not request.is_secure)


def _read_without_transaction() -> None:
    if db.session().in_transaction():
        return
    try:
        db.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
    except SQLAlchemyError:
        g.sign_in_unreadable = True  # the page that says so must not ask again
        raise


def register(app: Flask) -> None:
    """Install the gate and the headers."""
    app.session_interface = Cookies()
    app.url_map.converters["int"] = Id

    @app.before_request
    def gate() -> None:
        """Deny unless the view's declaration lets this person in; then say whether the request may write."""
        g.read_only_token = read_only.set(request.method in SAFE_METHODS)
        if request.endpoint is None:
            return
        if request.endpoint == "static":
            return
        if request.method not in SAFE_METHODS and not _same_site():
            raise ForbiddenPage("This request came from another website, so nothing was done.")
        if _never_typed(request.path):
            raise NotFound
        if request.method not in SAFE_METHODS and any(_never_typed(value) for _, value in request.form.items(multi=True)):
            raise BadRequest("A field holds a character that no keyboard types, so nothing was done. Type it anew.")
        view = app.view_functions[request.endpoint]
        if getattr(view, "plain_reads", False) and read_only.get() and db.engine.dialect.name == "postgresql":
            _read_without_transaction()
        declared = access.declared(view)
        if declared is not None and access.PUBLIC in declared:
            return
        if not current_user.is_authenticated:
            raise Unauthorized("Log in to go on.")
        if not access.allows(declared, current_user.roles):
            raise ForbiddenPage("Your roles do not include this page.")

    @app.teardown_request
    def note_activity(_error: BaseException | None) -> None:
        """Keep the sign-in alive, at most once a minute, outside the request's own transaction."""
        token = g.pop("read_only_token", None)
        if token is not None:
            read_only.reset(token)
        sign_in = g.pop("sign_in", None)
        now = clock.now()
        if sign_in is None or now - sign_in.last_seen_at < TOUCH_EVERY:
            return
        db.session.rollback()
        hurry = patience.set(100)  # a page never waits for a download that is just being written
        try:
            users.note_activity(sign_in.sign_in_id, now)
        except SQLAlchemyError:
            db.session.rollback()
            app.logger.info("could not note activity of a sign-in; it will be tried at the next request")
        finally:
            patience.reset(hurry)

    @app.after_request
    def headers(response: Response) -> Response:
        """Security headers on every answer, errors and files included."""
        for name, value in security_headers(app.config).items():
            response.headers.setdefault(name, value)
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        if "Cache-Control" not in response.headers:  # files and the phone's shell have said `no-cache` themselves
            response.headers["Cache-Control"] = "no-store"
        if request.endpoint != "static" or response.status_code >= 400:  # an error page shows who is signed in
            response.vary.update(["Cookie", "HX-Request"])
        return response


def security_headers(config: Any) -> dict[str, str]:
    """The headers; scripts come from us, and on office pages from the one CDN when it is in use."""
    phone = request.path.startswith("/mpos")
    cdn = " https://cdn.jsdelivr.net" if config["HTMX_SOURCE"] == "cdn" and not phone else ""
    policy = (
        f"default-src 'none'; script-src 'self'{cdn}; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; "
        "manifest-src 'self'; worker-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "geolocation=(self), camera=(self), microphone=(), payment=()",
    }


def start_session(person: UserRow, token: str) -> None:
    """Make this browser's session that of a new sign-in; an earlier one is ended and nothing of it is carried over."""
    from flask_login import login_user

    if current_user.is_authenticated:
        users.sign_out(current_user.token, current_user.name, clock.now())
    session.clear()
    login_user(Person(person, token))
    session.permanent = True

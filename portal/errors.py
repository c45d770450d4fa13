"""Errors become what the asker can read: a page, an HTMX fragment, or JSON for the phone. Never a trace, never a bare 500."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, jsonify, redirect, render_template, request, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from werkzeug.exceptions import HTTPException

from portal import clock
from portal.domain.errors import PortalError
from portal.extensions import db, limiter

log = structlog.get_logger(__name__)
WORTH_TAKING = 64 * 1024 * 1024
SECONDS_FOR_THE_REST = 10.0

TITLES = {
    400: "That request could not be read",
    401: "Log in to go on",
    403: "Not allowed",
    404: "Not found",
    405: "That is not done this way",
    409: "Not possible now",
    413: "Too large",
    415: "That kind of file is not accepted",
    422: "Please check what was entered",
    429: "Too many tries",
    500: "Something went wrong on our side",
    503: "Busy",
}
OUTDATED = "The database is out of date"
TEXTS = {
    404: "There is nothing at this address, or it is not yours to see.",
    405: "This address does not answer that kind of request.",
    413: "What was sent is larger than the portal accepts. Send less at once.",
    415: "The portal expects JSON here.",
}
CODES = {
    400: "bad_request",
    401: "signed_out",
    403: "forbidden",
    404: "not_found",
    413: "too_large",
    415: "bad_request",
    429: "slow_down",
    503: "busy",
}


def wants_json() -> bool:
    """Whether the asker is the phone or a program."""
    return request.path.startswith("/api/")


def answer(status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None, **extra: Any) -> Response:
    """One error in the shape the asker reads."""
    if wants_json():
        response = jsonify({"error": {"code": code or CODES.get(status, "error"), "message": message, **extra}})
    else:
        template = "errors/_fragment.html" if request.headers.get("HX-Request") else "errors/error.html"
        title = OUTDATED if code == "outdated" else TITLES.get(status, "That did not work")
        response = Response(
            render_template(template, title=title, message=message, status=status, reference=g.get("request_id", "")),
            mimetype="text/html",
        )
    response.status_code = status
    response.headers.update(headers or {})
    return response


def _take_the_rest() -> None:
    """Read what is too large to its end, within reason: who is still sending when we hang up sees a broken line, not our answer."""
    left, deadline = WORTH_TAKING, time.monotonic() + SECONDS_FOR_THE_REST
    while left > 0 and time.monotonic() < deadline:
        part = request.environ["wsgi.input"].read(min(left, 64 * 1024))
        if not part:
            return
        left -= len(part)


def _seconds_to_wait() -> int:
    """Until the limits that were exceeded allow another try."""
    return max(1, round(max((limit.reset_at for limit in limiter.current_limits if limit.breached), default=0) - clock.now().timestamp()))


def _lacks_something(error: DBAPIError) -> bool:
    """Whether a table or column is missing: SQLite says it in words, PostgreSQL by code (undefined_table, undefined_column)."""
    if str(error.orig).startswith(("no such table", "no such column")):
        return True
    return getattr(error.orig, "sqlstate", None) in {"42P01", "42703"}


def register(app: Flask) -> None:
    """Install the handlers."""

    @app.errorhandler(PortalError)
    def portal_error(error: PortalError) -> Response:
        db.session.rollback()
        return answer(error.status, error.message, error.code, {"Retry-After": "5"} if error.status == 503 else None, **error.extra)

    @app.errorhandler(CSRFError)
    def csrf_error(error: CSRFError) -> Response:
        message = "This page was open for too long or comes from an earlier login. Nothing was done. Reload the page and try again."
        return answer(403, message, "csrf")

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Any:
        status = error.code or 500
        if status < 400:
            return error
        if status == 401 and not wants_json():
            if request.headers.get("HX-Request"):
                seen = urlsplit(request.headers.get("HX-Current-URL", ""))
                page = f"{seen.path}?{seen.query}" if seen.query else seen.path
                target = url_for("auth.login", next=page if page not in {"", "/"} else None)
                return answer(401, "Your login has ended. Log in again.", headers={"HX-Redirect": target})
            own = request.full_path.rstrip("?") if request.method == "GET" else "/"
            return redirect(url_for("auth.login", next=own if own != "/" else None))
        if status == 413:
            _take_the_rest()
        own_text = error.description if status in {400, 401, 403} and type(error).description != error.description else None
        headers = {}
        if status == 429:
            seconds = _seconds_to_wait()
            headers["Retry-After"] = str(seconds)
            own_text = f"Wait {'a minute' if seconds < 90 else f'{round(seconds / 60)} minutes'}, then try again."
        if status == 405 and hasattr(error, "valid_methods"):
            headers["Allow"] = ", ".join(error.valid_methods or ())
        return answer(
            status, own_text or TEXTS.get(status) or "Nothing was done. Check the address or what was sent, and try again.", headers=headers
        )

    @app.errorhandler(OperationalError)
    def database_away(error: OperationalError) -> Response:
        db.session.rollback()
        log.error("database did not answer", error=str(error.orig))
        if _lacks_something(error):
            return outdated()
        message = "The database is busy or away. Nothing was lost and nothing was half done. Try again in a few seconds."
        return answer(503, message, "busy", {"Retry-After": "5"})

    @app.errorhandler(ProgrammingError)
    def schema_or_bug(error: ProgrammingError) -> Response:
        if not _lacks_something(error):
            return unexpected(error)
        db.session.rollback()
        log.error("database is out of date", error=str(error.orig))
        return outdated()

    def outdated() -> Response:
        message = "The database is older than the program. Nothing was lost. The administrator must run: flask db upgrade"
        return answer(503, message, "outdated")  # no Retry-After: waiting will not mend this one

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        db.session.rollback()
        reference = g.get("request_id") or secrets.token_hex(4)
        user = current_user.name if current_user and current_user.is_authenticated else None
        log.exception("unexpected error", path=request.path, user=user, reference=reference)
        if app.config.get("PROPAGATE_EXCEPTIONS"):
            raise error
        return answer(500, f"Nothing you did was wrong. Tell support this reference: {reference}.", "error")

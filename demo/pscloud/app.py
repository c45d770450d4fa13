"""Makes the simulator's Flask application: routes, token check, switches and error answers."""

import hmac
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flask import Flask, Response, current_app, g, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import ClosingIterator

from demo.pscloud import api, control
from demo.pscloud.errors import ApiError
from demo.pscloud.records import MANILA
from demo.pscloud.store import Store
from demo.pscloud.switches import API_PREFIX, Switches

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_BODY = 4 * 1024 * 1024
CAPTIVE_PAGE = "<!doctype html><html><head><title>Welcome</title></head><body><h1>Please accept the terms of use</h1></body></html>"
LOST = "pscloud.lose_answer"


class Simulator:
    """What the routes share: the data, the switches, the token and the clock."""

    def __init__(self, data: Store, token: str, clock: Callable[[], datetime]) -> None:
        self.data = data
        self.token = token
        self.clock = clock
        self.switches = Switches()


def create_app(
    data_file: str | Path,
    token: str,
    *,
    seed: int = 1,
    customers: int = 3000,
    faulty_records: bool = True,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Flask:
    """The application over a data file, which is seeded when it is new and otherwise used as it is.

    `clock` gives the current instant with its zone. Raises StoreError when the file is something else, ValueError without a token.
    """
    if not token:
        raise ValueError("the simulator needs a token: give --token or set PSCLOUD_TOKEN")
    data = Store(data_file, seed_number=seed, customers=customers, faulty_records=faulty_records, today=clock().astimezone(MANILA).date())
    app = Flask("demo.pscloud", root_path=str(Path(__file__).parent))
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    cast(DefaultJSONProvider, app.json).sort_keys = False
    app.extensions["pscloud"] = Simulator(data, token, clock)
    app.register_blueprint(api.blueprint, url_prefix=API_PREFIX)
    app.register_blueprint(control.blueprint)
    app.before_request(_apply_switches)
    app.before_request(_require_token)
    app.after_request(_spoil_answer)
    app.register_error_handler(ApiError, _answer_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.wsgi_app = InFlight(app.wsgi_app)  # type: ignore[method-assign]
    return app


def simulator() -> Simulator:
    """The simulator of the current application."""
    return cast(Simulator, current_app.extensions["pscloud"])


def _is_api() -> bool:
    return request.path == API_PREFIX or request.path.startswith(f"{API_PREFIX}/")


def _apply_switches() -> Response | None:
    if not _is_api():
        return None
    switches = simulator().switches
    plan = g.plan = switches.plan(request.method, request.path)
    if plan.delay_ms:
        time.sleep(plan.delay_ms / 1000)
    retry_after = {"Retry-After": switches.settings().retry_after}
    if plan.fault == "maintenance":
        raise ApiError(503, "maintenance", "PSCloud is under maintenance. Try again later.", retry_after)
    if plan.fault == "unauthorized":
        raise _unauthorized()
    if plan.fault == "rate_limit":
        raise ApiError(429, "too_many_requests", "Too many requests. Wait as long as Retry-After says.", retry_after)
    if plan.fault == "fail":
        raise ApiError(500, "internal_error", "PSCloud failed on purpose (demo switch).")
    if plan.fault == "html":
        return Response(CAPTIVE_PAGE, mimetype="text/html")
    return None


def _require_token() -> None:
    if not _is_api() or request.path == f"{API_PREFIX}/status":
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), simulator().token.encode()):
        raise _unauthorized()


def _unauthorized() -> ApiError:
    return ApiError(401, "unauthorized", "The token is missing, expired or revoked.", {"WWW-Authenticate": "Bearer"})


def _spoil_answer(response: Response) -> Response:
    plan = g.get("plan")
    if plan is None:
        return response
    if plan.fault == "broken_json":
        body = response.get_data()
        response.set_data(body[: len(body) // 2])
    if plan.fault == "lose_answer":
        request.environ[LOST] = True
    elif plan.drip_bytes_per_second:
        body = response.get_data()
        response.response = _drip(body, plan.drip_bytes_per_second)
    return response


def _drip(body: bytes, bytes_per_second: int) -> Iterator[bytes]:
    """The body in small pieces, as a very bad line delivers it; the length stays announced."""
    size = max(1, bytes_per_second // 10)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        time.sleep(size / bytes_per_second)


def _answer_error(error: ApiError) -> Response:
    response = jsonify({"error": {"code": error.code, "message": error.message}})
    response.status_code = error.status
    response.headers.update(error.headers)
    return response


def _answer_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    words = {
        404: ("not_found", "There is nothing at this address."),
        405: ("method_not_allowed", "This address does not take this method."),
        413: ("too_large", f"The request is larger than {MAX_BODY} bytes. Send fewer payments at a time."),
        500: ("internal_error", "PSCloud failed. Its log has the details."),
    }
    code, message = words.get(status, ("bad_request", error.description or "The request cannot be understood."))
    response = _answer_error(ApiError(status, code, message))
    if "Allow" in (headers := dict(error.get_headers())):
        response.headers["Allow"] = headers["Allow"]
    return response


class InFlight:
    """Outermost layer: knows how many requests are not fully answered yet, and drops the connection of an answer that is to be lost."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner
        self._changed = threading.Condition()
        self._count = 0

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with self._changed:
            self._count += 1
        try:
            # Flask has done its work, commit included, when this returns; no byte has been sent yet.
            parts = self._inner(environ, start_response)
            if environ.get(LOST):
                if hasattr(parts, "close"):
                    parts.close()
                connection = environ.get("werkzeug.socket")
                if connection is not None:
                    connection.shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError("the answer was lost on purpose (demo switch lose_answer_next)")
        except BaseException:
            self._done()
            raise
        return ClosingIterator(parts, self._done)

    def _done(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """Waits until no request is being worked on; False when that took longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout=seconds)

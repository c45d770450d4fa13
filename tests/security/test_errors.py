"""Errors: plain words, a fitting status, an id for support, nothing of the inside; nothing fails open (S58, S59)."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from portal.services import snapshot, users
from portal.store import collector_codes, ledger, readings, soas, sync_history, sync_runs, terminals
from portal.store import users as user_store
from tests.security.world import World, cases, routes

INSIDE = ("Traceback", "RuntimeError", "secret-inside", "site-packages", ".py", "sqlalchemy", "SELECT", "werkzeug")


def break_it(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, error: Exception) -> None:
    def broken(*_args: Any, **_named: Any) -> None:
        raise error

    monkeypatch.setattr(module, name, broken)


def database_away() -> OperationalError:
    return OperationalError("SELECT secret-inside", {}, sqlite3.OperationalError("database is locked"))


def check_plain(response: TestResponse, status: int) -> None:
    text = response.get_data(as_text=True)
    assert response.status_code == status, text[:500]
    assert not [word for word in INSIDE if word in text], text
    assert "secret-inside" not in str(response.headers)


AREAS = [
    ("/", "supervisor", sync_runs, "active"), ("/soas", "supervisor", soas, "list_page"), ("/soas/S-A", "supervisor", soas, "timeline"),
    ("/syncs", "supervisor", sync_history, "list_page"), ("/payments", "supervisor", ledger, "list_page"),
    ("/readings", "supervisor", readings, "recent"), ("/collector-codes", "supervisor", collector_codes, "board"),
    ("/terminals", "supervisor", terminals, "all_terminals"), ("/users", "admin", user_store, "all_users"),
    ("/reports/daily-collection", "supervisor", collector_codes, "known_codes"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "person", "module", "name"), AREAS)
def test_a_fault_in_each_area_is_a_plain_page_and_a_plain_part(
    app: Flask,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    path: str,
    person: str,
    module: Any,
    name: str,
) -> None:
    break_it(monkeypatch, module, name, RuntimeError("secret-inside"))
    client = world.client(app, person)
    for headers in ({}, {"HX-Request": "true"}):
        response = client.get(path, headers=headers)
        check_plain(response, 500)
        text, reference = response.get_data(as_text=True), response.headers["X-Request-Id"]
        assert len(reference) == 8 and reference in text, "support needs the id of the log line"
        assert ("<html" in text) == (not headers) and "Something went wrong on our side" in text
        logged = capsys.readouterr()
        assert reference in logged.out + logged.err and "secret-inside" in logged.out + logged.err


def test_a_fault_in_the_phone_api_is_json(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it(monkeypatch, snapshot, "snapshot", RuntimeError("secret-inside"))
    response = world.client(app, "collector_a").get("/api/v1/soas")
    check_plain(response, 500)
    error = response.get_json()["error"]
    assert set(error) == {"code", "message"} and response.headers["X-Request-Id"] in error["message"]


@pytest.mark.parametrize(
    "error", [ValueError("secret-inside"), KeyError("secret-inside"), RecursionError("secret-inside"), MemoryError(), AssertionError()]
)
def test_any_kind_of_fault_is_caught(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    break_it(monkeypatch, soas, "list_page", error)
    check_plain(world.client(app, "cashier").get("/soas"), 500)


def test_debug_mode_shows_no_more(own_app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = own_app
    app.debug = True
    break_it(monkeypatch, soas, "list_page", RuntimeError("secret-inside"))
    check_plain(world.client(app, "cashier").get("/soas"), 500)


def test_debug_is_off() -> None:
    from config import Config

    config = Config({"SECRET_KEY": "k" * 40, "PSCLOUD_URL": "https://pscloud.example", "FLASK_DEBUG": "1", "DEBUG": "1"})
    assert not getattr(config, "DEBUG", False) and not config.TESTING and not getattr(config, "PROPAGATE_EXCEPTIONS", False)


# --- the database away


OPEN = (
    "/mpos", "/static", "/healthz", "/metrics", "/readyz", "/login", "/verify/",
    "/api/v1/session", "/api/v1/ping", "/api/v1/journal/",
)  # fmt: skip
"""What never asks who is signed in."""


@pytest.mark.parametrize("person", ["anonymous", "collector_a", "cashier", "admin"])
def test_when_nobody_can_say_who_is_signed_in_nothing_is_open(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch, person: str
) -> None:
    """The check of the sign-in itself fails: no page is shown, no change is made, and the error page still comes."""
    break_it(monkeypatch, users, "who_is", database_away())
    for method, rule in routes(app):
        if rule.startswith(OPEN):
            continue
        for case in cases(method, rule).values():
            for headers in ({}, {"HX-Request": "true"}):
                response = case(world, person).send(world.client(app, person), method, {**world.headers(person), **headers})
                expected = {401, 302} if person == "anonymous" else {503}
                assert response.status_code in expected, f"{method} {rule}: {response.status_code}"
                if person != "anonymous":
                    check_plain(response, 503)
                    assert int(response.headers["Retry-After"]) > 0


def test_a_phone_is_not_told_that_it_is_signed_out_when_the_database_is_away(
    app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_it(monkeypatch, users, "who_is", database_away())
    answer = world.client(app, "collector_a").get("/api/v1/ping")
    check_plain(answer, 503)
    assert answer.get_json()["error"]["code"] == "busy"


def test_a_fault_of_another_kind_in_the_check_fails_closed(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it(monkeypatch, users, "who_is", RuntimeError("secret-inside"))
    for path, headers in (("/soas", {}), ("/soas", {"HX-Request": "true"}), ("/api/v1/soas", {}), ("/users", {})):
        check_plain(world.client(app, "admin").get(path, headers=headers), 500)


def test_a_busy_database_in_the_middle_of_a_page_says_try_again(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it(monkeypatch, soas, "list_page", database_away())
    client = world.client(app, "cashier")
    for headers in ({}, {"HX-Request": "true"}):
        response = client.get("/soas", headers=headers)
        check_plain(response, 503)
        assert "Try again" in response.get_data(as_text=True) and response.headers["Retry-After"] == "5"


# --- what is not there


@pytest.fixture
def strangers(app: Flask, world: World) -> list[FlaskClient]:
    return [world.client(app, person) for person in ("anonymous", "cashier", "admin")]


@pytest.mark.parametrize(
    "path",
    [
        "/.git/config", "/.git/HEAD", "/.env", "/.flaskenv", "/config.py", "/wsgi.py", "/requirements.txt", "/var/portal.sqlite3",
        "/portal.sqlite3", "/secret_key", "/console", "/__debugger__", "/soas?__debugger__=yes&cmd=resource&f=debugger.js",
        "/server-status", "/rq", "/rq/", "/queues", "/admin", "/admin/", "/debug", "/phpinfo.php", "/actuator", "/swagger.json",
        "/openapi.json", "/static", "/static/", "/static/css/", "/static/../config.py", "/static/%2e%2e/config.py",
        "/static/..%2f..%2fconfig.py", "/static/....//config.py", "/static/.git/config", "/static//etc/passwd",
        "/static/%2fetc%2fpasswd", "/static/css", "/mpos/../config.py", "/api", "/api/", "/api/v1", "/api/v1/users", "/api/v1/payments",
        "/migrations", "/templates/layout.html", "/backup", "/dump", "/.well-known/", "/robots.txt~", "/soas.csv~", "/soas.sql",
    ],
)  # fmt: skip
def test_nothing_of_the_inside_is_served(app: Flask, strangers: list[FlaskClient], path: str) -> None:
    for client in strangers:
        response = client.get(path)
        text = response.get_data(as_text=True)
        if path.startswith("/soas?"):
            assert response.status_code in {200, 302} and "function" not in text and "EVALEX" not in text
            continue
        assert response.status_code in {404, 302, 308}, response.status_code
        if response.status_code in {302, 308}:
            target = client.get(response.headers["Location"])
            assert target.status_code in {404, 200} and (target.status_code == 404 or "Log in" in target.get_data(as_text=True))
        assert "root:" not in text and "SECRET_KEY" not in text and "[core]" not in text and "Index of" not in text


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "TRACK", "DEBUG", "PUT", "PATCH", "DELETE", "FOO", "get"])
def test_unknown_methods_are_refused_and_nothing_is_echoed(app: Flask, world: World, method: str) -> None:
    for person in ("anonymous", "admin"):
        for path in ("/", "/soas", "/login", "/healthz", "/mpos/", "/static/favicon.svg", "/api/v1/ping", "/api/v1/soas"):
            headers = {"X-Echo": "secret-inside", **world.headers(person)}
            response = world.client(app, person).open(path, method=method, headers=headers)
            if method == "get":  # the test client, like every server, speaks upper case
                continue
            assert response.status_code == 405, f"{method} {path}"
            assert "secret-inside" not in response.get_data(as_text=True) + str(response.headers)
            assert "GET" in response.headers["Allow"]


def test_metrics_are_for_this_machine_only(own_app: Flask, world: World) -> None:
    app = own_app
    client = world.client(app, "admin")
    assert client.get("/metrics").status_code == 200
    for address in ("192.0.2.7", "10.0.0.5", "172.17.0.1", "::ffff:192.0.2.7", "2001:db8::1", "127.0.0.2", ""):
        response = client.get("/metrics", environ_base={"REMOTE_ADDR": address})
        assert response.status_code == 404 and "python_info" not in response.get_data(as_text=True), address
    spoofed = client.get(
        "/metrics", environ_base={"REMOTE_ADDR": "192.0.2.7"}, headers={"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"}
    )
    assert spoofed.status_code == 404
    app.config["TRUSTED_PROXIES"] = 1
    assert client.get("/metrics").status_code == 404, "behind a proxy every visitor looks like this machine"


def test_health_pages_say_nothing_but_that(app: Flask, world: World) -> None:
    for path in ("/healthz", "/readyz"):
        answer = app.test_client().get(path).get_json()
        assert set(answer) <= {"status", "database", "redis"} and set(answer.values()) <= {"ok", "ready", "away", "not ready"}


def test_an_error_in_an_api_address_is_json_for_everybody(app: Flask, world: World) -> None:
    for person in ("anonymous", "collector_a", "admin"):
        for path, method, status in (("/api/v1/none", "GET", 404), ("/api/v1/ping", "POST", 405), ("/api/v1/soas/", "GET", 404)):
            response = world.client(app, person).open(path, method=method, headers={**world.headers(person), "HX-Request": "true"})
            assert response.status_code == status and set(response.get_json()["error"]) >= {"code", "message"}

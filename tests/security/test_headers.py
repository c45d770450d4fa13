"""The headers of every answer: pages, parts, errors, files, PDF, CSV, JSON (S22, S26, S49, S59)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from config import TestConfig
from portal import create_app
from portal.store import soas
from tests.security.test_sessions import log_in
from tests.security.world import World, cases, routes

RULES = (
    "style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)
OFFICE = f"default-src 'none'; script-src 'self' https://cdn.jsdelivr.net; {RULES}"
OWN_ONLY = f"default-src 'none'; script-src 'self'; {RULES}"
SHELL = {"/mpos/", "/mpos/sw.mjs", "/mpos/manifest.webmanifest"}
"""The same for everybody and without a user's data, so a browser may keep it and ask whether it changed."""


def check(response: Any, path: str, secure: bool = False) -> None:
    headers = response.headers
    assert headers["Content-Security-Policy"] == (OWN_ONLY if path.startswith("/mpos") else OFFICE), path
    assert headers["X-Content-Type-Options"] == "nosniff", path
    assert headers["Referrer-Policy"] == "same-origin", path
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
    assert headers.get("Strict-Transport-Security") == ("max-age=31536000" if secure else None), path
    if (path.startswith("/static/") and response.status_code < 400) or (path in SHELL and response.status_code < 400):
        assert headers["Cache-Control"] == "no-cache", path
    else:
        assert headers["Cache-Control"] == "no-store", path
        assert {"cookie", "hx-request"} <= {name.lower() for name in response.vary}, path
    assert not {"Server", "X-Powered-By", "X-AspNet-Version"} & set(headers.keys()), path
    assert "Werkzeug" not in str(headers) and "Python" not in str(headers), path
    for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"):
        assert name not in headers, f"{path} opens itself to other websites"


@pytest.mark.parametrize("person", ["anonymous", "collector_a", "cashier", "admin"])
def test_every_route_sends_them(app: Flask, world: World, person: str) -> None:
    kinds = set()
    for method, rule in routes(app):
        for case in cases(method, rule).values():
            call = case(world, person)
            response = call.send(world.client(app, person), method, world.headers(person))
            check(response, call.path)
            kinds.add((response.status_code, response.mimetype))
            if method == "GET":
                check(call.send(world.client(app, person), method, {"HX-Request": "true"}), call.path)
            world.restore(app)
    if person == "admin":
        assert {(200, "text/csv"), (200, "application/pdf"), (200, "text/html"), (403, "text/html"), (403, "application/json")} <= kinds


def test_every_kind_of_error_sends_them(limited_app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app, found = limited_app, set()

    def broken(*_args: Any, **_named: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(soas, "list_page", broken)
    client, collector = world.client(app, "cashier"), world.client(app, "collector_a")
    answers = {
        "/none": client.get("/none"),
        "/api/none": client.get("/api/none"),
        "/soas": client.get("/soas"),
        "/payments/approve": client.get("/payments/approve"),
        "/login": client.open("/login", method="TRACE"),
        "/api/v1/journal": collector.post(
            "/api/v1/journal", data=b"x" * 3_000_000, content_type="application/json", headers=world.headers("collector_a")
        ),
        "/static/none.css": client.get("/static/none.css"),
        "/static/": client.get("/static/"),
        "/payments": client.post("/payments", data={"a": "b"}),
        "/users": client.get("/users"),
        "/syncs": client.post("/syncs"),
        "/payments/not-a-uuid": client.get("/payments/not-a-uuid"),
    }
    for path, response in answers.items():
        check(response, path)
        found.add(response.status_code)
    for _ in range(4):
        limited = log_in(app.test_client(), password="wrong")
    check(limited, "/login")
    assert found | {limited.status_code} == {403, 404, 405, 413, 429, 500}


def test_over_https_the_browser_is_told_to_stay_there(app: Flask, world: World) -> None:
    client = app.test_client()
    client.set_cookie("__Host-portal", world.cookies["cashier"], secure=True)
    for path in ("/soas", "/none", "/login", "/healthz", "/static/favicon.svg", "/mpos/", "/soas.csv"):
        check(client.get(path, base_url="https://localhost"), path, secure=True)
    check(client.get("/soas", headers={"X-Forwarded-Proto": "https"}), "/soas")


def test_without_the_cdn_scripts_come_from_us_alone(tmp_path: Path, world: World) -> None:
    app = create_app(TestConfig(tmp_path, HTMX_SOURCE="local"))
    response = app.test_client().get("/login")
    assert response.headers["Content-Security-Policy"] == OWN_ONLY
    assert "cdn" not in response.get_data(as_text=True)


def test_an_unchanged_list_on_the_phone_is_not_kept_by_caches(app: Flask, world: World) -> None:
    client = world.client(app, "collector_a")
    first = client.get("/api/v1/soas")
    again = client.get("/api/v1/soas", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    check(again, "/api/v1/soas")

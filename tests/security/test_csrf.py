"""Changes need our own page's token and origin; reading changes nothing (S20, S21)."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_wtf.csrf import CSRFProtect

from portal.extensions import csrf
from tests.factories import PASSWORD
from tests.security.world import Call, World, cases, changed, dump, routes

MIGHT = {
    "PUT /api/v1": "collector_a", "POST /api/v1": "collector_a",
    "POST /payments": "supervisor", "POST /voids": "supervisor", "POST /syncs": "supervisor",
    "POST /remittances": "supervisor", "POST /checks": "supervisor", "POST /transfers": "supervisor", "POST /deposits": "supervisor",
    "POST /reconciliation": "supervisor", "POST /rescue": "supervisor", "POST /audit": "supervisor",
    "POST /missing-numbers": "supervisor", "POST /readings": "supervisor", "POST /expenses": "supervisor",
}  # fmt: skip
"""Who would be let in, so that a refusal can only come from the missing token."""
FORMS = {"page": {}, "htmx": {"HX-Request": "true"}}


def who_might(route: str) -> str:
    return next((person for start, person in MIGHT.items() if route.startswith(start)), "admin")


def changing(app: Flask, world: World) -> list[tuple[str, str, Call]]:
    """Every changing call that a signed-in person would be allowed, as (route, person, call)."""
    found = []
    for method, rule in routes(app):
        if method != "GET":
            person = who_might(f"{method} {rule}")
            found += [(f"{method} {rule}", person, case(world, person)) for case in cases(method, rule).values()]
    return found


@pytest.mark.parametrize("token", ["", "wrong", "ImFiYyI.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb", "of another session"])
def test_without_the_token_nothing_is_done(app: Flask, world: World, token: str) -> None:
    before = dump(app)
    for route, person, call in changing(app, world):
        if route in {"POST /api/v1/session", "POST /api/v1/journal/disabled"}:  # no session gives them any right; see below
            continue
        sent = world.tokens["cashier"] if token == "of another session" else token
        for shape, headers in FORMS.items():
            with_token = {**headers, "X-CSRFToken": sent} if sent else headers
            response = call.send(world.client(app, person), route.split()[0], with_token)
            assert response.status_code == 403, f"{route} as {shape}"
            if route.split()[1].startswith("/api/"):
                assert response.get_json()["error"]["code"] == "csrf"
            else:
                assert ("<html" in response.get_data(as_text=True)) == (shape == "page")
                assert "Nothing was done" in response.get_data(as_text=True)
    assert dump(app) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:8001"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
def test_another_website_changes_nothing_even_with_the_token(app: Flask, world: World, headers: dict[str, str]) -> None:
    before = dump(app)
    for route, person, call in changing(app, world):
        response = call.send(world.client(app, person), route.split()[0], {**world.headers(person), **headers})
        assert response.status_code == 403, route
        assert "another website" in response.get_data(as_text=True)
    assert dump(app) == before


def test_over_https_a_page_of_the_same_host_without_tls_is_another_website(app: Flask, world: World) -> None:
    client = app.test_client()
    client.set_cookie("__Host-portal", world.cookies["admin"], secure=True)
    sent = {**world.headers("admin"), "Referer": "https://localhost/users", "Origin": "http://localhost"}
    assert client.post("/syncs", base_url="https://localhost", headers=sent).status_code == 403
    assert client.post("/syncs", base_url="https://localhost", headers={**sent, "Origin": "https://localhost"}).status_code == 303


def test_only_what_no_session_gives_a_right_to_goes_without_a_token_and_takes_json_only(app: Flask, world: World) -> None:
    assert isinstance(csrf, CSRFProtect)
    assert csrf._exempt_views == {"portal.blueprints.api.log_in", "portal.blueprints.api.upload_of_disabled"}
    assert not csrf._exempt_blueprints
    login = {"username": "nena", "password": PASSWORD}
    before = dump(app)
    client = app.test_client()
    assert client.post("/api/v1/session", data=login).status_code == 415
    assert client.post("/api/v1/session", data='{"username":"nena","password":"x"}', content_type="text/plain").status_code == 415
    assert client.post("/api/v1/session", json=login, headers={"Origin": "https://evil.example"}).status_code == 403
    upload = world.uploads["collector_a"]
    assert client.post("/api/v1/journal/disabled", data={"terminal": "T01"}).status_code == 415
    for person in ("anonymous", "collector_a", "admin"):
        assert world.client(app, person).post("/api/v1/journal/disabled", json=upload).status_code == 401, "the collector may log in"
    assert dump(app) == before, "another website can start no session, not even as itself"
    assert client.post("/api/v1/session", json=login, headers={"Origin": "http://localhost"}).status_code == 200


@pytest.mark.parametrize("person", ["anonymous", "collector_a", "cashier", "supervisor", "admin"])
def test_reading_changes_nothing(app: Flask, world: World, person: str) -> None:
    """GET and HEAD on every route, with what a change would send in the address and in the body."""
    before = dump(app)
    for method, rule in routes(app):
        for case in cases(method, rule).values():
            call = case(world, person)
            for reading in ("GET", "HEAD"):
                client = world.client(app, person)
                assert call.send(client, reading).status_code < 500
                path = call.path.partition("?")[0] if call.form else call.path
                assert client.open(path, method=reading, query_string=call.form or None).status_code < 500
    touched = changed(before, dump(app))
    assert not touched, f"reading as {person} changed {touched}"


def test_no_reading_method_logs_in(app: Flask, world: World) -> None:
    before = dump(app)
    for method in ("GET", "HEAD", "OPTIONS"):
        client = app.test_client()
        client.open("/login", method=method, data={"username": "nena", "password": PASSWORD})
        client.open("/login", method=method, query_string={"username": "nena", "password": PASSWORD})
        assert client.get("/api/v1/ping").get_json()["user"] is None
    assert dump(app) == before


def test_logging_out_needs_a_post_with_the_token(app: Flask, world: World) -> None:
    client = world.client(app, "cashier")
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 403
    assert client.get("/soas").status_code == 200
    assert client.post("/logout", headers=world.headers("cashier")).status_code == 303
    assert client.get("/soas").status_code == 302

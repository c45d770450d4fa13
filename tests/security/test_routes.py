"""Every route and method with every kind of caller against the committed table routes.json (S15, S27, S28, RELIABILITY 7.2).

`python -m tests.security.test_routes` prints the table as the app answers now; the rules further down say what no table may."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal import access
from tests.security.world import MARKS_OF_B, PEOPLE, World, cases, changed, dump, routes

UUID = re.compile("[0-9a-f]{8}-[0-9a-f-]{27}")
TABLE = Path(__file__).with_name("routes.json")
PUBLIC = {
    "GET /login", "POST /login", "GET /api/v1/ping", "POST /api/v1/session", "POST /api/v1/journal/disabled",
    "GET /healthz", "GET /readyz", "GET /metrics", "GET /mpos/", "GET /verify/<code>",
    "GET /mpos/manifest.webmanifest", "GET /mpos/sw.mjs", "GET /static/<path:filename>",
}  # fmt: skip
"""What anybody may call, signed in or not; each is the same for everybody or says only who is asking."""
PHOTO = "PUT /api/v1/payments/<uuid:payment_id>/photos/<name>"
EXPENSE_PHOTO = "PUT /api/v1/expenses/<uuid:expense_id>/photos/<name>"
PHONE = {"GET /api/v1/soas", "GET /api/v1/terminals/<code>", "POST /api/v1/terminals", "POST /api/v1/journal", PHOTO, EXPENSE_PHOTO}
EVERYBODY = {"POST /logout", "DELETE /api/v1/session", "GET /"}
MONEY = {
    "POST /payments/approve", "POST /payments/<uuid:payment_id>/hold", "POST /payments/<uuid:payment_id>/retry",
    "POST /payments/<uuid:payment_id>/return", "POST /payments/<uuid:payment_id>/reallocate",
    "POST /payments/<uuid:payment_id>/assign",
    "POST /voids/<int:void_id>/approve", "POST /voids/<int:void_id>/refuse", "POST /voids/<int:void_id>/retry",
    "POST /voids/codes", "POST /voids/codes/<int:code_id>/revoke", "GET /voids/codes/<int:code_id>",
    "POST /expenses/<uuid:expense_id>/approve", "POST /expenses/<uuid:expense_id>/refuse",
    "GET /remittances/new", "POST /remittances", "POST /remittances/count", "POST /remittances/<int:remittance_id>/approve",
    "POST /checks", "POST /checks/<uuid:payment_id>/settle", "POST /transfers", "GET /deposits/new", "POST /deposits",
}  # fmt: skip


def table() -> dict[str, dict[str, dict[str, str]]]:
    """Route -> case -> person -> answer."""
    stored = json.loads(TABLE.read_text())
    assert tuple(stored["people"]) == PEOPLE
    return {
        route: {case: dict(zip(PEOPLE, row, strict=True)) for case, row in by_case.items()} for route, by_case in stored["routes"].items()
    }


def seen(response: TestResponse) -> str:
    """Status, and where a redirect leads."""
    place = f" {urlsplit(response.headers['Location']).path}" if "Location" in response.headers else ""
    return UUID.sub("<uuid>", f"{response.status_code}{place}")


def walk(app: Flask, world: World, person: str) -> dict[str, dict[str, str]]:
    """What each route answers to a person; asserts on the way that whatever is refused or only reads leaves every table as it was."""
    found: dict[str, dict[str, str]] = {}
    before = dump(app)
    for method, rule in routes(app):
        for name, case in cases(method, rule).items():
            response = case(world, person).send(world.client(app, person), method, world.headers(person))
            found.setdefault(f"{method} {rule}", {})[name] = seen(response)
            after = dump(app)
            refused = response.status_code >= 400 or seen(response) == "302 /login"
            if refused or method == "GET":
                touched = changed(before, after) - ({"audit_log", "audit_head"} if rule in {"/login", "/api/v1/session"} else set())
                assert not touched, f"{method} {rule} ({name}) was answered {seen(response)} to {person} but changed {touched}"
            if before != after:
                world.restore(app)
            # The worker holds hashes of the app's own files (test_shell.py) and a checked receipt part of its own (test_verify_page.py):
            # any digits may stand in them, and both are the same for everybody.
            if person == "collector_a" and "none" not in name and rule not in {"/mpos/sw.mjs", "/verify/<code>"}:
                body = response.get_data(as_text=True) if response.mimetype != "image/svg+xml" else ""
                assert not [mark for mark in MARKS_OF_B if mark in body], f"{method} {rule} ({name}) tells A of B"
    return found


@pytest.mark.parametrize("person", PEOPLE)
def test_every_route_answers_as_the_table_says(app: Flask, world: World, person: str) -> None:
    expected, found = table(), walk(app, world, person)
    assert expected.keys() == found.keys(), "a route is missing from routes.json or no longer exists"
    wrong = {
        f"{route} ({name})": f"is {status}, the table says {expected[route].get(name, {}).get(person)}"
        for route, by_case in found.items()
        for name, status in by_case.items()
        if expected[route].get(name, {}).get(person) != status
    }
    assert not wrong


def answers(person: str) -> dict[str, set[str]]:
    return {route: {by_person[person] for by_person in by_case.values()} for route, by_case in table().items()}


def closed(statuses: set[str]) -> bool:
    return all(status in {"403", "401"} or status.startswith("302 /login") for status in statuses)


def test_what_the_table_may_not_say() -> None:
    """The table is generated, so these rules of DOMAIN 1 and RELIABILITY 7.2 hold it to its meaning."""
    for person in ("anonymous", "disabled"):
        for route, statuses in answers(person).items():
            if route not in PUBLIC:
                assert closed(statuses), f"{route} is open to {person}: {statuses}"
    for person in ("collector_a", "collector_b", "revoked_device"):
        for route, statuses in answers(person).items():
            if route not in PUBLIC | PHONE | EVERYBODY:
                assert closed(statuses), f"{route} is open to {person}: {statuses}"
    for person in ("cashier", "supervisor", "admin"):
        for route, statuses in answers(person).items():
            if route in PHONE:
                assert closed(statuses), f"{route} is open to {person}: {statuses}"
    for route in table():
        changing = not route.startswith("GET ")
        if route in MONEY:
            assert closed(answers("admin")[route]), f"an admin handles no money: {route}"
        if " /users" in route or (changing and " /terminals" in route):
            for person in ("cashier", "supervisor"):
                assert closed(answers(person)[route]), f"{route} is open to {person}"
        decisions = {"POST /voids/<int:void_id>/approve", "POST /voids/<int:void_id>/refuse"}
        if route in decisions or " /voids/codes" in route or route.startswith("POST /expenses"):
            assert closed(answers("cashier")[route]), f"a supervisor decides: {route}"
        if route == "POST /remittances/<int:remittance_id>/approve":
            assert closed(answers("cashier")[route]), "a shortage waits for a supervisor"
        if route == "POST /checks/<uuid:payment_id>/settle":
            assert closed(answers("cashier")[route]), "a bounce is settled by a supervisor"
        slips = {"GET /reports/remittance/<int:remittance_id>.pdf", "GET /reports/deposit/<int:deposit_id>.pdf"}
        if " /reports" in route and route not in slips:
            assert closed(answers("cashier")[route]), f"{route} is a supervisor's"
    assert answers("collector_a")["GET /"] == {"302 /mpos/"}


PREPARE = "/reports/<name>.<any(csv,xlsx,pdf):form>"


def test_nobody_may_change_or_delete_what_is_written_for_ever(app: Flask) -> None:
    # A photo stands at the digest of its own bytes: put there again it is the same.
    assert [f"{method} {rule}" for method, rule in routes(app) if method in {"PUT", "PATCH"}] == [EXPENSE_PHOTO, PHOTO]
    assert [rule for method, rule in routes(app) if method == "DELETE"] == ["/api/v1/session"]
    changing = {rule for method, rule in routes(app) if method == "POST"} - {"/audit/check"}  # reads the log, changes no row of it
    assert [rule for rule in changing if rule.startswith(("/audit", "/reports"))] == [PREPARE], (
        "a report is written to a file, nothing else"
    )
    assert [rule for rule in changing if rule.startswith("/readings")] == ["/readings/registries/<uuid:registry_id>/close"]


def test_foreign_objects_are_not_found(app: Flask, world: World) -> None:
    expected = table()
    for person in ("collector_a", "collector_b", "revoked_device"):
        assert expected["GET /api/v1/terminals/<code>"]["foreign"][person] == "404"
        assert expected["GET /api/v1/terminals/<code>"]["none"][person] == "404"
        assert expected["POST /api/v1/journal"]["foreign"][person] == "403"
    client = world.client(app, "collector_a")
    foreign = client.get(f"/api/v1/terminals/{world.terminals['collector_b']}").get_json()
    assert foreign == client.get("/api/v1/terminals/T99").get_json(), "a foreign terminal must look like none"


def test_a_snapshot_holds_the_users_own_codes_only(app: Flask, world: World) -> None:
    for person, own, foreign in (("collector_a", "S-A", "S-B"), ("collector_b", "S-B", "S-A")):
        response = world.client(app, person).get("/api/v1/soas")
        assert [soa["id"] for soa in response.get_json()["soas"]] == [own]
        assert foreign not in response.get_data(as_text=True)
    for query in ("collector_code=B1", "user=ramon", "collector_codes=A1,B1", "code=B1&code=A1"):
        assert [soa["id"] for soa in world.client(app, "collector_a").get(f"/api/v1/soas?{query}").get_json()["soas"]] == ["S-A"]
    tags = {person: world.client(app, person).get("/api/v1/soas").headers["ETag"] for person in ("collector_a", "collector_b")}
    assert world.client(app, "collector_a").get("/api/v1/soas", headers={"If-None-Match": tags["collector_b"]}).status_code == 200


def test_every_view_declares_who_may_call_it(app: Flask) -> None:
    undeclared = {name for name, view in app.view_functions.items() if access.declared(view) is None}
    assert undeclared == {"static"}
    declared_public = {name for name, view in app.view_functions.items() if access.PUBLIC in (access.declared(view) or ())}
    rules = {f"{method} {rule.rule}" for rule in app.url_map.iter_rules() if rule.endpoint in declared_public | {"static"}
             for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}  # fmt: skip
    assert rules == PUBLIC


def test_a_view_that_declares_nothing_is_closed_to_everybody(own_app: Flask, world: World) -> None:
    app = own_app
    app.add_url_rule("/forgotten", view_func=lambda: "secret", methods=["GET", "POST"])
    for person in PEOPLE:
        for method in ("GET", "POST"):
            response = world.client(app, person).open("/forgotten", method=method, headers=world.headers(person))
            assert "secret" not in response.get_data(as_text=True)
            assert closed({seen(response)}), f"{method} by {person}"


def test_head_answers_as_get_and_options_tells_a_stranger_nothing(app: Flask, world: World) -> None:
    for person in ("anonymous", "collector_a", "cashier"):
        client = world.client(app, person)
        for method, rule in routes(app):
            if method == "GET":
                for case in cases(method, rule).values():
                    call = case(world, person)
                    assert seen(call.send(client, "HEAD")).split()[0] == seen(call.send(client, "GET")).split()[0], rule
    for method, rule in routes(app):
        if f"{method} {rule}" not in PUBLIC:
            for case in cases(method, rule).values():
                path = case(world, "anonymous").path
                # An address that is public with another method (the phone's session) may say which methods it has.
                if f"GET {rule}" not in PUBLIC and f"POST {rule}" not in PUBLIC:
                    assert closed({seen(world.client(app, "anonymous").options(path))}), rule


def test_a_stranger_is_sent_to_the_login_in_the_way_the_asker_understands(app: Flask, world: World) -> None:
    for method, rule in routes(app):
        if f"{method} {rule}" in PUBLIC:
            continue
        for case in cases(method, rule).values():
            call, client = case(world, "anonymous"), world.client(app, "anonymous")
            headers = world.headers("anonymous")
            if rule.startswith("/api/"):
                response = call.send(client, method, headers)
                assert response.status_code == 401 and response.get_json()["error"]["code"] == "signed_out", rule
                continue
            response = call.send(client, method, headers)
            assert response.status_code == 302 and urlsplit(response.headers["Location"]).path == "/login", rule
            response = call.send(client, method, {**headers, "HX-Request": "true"})
            assert response.status_code == 401 and response.headers["HX-Redirect"] == "/login", rule
            assert "<html" not in response.get_data(as_text=True)


def print_table() -> None:
    """Write what the app answers now to the output, in the form of routes.json."""
    import tempfile

    import time_machine

    from config import TestConfig
    from portal import create_app, doorbell
    from tests.conftest import migrated
    from tests.factories import NOW
    from tests.security import world as worlds

    vars(doorbell)["ring"] = lambda *args, **named: True
    with tempfile.TemporaryDirectory() as name, time_machine.travel(NOW, tick=False):
        folder = Path(name)
        world = worlds.build(migrated(folder, f"sqlite:///{folder / 'building.sqlite3'}"), folder / "world.sqlite3")
        app = create_app(TestConfig(folder, DATABASE_URL=f"sqlite:///{folder / 'copy.sqlite3'}"))
        found: dict[str, dict[str, dict[str, str]]] = {}
        for person in PEOPLE:
            world.restore(app)
            for route, by_case in walk(app, world, person).items():
                for case, status in by_case.items():
                    found.setdefault(route, {}).setdefault(case, {})[person] = status
        worlds.close(app)
    lines = []
    for route, rows_of in found.items():
        rows = [f"   {json.dumps(case)}: {json.dumps(list(by_person.values()))}" for case, by_person in rows_of.items()]
        lines.append(f"  {json.dumps(route)}: {{\n" + ",\n".join(rows) + "\n  }")
    print('{\n "people": ' + json.dumps(PEOPLE) + ',\n "routes": {\n' + ",\n".join(lines) + "\n }\n}")


if __name__ == "__main__":
    print_table()

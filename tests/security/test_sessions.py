"""Signing in and out: sessions that die, cookies that stay home, passwords that are hashed, limits (S5, S13-S15, S19, S48)."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from portal.extensions import db
from portal.services import users
from portal.store import users as user_store
from tests.factories import NOW, PASSWORD, PRODUCT_HASHER, csrf_of, make_user
from tests.security.world import World, database


def log_in(client: FlaskClient, name: str = "cora", password: str = PASSWORD, **options: Any) -> Any:
    """Fill in the login page; `form` holds further fields."""
    form = options.pop("form", {})
    token = csrf_of(client.get("/login", **options).get_data(as_text=True))
    form = {"username": name, "password": password, "csrf_token": token, **form}
    return client.post("/login", data=form, **options)


def phone_log_in(client: FlaskClient, name: str = "nena", password: str = PASSWORD, **options: Any) -> Any:
    """Log in as the phone does."""
    return client.post("/api/v1/session", json={"username": name, "password": password}, **options)


def cookie_of(client: FlaskClient, name: str = "portal") -> str:
    cookie = client.get_cookie(name)
    assert cookie
    value: str = cookie.value
    return value


def query(app: Flask, sql: str, *values: Any) -> list[Any]:
    connection = sqlite3.connect(database(app))
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def test_a_copied_cookie_is_dead_after_logging_out(app: Flask, world: World) -> None:
    for person, path in (("cashier", "/soas"), ("collector_a", "/api/v1/soas")):
        client, thief = world.client(app, person), world.client(app, person)
        assert thief.get(path).status_code == 200
        if person == "cashier":
            answer = client.post("/logout", headers=world.headers(person))
            assert answer.headers["Clear-Site-Data"] == '"cache"', "never the storage: a phone may hold unsent payments"
        else:
            assert client.delete("/api/v1/session", headers=world.headers(person)).status_code == 204
        assert thief.get(path).status_code in {302, 401}
        assert thief.get("/api/v1/ping").get_json()["user"] is None


def test_logging_in_makes_a_new_token_and_ends_the_one_before(app: Flask, world: World) -> None:
    for enter, name, path in ((log_in, "cora", "/soas"), (phone_log_in, "nena", "/api/v1/soas")):
        client = app.test_client()
        enter(client, name)
        first = cookie_of(client)
        thief = app.test_client()
        thief.set_cookie("portal", first)
        assert thief.get(path).status_code == 200
        enter(client, name) if enter is phone_log_in else client.post(
            "/login",
            data={"username": name, "password": PASSWORD},
            headers={"X-CSRFToken": client.get("/api/v1/ping").get_json()["csrf_token"]},
        )
        assert cookie_of(client) != first
        assert client.get(path).status_code == 200
        assert thief.get(path).status_code in {302, 401}, "the earlier sign-in of this browser must not live on"


def test_a_session_planted_before_the_login_is_worth_nothing_after_it(app: Flask) -> None:
    thief = app.test_client()
    thief.get("/login")
    planted, planted_token = cookie_of(thief), thief.get("/api/v1/ping").get_json()["csrf_token"]
    victim = app.test_client()
    victim.set_cookie("portal", planted)
    assert log_in(victim).status_code == 303
    assert thief.get("/soas").status_code == 302
    assert victim.post("/syncs", headers={"X-CSRFToken": planted_token}).status_code == 403, "the CSRF token is new as well"


def test_the_token_is_random_of_256_bits_and_only_its_hash_is_stored(app: Flask) -> None:
    tokens = set()
    for _ in range(3):
        client = app.test_client()
        phone_log_in(client)
        with client.session_transaction() as session:
            tokens.add(session["_user_id"])
    assert len(tokens) == 3 and all(len(token) >= 43 for token in tokens)
    stored = {row[0] for row in query(app, "SELECT token_hash FROM sign_ins")}
    assert all(users.hash_token(token) in stored for token in tokens)
    everything = json.dumps(query(app, "SELECT * FROM sign_ins") + query(app, "SELECT * FROM audit_log"))
    assert not any(token in everything for token in tokens)


def test_disabling_somebody_acts_on_their_next_request(app: Flask, world: World) -> None:
    admin = world.client(app, "admin")
    for person, path in (("cashier", "/soas"), ("collector_a", "/api/v1/soas")):
        live = world.client(app, person)
        assert live.get(path).status_code == 200
        assert admin.post(f"/users/{world.ids[person]}/disable", headers=world.headers("admin")).status_code == 303
        assert live.get(path).status_code in {302, 401}
        assert live.post("/api/v1/journal", json=world.uploads["collector_a"], headers=world.headers(person)).status_code == 401
        assert log_in(app.test_client(), {"cashier": "cora"}.get(person, "nena")).status_code == 401


def test_changed_roles_and_codes_act_on_the_next_request(app: Flask, world: World) -> None:
    admin, cashier, collector = (world.client(app, person) for person in ("admin", "cashier", "collector_a"))
    form = {"display_name": "Cora", "roles": ["collector"], "codes": "", "active": "1"}
    assert cashier.get("/soas").status_code == 200
    assert admin.post(f"/users/{world.ids['cashier']}", data=form, headers=world.headers("admin")).status_code == 303
    assert cashier.get("/soas").status_code == 302, "a change of roles ends the session"
    assert log_in(cashier).status_code == 303
    assert cashier.get("/soas").status_code == 403
    form = {"display_name": "Nena", "roles": ["collector"], "codes": "B1", "active": "1"}
    assert admin.post(f"/users/{world.ids['collector_a']}", data=form, headers=world.headers("admin")).status_code == 303
    assert [soa["id"] for soa in collector.get("/api/v1/soas").get_json()["soas"]] == ["S-B"]


def test_roles_are_read_anew_even_when_a_sign_in_was_left_alive(app: Flask, world: World) -> None:
    cashier = world.client(app, "cashier")
    assert cashier.get("/soas").status_code == 200
    with app.app_context():
        user_store.set_roles(world.ids["cashier"], ["collector"])
        db.session.commit()
    assert cashier.get("/soas").status_code == 403


def test_a_new_password_ends_every_session(app: Flask, world: World) -> None:
    live = world.client(app, "cashier")
    assert live.get("/soas").status_code == 200
    form = {"password": "a new long sentence"}
    assert (
        world.client(app, "admin").post(f"/users/{world.ids['cashier']}/password", data=form, headers=world.headers("admin")).status_code
        == 303
    )
    assert live.get("/soas").status_code == 302
    assert log_in(app.test_client()).status_code == 401
    assert log_in(app.test_client(), password="a new long sentence").status_code == 303


def test_an_idle_session_ends_and_a_used_one_ends_after_its_longest_life(app: Flask, world: World, moment: time_machine.Traveller) -> None:
    client = world.client(app, "cashier")
    assert client.get("/soas").status_code == 200  # notes the activity, at NOW
    moment.move_to(NOW + timedelta(minutes=app.config["IDLE_MINUTES"] - 1))
    assert client.get("/soas").status_code == 200
    moment.move_to(NOW + timedelta(minutes=2 * app.config["IDLE_MINUTES"]))
    assert client.get("/soas").status_code == 302, "nobody came for as long as is allowed"

    moment.move_to(NOW)
    client = world.client(app, "supervisor")
    hours, step = app.config["SIGN_IN_HOURS"], app.config["IDLE_MINUTES"] // 60 - 1
    for passed in range(0, hours, step):
        moment.move_to(NOW + timedelta(hours=passed))
        assert client.get("/soas").status_code == 200, f"in use, after {passed} of {hours} hours"
    moment.move_to(NOW + timedelta(hours=hours, minutes=1))
    assert client.get("/soas").status_code == 302, "in use, but for longer than any session may last"


def cookies_set(response: Any) -> list[str]:
    return [line for line in response.headers.getlist("Set-Cookie") if "portal" in line]


def test_cookie_over_loopback_http(app: Flask) -> None:
    client = app.test_client()
    lines = cookies_set(log_in(client))
    assert len(lines) == 1
    parts = {part.strip() for part in lines[0].split(";")}
    assert lines[0].startswith("portal=") and {"HttpOnly", "SameSite=Lax", "Path=/"} <= parts
    assert "Secure" not in parts and not any(part.startswith("Domain") for part in parts)


def test_cookie_over_https_is_bound_to_the_host(app: Flask, world: World) -> None:
    client = app.test_client()
    lines = cookies_set(log_in(client, base_url="https://localhost", headers={"Referer": "https://localhost/login"}))
    assert len(lines) == 1
    parts = {part.strip() for part in lines[0].split(";")}
    assert lines[0].startswith("__Host-portal=") and {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= parts
    assert not any(part.startswith("Domain") for part in parts)
    stranger = app.test_client()
    stranger.set_cookie("portal", world.cookies["cashier"])
    assert stranger.get("/soas", base_url="https://localhost").status_code == 302, "over HTTPS a plain cookie counts for nothing"


def test_no_remember_cookie_and_nothing_personal_in_the_cookie(app: Flask) -> None:
    client = app.test_client()
    response = log_in(client)
    assert not [line for line in response.headers.getlist("Set-Cookie") if line.startswith("remember")]
    with client.session_transaction() as session:
        assert set(session) <= {"_user_id", "_fresh", "_permanent", "_id", "csrf_token"}
    client.set_cookie("remember_token", "1|" + "0" * 128)
    client.delete_cookie("portal")
    assert client.get("/soas").status_code == 302


@pytest.mark.parametrize("value", ["", "x", "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb", "A" * 4000, "\xff\x00", "...."])
def test_a_forged_cookie_is_nobody(app: Flask, value: str) -> None:
    response = app.test_client().get("/soas", headers={"Cookie": f"portal={value}"})
    assert response.status_code == 302


def test_a_cookie_signed_with_our_key_but_without_a_live_token_is_nobody(app: Flask, world: World) -> None:
    client = app.test_client()
    for user_id in (str(world.ids["admin"]), world.ids["admin"], "", None, ["x"], {"a": 1}, True):
        with client.session_transaction() as session:
            session["_user_id"] = user_id
        assert client.get("/soas").status_code == 302, user_id


# --- passwords


@pytest.fixture
def own_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own cost of a password, which the factories do without."""
    monkeypatch.setattr(users, "_hasher", PRODUCT_HASHER)


def test_passwords_are_argon2id(app: Flask, own_cost: None) -> None:
    with app.app_context():
        make_user("pepe", "office")
    for (stored,) in query(app, "SELECT password_hash FROM users WHERE name = 'pepe'"):
        assert re.fullmatch(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$[^$]+\$[^$]+", stored)
        memory, turns = (int(number) for number in re.findall(r"[mt]=(\d+)", stored))
        assert memory >= 19456 and turns >= 2, "the lowest cost OWASP names for argon2id"
    assert len({row[0] for row in query(app, "SELECT password_hash FROM users")}) == 8, "one salt each"


def test_an_old_hash_is_made_anew_at_the_next_login(app: Flask, world: World, own_cost: None) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with app.app_context():
        user_store.set_fields(world.ids["cashier"], password_hash=weak)
        db.session.commit()
    assert log_in(app.test_client(), password="wrong").status_code == 401
    assert query(app, "SELECT password_hash FROM users WHERE name = 'cora'") == [(weak,)]
    assert log_in(app.test_client()).status_code == 303
    ((stored,),) = query(app, "SELECT password_hash FROM users WHERE name = 'cora'")
    assert stored != weak and not PasswordHasher().check_needs_rehash(stored)


def test_the_answer_does_not_tell_whether_a_name_exists(app: Flask) -> None:
    tries = [("cora", "wrong"), ("nobody.here", "wrong"), ("dino", PASSWORD), ("dino", "wrong"), ("x" * 5000, PASSWORD), ("", "")]
    pages, answers = set(), set()
    for name, password in tries:
        page = log_in(app.test_client(), name, password)
        text = re.sub(r'value="[^"]*"|content="[^"]*"', "", page.get_data(as_text=True)).replace(" autofocus", "")
        pages.add((page.status_code, text))
        answer = phone_log_in(app.test_client(), name, password)
        answers.add((answer.status_code, json.dumps(answer.get_json(), sort_keys=True)))
    assert len(pages) == 1 and next(iter(pages))[0] == 401
    assert len(answers) == 1 and next(iter(answers))[0] == 401


def test_an_unknown_name_costs_the_same_work(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            verified.append(stored)
            return PasswordHasher().verify(stored, password)

    monkeypatch.setattr(users, "_hasher", Counting())
    for name in ("cora", "nobody.here", "dino"):
        phone_log_in(app.test_client(), name, "wrong")
    parameters = {stored.rsplit("$", 2)[0] for stored in verified}
    assert len(verified) == 3 and len(parameters) == 1, "one hash of the same cost for each of the three"


# --- limits


def address(last: int) -> dict[str, Any]:
    return {"environ_base": {"REMOTE_ADDR": f"192.0.2.{last}"}}


def test_too_many_logins_are_slowed_without_locking_the_account_elsewhere(limited_app: Flask, moment: time_machine.Traveller) -> None:
    client = limited_app.test_client()
    assert [log_in(client, password="wrong", **address(1)).status_code for _ in range(4)] == [401, 401, 401, 429]
    page = log_in(client, **address(1))
    text = page.get_data(as_text=True)
    assert page.status_code == 429 and int(page.headers["Retry-After"]) > 0
    assert "<h1" in text and "Too many tries" in text and "Wait a minute" in text
    fragment = client.post("/login", data={"username": "cora"}, headers={"HX-Request": "true", **token(client)}, **address(1))
    assert fragment.status_code == 429 and "<html" not in fragment.get_data(as_text=True)
    assert log_in(limited_app.test_client(), **address(2)).status_code == 303, "the right password from elsewhere works"
    assert log_in(limited_app.test_client(), "sol", **address(1)).status_code == 303, "and so does somebody else's from here"
    moment.shift(61)
    assert log_in(limited_app.test_client(), **address(1)).status_code == 303, "and a minute later all is as before"


def test_who_goes_on_guessing_waits_longer_and_is_slowed_over_all_accounts(limited_app: Flask, moment: time_machine.Traveller) -> None:
    client = limited_app.test_client()
    assert [log_in(client, password="wrong", **address(4)).status_code for _ in range(4)] == [401, 401, 401, 429]
    moment.shift(61)
    assert [log_in(client, password="wrong", **address(4)).status_code for _ in range(4)] == [401, 401, 401, 429]
    moment.shift(61)
    page = log_in(client, **address(4))
    assert page.status_code == 429 and 50 * 60 < int(page.headers["Retry-After"]) <= 58 * 60
    assert "minutes, then try again" in page.get_data(as_text=True)
    moment.shift(3600)
    assert log_in(limited_app.test_client(), **address(4)).status_code == 303
    tried = [log_in(client, f"person{number}", "wrong", **address(5)).status_code for number in range(10)]
    assert tried == [401] * 8 + [429] * 2
    assert phone_log_in(client, "nena", **address(5)).status_code == 429, "the phone's login counts with the office's"
    assert phone_log_in(limited_app.test_client(), "nena", **address(6)).status_code != 429


def token(client: FlaskClient) -> dict[str, str]:
    return {"X-CSRFToken": client.get("/api/v1/ping").get_json()["csrf_token"]}


def test_too_many_logins_of_a_phone_are_answered_in_json(limited_app: Flask) -> None:
    client = limited_app.test_client()
    assert [phone_log_in(client, password="wrong", **address(3)).status_code for _ in range(3)] == [401] * 3
    answer = phone_log_in(client, **address(3))
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["error"]["code"] == "slow_down" and "Wait a minute" in answer.get_json()["error"]["message"]
    assert [phone_log_in(client, name, "wrong", **address(3)).status_code for name in ("NENA", " nena", "nena ")] == [429] * 3, (
        "another way to write the same name is no new account"
    )


# --- where a login leads


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "//evil.example/soas", "\\\\evil.example", "/\\evil.example", "\\/evil.example", "https:evil.example",
        "https://evil.example", "http:evil", "javascript:alert(1)", "data:text/html,x", "///evil.example", "/\t/evil.example",
        "\t//evil.example", " //evil.example", "/\n/evil.example", "/\r\nSet-Cookie: a=b", "evil.example", "//evil.example\\@localhost/",
        "/%0d%0aSet-Cookie:a=b", "http:///evil.example", "/.//evil.example", "/..//evil.example", "@evil.example", "",
    ],
)  # fmt: skip
def test_a_login_leads_to_our_own_pages_only(app: Flask, world: World, target: str) -> None:
    signed_in = world.client(app, "cashier")
    for response in (
        log_in(app.test_client(), form={"next": target}),
        signed_in.get("/login", query_string={"next": target}),
    ):
        place = response.headers["Location"]
        assert response.status_code in {302, 303}
        assert re.match(r"/(?![/\\])", place) and "\\" not in place and not re.search(r"[\x00-\x20]", place), place
        assert "Set-Cookie: a" not in str(response.headers) and response.headers.get("a") is None


def test_a_login_leads_back_to_the_page_that_was_asked_for(app: Flask) -> None:
    client = app.test_client()
    asked = client.get("/soas?q=dela+cruz&overdue=1")
    assert asked.status_code == 302
    page = client.get(asked.headers["Location"])
    form = {"username": "cora", "password": PASSWORD, "csrf_token": csrf_of(page.get_data(as_text=True))}
    hidden = re.search(r'name="next" value="([^"]*)"', page.get_data(as_text=True))
    assert hidden
    answer = client.post("/login", data={**form, "next": hidden[1].replace("&amp;", "&")})
    assert answer.headers["Location"] == "/soas?q=dela+cruz&overdue=1"


def test_no_htmx_header_ever_leads_away(app: Flask, world: World) -> None:
    client = world.client(app, "anonymous")
    for path in ("/soas?next=//evil.example", "/users", "/payments"):
        response = client.get(path, headers={"HX-Request": "true", "HX-Current-URL": "https://evil.example/"})
        assert response.headers["HX-Redirect"] == "/login"
        assert "HX-Location" not in response.headers and "evil" not in response.headers["HX-Redirect"]

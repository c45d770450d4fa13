"""Odd input: filters, cursors, broken JSON, wrong types, extra fields. Never a 500, never more than is meant (S29, S35, S38)."""

from __future__ import annotations

import base64
import json
import string
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config import TestConfig
from portal import create_app
from portal.domain import journal
from portal.extensions import db
from portal.store import ledger
from tests.factories import PASSWORD, Phone, api_headers, make_phone, make_soa, make_user, raw, sign_in, store_soas
from tests.security.world import NAMES, World, changed, dump, jwk

LISTS = {
    "/soas": ("q", "collector_code", "due_from", "due_to", "overdue", "penalty", "status", "sort", "page", "after", "before"),
    "/payments": ("from", "to", "collector", "tender", "status", "flag", "q", "after", "before", "sort"),
    "/syncs": ("status", "before_id"),
    "/syncs/1": ("after_id",),
    "/readings": ("kind", "before_id"),
    "/readings/calendar": ("from",),
    "/readings/chain": ("terminal", "before"),
    "/missing-numbers": ("state", "series", "terminal", "collector", "before_id"),
    "/soas.csv": ("q", "due_from", "sort", "status"),
    "/soas.xlsx": ("q", "due_from", "sort"),
    "/payments.csv": ("from", "q", "flag"),
}
FILES = ("/soas.csv", "/soas.xlsx", "/payments.csv")
"""A file with less of a filter than was asked for would pass for the right one: these refuse what a page would leave out."""
ODD = (
    "", "1", "0", "-1", "9" * 400, "1e999", "NaN", "Infinity", "0x10", "१२३", "²", "1_000", "true", "null", "None", "[]", "{}",
    "[object Object]", "2026-11-20", "0000-00-00", "2026-02-30", "9999-12-31", "0001-01-01", "2026-W47-5", "20261120", "-2026-11-20",
    "2026-11-20T00:00:00Z", "'", "\"", "' OR 1=1 --", "1; DROP TABLE payments", "%", "_", "\\", "%%",
    "x' UNION SELECT password_hash FROM users --", "name; --", "-", "--name", "name", "-due_date", "password_hash", "users.password_hash",
    "(SELECT 1)", "amount_due desc", "__class__", "id", "\x00", "a\x00b", "\r\n", "\t", "\u202e", "\ud7ff", "\uffff", "🙏", "ñ" * 500,
    "a " * 300, "<script>", "{{7*7}}", "../../etc/passwd", "any", "Z", "X", "active", "completed",
)  # fmt: skip


def packed(value: Any) -> str:
    """A cursor as a stranger would forge it."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


NESTED = base64.urlsafe_b64encode(b"[" * 1500).decode()
CURSORS = (
    "x", "====", "AAAA", "e30", "W10", "bnVsbA", NESTED[:2000], "é", "%00", packed([]), packed({}), packed([1, 2]), packed(["a", "b"]),
    packed(["2026-11-20T01:30:00+00:00", None, None]), packed(["2026-11-20T01:30:00+00:00", "x\x00", "y"]),
    packed(["2026-11-20", "x", "y"]), packed(["0001-01-01T00:00:00+14:00", "x", "y"]), packed(["9999-12-31T23:59:59-14:00", "x", "y"]),
    packed(["2026-11-20T01:30:00", "x", "y"]), packed(["2026-11-20T01:30:00+00:00", ["x"], {}]),
    packed(["2026-11-20T01:30:00+00:00", "\ud800", "y"]), packed(["due_date", False, "2026-13-01", "x"]),
    packed(["due_date", False, 5, "x"]), packed(["due_date", False, "2026-11-20", 5]), packed(["amount_due", False, 10**30, "x"]),
    packed(["amount_due", False, "5", "x"]), packed(["amount_due", False, 1.5, "x"]), packed(["amount_due", False, True, "x"]),
    packed(["name", False, "\ud800", "x"]), packed(["name", False, "a\x00", "x"]), packed(["name", False, {"a": 1}, "x"]),
    packed(["account_number", True, None, "x"]), packed(["collector_code", False, "", "\ud800"]),
)  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=4), max_leaves=6
)


@pytest.fixture
def office(app: Flask, world: World) -> FlaskClient:
    """A supervisor, who sees every list."""
    return world.client(app, "supervisor")


def ask(client: FlaskClient, path: str, pairs: list[tuple[str, str]]) -> None:
    query = urlencode(pairs, errors="surrogatepass")
    response = client.get(f"{path}?{query}", buffered=True)
    refused = path in FILES and response.status_code == 422
    assert response.status_code == 200 or refused, f"{path}?{query} was answered {response.status_code}"
    assert not refused or "was left out" in response.get_data(as_text=True) or "nothing can match" in response.get_data(as_text=True)


@pytest.mark.parametrize("path", LISTS)
def test_every_odd_value_in_every_field(office: FlaskClient, path: str) -> None:
    for value in ODD:
        ask(office, path, [(name, value) for name in LISTS[path]])
    for name in {"after", "before"} & set(LISTS[path]):
        for cursor in CURSORS:
            for sort in ("due_date", "name", "-amount_due", "drop table") if path == "/soas" else ("",):
                ask(office, path, [(name, cursor), ("sort", sort)])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_query_strings(office: FlaskClient, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(LISTS)))
    names = st.sampled_from(LISTS[path]) | st.sampled_from(["q[]", "sort[0]", "__proto__", "page"]) | st.text(max_size=8)
    values = st.sampled_from(ODD) | st.text(max_size=40) | json_values.map(packed) | st.text(string.digits + "-:TZ+", max_size=30)
    ask(office, path, data.draw(st.lists(st.tuples(names, values), max_size=6)))


@pytest.mark.parametrize(
    "query",
    ["q=a&q=b", "sort=name&sort=-name", "status=active&status=closed", "q[]=a", "%", "%zz=1", "=&&==", "q=%ff%fe", "q=%00", "a" * 5000],
)
def test_repeated_and_broken_parameters(office: FlaskClient, query: str) -> None:
    for path in LISTS:
        assert office.get(f"{path}?{query}", buffered=True).status_code in (200, 422 if path in FILES else 200), path


def test_an_injected_sort_or_filter_neither_orders_nor_reveals(office: FlaskClient, app: Flask) -> None:
    plain = office.get("/soas?status=all").get_data(as_text=True)
    for value in ("password_hash", "(SELECT password_hash FROM users)", "due_date; DROP TABLE soas", "soas.id"):
        page = office.get("/soas", query_string={"status": "all", "sort": value}).get_data(as_text=True)
        assert rows_of(page) == rows_of(plain)
    for value in ("' OR '1'='1", "%' OR 1=1 --", "\\%", "_"):
        assert not rows_of(office.get("/soas", query_string={"q": value}).get_data(as_text=True)), value
    assert office.get("/soas?q=%25").get_data(as_text=True).count("data-soa=") == 0
    with app.app_context():
        assert ledger.totals(ledger.PaymentFilter(q="%")).count == 0


def rows_of(page: str) -> list[str]:
    return [part.split('"')[0] for part in page.split('data-soa="')[1:]]


@pytest.mark.parametrize(
    "query", [f"{name}={value}" for name in ("from", "to", "collector") for value in ("x", "0001-01-01", "2026-02-30", "%00", "[]")]
)
def test_a_report_with_odd_values_is_refused_in_words(office: FlaskClient, query: str) -> None:
    response = office.get(f"/reports/collection.pdf?{query}")
    assert response.status_code == 422 and "was left out" in response.get_data(as_text=True)


PATHS = ("/soas/{}", "/soas/{}/", "/payments/{}", "/readings/{}", "/readings/{}.pdf", "/syncs/{}", "/static/{}")


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "-1",
        "99999999999999999999999",
        "%00",
        "%ff",
        "..%2f..",
        "a%2fb",
        "1e3",
        "%20",
        "'",
        "%F0%9F%99%8F",
        "x" * 3000,
        "9" * 3000,
        "9" * 6000,
        "1.0",
        "NaN",
    ],
)
def test_odd_ids_are_not_found(office: FlaskClient, world: World, app: Flask, value: str) -> None:
    for path in PATHS:
        response = office.get(path.format(value), buffered=True)
        assert response.status_code in {404, 308}, path
    admin = world.client(app, "admin")
    for path in ("/users/{}", "/terminals/{}/revoke", "/users/{}/disable"):
        method = "GET" if path == "/users/{}" else "POST"
        assert admin.open(path.format(value), method=method, headers=world.headers("admin")).status_code in {404, 405, 308}, path
    assert world.client(app, "collector_a").get(f"/api/v1/terminals/{value}").status_code == 404


# --- office forms

FIELDS = ("code", "name", "area", "display_name", "password", "roles", "codes", "active", "payment", "reason", "back", "username", "next")
FORM_ODD = [*ODD[::4], "a\x00b", "x" * 100_000, "//evil.example"]


def test_odd_values_in_forms_are_refused_in_words(app: Flask, world: World) -> None:
    targets = [
        ("/collector-codes", "admin"), ("/collector-codes/remove", "admin"), ("/users", "admin"),
        (f"/users/{world.ids['cashier']}", "admin"), (f"/users/{world.ids['cashier']}/password", "admin"),
        ("/payments/approve", "supervisor"), (f"/payments/{world.payments['collector_b']}/hold", "supervisor"),
    ]  # fmt: skip
    for path, person in targets:
        client = world.client(app, person)
        for value in FORM_ODD:
            response = client.post(path, data=dict.fromkeys(FIELDS, value), headers=world.headers(person))
            assert response.status_code in {303, 400, 403, 404, 409, 422}, f"{path} with {value[:40]!r}: {response.status_code}"
            if response.status_code == 303:
                assert response.headers["Location"].startswith(("/collector-codes", "/users", "/payments"))
                world.restore(app)


def test_nobody_grants_themselves_a_role_by_extra_fields(app: Flask, world: World) -> None:
    form = {"display_name": "Ada", "roles": ["admin", "supervisor"], "codes": "", "active": "", "is_admin": "1", "id": "1"}
    client = world.client(app, "admin")
    client.post(f"/users/{world.ids['admin']}", data=form, headers=world.headers("admin"))
    assert client.get("/users").status_code == 200, "nobody disables themselves"
    assert (
        client.post("/payments/approve", data={"payment": world.payments["collector_a"]}, headers=world.headers("admin")).status_code == 403
    )
    form = {"name": "new.one", "display_name": "New", "password": "a long sentence", "roles": ["root"], "codes": ""}
    assert client.post("/users", data=form, headers=world.headers("admin")).status_code == 422


# --- the phone API

BODIES: dict[str, bytes] = {
    "empty": b"", "no json": b"not json", "cut off": b'{"terminal": "T01", "entries": [', "a list": b"[]", "a text": b'"x"',
    "a number": b"1", "null": b"null", "nested lists": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "open lists": b"[" * 100_000, "nan": b'{"entries": NaN}',
    "infinity": b'{"entries": [Infinity]}', "not utf-8": b'{"username": "\xff\xfe"}', "utf-16": '{"a": 1}'.encode("utf-16"),
    "long number": b'{"entries": ' + b"9" * 10_000 + b"}", "nul": b'{"username": "a\\u0000", "password": "b\\u0000"}',
    "lone surrogate": b'{"username": "\\ud800", "password": "\\udfff", "terminal": "\\ud800", "name": "\\ud800", "entries": []}',
    "repeated keys": b'{"username": 1, "username": 2}', "bom": b'\xef\xbb\xbf{"a": 1}',
    "many keys": json.dumps({str(n): n for n in range(20_000)}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("path", ["/api/v1/journal", "/api/v1/terminals", "/api/v1/session"])
def test_a_broken_body_gets_a_plain_json_error(limited_app: Flask, world: World, path: str, kind: str) -> None:
    app, before = limited_app, None
    client = world.client(app, "collector_a")
    before = dump(app)
    response = client.post(path, data=BODIES[kind], content_type="application/json", headers=world.headers("collector_a"))
    error = response.get_json()["error"]
    assert 400 <= response.status_code < 500, error
    assert set(error) == {"code", "message"} and error["message"].endswith(".")
    assert changed(before, dump(app)) <= {"audit_log", "audit_head"}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "", "text/json"],
)
def test_a_wrong_content_type_gets_a_plain_json_error(app: Flask, world: World, content_type: str) -> None:
    for path in ("/api/v1/journal", "/api/v1/terminals", "/api/v1/session"):
        response = world.client(app, "collector_a").post(
            path, data=b'{"a": 1}', content_type=content_type, headers=world.headers("collector_a")
        )
        assert response.status_code == 415 and response.get_json()["error"]["message"] == "The portal expects JSON here."


def test_too_large_a_body_is_refused_everywhere(app: Flask, world: World) -> None:
    large = b'{"a": "' + b"x" * 3_000_000 + b'"}'
    for path in ("/api/v1/journal", "/api/v1/terminals", "/api/v1/session"):
        response = world.client(app, "collector_a").post(
            path, data=large, content_type="application/json", headers=world.headers("collector_a")
        )
        assert response.status_code == 413 and response.get_json()["error"]["code"] == "too_large"
    form = {"username": "x" * 3_000_000}
    page = world.client(app, "anonymous").post("/login", data=form, headers=world.headers("anonymous"))
    assert page.status_code == 413 and "larger than the portal accepts" in page.get_data(as_text=True)
    many = {f"f{number}": "x" for number in range(1000)}
    response = world.client(app, "admin").post("/users", data=many, content_type="multipart/form-data", headers=world.headers("admin"))
    assert response.status_code == 413


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(
        st.sampled_from(["terminal", "entries", "signature", "name", "public_key", "username", "password"]),
        json_values
        | st.dictionaries(st.sampled_from(["seq", "kind", "hash", "prev", "kty", "crv", "x", "y", "terminal", "at"]), json_values),
    )
)
def test_wrong_types_get_a_plain_json_error(app: Flask, world: World, body: dict[str, Any]) -> None:
    client = world.client(app, "collector_a")
    for path in ("/api/v1/journal", "/api/v1/terminals", "/api/v1/session"):
        response = client.post(path, data=json.dumps(body), content_type="application/json", headers=world.headers("collector_a"))
        assert 400 <= response.status_code < 500, (path, body)
        assert response.get_json()["error"]["message"]


# --- a signed upload with more in it than belongs there


@pytest.fixture
def phone(app: Flask, world: World) -> Phone:
    """A second phone of collector A with an open registry, nothing uploaded yet."""
    with app.app_context():
        made = Phone("second", world.ids["collector_a"], NAMES["collector_a"])
    made.start()
    return made


def upload(app: Flask, world: World, body: dict[str, Any]) -> Any:
    return world.client(app, "collector_a").post("/api/v1/journal", json=body, headers=world.headers("collector_a"))


def test_what_the_phone_may_not_say_is_ignored(app: Flask, world: World, phone: Phone) -> None:
    """S29: whose payment it is, its status, what PSCloud answered and when it came in are the portal's to know."""
    forbidden: dict[str, Any] = {
        "collector_id": world.ids["collector_b"], "collector": "ramon", "user_id": world.ids["collector_b"], "status": "completed",
        "posted": True, "posted_at": "2020-01-01T00:00:00Z", "pscloud_id": "P-1", "z_id": 1, "created_at": "2020-01-01T00:00:00Z",
        "received_at": "2020-01-01T00:00:00Z", "approved_by": "ada", "flags": [], "id": "x", "terminal_id": 1, "collector_code": "B1",
        "business_date": "2020-01-01",
    }  # fmt: skip
    entry = phone.pay(make_soa("S-A", customer_name="Alon, Alma"), 10000, **forbidden)
    body = phone.upload_body()
    answer = upload(app, world, {**body, **forbidden, "user": "ramon", "approval": "automatic"})
    assert answer.status_code == 200
    assert [verdict["status"] for verdict in answer.get_json()["verdicts"]] == ["stored"] * 4
    with app.app_context():
        detail = ledger.get(entry.payload["payment"])
    assert detail
    row = detail.row
    assert (row.collector_name, row.terminal, row.pscloud_id, row.posted_at) == ("nena", phone.code, None, None)
    assert row.status == "pending" and row.flags == ("possible_double",), (
        "the other phone's payment on this account was noticed all the same"
    )
    assert row.business_date.isoformat() == "2026-11-20" and row.received_at.isoformat() == "2026-11-20T01:30:00+00:00"
    assert detail.collector_code == "A1"


def test_an_upload_under_another_terminals_name_stores_nothing(app: Flask, world: World, phone: Phone) -> None:
    before = dump(app)
    phone.pay(make_soa("S-A"), 10000)
    mine = phone.upload_body()
    foreign = {**world.uploads["collector_b"]}
    for body in (
        foreign,
        {**mine, "terminal": world.terminals["collector_b"]},
        {**foreign, "terminal": phone.code},
        {**mine, "entries": [{**entry, "terminal": world.terminals["collector_b"]} for entry in mine["entries"]]},
        {**mine, "signature": foreign["signature"]},
        {**mine, "signature": ""},
        {**mine, "signature": None},
        {**mine, "entries": mine["entries"][:-1]},
    ):
        assert upload(app, world, body).status_code in {400, 403}
    assert dump(app) == before


@pytest.mark.parametrize("depth", [11, 13, 100, 800, 900, 940, 960, 980, 990])
@pytest.mark.parametrize("place", ["next", "behind a gap", "a fork"])
def test_a_deeply_nested_entry_is_judged_and_stops_nothing(app: Flask, world: World, phone: Phone, depth: int, place: str) -> None:
    if place == "a fork":
        assert upload(app, world, phone.upload_body()).status_code == 200
    last = phone.entries[-1]
    seq = {"next": last.seq + 1, "behind a gap": last.seq + 5, "a fork": 2}[place]
    entry = journal.Entry(phone.code, seq, "promise", phone.at(), None, {"soa": "HERE"}, last.hash, "ab" * 32)
    good = [] if place == "a fork" else [raw(one) for one in phone.entries]
    body = json.dumps({"terminal": phone.code, "entries": [*good, raw(entry)], "signature": phone.sign([entry])})
    body = body.replace('"HERE"', "[" * depth + "]" * depth)
    answer = world.client(app, "collector_a").post(
        "/api/v1/journal", data=body, content_type="application/json", headers=world.headers("collector_a")
    )
    assert answer.status_code in {200, 400}, answer.get_json()
    if answer.status_code == 200:
        *stored, verdict = [verdict["status"] for verdict in answer.get_json()["verdicts"]]
        assert set(stored) <= {"stored"} and verdict in {"quarantined", "held", "conflict"}


@pytest.mark.parametrize("password", ["\x00", "\ud800", "x" * 100_000, "ñ" * 2000, " " + PASSWORD, PASSWORD + " ", PASSWORD.upper()])
def test_odd_passwords_are_wrong_passwords(app: Flask, password: str) -> None:
    body = json.dumps({"username": "nena", "password": password})
    response = app.test_client().post("/api/v1/session", data=body, content_type="application/json")
    assert (response.status_code, response.get_json()["error"]["code"]) in {(401, "wrong_login"), (400, "bad_request")}


# --- what SQLite forgives


def test_the_other_database_refuses_no_more(tmp_path: Path, database_url: str, rings: list[str]) -> None:
    """PostgreSQL stores no NUL and knows shorter numbers: it must not answer 500 where SQLite is content."""
    app = create_app(TestConfig(tmp_path, DATABASE_URL=database_url))
    with app.app_context():
        make_user("nena", "collector", codes=["A1"])
        make_user("sol", "supervisor")
        make_user("ada", "admin")
        store_soas(make_soa())
        own = make_phone("nena")
        own.start()
        entry = own.pay(make_soa(), 10000)
        body = own.upload_body()
    clients = {name: sign_in(app, name) for name in ("nena", "sol", "ada")}
    tokens = {name: api_headers(client) for name, client in clients.items()}
    assert clients["nena"].post("/api/v1/journal", json=body, headers=tokens["nena"]).status_code == 200
    stranger = app.test_client()
    values = ("a\x00b", "\x00", "9" * 30, "3000000000", "9223372036854775808", "'", "\\", "🙏" * 200)
    for value in values:
        quoted = quote(value)
        for path, names in LISTS.items():
            answer = clients["sol"].get(path, query_string=dict.fromkeys(names, value), buffered=True)
            assert answer.status_code in (200, 422 if path in FILES else 200), (path, value)
        for path in ("/soas/{}", "/payments/{}", "/readings/{}", "/syncs/{}", "/readings/{}.pdf"):
            assert clients["sol"].get(path.format(quoted)).status_code == 404, (path, value)
        assert clients["nena"].get(f"/api/v1/terminals/{quoted}").status_code == 404
        for path in (f"/terminals/{quoted}/revoke", f"/users/{quoted}/disable"):
            assert clients["ada"].post(path, headers=tokens["ada"]).status_code == 404
        hold = clients["sol"].post(f"/payments/{entry.payload['payment']}/hold", data={"reason": f"x{value}xx"}, headers=tokens["sol"])
        assert hold.status_code in {303, 400, 409, 422}
        for path in ("/collector-codes", "/collector-codes/remove", "/users"):
            answer = clients["ada"].post(path, data=dict.fromkeys(FIELDS, value), headers=tokens["ada"])
            assert answer.status_code in {303, 400, 404, 409, 422}, (path, value)
        form = {"username": value, "password": value, "next": value}
        assert stranger.post("/login", data=form, headers=api_headers(stranger)).status_code in {400, 401}
        json_body = {
            "username": value,
            "password": value,
            "terminal": value,
            "name": value,
            "public_key": jwk(),
            "entries": [],
            "signature": value,
        }
        for path in ("/api/v1/session", "/api/v1/journal", "/api/v1/terminals"):
            answer = clients["nena"].post(path, json=json_body, headers=tokens["nena"])
            assert answer.status_code < 500, (path, value)
    for cursor in CURSORS:
        for path in ("/soas", "/payments"):
            assert clients["sol"].get(path, query_string={"after": cursor}).status_code == 200, (path, cursor)
    odd = own.append("promise", {"soa": "a\x00b", "note": "\x00"})
    answer = clients["nena"].post(
        "/api/v1/journal", data=json.dumps(own.upload_body([odd])), content_type="application/json", headers=tokens["nena"]
    )
    assert answer.status_code == 200 and len(answer.get_json()["verdicts"]) == 1
    close_any(app)


def close_any(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()

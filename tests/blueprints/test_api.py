"""The phone API over HTTP: sessions, enrolment, the snapshot, uploads, and errors a phone can act on."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import brotli
import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from bench.phone_data import make_list
from portal.domain import columns
from portal.extensions import db
from portal.services import terminals, users
from portal.services.snapshot import record
from portal.store import incidents, ledger
from portal.store import terminals as terminal_store
from portal.store import users as user_store
from portal.store.models import Payment, Posting
from tests.conftest import NOW, FreshClient
from tests.factories import PASSWORD, api_headers, make_invoice, make_phone, make_soa, make_user, sign_in, store_soas
from tests.soa_columns import table, unpack


@pytest.fixture
def nena(app: Flask) -> FlaskClient:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa(), make_soa("S2", collector_code="B2"))
    return sign_in(app, "nena")


def code_of(answer: Any) -> str:
    code: str = answer.get_json()["error"]["code"]
    assert answer.get_json()["error"]["message"]
    return code


def payments() -> int:
    return db.session.execute(select(func.count()).select_from(Payment)).scalar_one()


def test_ping_says_who_is_signed_in_and_that_it_is_the_portal(app: Flask, nena: FlaskClient) -> None:
    assert app.test_client().get("/api/v1/ping").get_json()["user"] is None
    answer = nena.get("/api/v1/ping").get_json()
    assert (answer["portal"], answer["user"], answer["display_name"]) == ("ok", "nena", "Nena")
    assert answer["csrf_token"] and answer["time"] and answer["version"]


def test_a_collector_logs_in_and_out_on_the_phone(app: Flask, nena: FlaskClient) -> None:
    client = app.test_client()
    wrong = client.post("/api/v1/session", json={"username": "nena", "password": "wrong"})
    assert (wrong.status_code, code_of(wrong)) == (401, "wrong_login")
    right = client.post("/api/v1/session", json={"username": "Nena", "password": PASSWORD})
    assert right.status_code == 200 and right.get_json()["user"] == "nena"
    assert client.delete("/api/v1/session", headers={"X-CSRFToken": right.get_json()["csrf_token"]}).status_code == 204
    assert client.get("/api/v1/ping").get_json()["user"] is None


def test_office_users_are_told_to_use_the_office_pages(app: Flask) -> None:
    make_user("carla", "office")
    answer = app.test_client().post("/api/v1/session", json={"username": "carla", "password": PASSWORD})
    assert (answer.status_code, code_of(answer)) == (403, "not_a_collector")


def test_enrolling_twice_with_one_key_is_one_terminal(app: Flask, nena: FlaskClient) -> None:
    phone = make_phone("nena")
    body = {"name": "Nena's phone", "public_key": phone.jwk()}
    first = nena.post("/api/v1/terminals", json=body, headers=api_headers(nena))
    again = nena.post("/api/v1/terminals", json=body, headers=api_headers(nena))
    assert first.status_code == again.status_code == 201
    assert first.get_json()["terminal"] == again.get_json()["terminal"] == phone.code
    assert first.get_json()["business"]["registered_name"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "public_key": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
        {"name": "x", "public_key": {"kty": "oct"}},
        {"name": "x", "public_key": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}},
        {"name": "x", "public_key": {"kty": "EC", "crv": "P-256", "x": "!" + "A" * 43, "y": "A" * 43}},
        {"name": "", "public_key": {}},
        {"name": 5, "public_key": []},
    ],
)
def test_an_enrolment_that_cannot_work_says_why(nena: FlaskClient, body: dict[str, Any]) -> None:
    answer = nena.post("/api/v1/terminals", json=body, headers=api_headers(nena))
    assert (answer.status_code, code_of(answer)) == (422, "invalid")


def test_the_snapshot_is_the_collectors_own_in_centavos_and_compressed(nena: FlaskClient) -> None:
    answer = nena.get("/api/v1/soas", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    snapshot = json.loads(gzip.decompress(answer.data))
    assert [soa["id"] for soa in snapshot["soas"]] == ["S1"]
    assert (snapshot["count"], snapshot["amount_due"], snapshot["collector_codes"]) == (1, 224000, ["A1"])
    assert snapshot["soas"][0]["version"] == make_soa().version
    assert snapshot["soas"][0]["invoices"][0] == {
        "id": "I1",
        "invoice_number": "SI-0001",
        "invoice_date": "2026-09-01",
        "due_date": "2026-10-01",
        "description": "Lawn lot instalment",
        "amount": 112000,
        "balance": 112000,
        "penalty": 0,
        "vat_type": "vatable",
        "vat_amount": 12000,
    }


def test_nothing_new_is_a_304_and_a_payment_a_download_or_a_code_is_something_new(app: Flask, nena: FlaskClient) -> None:
    tag = nena.get("/api/v1/soas").headers["ETag"]

    def again() -> int:
        return nena.get("/api/v1/soas", headers={"If-None-Match": tag}).status_code

    assert again() == 304 and nena.get("/api/v1/soas", headers={"If-None-Match": tag}).data == b""
    phone = make_phone("nena")
    phone.start()
    tag = nena.get("/api/v1/soas").headers["ETag"]
    nena.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(nena))
    assert again() == 304, "entries without a payment change no figure"
    phone.pay(make_soa(), 100)
    nena.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(nena))
    answer = nena.get("/api/v1/soas", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.get_json()["soas"][0]["amount_due"] == 223900 and answer.get_json()["included"] == {phone.code: 4}
    tag = answer.headers["ETag"]
    store_soas(make_soa(invoices=[make_invoice(1, penalty=Decimal("5.00"))]), now=NOW + timedelta(minutes=9))
    assert again() == 200


COLUMNS = {"Accept": "application/vnd.mpos.soa-columns+json, application/json;q=0.5"}


def test_the_list_in_columns_says_what_the_objects_say_and_is_packed_as_the_phone_asks(nena: FlaskClient) -> None:
    store_soas(make_soa("S0", invoices=[]), make_soa("S3", tin="900-1", invoices=[make_invoice(3, penalty=Decimal("5.10"))]), make_soa())
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa(), 150000)
    phone.pay(make_soa(), 100000)
    phone.pay(make_soa("S0", invoices=[]), 700)
    assert nena.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(nena)).status_code == 200
    whole = nena.get("/api/v1/soas").get_json()
    answers = {way: nena.get("/api/v1/soas", headers={**COLUMNS, "Accept-Encoding": way}) for way in ("gzip, br", "gzip", "identity")}
    assert [answer.headers.get("Content-Encoding") for answer in answers.values()] == ["br", "gzip", None]
    assert {answer.headers["Content-Type"] for answer in answers.values()} == {"application/vnd.mpos.soa-columns+json"}
    for answer, unpacked in zip(answers.values(), (brotli.decompress, gzip.decompress, bytes), strict=True):
        found = json.loads(unpacked(answer.data))
        assert unpack(found.pop("columns")) == whole["soas"] and found == {name: whole[name] for name in found}
        assert set(whole) == {*found, "soas"} and {"Accept", "Accept-Encoding"} <= set(answer.vary)
    paid = {soa["id"]: soa["amount_due"] for soa in whole["soas"]}
    assert paid == {"S0": 0, "S1": 0, "S3": 112510}


def test_an_unchanged_list_in_columns_is_a_304_and_never_that_of_the_objects(nena: FlaskClient) -> None:
    tag, other = nena.get("/api/v1/soas", headers=COLUMNS).headers["ETag"], nena.get("/api/v1/soas").headers["ETag"]
    again = nena.get("/api/v1/soas", headers={**COLUMNS, "If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert nena.get("/api/v1/soas", headers={**COLUMNS, "If-None-Match": other}).status_code == 200
    assert nena.get("/api/v1/soas", headers={"If-None-Match": tag}).status_code == 200


def test_a_thousand_soas_with_three_invoices_each_are_at_most_75_kb() -> None:
    soas = [record(soa, []) for soa in make_list(1000)]
    assert len(soas) == 1000 and all(len(soa["invoices"]) == 3 for soa in soas)
    packed = msgspec.json.encode({"columns": columns.pack(table(soas))})
    assert len(json.dumps(soas)) > 1_045_000 and len(brotli.compress(packed, quality=5)) <= 75_000


def test_a_collector_without_codes_gets_an_empty_list_and_not_everybodys(app: Flask, nena: FlaskClient) -> None:
    make_user("jun", "collector")
    assert sign_in(app, "jun").get("/api/v1/soas").get_json()["count"] == 0
    in_columns = sign_in(app, "jun").get("/api/v1/soas", headers={**COLUMNS, "Accept-Encoding": "identity"}).get_json(force=True)
    assert (in_columns["count"], in_columns["amount_due"], unpack(in_columns["columns"])) == (0, 0, [])


def test_an_upload_and_its_repetition_over_http(nena: FlaskClient) -> None:
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa(), 10000)
    first = nena.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(nena))
    again = nena.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(nena))
    assert first.status_code == again.status_code == 200
    assert {verdict["status"] for verdict in first.get_json()["verdicts"]} == {"stored"}
    assert {verdict["status"] for verdict in again.get_json()["verdicts"]} == {"repeat"}
    assert first.get_json()["acknowledged_seq"] == again.get_json()["acknowledged_seq"] == 4
    assert payments() == 1
    state = nena.get(f"/api/v1/terminals/{phone.code}").get_json()
    assert (state["acknowledged_seq"], state["head_hash"], state["last_receipt_number"]) == (4, phone.entries[-1].hash, 1)
    assert state["registry"] == phone.registry and state["orders"] == {"revoked": False, "upload_now": False}


def test_redis_gone_during_an_upload_costs_nothing_but_time(app: Flask, nena: FlaskClient) -> None:
    app.config["REDIS_URL"] = "redis://127.0.0.1:9/0"
    app.extensions.pop("portal_redis", None)
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa(), 10000)
    answer = nena.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(nena))
    assert answer.status_code == 200 and payments() == 1
    assert db.session.execute(select(Posting.status)).scalars().all() == ["due"], "the sweep will find it"


def test_another_collectors_terminal_does_not_exist_for_me(app: Flask, nena: FlaskClient) -> None:
    phone = make_phone("nena")
    phone.start()
    make_user("jun", "collector", codes=["A1"])
    jun = sign_in(app, "jun")
    assert jun.get(f"/api/v1/terminals/{phone.code}").status_code == 404
    refused = jun.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(jun))
    assert (refused.status_code, code_of(refused)) == (403, "wrong_terminal")
    assert payments() == 0


def test_a_session_that_ended_in_mid_upload_is_401_json_and_not_a_login_page(app: Flask, nena: FlaskClient) -> None:
    phone = make_phone("nena")
    phone.start()
    headers = api_headers(nena)
    users.disable("nena", "admin", NOW)
    answer = nena.post("/api/v1/journal", json=phone.upload_body(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "signed_out")


@pytest.mark.parametrize("how", ["disabled", "no collector any more"])
def test_money_of_a_collector_who_may_not_log_in_any_more_is_taken_on_the_signature_and_held(
    app: Flask, nena: FlaskClient, how: str
) -> None:
    phone = make_phone("nena")
    phone.start()
    entry = phone.pay(make_soa(), 500)
    person = user_store.by_name("nena")
    assert person
    if how == "disabled":
        users.disable("nena", "admin", NOW)
    else:
        users.change(person.id, "Nena", ["office"], [], True, "admin", NOW)
    stranger = FreshClient(app)
    for _ in range(2):
        answer = stranger.post("/api/v1/journal/disabled", json=phone.upload_body())
        assert answer.status_code == 200 and answer.get_json()["acknowledged_seq"] == len(phone.entries)
    assert payments() == 1
    found = ledger.get(entry.payload["payment"])
    assert found and "disabled_collector" in found.row.flags and found.row.status == "pending"
    assert [incident.kind for incident in incidents.open_incidents()] == ["disabled_collector"], "told once"


def test_without_a_log_in_nothing_else_is_taken_and_nothing_is_told(app: Flask, nena: FlaskClient) -> None:
    phone, other = make_phone("nena"), make_phone("nena")
    phone.start()
    phone.pay(make_soa(), 500)
    other.start()
    stranger = FreshClient(app)
    whole = phone.upload_body()
    answers = [stranger.post("/api/v1/journal/disabled", json=whole)]
    users.disable("nena", "admin", NOW)
    strange = [{**entry, "terminal": "T99"} for entry in whole["entries"]]
    wrong: tuple[dict[str, Any], ...] = (
        {"terminal": "T99", "entries": strange},
        {"signature": other.upload_body()["signature"]},
        {"entries": []},
        {"signature": 7},
    )
    answers += [stranger.post("/api/v1/journal/disabled", json={**whole, **change}) for change in wrong]
    answers.append(stranger.post("/api/v1/journal/disabled", json={**whole, "signature": "A" * 86}))
    assert {(answer.status_code, answer.get_data()) for answer in answers} == {(401, answers[0].get_data())}
    assert payments() == 0 and code_of(answers[0]) == "signed_out"


def test_a_revoked_phone_gets_no_soas_but_its_money_is_taken(nena: FlaskClient) -> None:
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa(), 500)
    terminals.revoke(phone.code, "admin", NOW)
    assert nena.get("/api/v1/soas").status_code == 403
    answer = nena.post("/api/v1/journal", json=phone.upload_body(), headers=api_headers(nena))
    assert answer.status_code == 200 and payments() == 1
    assert nena.get(f"/api/v1/terminals/{phone.code}").get_json()["orders"]["revoked"] is True


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"terminal": "T01"}', "application/json", 400),
        (b'{"terminal": ["T01"], "entries": []}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"terminal=T01", "application/x-www-form-urlencoded", 415),
        (b'{"entries": "' + b"x" * 3_000_000 + b'"}', "application/json", 413),
    ],
)
def test_whatever_is_sent_gets_a_json_error_and_never_a_500(nena: FlaskClient, data: bytes, content_type: str, status: int) -> None:
    headers = {**api_headers(nena), "Content-Type": content_type}
    answer = nena.post("/api/v1/journal", data=data, headers=headers)
    assert answer.status_code == status and code_of(answer)


def test_a_key_with_anything_added_to_it_is_no_second_terminal(nena: FlaskClient) -> None:
    phone = make_phone("nena")
    for junk in ("!", "\n", "=", "==", "A"):
        key = {**phone.jwk(), "x": phone.jwk()["x"] + junk}
        answer = nena.post("/api/v1/terminals", json={"name": "again", "public_key": key}, headers=api_headers(nena))
        assert answer.status_code == 422 or answer.get_json()["terminal"] == phone.code, junk
    assert [row.code for row in terminal_store.all_terminals()] == [phone.code]

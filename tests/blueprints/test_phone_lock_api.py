"""The way back to a phone's records after a forgotten PIN: given after the password, to that user on that phone, and never otherwise."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from flask import Flask

from portal.services import terminals as terminal_services
from tests.conftest import NOW
from tests.factories import PASSWORD, api_headers, make_phone, make_user

PHONE = "6f1d1a52-3c1e-4c55-9b0a-0a1f5e0b9f11"


def log_in(app: Flask, name: str = "nena", phone: Any = PHONE, password: str = PASSWORD) -> Any:
    body = {"username": name, "password": password} | ({} if phone is None else {"phone": phone})
    return app.test_client().post("/api/v1/session", json=body)


def test_it_is_the_same_each_time_for_one_user_on_one_phone_and_another_for_everybody_else(app: Flask) -> None:
    for name in ("nena", "ben"):
        make_user(name, "collector", codes=[name])
    [mine] = log_in(app).get_json()["recovery"]
    assert log_in(app).get_json()["recovery"] == [mine]
    assert len(base64.urlsafe_b64decode(mine + "=")) == 32
    others = {log_in(app, "ben").get_json()["recovery"][0], log_in(app, phone=PHONE.replace("6", "7")).get_json()["recovery"][0]}
    assert mine not in others and len(others) == 2


def test_a_session_alone_gets_nothing(app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    client = app.test_client()
    client.post("/api/v1/session", json={"username": "nena", "password": PASSWORD, "phone": PHONE})
    assert "recovery" not in client.get("/api/v1/ping").get_json()
    refused = client.post("/api/v1/session", json={"username": "nena", "password": "wrong", "phone": PHONE}, headers=api_headers(client))
    assert refused.status_code == 401 and "recovery" not in refused.get_json()
    assert "recovery" not in log_in(app, phone=None).get_json()


def test_a_key_that_was_replaced_still_opens_what_it_closed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    make_user("nena", "collector", codes=["A1"])
    [before] = log_in(app).get_json()["recovery"]
    monkeypatch.setitem(app.config, "SECRET_KEY_FALLBACKS", [app.config["SECRET_KEY"]])
    monkeypatch.setitem(app.config, "SECRET_KEY", "another-key-" + "x" * 40)
    now, then = log_in(app).get_json()["recovery"]
    assert then == before != now


@pytest.mark.parametrize("phone", ["", "x", PHONE.upper(), 7, ["a"], f"{{{PHONE}}}"])
def test_an_odd_number_of_a_phone_is_refused_before_anybody_is_signed_in(app: Flask, phone: Any) -> None:
    make_user("nena", "collector", codes=["A1"])
    answer = log_in(app, phone=phone)
    assert answer.status_code == 422 and "recovery" not in answer.get_json()
    assert "Set-Cookie" not in answer.headers or "portal=" not in answer.headers["Set-Cookie"]


def test_it_is_in_no_log_and_not_kept_by_anybody(app: Flask, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    make_user("nena", "collector", codes=["A1"])
    with caplog.at_level("DEBUG"):
        answer = log_in(app)
    [secret] = answer.get_json()["recovery"]
    printed = capsys.readouterr()
    assert secret not in caplog.text + printed.out + printed.err
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_phone_whose_records_were_erased_learns_which_terminals_are_its_users(app: Flask) -> None:
    make_user("nena", "collector", codes=["A1"])
    make_user("ben", "collector", codes=["B1"])
    phone = make_phone("nena")
    make_phone("ben")
    [mine] = log_in(app).get_json()["terminals"]
    assert mine["terminal"] == phone.code and mine["entries"] == 0 and mine["last_contact_at"]
    terminal_services.revoke(phone.code, "admin", NOW)
    assert log_in(app).get_json()["terminals"] == []

"""Visits without money: booked once from the journal, wrong ones kept aside, kept promises told from open ones."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.services import journal
from portal.services.journal import Answer, Policy, Uploader
from portal.store import visits
from portal.store.models import Visit
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas

AT_DOOR = {"soa": "S1", "reason": "Nobody home", "note": "Gate closed, dog", "visit": "5d0f1f0e-2c1b-4a7c-8a2e-6a8f9b0c1d2e"}
PROMISE = {"soa": "S1", "promised_on": "2026-11-30", "amount": 150050, "note": None}


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa(), make_soa("S2"))
    made = make_phone("nena")
    made.start()
    return made


def send(phone: Phone) -> Answer:
    body = phone.upload_body()
    return journal.receive(
        phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), Policy("automatic", 7), NOW
    )


def test_a_visit_and_a_promise_are_booked_once_and_stand_on_their_account(phone: Phone) -> None:
    phone.append("no_collection", dict(AT_DOOR))
    phone.append("promise", dict(PROMISE))
    phone.append("promise", {**PROMISE, "soa": "gone", "amount": None})
    assert {verdict["status"] for verdict in send(phone).verdicts} == {"stored"}
    assert {verdict["status"] for verdict in send(phone).verdicts} == {"repeat"}
    promise, at_door = visits.of_soa("S1")
    assert (at_door.kind, at_door.reason, at_door.note, at_door.promised_on) == ("no_collection", "Nobody home", "Gate closed, dog", None)
    assert (promise.promised_on, promise.amount, promise.note, promise.reason) == (date(2026, 11, 30), Decimal("1500.50"), "", "")
    assert (promise.collector, promise.terminal, promise.customer_name) == ("nena", phone.code, make_soa().customer_name)
    (unknown,) = visits.of_soa("gone")
    assert (unknown.customer_name, unknown.amount) == ("", None)
    assert visits.of_soa("S2") == visits.of_soa("\x00") == []


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("no_collection", {**AT_DOOR, "reason": " "}),
        ("no_collection", {**AT_DOOR, "reason": "x" * 201}),
        ("no_collection", {**AT_DOOR, "note": "x" * 501}),
        ("no_collection", {"reason": "Nobody home"}),
        ("promise", {**PROMISE, "promised_on": "soon"}),
        ("promise", {**PROMISE, "promised_on": None}),
        ("promise", {**PROMISE, "amount": 0}),
        ("promise", {**PROMISE, "amount": "100"}),
        ("promise", {**PROMISE, "note": "a\x00b"}),
    ],
)
def test_a_visit_that_cannot_be_right_is_kept_for_a_person_and_not_listed(phone: Phone, kind: str, payload: dict[str, Any]) -> None:
    phone.append(kind, payload)
    phone.append("no_collection", dict(AT_DOOR))
    assert [verdict["status"] for verdict in send(phone).verdicts][-2:] == ["quarantined", "stored"]
    assert [row.kind for row in visits.list_page("all", None, 10)[0]] == ["no_collection"]


def test_a_promise_waits_until_the_account_is_collected_from_afterwards(phone: Phone) -> None:
    phone.pay(make_soa(), 100)
    phone.append("promise", {**PROMISE, "promised_on": "2026-11-25"})
    phone.append("promise", {**PROMISE, "soa": "S2", "promised_on": "2026-11-19"})
    send(phone)
    today = date(2026, 11, 20)
    assert [row.soa_id for row in visits.list_page("open", None, 10)[0]] == ["S2", "S1"] and visits.count_open(today) == (2, 1)
    paid = phone.pay(make_soa("S2"), 5000)
    send(phone)
    assert [row.soa_id for row in visits.list_page("open", None, 10)[0]] == ["S1"] and visits.count_open(today) == (1, 0)
    assert visits.of_soa("S2")[0].kept and not visits.of_soa("S1")[0].kept
    phone.ask_void(paid, "Wrong customer")
    send(phone)
    approve_all()
    assert visits.count_open(today) == (2, 1), "a voided payment keeps no promise"


def approve_all() -> None:
    from portal.services import voids
    from portal.store import voids as store

    make_user("sol", "supervisor")
    for row in store.list_page("requested")[0]:
        voids.approve(row.id, "sol", "", NOW + timedelta(minutes=1))


def test_pages_hold_every_visit_once_in_their_order(phone: Phone) -> None:
    for day in (28, 25, 25, 30, 21, 25):
        phone.append("promise", {**PROMISE, "promised_on": f"2026-11-{day}"})
    send(phone)
    for kind, wanted in (("open", [21, 25, 25, 25, 28, 30]), ("all", [25, 21, 30, 25, 25, 28]), ("promise", [25, 21, 30, 25, 25, 28])):
        rows, mark = visits.list_page(kind, None, 2)
        while mark:
            more, mark = visits.list_page(kind, mark, 2)
            rows += more
        assert [row.promised_on.day for row in rows if row.promised_on] == wanted and len({row.id for row in rows}) == 6
    assert visits.list_page("no_collection", None, 2) == ([], None)
    for broken in ("x", "2026-11-25", "2026-11-25.x", "9999-99-99.1", ".", "2026-11-25.99999999999"):
        assert len(visits.list_page("open", broken, 9)[0]) == 6


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_database_itself_keeps_visits_as_they_were_written(phone: Phone, change: str) -> None:
    phone.append("promise", dict(PROMISE))
    send(phone)
    visit = db.session.query(Visit).one()
    if change == "update":
        visit.note = "another"
    else:
        db.session.delete(visit)
    with pytest.raises(IntegrityError):
        db.session.flush()
    db.session.rollback()

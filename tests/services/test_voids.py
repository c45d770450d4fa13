"""Voids: asked for on the phone, decided in the office, counted where the phone wrote the decision down. On both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.extensions import db
from portal.services import voids
from portal.services.journal import Answer
from portal.store import audit, missing, readings
from portal.store import terminals as terminal_store
from portal.store import voids as store
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas
from tests.services.test_journal import send, statuses


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    for name in ("ramon", "sonia"):
        make_user(name, "supervisor")
    store_soas(make_soa(), make_soa("S2"), make_soa("S3"))
    phone = make_phone("nena")
    phone.start()
    return phone


def asked(phone: Phone, payment: Entry, **fields: Any) -> store.VoidRow:
    """A void that arrived; its row."""
    entry = phone.ask_void(payment, **fields)
    answer = send(phone)
    assert answer.verdicts[-1]["status"] == "stored", answer.verdicts[-1]
    void = store.by_number(entry.payload["void_number"])
    assert void
    return void


def told(answer: Answer) -> dict[str, Any]:
    (decision,) = answer.voids
    return decision


def z_differences(phone: Phone) -> list[dict[str, Any]]:
    """What phone and portal disagree on in the newest reading."""
    detail = readings.get(readings.recent(1)[0].id)
    assert detail
    return detail.differences


def test_a_void_is_asked_for_approved_written_down_and_taken_off_that_days_net_and_cash(phone: Phone) -> None:
    wrong, right = phone.pay(make_soa(), 30000), phone.pay(make_soa("S2"), 12345)
    assert right.payload["amount"] == 12345
    void = asked(phone, wrong, reason="  Typed 300 instead of 30 ")
    assert (void.void_number, void.state, void.reason) == (f"{phone.code}-V000001", "requested", "Typed 300 instead of 30")
    assert send(phone, phone.entries[-1:]).voids == [], "nothing is decided yet"
    assert voids.approve(void.id, "ramon", "", NOW + timedelta(minutes=3)) is False, "it was never posted: PSCloud need not hear of it"
    decision = told(send(phone, phone.entries[-1:]))
    assert decision | {"decided_at": ""} == {
        "void_number": void.void_number,
        "payment": wrong.payload["payment"],
        "receipt_number": wrong.payload["receipt_number"],
        "amount": 30000,
        "tender": "cash",
        "decision": "approved",
        "decided_by": "ramon",
        "decided_at": "",
        "reason": "",
    }
    phone.write_down(decision)
    phone.x_reading()
    phone.z_reading()
    answer = send(phone)
    assert set(statuses(answer)) <= {"stored", "repeat"} and answer.voids == []
    detail = readings.get(readings.recent(1)[0].id)
    assert detail and detail.differences == []
    figures = {name: detail.portal[name] for name in ("gross", "less_void", "net", "less_voided_cash", "expected_cash", "first_void")}
    assert figures == {
        "gross": 42345, "less_void": 30000, "net": 12345, "less_voided_cash": 30000, "expected_cash": 62345, "first_void": void.void_number,
    }  # fmt: skip
    assert detail.portal["present_accumulated"] == 42345, "the accumulated total never goes down by a void (I8)"
    terminal = terminal_store.by_code(phone.code)
    assert terminal and terminal.last_void == 1
    assert audit.verify()[1] is None


def test_a_void_decided_after_the_z_counts_in_the_next_registry_and_the_made_z_stays(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 5000)
    void = asked(phone, paid)
    phone.z_reading()
    phone.close()
    assert send(phone).verdicts[-1]["status"] == "stored" and z_differences(phone) == []
    voids.approve(void.id, "ramon", "seen", NOW)
    decision = told(send(phone, phone.entries[-1:]))
    phone.open(business_date="2026-11-21")
    phone.pay(make_soa("S2"), 700)
    phone.write_down(decision)
    phone.z_reading()
    assert set(statuses(send(phone))) <= {"stored", "repeat"}
    detail = readings.get(readings.recent(1)[0].id)
    assert detail and detail.differences == []
    assert (detail.portal["gross"], detail.portal["less_void"], detail.portal["net"]) == (700, 5000, -4300)
    assert detail.portal["first_void"] is None, "its number was issued in the registry before"


def test_a_refused_void_counts_nowhere_and_may_be_asked_for_again(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 5000)
    first = asked(phone, paid)
    voids.refuse(first.id, "ramon", "The receipt is right", NOW)
    decision = told(send(phone, phone.entries[-1:]))
    assert (decision["decision"], decision["reason"]) == ("refused", "The receipt is right")
    phone.write_down(decision)
    second = asked(phone, paid)
    assert second.void_number.endswith("V000002")
    phone.z_reading()
    assert send(phone).verdicts[-1]["status"] == "stored" and z_differences(phone) == []


def test_nobody_decides_a_void_they_asked_for_or_a_payment_they_collected_nor_decides_twice(phone: Phone) -> None:
    void = asked(phone, phone.pay(make_soa(), 5000))
    for attempt in (lambda: voids.approve(void.id, "nena", "", NOW), lambda: voids.refuse(void.id, "nena", "no reason", NOW)):
        with pytest.raises(Forbidden):
            attempt()
        db.session.rollback()
    with pytest.raises(InvalidInput):
        voids.refuse(void.id, "ramon", " x ", NOW)
    with pytest.raises(NotFound):
        voids.approve(9999, "ramon", "", NOW)
    db.session.rollback()
    voids.approve(void.id, "ramon", "", NOW)
    for name in ("ramon", "sonia"):
        with pytest.raises(Conflict, match="approved already"):
            voids.refuse(void.id, name, "changed my mind", NOW)
        db.session.rollback()


def test_a_request_that_cannot_be_right_is_quarantined_in_plain_words(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 5000)
    send(phone)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"amount": 4999}, "not that of its payment"),
        ({"receipt_number": f"{phone.code}-00000099"}, "not that of its payment"),
        ({"payment": phone.registry}, "not made on this terminal"),
        ({"void_number": "T99-V000001"}, "of another terminal"),
        ({"void_number": "V1"}, "is not a number of the form"),
        ({"registry": paid.payload["payment"]}, "never opened on this terminal"),
        ({"reason": "   "}, "reason must be a text"),
    ]
    for fields, why in wrong:
        phone.ask_void(paid, **fields)
        phone.voids -= 1
        verdict = send(phone).verdicts[-1]
        assert verdict["status"] == "quarantined" and why in verdict["reason"], verdict
    asked(phone, paid)
    for fields, why in (({}, "waits already"), ({"void_number": f"{phone.code}-V000001"}, "is taken")):
        phone.ask_void(paid, **fields)
        verdict = send(phone).verdicts[-1]
        assert verdict["status"] == "quarantined" and why in verdict["reason"], verdict
    assert len(store.of_payment(paid.payload["payment"])) == 1


def test_a_hole_in_the_void_numbers_is_told_and_no_void_enters_a_registry_after_its_z(phone: Phone) -> None:
    paid, other = phone.pay(make_soa(), 5000), phone.pay(make_soa("S2"), 100)
    phone.voids = 2
    asked(phone, paid)
    assert [(gap.series, gap.run) for gap in missing.not_arrived(phone.terminal.id)] == [("void", (1, 2))]
    terminal = terminal_store.by_code(phone.code)
    assert terminal and terminal.last_void == 3
    phone.z_reading()
    phone.ask_void(other)
    verdict = send(phone).verdicts[-1]
    assert verdict["status"] == "quarantined" and "Z-reading already" in verdict["reason"]


def test_what_the_phone_wrote_down_must_be_what_the_office_decided_and_counts_once(phone: Phone) -> None:
    void = asked(phone, phone.pay(make_soa(), 5000))
    made_up = {
        "void_number": void.void_number, "payment": void.payment_id, "amount": 5000, "tender": "cash", "decision": "approved",
        "decided_by": "ramon", "decided_at": "2026-11-20T09:31:00.000+08:00",
    }  # fmt: skip
    phone.write_down(made_up)
    verdict = send(phone).verdicts[-1]
    assert verdict["status"] == "quarantined" and "not decided yet" in verdict["reason"]
    voids.approve(void.id, "ramon", "", NOW)
    decision = told(send(phone, phone.entries[-1:]))
    for change in ({"decision": "refused"}, {"amount": 4000}, {"decided_by": "sonia"}, {"decided_at": "2026-11-20T09:31:00+08:00"}):
        phone.write_down(decision, **change)
        verdict = send(phone).verdicts[-1]
        assert verdict["status"] == "quarantined" and "not what the office decided" in verdict["reason"], change
    assert told(send(phone, phone.entries[-1:])) == decision, "it is told again until the journal holds it"
    phone.write_down(decision)
    assert send(phone).verdicts[-1]["status"] == "stored"
    phone.write_down(decision)
    verdict = send(phone).verdicts[-1]
    assert verdict["status"] == "quarantined" and "written down before" in verdict["reason"]


def test_another_collectors_terminal_cannot_void_this_payment(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 5000)
    send(phone)
    make_user("liza", "collector", codes=["A1"])
    other = make_phone("liza")
    other.start()
    other.ask_void(paid)
    verdict = send(other).verdicts[-1]
    assert verdict["status"] == "quarantined" and "not made on this terminal" in verdict["reason"]


def test_the_same_upload_again_books_no_second_void(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 5000)
    asked(phone, paid)
    assert set(statuses(send(phone))) == {"repeat"}
    assert len(store.of_payment(paid.payload["payment"])) == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE voids SET reason = 'another'",
        "UPDATE voids SET state = 'refused', decided_by = 'x'",
        "UPDATE voids SET counted_seq = 1",
        "UPDATE voids SET counted_seq = NULL",
        "DELETE FROM voids",
        "UPDATE terminals SET last_void = 0",
    ],
)
def test_the_database_itself_keeps_what_was_asked_decided_and_written_down(phone: Phone, change: str) -> None:
    void = asked(phone, phone.pay(make_soa(), 5000))
    voids.approve(void.id, "ramon", "", NOW)
    phone.write_down(told(send(phone, phone.entries[-1:])))
    send(phone)
    with pytest.raises(DatabaseError):
        db.session.execute(text(change))
    db.session.rollback()

"""What a receipt's code proves, and the state of its payment. On both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from portal.domain.errors import NotFound
from portal.extensions import db
from portal.services import receipt_check, terminals, voids
from portal.store import terminals as terminal_store
from portal.store import voids as void_store
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas
from tests.services.test_journal import send

SOA = make_soa()


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    make_user("ramon", "supervisor")
    store_soas(SOA)
    made = make_phone("nena")
    made.start()
    return made


def test_a_receipt_is_genuine_before_and_after_its_upload(phone: Phone) -> None:
    send(phone)
    paid = phone.pay(SOA, 12345)
    code = phone.receipt_code(paid)
    before = receipt_check.check(code)
    assert (before.state, before.receipt_number, before.facts.amount) == ("not_received", "T01-00000001", 12345)
    assert before.facts.soa_number == SOA.soa_number and paid.hash.startswith(before.facts.hash_start)
    send(phone)
    assert receipt_check.check(code) == replace(before, state="received")


def test_only_an_approved_void_makes_a_receipt_void(phone: Phone) -> None:
    paid = phone.pay(SOA, 12345)
    asked = phone.ask_void(paid)
    send(phone)
    code = phone.receipt_code(paid)
    assert receipt_check.check(code).state == "received"
    void = void_store.by_number(asked.payload["void_number"])
    assert void
    voids.approve(void.id, "ramon", "agreed", NOW)
    assert receipt_check.check(code).state == "voided"


def test_a_revoked_terminal_proves_what_was_received_and_no_more(phone: Phone) -> None:
    first = phone.pay(SOA, 100)
    send(phone)
    later = phone.pay(SOA, 200)
    terminals.revoke(phone.code, "ada", NOW)
    assert receipt_check.check(phone.receipt_code(first)).state == "received"
    assert receipt_check.check(phone.receipt_code(later)).state == "revoked"


@pytest.mark.parametrize(
    "fact",
    [
        {"amount": 99900}, {"number": 2}, {"seq": 3}, {"tender": "check"}, {"soa_number": "other"}, {"hash_start": "0" * 32}, {"at": 5},
    ],
)  # fmt: skip
def test_a_terminal_that_signs_other_facts_than_it_uploaded_is_found_out(phone: Phone, fact: dict[str, Any]) -> None:
    paid = phone.pay(SOA, 12345)
    send(phone)
    assert receipt_check.check(phone.receipt_code(paid, **fact)).state == "differs"


def test_a_payment_whose_place_in_the_journal_is_taken_by_another_differs(phone: Phone) -> None:
    paid = phone.pay(SOA, 12345)
    send(phone)
    code = phone.receipt_code(paid, payment="0b7f7c52-6a3a-4c37-9a0e-0d8c3f0a1b2c")
    assert receipt_check.check(code).state == "differs"


def test_a_payment_of_another_terminal_is_not_proved_by_this_one(phone: Phone) -> None:
    paid = phone.pay(SOA, 12345)
    send(phone)
    other = make_phone("nena")
    other.entries = list(phone.entries)
    assert receipt_check.check(other.receipt_code(paid)).state == "differs"


def test_every_code_that_proves_nothing_is_refused_with_the_same_words(phone: Phone) -> None:
    paid = phone.pay(SOA, 12345)
    send(phone)
    code = phone.receipt_code(paid)
    stranger = make_phone("nena")
    forged = []
    for stranger.code in (phone.code, "T99"):
        forged.append(stranger.receipt_code(paid))
    changed = "E" + ("B" if code[1] != "B" else "C") + code[2:]
    flipped = code[:-4] + ("AAAA" if code[-4:] != "AAAA" else "BBBB")
    odd = ["", "x", "é", "\0", "A" * 5000]
    for one in [*forged, changed, flipped, code[:-1], code[:40], f"{code}A", f"{code}=", *odd]:
        with pytest.raises(NotFound) as caught:
            receipt_check.check(one)
        assert caught.value.message == receipt_check.NOT_OURS, one
    assert receipt_check.check(code).state == "received"


def test_a_terminal_that_nobody_approved_proves_nothing(phone: Phone) -> None:
    code = phone.receipt_code(phone.pay(SOA, 12345))
    assert receipt_check.check(code).state == "not_received"
    terminal_store.set_fields(phone.terminal.id, state="waiting")
    db.session.commit()
    with pytest.raises(NotFound):
        receipt_check.check(code)

"""Codes by which a supervisor approves a void beside the collector: bound to one void, worthless in other hands. On both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from portal.domain import void_codes as rules
from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.domain.money import from_centavos
from portal.domain.receipts import void_number
from portal.extensions import db
from portal.services import journal, users, void_codes, voids
from portal.services.journal import Uploader
from portal.services.terminals import revoke as revoke_terminal
from portal.store import postings
from portal.store import users as user_store
from portal.store import void_codes as store
from portal.store import voids as void_store
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas
from tests.services.test_journal import AUTOMATIC, send


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    for name in ("ramon", "sonia"):
        make_user(name, "supervisor")
    store_soas(make_soa(), make_soa("S2"), make_soa("S3"))
    phone = make_phone("nena")
    phone.start()
    return phone


def facts(phone: Phone, paid: Entry, ahead: int = 1) -> tuple[str, int, str]:
    """Number, amount and challenge as the phone shows them for its next void."""
    number, amount = void_number(phone.code, phone.voids + ahead), paid.payload["amount"]
    return number, amount, rules.challenge(phone.code, paid.payload["payment"], number, amount)


def given(phone: Phone, paid: Entry, who: str = "ramon", ahead: int = 1) -> str:
    """The code that a supervisor gives for the next void."""
    number, amount, asked = facts(phone, paid, ahead)
    code_id = void_codes.issue(who, number.lower(), f"₱{from_centavos(amount):,}", f"{asked[:4]}-{asked[4:].lower()}", NOW)
    return void_codes.code_of(void_codes.own(code_id, who))


def void_of(entry: Entry) -> void_store.VoidRow:
    found = void_store.by_number(entry.payload["void_number"])
    assert found
    return found


def outcome(entry: Entry) -> str:
    return store.outcome_of(void_of(entry).id)


def audited(action: str) -> list[tuple[str, str]]:
    return [
        tuple(row) for row in db.session.execute(text("SELECT who, subject FROM audit_log WHERE action = :a ORDER BY seq"), {"a": action})
    ]


def test_a_right_code_approves_the_void_when_it_arrives_and_the_payment_is_never_posted(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 30000)
    entry = phone.ask_void(paid, supervisor_code=given(phone, paid))
    answer = send(phone)
    assert {verdict["status"] for verdict in answer.verdicts} == {"stored"}
    void = void_of(entry)
    assert (void.state, void.decided_by, void.decided_at, void.decision_reason) == ("approved", "ramon", NOW, voids.BY_CODE)
    assert (outcome(entry), void.posting_status) == ("approved", "none")
    (told,) = answer.voids
    assert (told["decision"], told["decided_by"], told["payment"]) == ("approved", "ramon", paid.payload["payment"])
    assert postings.due_count(NOW + timedelta(days=1)) == 0
    assert postings.claim("w", NOW + timedelta(days=1), NOW + timedelta(days=2), 10) == []
    assert audited("void_approved") == [("ramon", paid.payload["payment"])]
    assert audited("void_code_given") == [("ramon", phone.code)]
    again = send(phone)
    assert again.voids == answer.voids and {verdict["status"] for verdict in again.verdicts} == {"repeat"}
    assert len(audited("void_approved")) == 1
    phone.write_down(told)
    phone.z_reading()
    assert {verdict["status"] for verdict in send(phone).verdicts} == {"stored", "repeat"}
    assert phone.entries[-1].payload["reading"]["less_void"] == 30000


def test_without_a_code_nothing_is_looked_at_and_a_wrong_one_leaves_an_ordinary_request(phone: Phone) -> None:
    first, second, third = (phone.pay(make_soa(soa), 10000) for soa in ("S1", "S2", "S3"))
    plain = phone.ask_void(first)
    right = given(phone, second)
    wrong = phone.ask_void(second, supervisor_code=f"{(int(right) + 1) % 10**8:08d}")
    odd = phone.ask_void(third, supervisor_code={"code": 1})
    answer = send(phone)
    assert {verdict["status"] for verdict in answer.verdicts} == {"stored"} and answer.voids == []
    assert [outcome(entry) for entry in (plain, wrong, odd)] == ["", "wrong", "wrong"]
    assert {void_of(entry).state for entry in (plain, wrong, odd)} == {"requested"}
    assert [subject for _, subject in audited("void_code_not_taken")] == [second.payload["payment"], third.payload["payment"]]
    assert voids.approve(void_of(wrong).id, "sonia", "", NOW) is False, "it can be decided as any other"


def test_a_code_is_for_one_void_one_payment_one_amount_and_one_terminal(phone: Phone) -> None:
    make_user("jun", "collector", codes=["A1"])
    other = make_phone("jun")
    other.start()
    first, second = phone.pay(make_soa(), 10000), phone.pay(make_soa("S2"), 10000)
    code = given(phone, first)
    swapped = phone.ask_void(second, supervisor_code=code)
    later = phone.ask_void(first, supervisor_code=code)
    theirs = other.ask_void(other.pay(make_soa("S3"), 10000), supervisor_code=code)
    send(phone)
    send(other)
    assert [outcome(entry) for entry in (swapped, later, theirs)] == ["wrong", "wrong", "wrong"]


@pytest.mark.parametrize("what", ["revoked", "disabled", "role", "terminal"])
def test_a_code_that_lost_its_worth_leaves_an_ordinary_request(phone: Phone, what: str) -> None:
    paid = phone.pay(make_soa(), 10000)
    code = given(phone, paid)
    (row,) = store.open_of((user_store.by_name("ramon") or pytest.fail("no ramon")).id)
    if what == "revoked":
        void_codes.revoke(row.id, "ramon", NOW)
    elif what == "disabled":
        users.disable("ramon", "ada", NOW)
    elif what == "role":
        db.session.execute(text("DELETE FROM user_roles WHERE role = 'supervisor' AND user_id = :id"), {"id": row.user_id})
        db.session.commit()
    else:
        revoke_terminal(phone.code, "ada", NOW)
    entry = phone.ask_void(paid, supervisor_code=code)
    send(phone)
    assert void_of(entry).state == "requested"
    assert outcome(entry) == {"revoked": "revoked", "terminal": "not_taken"}.get(what, "not_entitled")


def test_who_collected_or_holds_the_terminal_gives_no_code_and_none_of_theirs_is_taken(phone: Phone) -> None:
    make_user("lito", "collector", "supervisor", codes=["A1"])
    own = make_phone("lito")
    own.start()
    paid = own.pay(make_soa(), 10000)
    with pytest.raises(Forbidden, match="own terminal"):
        given(own, paid, "lito")
    number, amount, asked = facts(own, paid)
    lito = user_store.by_name("lito")
    assert lito
    terminal_id = db.session.execute(text("SELECT id FROM terminals WHERE code = :code"), {"code": own.code}).scalar_one()
    store.add(lito.id, terminal_id, number, from_centavos(amount), asked, bytes(32), NOW)
    db.session.commit()
    entry = own.ask_void(paid, supervisor_code=rules.code(bytes(32), number, amount, asked))
    send(own)
    assert (outcome(entry), void_of(entry).state) == ("not_entitled", "requested")


def test_after_five_wrong_codes_in_a_day_the_right_one_is_not_looked_at(phone: Phone) -> None:
    payments = [phone.pay(make_soa(), 1000 + place) for place in range(7)]
    for paid in payments[:5]:
        phone.ask_void(paid, supervisor_code="00000000")
    right = phone.ask_void(payments[5], supervisor_code=given(phone, payments[5]))
    send(phone)
    assert (outcome(right), void_of(right).state) == ("locked", "requested")
    raised = db.session.execute(text("SELECT subject FROM incidents WHERE kind = 'void_codes'")).scalars()
    assert list(raised) == [f"{phone.code}-V000005"]
    late = phone.ask_void(payments[6], supervisor_code=given(phone, payments[6]))
    send(phone, now=NOW + timedelta(hours=25))
    assert (outcome(late), void_of(late).state) == ("approved", "approved")


def test_giving_a_code_says_in_plain_words_what_is_wrong(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 10000)
    number, _, asked = facts(phone, paid)
    for arguments, error, words in [
        (("ramon", "T99-V000001", "100", asked), InvalidInput, "no terminal T99"),
        (("ramon", "7", "100", asked), InvalidInput, "T07-V000004"),
        (("ramon", number, "0", asked), InvalidInput, "above zero"),
        (("ramon", number, "many", asked), InvalidInput, "many"),
        (("ramon", number, "100", "ABC"), InvalidInput, "eight letters"),
        (("nena", number, "100", asked), Forbidden, "Only a supervisor"),
        (("nobody", number, "100", asked), Forbidden, "Only a supervisor"),
    ]:
        with pytest.raises(error, match=words):
            void_codes.issue(*arguments, NOW)
    phone.ask_void(paid)
    send(phone)
    with pytest.raises(Conflict, match="arrived already"):
        void_codes.issue("ramon", number, "100", asked, NOW)


def test_the_same_again_is_the_same_code_until_it_is_taken_back_and_it_is_shown_to_who_gave_it_alone(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 10000)
    code = given(phone, paid)
    assert given(phone, paid) == code and given(phone, paid, "sonia") != code
    (row,) = store.open_of((user_store.by_name("ramon") or pytest.fail("no ramon")).id)
    assert void_codes.known_payment(row) is None
    send(phone)
    known = void_codes.known_payment(row)
    assert known and known.receipt_number == paid.payload["receipt_number"]
    with pytest.raises(NotFound):
        void_codes.own(row.id, "sonia")
    with pytest.raises(NotFound):
        void_codes.revoke(row.id, "sonia", NOW)
    void_codes.revoke(row.id, "ramon", NOW)
    with pytest.raises(Conflict, match="before"):
        void_codes.revoke(row.id, "ramon", NOW)
    fresh = given(phone, paid)
    assert fresh != code
    phone.ask_void(paid, supervisor_code=fresh)
    send(phone)
    (used,) = [one for one in store.for_void(row.terminal_id, row.void_number, row.amount, row.challenge) if one.void_id]
    with pytest.raises(Conflict, match="arrived with this code"):
        void_codes.revoke(used.id, "ramon", NOW)
    assert audited("void_code_revoked") == [("ramon", phone.code)]


def test_a_collector_who_may_not_log_in_any_more_approves_nothing_by_code(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 10000)
    entry = phone.ask_void(paid, supervisor_code=given(phone, paid))
    body = phone.upload_body(None)
    disabled = Uploader(phone.terminal.user_id, "nena", disabled=True)
    journal.receive(body["terminal"], body["entries"], body["signature"], disabled, AUTOMATIC, NOW)
    assert (outcome(entry), void_of(entry).state) == ("not_taken", "requested")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE void_codes SET amount = amount + 1",
        "DELETE FROM void_codes",
        "UPDATE void_code_uses SET outcome = 'wrong'",
        "DELETE FROM void_code_uses",
    ],
)
def test_the_database_keeps_what_was_given_and_what_became_of_it(phone: Phone, statement: str) -> None:
    paid = phone.pay(make_soa(), 10000)
    phone.ask_void(paid, supervisor_code=given(phone, paid))
    send(phone)
    with pytest.raises(DatabaseError):
        db.session.execute(text(statement))
    db.session.rollback()


def test_a_posted_payment_is_told_to_pscloud(phone: Phone) -> None:
    paid: Any = phone.pay(make_soa(), 10000)
    send(phone)
    db.session.execute(text("UPDATE postings SET status = 'completed'"))
    db.session.execute(text("UPDATE payments SET status = 'completed'"))
    db.session.commit()
    entry = phone.ask_void(paid, supervisor_code=given(phone, paid))
    answer = send(phone)
    assert answer.approved, "the worker is woken"
    assert void_of(entry).posting_status == "due"

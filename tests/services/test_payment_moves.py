"""What a person does with a payment that is not posted: returned to its collector, allocated anew; and what is kept of each attempt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from portal.domain.errors import Conflict, Forbidden, InvalidInput
from portal.domain.payments import masked
from portal.extensions import db
from portal.services import journal, payments
from portal.services.journal import Policy, Uploader
from portal.store import ledger, payment_totals, postings
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, raw, store_soas


def send(phone: Phone) -> None:
    uploader = Uploader(phone.terminal.user_id, "nena")
    journal.receive(phone.code, [raw(entry) for entry in phone.entries], phone.sign(phone.entries), uploader, Policy("manual", 7), NOW)


@pytest.fixture
def paid(any_app: Flask) -> str:
    """A pending payment of 500.00 on an SOA with two invoices of 1,120.00."""
    make_user("carla", "office")
    make_user("ramon", "supervisor")
    make_user("nena", "collector", "supervisor", codes=["A1"])
    store_soas(make_soa("S1"))
    phone = make_phone("nena")
    phone.start()
    payment_id: str = phone.pay(make_soa("S1"), 50000).payload["payment"]
    send(phone)
    return payment_id


def parts(payment_id: str) -> list[tuple[str | None, str, int]]:
    return [(part.invoice, part.kind, part.amount) for part in ledger.current_parts(payment_id)]


def test_a_payment_is_returned_with_a_reason_and_stays_pending(paid: str) -> None:
    with pytest.raises(InvalidInput):
        payments.give_back(paid, "carla", " x ", NOW)
    db.session.rollback()
    payments.give_back(paid, "carla", "The receipt is not signed", NOW)
    detail = ledger.get(paid)
    assert detail and detail.row.status == "pending" and "Returned to the collector by carla" in detail.row.status_reason
    payments.approve([paid], "carla", False, NOW)
    with pytest.raises(Conflict):
        payments.give_back(paid, "carla", "The receipt is not signed", NOW)


def test_a_payment_is_allocated_anew_on_the_invoice_chosen_and_what_was_printed_stays(paid: str) -> None:
    assert parts(paid) == [("I1", "principal", 50000)]
    payments.reallocate(paid, "ramon", ["I2"], "The customer meant the second invoice", NOW)
    assert parts(paid) == [("I2", "principal", 50000)]
    detail = ledger.get(paid)
    assert detail and [(part.generation, part.current, part.invoice_number) for part in detail.allocations] == [
        (1, True, "SI-0002"), (0, False, "SI-0001"),
    ]  # fmt: skip
    with pytest.raises(InvalidInput, match="already"):
        payments.reallocate(paid, "ramon", ["I2"], "Once more the same", NOW)
    db.session.rollback()
    payments.reallocate(paid, "ramon", [], "Back to the oldest", NOW)
    assert parts(paid) == [("I1", "principal", 50000)] and payment_totals.wrong() == []
    with pytest.raises(Forbidden):
        payments.reallocate(paid, "nena", ["I2"], "Mine", NOW)
    db.session.rollback()
    with pytest.raises(InvalidInput, match="not of this SOA"):
        payments.reallocate(paid, "ramon", ["I9"], "There is none", NOW)
    db.session.rollback()
    payments.approve([paid], "carla", False, NOW)
    with pytest.raises(Conflict, match="pending or failed"):
        payments.reallocate(paid, "ramon", ["I2"], "Too late", NOW)


def test_what_was_collected_on_the_soa_meanwhile_leaves_only_the_rest(paid: str) -> None:
    phone = make_phone("nena")
    phone.start()
    phone.pay(make_soa("S1"), 112000, mode="directed", directed=["I2"])
    send(phone)
    payments.reallocate(paid, "ramon", ["I2"], "The customer meant the second invoice", NOW)
    assert sum(amount for _, _, amount in parts(paid)) == 50000 and ("I2", "principal", 50000) not in parts(paid)


def test_the_entry_of_a_payment_is_checked_against_its_chain(paid: str) -> None:
    detail = ledger.get(paid)
    assert detail
    proof = ledger.proof(detail)
    assert proof and proof.intact and proof.before is True and json.loads(proof.payload)["payment"] == paid


def test_each_attempt_is_kept_and_never_changed(paid: str) -> None:
    for number, outcome in enumerate(("postponed", "completed"), start=1):
        postings.note([postings.Attempt(paid, NOW, number, outcome, "", '{"status": "accepted"}')])
    db.session.commit()
    assert [(one.attempt, one.outcome) for one in postings.attempts_of(paid)] == [(2, "completed"), (1, "postponed")]


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ('{"reference": "r", "status": "accepted"}', '{"reference": "r", "status": "accepted"}'),
        ('{"access_token": "abc\\"d", "amount": "1.00"}', '{"access_token": "...", "amount": "1.00"}'),
        ('{"X-Api-Key": 12345, "x": 1}', '{"X-Api-Key": "...", "x": 1}'),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ..."),
    ],
)
def test_secrets_in_an_answer_are_masked(answer: str, kept: str) -> None:
    assert masked(answer) == kept


def test_the_page_of_a_payment_tells_all_of_it(any_app: Flask, paid: str) -> None:
    from tests.factories import csrf_of, sign_in

    client: Any = sign_in(any_app, "ramon")
    page = client.get(f"/payments/{paid}").text
    for words in (
        "Return to the collector",
        "Allocate anew",
        "The receipt as printed",
        "The entry as it was sent",
        'id="chain"',
        "Checked",
    ):
        assert words in page, words
    sent = {"csrf_token": csrf_of(page), "reason": "The customer meant the second invoice", "invoice": "I2"}
    assert client.post(f"/payments/{paid}/reallocate", data=sent).status_code == 303
    assert "SI-0002" in client.get(f"/payments/{paid}").text
    assert client.post(f"/payments/{paid}/return", data={**sent, "reason": "Not signed"}).status_code == 303
    assert "Returned to the collector by ramon: Not signed" in client.get(f"/payments/{paid}").text

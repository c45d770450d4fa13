"""A payment of an account that was in no list is given to its SOA: once, before it is posted, by somebody who did not collect it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.extensions import db
from portal.services import journal, payments
from portal.services.journal import Policy, Uploader
from portal.store import ledger, payment_totals, postings
from tests.factories import NOW, csrf_of, make_phone, make_soa, make_user, raw, sign_in, store_soas

WHY = "The customer's booklet names this SOA"
AWAY = {"soa": "account:XX", "soa_number": "XX", "account_number": "XX", "customer_name": "Cruz", "soa_version": "-"}
ADVANCE = {"invoice": None, "invoice_number": None, "kind": "advance", "amount": 5000}
NO_VAT = {"vatable": 0, "vat_amount": 0, "vat_exempt": 0, "zero_rated": 0}


@pytest.fixture
def lost(any_app: Flask) -> str:
    """A pending OR entry of 50.00 on an account that the portal does not know."""
    make_user("carla", "office")
    make_user("ramon", "supervisor")
    make_user("nena", "collector", "supervisor", codes=["A1"])
    store_soas(make_soa("S1"), make_soa("S2"))
    phone = make_phone("nena")
    phone.start()
    given: dict[str, Any] = {"or_number": "7", "or_date": "2026-11-19", "allocations": [ADVANCE], "vat": NO_VAT}
    entry = phone.append("payment", phone.payload(make_soa("S9"), 5000) | AWAY | given)
    uploader = Uploader(phone.terminal.user_id, "nena")
    journal.receive(phone.code, [raw(one) for one in phone.entries], phone.sign(phone.entries), uploader, Policy("manual", 7), NOW)
    payment_id: str = entry.payload["payment"]
    return payment_id


def test_it_belongs_to_the_soa_from_then_on_and_is_posted_there(lost: str) -> None:
    soa = make_soa("S2")
    for who, number, error in (("ramon", "SOA-NOWHERE", InvalidInput), ("ramon", "", InvalidInput), ("nena", soa.soa_number, Forbidden)):
        with pytest.raises(error):
            payments.assign(lost, who, number, WHY, NOW)
        db.session.rollback()
    with pytest.raises(NotFound):
        payments.assign("00000000-0000-4000-8000-000000000000", "ramon", soa.soa_number, WHY, NOW)
    db.session.rollback()
    payments.assign(lost, "ramon", f" {soa.soa_number} ", WHY, NOW)
    detail = ledger.get(lost)
    assert detail and (detail.row.soa_id, detail.row.soa_number, detail.row.account_number) == ("S2", soa.soa_number, soa.account_number)
    assert "unassigned_account" not in detail.row.flags and "or_entry" in detail.row.flags and payment_totals.wrong() == []
    assert [(part.generation, part.invoice_number, part.kind) for part in detail.allocations] == [
        (1, "SI-0001", "principal"), (0, None, "advance"),
    ]  # fmt: skip
    assert [part.amount for part in ledger.unreflected(["S2"])["S2"]] == [5000] and ledger.proof(detail).intact  # type: ignore[union-attr]
    noted = db.session.execute(text("SELECT count(*) FROM audit_log WHERE action = 'payment_assigned'")).scalar_one()
    assert noted == 1
    with pytest.raises(Conflict, match="already"):
        payments.assign(lost, "ramon", make_soa("S1").soa_number, WHY, NOW)
    db.session.rollback()
    payments.approve([lost], "ramon", True, NOW)
    (item,) = postings.claim("a", NOW, NOW + timedelta(minutes=1), 10)
    assert item.soa_id == "S2"


def test_what_is_approved_or_posted_stays_as_it_is(any_app: Flask, lost: str) -> None:
    number = make_soa("S2").soa_number
    payments.approve([lost], "ramon", True, NOW)
    with pytest.raises(Conflict, match="Hold"):
        payments.assign(lost, "ramon", number, WHY, NOW)
    db.session.rollback()
    ledger.set_status(lost, "approved", "processing", "", NOW)
    ledger.set_posted({lost: "P-1"}, NOW)
    db.session.commit()
    with pytest.raises(Conflict, match="in PSCloud"):
        payments.assign(lost, "ramon", number, WHY, NOW)
    db.session.rollback()
    with pytest.raises(DatabaseError):
        db.session.execute(text("UPDATE payments SET soa_id = 'S2'"))
    db.session.rollback()
    page = sign_in(any_app, "ramon").get(f"/payments/{lost}").text
    assert 'id="assign-posted"' in page and 'id="assign"' not in page


def test_the_database_lets_nothing_else_of_it_be_changed(lost: str) -> None:
    for change in ("soa_id = 'S2', amount = 1", "soa_id = 'account:YY'", "soa_number = 'X'", "soa_id = 'S2', customer_name = 'X'"):
        with pytest.raises(DatabaseError):
            db.session.execute(text(f"UPDATE payments SET {change}"))  # noqa: S608
        db.session.rollback()


def test_a_supervisor_does_it_on_the_page_of_the_payment(any_app: Flask, lost: str) -> None:
    assert 'id="assign"' not in sign_in(any_app, "carla").get(f"/payments/{lost}").text
    client = sign_in(any_app, "ramon")
    page = client.get(f"/payments/{lost}").text
    assert 'id="assign"' in page
    sent = {"csrf_token": csrf_of(page), "soa": make_soa("S2").soa_number, "reason": WHY}
    assert client.post(f"/payments/{lost}/assign", data=sent).status_code == 303
    after = client.get(f"/payments/{lost}").text
    assert "SI-0001" in after and 'id="assign"' not in after and "Not assigned" not in after
    assert client.post(f"/payments/{lost}/assign", data=sent).status_code == 409

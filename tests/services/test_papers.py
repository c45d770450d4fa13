"""Checks, e-wallet payments and deposits: each move audited, money that adds up, and a second person where a bounce is settled."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.remittances import Handed
from portal.extensions import db
from portal.services import papers, remittances, voids
from portal.store import ledger
from portal.store import papers as store
from portal.store import remittances as desk
from portal.store import voids as void_store
from portal.store.models import AuditEntry
from portal.store.papers import OTHERS, PaperFilter
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas
from tests.services.test_journal import send

TODAY = date(2026, 11, 20)
CHECKS, TRANSFERS = PaperFilter(("check",)), PaperFilter(OTHERS)


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    """A day with cash, two checks, GCash and a transfer, closed and remitted to carla."""
    for name, role in (("carla", "office"), ("dora", "office"), ("ramon", "supervisor"), ("sonia", "supervisor")):
        make_user(name, role)
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa("S1"))
    phone = make_phone("nena")
    phone.start(change_fund=0)
    phone.pay(make_soa("S1"), 10000)
    for number, tender in enumerate(("check", "check", "e_wallet", "bank_transfer")):
        phone.pay(make_soa("S1"), 1000 * (number + 1), tender=tender, channel="BDO", reference=f"R-{number}")
    phone.z_reading()
    phone.close()
    send(phone)
    return phone


def remit(phone: Phone) -> None:
    due = desk.waiting_readings(phone.terminal.user_id)
    others = desk.expected_others([row.id for row in due])
    sums: dict[tuple[str, str | None], tuple[int, int]] = {}
    for one in others:
        count, amount = sums.get((one.tender, one.channel), (0, 0))
        sums[one.tender, one.channel] = (count + one.count, amount + one.amount)
    lines = [Handed(tender, channel, count, amount) for (tender, channel), (count, amount) in sums.items()]
    pieces = [{"value": 10000, "kind": "bill", "count": 1}]
    remittances.receive(phone.terminal.user_id, [row.id for row in due], pieces, lines, "", "carla", NOW)


def of(wanted: PaperFilter, state: str = "") -> list[str]:
    rows = store.list_page(PaperFilter(wanted.tenders, state))
    return [row.payment_id for row in rows]


def audited(action: str) -> int:
    return db.session.execute(select(func.count()).where(AuditEntry.action == action)).scalar_one()


def deposit(cash: dict[int, Decimal], checks: list[str], total: str, slip: str = "77", request: str = "") -> int:
    return papers.deposit("BDO 001-234", slip, TODAY, cash, checks, Decimal(total), "carla", NOW, TODAY, request)


def test_each_payment_that_is_not_cash_has_its_place_from_the_upload_on(phone: Phone) -> None:
    assert {state: (one.count, one.amount) for state, one in store.sums(CHECKS).items()} == {"received": (2, Decimal("30.00"))}
    assert {state: (one.count, one.amount) for state, one in store.sums(TRANSFERS).items()} == {"unverified": (2, Decimal("70.00"))}
    assert store.due_until(TODAY).count == 2 and store.due_until(TODAY - timedelta(days=1)).count == 0
    assert store.waiting(OTHERS, "unverified").oldest == TODAY
    assert store.to_deposit(TODAY) == [], "what is not remitted is not in the office"


def test_a_deposit_holds_cash_and_checks_once_and_adds_up_to_the_slip(phone: Phone) -> None:
    remit(phone)
    (cash,) = store.cash_left()
    checks = of(CHECKS)
    with pytest.raises(InvalidInput, match="adds up to ₱90"):
        deposit({cash.remittance_id: Decimal(60)}, checks, "91")
    db.session.rollback()
    with pytest.raises(Conflict, match="not so much cash"):
        deposit({cash.remittance_id: Decimal(101)}, [], "101")
    db.session.rollback()
    made = deposit({cash.remittance_id: Decimal(60)}, checks, "90", request="1" * 36)
    assert deposit({cash.remittance_id: Decimal(60)}, checks, "90", request="1" * 36) == made, "the same form is one deposit"
    found = store.deposit(made)
    assert found and (found.row.number, found.row.cash, found.row.checks, found.row.total) == (
        "D-000001", Decimal(60), Decimal(30), Decimal(90),
    )  # fmt: skip
    assert of(CHECKS, "deposited") == checks and store.cash_left()[0].left == Decimal(40)
    with pytest.raises(Conflict, match="D-000001"):
        deposit({cash.remittance_id: Decimal(40)}, [], "40")
    db.session.rollback()
    with pytest.raises(Conflict, match="checks cannot be deposited"):
        deposit({}, checks[:1], "10", slip="78")
    db.session.rollback()
    deposit({cash.remittance_id: Decimal(40)}, [], "40", slip="78")
    assert store.cash_left() == [] and [row.number for row in store.deposits()] == ["D-000002", "D-000001"]
    assert audited("deposit_made") == 2


def test_a_post_dated_check_waits_for_its_day(phone: Phone) -> None:
    remit(phone)
    one, other = of(CHECKS)
    db.session.execute(text("UPDATE papers SET due_on = '2026-11-25' WHERE payment_id = :one"), {"one": one})
    db.session.commit()
    assert [row.payment_id for row in store.to_deposit(TODAY)] == [other] and store.due_until(TODAY).count == 1
    assert store.due_until(TODAY + timedelta(days=7)).count == 2
    with pytest.raises(Conflict, match="post-dated"):
        deposit({}, [one], "10")


def test_a_bounce_needs_the_bank_s_words_changes_no_money_and_is_settled_by_a_second_supervisor(phone: Phone) -> None:
    remit(phone)
    one, other = of(CHECKS)
    deposit({}, [one, other], "30")
    before = ledger.totals(ledger.PaymentFilter())
    with pytest.raises(InvalidInput, match="Say why"):
        papers.move([one], "bounced", "ramon", " ", NOW)
    db.session.rollback()
    papers.move([one], "bounced", "ramon", "Account closed", NOW)
    papers.move([other], "cleared", "carla", "", NOW)
    assert (of(CHECKS, "bounced"), of(CHECKS, "cleared")) == ([one], [other])
    assert ledger.totals(ledger.PaymentFilter()) == before, "nothing is un-paid"
    with pytest.raises(Conflict, match="cannot become"):
        papers.move([one], "cleared", "carla", "", NOW)
    db.session.rollback()
    with pytest.raises(Forbidden, match="themselves"):
        papers.settle(one, "ramon", "Paid in cash", NOW)
    db.session.rollback()
    papers.settle(one, "sonia", "Paid in cash, receipt T01-00000009", NOW)
    assert of(CHECKS, "settled") == [one] and store.waiting(("check",), "bounced").count == 0
    assert [move.state for move in store.moves_of(one)] == ["deposited", "bounced", "settled"]
    assert (audited("paper_bounced"), audited("paper_settled"), audited("paper_cleared")) == (1, 1, 1)
    with pytest.raises(DatabaseError):
        db.session.execute(text("UPDATE paper_moves SET note = 'other'"))
    db.session.rollback()


def test_a_bounced_check_may_go_to_the_bank_again(phone: Phone) -> None:
    remit(phone)
    one, _ = of(CHECKS)
    amount = str(store.some([one])[0].amount)
    deposit({}, [one], amount)
    papers.move([one], "bounced", "carla", "Funds came a day late", NOW)
    deposit({}, [one], amount, slip="79")
    assert of(CHECKS, "deposited") == [one] and store.some([one])[0].deposit == "D-000002"


def test_transfers_are_ticked_off_by_name_and_what_is_not_found_needs_a_reason(phone: Phone) -> None:
    one, other = of(TRANSFERS)
    papers.move([one], "verified", "carla", "Statement of 20 Nov", NOW)
    with pytest.raises(InvalidInput):
        papers.move([other], "not_found", "carla", "", NOW)
    db.session.rollback()
    papers.move([other], "not_found", "carla", "Not on the statement", NOW)
    papers.move([other], "verified", "dora", "Came the next day", NOW)
    rows = {row.payment_id: row for row in store.some([one, other])}
    assert (rows[one].state_by, rows[other].state_by) == ("carla", "dora") and store.waiting(OTHERS, "unverified").count == 0
    with pytest.raises(Conflict):
        papers.move([one], "cleared", "carla", "", NOW)
    db.session.rollback()
    with pytest.raises(NotFound):
        papers.move(["no such payment"], "verified", "carla", "", NOW)
    db.session.rollback()
    with pytest.raises(InvalidInput, match="Choose what"):
        papers.move([one], "lost", "carla", "", NOW)


def test_a_voided_check_waits_for_nobody_and_goes_to_no_bank(phone: Phone) -> None:
    phone.open()
    check = next(entry for entry in phone.entries if entry.kind == "payment" and entry.payload["tender"] == "check")
    phone.ask_void(check)
    send(phone)
    (void,) = void_store.of_payment(check.payload["payment"])
    voids.approve(void.id, "ramon", "Typed twice", NOW)
    remit(phone)
    assert check.payload["payment"] not in of(CHECKS, "received") and check.payload["payment"] in of(CHECKS)
    assert store.due_until(TODAY).count == 1 and len(store.to_deposit(TODAY)) == 1
    with pytest.raises(Conflict, match="cannot be deposited"):
        deposit({}, [check.payload["payment"]], "10")

"""A registry that the office closes for a phone: nothing is lost, nothing counts twice, and a phone that comes back is told.

tests/services/test_money_equations.py does the same over random days."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.extensions import db
from portal.services import journal, terminals, voids
from portal.services import readings as service
from portal.services.journal import Policy, Uploader
from portal.store import audit, incidents, ledger, readings
from portal.store import terminals as terminal_store
from portal.store import voids as void_store
from portal.store.models import ReadingPayment
from portal.store.reading_tables import KeptReading
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, raw, store_soas

WHY = "The phone fell into a canal"


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", "supervisor", codes=["A1"])
    make_user("ramon", "supervisor")
    store_soas(make_soa())
    phone = make_phone("nena")
    phone.start()
    return phone


def send(phone: Phone, start: int = 0) -> list[dict[str, object]]:
    entries = phone.entries[start:]
    uploader = Uploader(phone.terminal.user_id, "nena")
    return journal.receive(phone.code, [raw(one) for one in entries], phone.sign(entries), uploader, Policy("automatic", 7), NOW).verdicts


def close(phone: Phone) -> readings.ReadingDetail:
    found = readings.get(service.close_by_office(phone.registry, "ramon", WHY, NOW))
    assert found
    return found


def test_the_offices_z_holds_what_is_known_and_the_next_z_all_that_comes_later(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 10000)
    phone.append("cash_drop", {"registry": phone.registry, "amount": 2000, "description": "to the cashier"})
    send(phone)
    sent = len(phone.entries)
    office = close(phone)
    assert (office.row.made_by, office.reason, office.row.z_counter, office.journal_seq) == ("ramon", WHY, 1, -1)
    assert (office.portal["gross"], office.portal["less_drops"], office.portal["present_accumulated"]) == (10000, 2000, 10000)
    assert office.phone == {} and office.differences == []
    # The phone is found: it had taken more, writes a void and a drop down, closes its day, and lives another.
    phone.pay(make_soa(), 700)
    phone.append("cash_drop", {"registry": phone.registry, "amount": 300, "description": "to the cashier"})
    phone.ask_void(paid)
    send(phone, sent)
    (asked,) = void_store.of_payment(paid.payload["payment"])
    voids.approve(asked.id, "ramon", "", NOW)
    sent = len(phone.entries)
    phone.write_down(voids.decisions_for(phone.terminal.id)[0])
    phone.z_reading()
    phone.close()
    told = send(phone, sent)
    assert [one["status"] for one in told] == ["stored", "quarantined", "stored"]
    assert "The office closed this registry on 20 Nov 2026" in str(told[1]["reason"])
    (kept,) = readings.kept_beside(office.row.id)
    assert kept.phone["gross"] == 10700 and {one["field"] for one in kept.differences} >= {"gross", "less_void", "less_drops"}
    assert "closed_by_office" in [one.kind for one in incidents.open_incidents()]
    terminal = terminal_store.by_code(phone.code)
    assert terminal and terminal.z_counter == 1, "the phone's Z moved nothing"
    sent = len(phone.entries)
    phone.open(change_fund=0)
    phone.pay(make_soa(), 55)
    phone.z_reading()
    phone.close()
    assert {one["status"] for one in send(phone, sent)} == {"stored"}
    following = readings.get(readings.recent(1)[0].id)
    assert following and following.row.z_counter == 2 and following.row.made_by is None
    z = following.portal
    assert (z["previous_accumulated"], z["gross"], z["late_amount"], z["present_accumulated"]) == (10000, 55, 700, 10755)
    assert (z["carried_void"], z["carried_voided_cash"], z["carried_drops"]) == (10000, 10000, 300)
    assert (z["less_void"], z["less_drops"], z["expected_cash"]) == (10000, 300, 55 + 700 - 10000 - 300)
    assert following.row.only_late, "what the office's Z could not know is all that differs from the phone's paper"
    covered = list(db.session.scalars(select(ReadingPayment.payment_id)))
    assert len(covered) == len(set(covered)) == 3 and not readings.uncovered()
    assert audit.verify()[1] is None


def test_the_z_of_a_revoked_phone_that_sends_more_is_made_by_the_office_too(phone: Phone) -> None:
    phone.pay(make_soa(), 100)
    send(phone)
    close(phone)
    with pytest.raises(Conflict, match="enters its next Z-reading"):
        close(phone)
    terminals.revoke(phone.code, "ramon", NOW)
    with pytest.raises(Conflict, match="Nothing has arrived"):
        close(phone)
    sent = len(phone.entries)
    phone.pay(make_soa(), 250)
    send(phone, sent)
    (waiting,) = readings.open_registries()
    assert (waiting.id, waiting.forced, waiting.count) == (phone.registry, True, 1)
    second = close(phone)
    z = second.portal
    assert (z["z_counter"], z["gross"], z["late_amount"], z["change_fund"], z["expected_cash"]) == (2, 0, 250, 0, 250)
    assert z["present_accumulated"] == 350 and readings.open_registries() == [] and readings.uncovered() == []
    assert [one.row.z_counter for one in readings.chain(phone.code)] == [2, 1]


def test_only_another_supervisor_closes_an_open_registry_and_says_why(phone: Phone) -> None:
    send(phone)
    with pytest.raises(InvalidInput, match="why the phone cannot"):
        service.close_by_office(phone.registry, "ramon", "no", NOW)
    with pytest.raises(Forbidden, match="your own registry"):
        service.close_by_office(phone.registry, "nena", WHY, NOW)
    with pytest.raises(NotFound):
        service.close_by_office("00000000-0000-4000-8000-000000000000", "ramon", WHY, NOW)
    registry, sent = phone.registry, len(phone.entries)
    phone.z_reading()
    phone.close()
    send(phone, sent)
    with pytest.raises(Conflict, match="has its Z-reading from the phone"):
        service.close_by_office(registry, "ramon", WHY, NOW)


def test_a_payment_that_comes_after_the_office_closed_is_held_as_late_and_evidence_is_never_changed(phone: Phone) -> None:
    send(phone)
    close(phone)
    sent = len(phone.entries)
    paid = phone.pay(make_soa(), 100)
    phone.z_reading()
    send(phone, sent)
    found = ledger.get(paid.payload["payment"])
    assert found and found.row.flags == ("late",) and found.row.status == "pending"
    (money,) = readings.uncovered()
    assert (money.count, money.late) == (1, 1)
    with pytest.raises(DBAPIError, match="never changed"), db.session.begin_nested():
        db.session.execute(update(KeptReading).values(phone="{}"))

"""The remittance desk: counted by both sides, written once, a shortage approved by a third person. On both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, PortalError
from portal.domain.remittances import Handed
from portal.extensions import db
from portal.services import remittances
from portal.services.journal import Policy, Uploader, receive
from portal.store import audit, incidents, readings
from portal.store import remittances as store
from portal.store import users as user_store
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, raw, store_soas

BDO, GCASH = Handed("check", "BDO", 1, 20000), Handed("e_wallet", "GCash", 1, 30000)


def send(phone: Phone, entries: Sequence[Any] | None = None, now: Any = NOW) -> list[str]:
    body = phone.upload_body(entries)
    answer = receive(
        body["terminal"], body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), Policy("automatic", 7), now
    )
    return [verdict["status"] for verdict in answer.verdicts]


def pieces(*counts: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"value": value, "kind": "bill" if value >= 2000 else "coin", "count": count} for value, count in counts]


def full_day(phone: Phone, soa: Any, reference: str = "000123") -> None:
    """100.00 cash, a check of 200.00, GCash of 300.00 on a change fund of 500.00; counted 1,000.00."""
    phone.pay(soa, 10000)
    phone.pay(soa, 20000, tender="check", channel="BDO", reference=reference)
    phone.pay(soa, 30000, tender="e_wallet", channel="GCash", reference=f"G{reference}")
    phone.count(1)
    phone.z_reading()
    phone.close()


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    make_user("jun", "collector", codes=["A1"])
    for name in ("carla", "cora"):
        make_user(name, "office")
    make_user("ramon", "supervisor")
    store_soas(make_soa())
    phone = make_phone("nena")
    phone.start()
    return phone


def waiting(phone: Phone) -> list[int]:
    return [reading.id for reading in store.waiting_readings(phone.terminal.user_id)]


def take(phone: Phone, cash: list[dict[str, Any]], others: Sequence[Handed] = (BDO, GCASH), **given: Any) -> int:
    values = {"reading_ids": waiting(phone), "reason": "", "who": "carla", "now": NOW, **given}
    return remittances.receive(phone.terminal.user_id, denominations=cash, others=others, **values)


def detail(remittance_id: int) -> store.RemittanceDetail:
    found = store.get(remittance_id)
    assert found
    return found


def test_what_was_handed_over_as_expected_is_received_at_once(phone: Phone) -> None:
    full_day(phone, make_soa())
    send(phone)
    made = detail(take(phone, pieces((50000, 1), (10000, 1))))
    assert (made.row.number, made.row.state, made.row.received_by) == ("R-000001", "received", "carla")
    assert [str(value) for value in (made.row.expected_cash, made.row.counted_cash, made.row.variance)] == ["600.00", "600.00", "0.00"]
    assert str(made.collector_count) == "1000.00" and str(made.row.total) == "1100.00" and made.row.agrees
    assert [(line.tender, line.channel, line.received_count, str(line.received_amount)) for line in made.lines] == [
        ("check", "BDO", 1, "200.00"), ("e_wallet", "GCash", 1, "300.00"),
    ]  # fmt: skip
    assert [paper.reference for paper in made.papers] == ["000123", "G000123"]
    assert waiting(phone) == [] and audit.verify()[1] is None


@pytest.mark.parametrize(
    ("cash", "others", "state"),
    [
        (pieces((50000, 1)), (BDO, GCASH), "waiting"),  # 100.00 short
        (pieces((50000, 1), (10000, 2)), (BDO, GCASH), "received"),  # 100.00 over
        (pieces((50000, 1), (10000, 1)), (GCASH,), "waiting"),  # the check is missing
        (pieces((50000, 1), (10000, 1)), (replace(BDO, count=2), GCASH), "waiting"),  # the sum fits, the number of checks does not
        (pieces((50000, 1), (10000, 1)), (BDO, GCASH, Handed("check", "BPI", 1, 5)), "waiting"),  # one that nobody wrote down
    ],
)
def test_a_difference_needs_a_reason_and_a_missing_centavo_a_supervisor(
    phone: Phone, cash: list[dict[str, Any]], others: tuple[Handed, ...], state: str
) -> None:
    full_day(phone, make_soa())
    send(phone)
    with pytest.raises(InvalidInput, match="Say why"):
        take(phone, cash, others)
    assert waiting(phone), "nothing is recorded without the reason"
    made = detail(take(phone, cash, others, reason="Counted twice, it is so"))
    assert made.row.state == state and made.reason == "Counted twice, it is so"


def test_a_shortage_is_approved_by_a_third_person_once(phone: Phone) -> None:
    make_user("sol", "supervisor", "collector")
    full_day(phone, make_soa())
    send(phone)
    made = take(phone, pieces((50000, 1)), reason="Collector says a bill was lost", who="ramon")
    for who, words in (("ramon", "recorded themselves"), ("nena", "of their own")):
        with pytest.raises(Forbidden, match=words):
            remittances.approve(made, who, "Charged to the collector", NOW)
    with pytest.raises(InvalidInput):
        remittances.approve(made, "sol", " ", NOW)
    remittances.approve(made, "sol", "Charged to the collector", NOW)
    found = detail(made)
    assert (found.row.state, found.decided_by, found.decision_reason) == ("approved", "sol", "Charged to the collector")
    with pytest.raises(Conflict, match="R-000001"):
        remittances.approve(made, "sol", "Charged to the collector", NOW)
    with pytest.raises(NotFound):
        remittances.approve(99, "sol", "Charged to the collector", NOW)


def test_nobody_receives_their_own_and_no_reading_of_somebody_else(phone: Phone) -> None:
    full_day(phone, make_soa())
    send(phone)
    jun = user_store.by_name("jun")
    assert jun
    with pytest.raises(Forbidden):
        take(phone, [], who="nena")
    with pytest.raises(NotFound):
        remittances.receive(jun.id, waiting(phone), [], [], "stolen", "carla", NOW)
    with pytest.raises(NotFound):
        take(phone, [], reading_ids=[*waiting(phone), 999])
    with pytest.raises(NotFound):
        remittances.receive(999, waiting(phone), [], [], "", "carla", NOW)
    with pytest.raises(InvalidInput):
        take(phone, [], reading_ids=[])
    for wrong in ([{"value": 3, "kind": "coin", "count": 1}], pieces((50000, -1)), [{"value": 100, "kind": "bill", "count": 1}]):
        with pytest.raises(InvalidInput):
            take(phone, wrong)
    for other in (Handed("cash", None, 1, 1), Handed("check", "BDO", 0, 5), Handed("check", "BDO", 1, -5)):
        with pytest.raises(InvalidInput):
            take(phone, [], [other])
    with pytest.raises(InvalidInput, match="two lines"):
        take(phone, [], [BDO, BDO])
    assert store.totals(store.RemittanceFilter()).count == 0


def test_the_same_form_sent_twice_is_one_remittance_and_another_form_is_told_who_has_it(phone: Phone) -> None:
    full_day(phone, make_soa())
    send(phone)
    chosen, cash = waiting(phone), pieces((50000, 1), (10000, 1))
    first = take(phone, cash, request_id="00000000-0000-4000-8000-000000000001")
    assert take(phone, cash, reading_ids=chosen, request_id="00000000-0000-4000-8000-000000000001") == first
    with pytest.raises(Conflict, match="R-000001"):
        take(phone, cash, reading_ids=chosen, who="cora")
    assert store.totals(store.RemittanceFilter()).count == 1


def test_two_desks_at_once_make_one_remittance_of_one_z_and_dense_numbers_of_several(phone: Phone, any_app: Flask) -> None:
    soa = make_soa()
    for day in range(6):
        if day:
            phone.open()
        full_day(phone, soa, f"00{day}")
    send(phone)
    chosen, cash = waiting(phone), pieces((50000, 1), (10000, 1))
    assert len(chosen) == 6
    others = [(replace(BDO), replace(GCASH))] * 6
    start, results = threading.Barrier(12), []

    def press(index: int) -> None:
        with any_app.app_context():
            start.wait()
            try:
                made: Any = take(phone, cash, others[index % 6], reading_ids=[chosen[index % 6]], who=("carla", "cora")[index // 6])
            except PortalError as error:
                made = error.message
            results.append(made)
            db.session.remove()

    db.session.rollback()
    threads = [threading.Thread(target=press, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [one for one in results if isinstance(one, int)]
    assert len(made) == 6 and len(results) == 12
    assert all("Nothing was recorded twice" in one for one in results if isinstance(one, str)), results
    assert sorted(row.number for row in store.list_page(store.RemittanceFilter())) == [f"R-{number:06d}" for number in range(1, 7)]
    assert waiting(phone) == []


def test_what_the_cashier_counted_first_is_in_the_audit_trail(phone: Phone) -> None:
    full_day(phone, make_soa())
    send(phone)
    short = remittances.compare(phone.terminal.user_id, waiting(phone), pieces((50000, 1)), [BDO, GCASH], "carla", NOW)
    assert (short.variance, short.needs_reason, short.needs_supervisor) == (-10000, True, True)
    take(phone, pieces((50000, 1), (10000, 1)))
    rows = db.session.execute(text("SELECT action, subject, detail FROM audit_log ORDER BY seq DESC LIMIT 2")).all()
    assert [row[0] for row in rows] == ["remittance_received", "remittance_counted"]
    assert rows[1][1] == "nena" and '"variance": -10000' in rows[1][2]


def test_what_was_received_is_never_changed_behind_our_back(phone: Phone) -> None:
    full_day(phone, make_soa())
    send(phone)
    made = take(phone, pieces((50000, 1)), reason="One bill is missing")
    for statement in (
        "UPDATE remittances SET counted_cash = 60000, variance = 0",
        "UPDATE remittances SET reason = 'none'",
        "DELETE FROM remittances",
        "UPDATE remittance_lines SET received_amount = 1",
        "DELETE FROM remittance_lines",
        "UPDATE remittance_readings SET remittance_id = 1",
        "DELETE FROM remittance_readings",
        "UPDATE reading_payments SET late = NOT late",
        "DELETE FROM reading_payments",
        "UPDATE remittances SET state = 'approved', decided_by = received_by",
        "UPDATE remittances SET state = 'received'",
    ):
        with pytest.raises(DatabaseError):
            db.session.execute(text(statement))
        db.session.rollback()
    remittances.approve(made, "ramon", "Charged to the collector", NOW)
    with pytest.raises(DatabaseError):
        db.session.execute(text("UPDATE remittances SET state = 'waiting', decided_by = NULL"))
    db.session.rollback()


def test_the_list_is_filtered_and_adds_up(phone: Phone) -> None:
    full_day(phone, make_soa())
    send(phone)
    take(phone, pieces((50000, 1)), reason="One bill is missing")
    phone.open()
    full_day(phone, make_soa(), "000124")
    send(phone)
    take(phone, pieces((50000, 1), (10000, 1)), now=NOW + timedelta(days=1), who="cora")
    totals = store.totals(store.RemittanceFilter())
    assert (totals.count, str(totals.total), str(totals.variance), totals.waiting) == (2, "2100.00", "-100.00", 1)
    assert store.desk() == store.Desk(readings=0, collectors=0, oldest=None, unapproved=1)
    phone.open()
    full_day(phone, make_soa(), "000125")
    send(phone)
    assert store.desk() == store.Desk(readings=1, collectors=1, oldest=NOW.date(), unapproved=1)
    later = store.RemittanceFilter(since=NOW + timedelta(hours=1), until=NOW + timedelta(days=2))
    assert [row.number for row in store.list_page(later)] == ["R-000002"] and str(store.totals(later).total) == "1100.00"
    assert [row.number for row in store.list_page(store.RemittanceFilter(state="waiting"))] == ["R-000001"]
    assert store.list_page(store.RemittanceFilter(collector="jun")) == [] and store.collectors() == [("nena", "Nena")]
    assert [row.number for row in store.list_page(store.RemittanceFilter(collector="nena"), before_id=2, limit=1)] == ["R-000001"]


def late_payments(phone: Phone) -> list[str]:
    """A closed day with a payment damaged on its way, whose intact copy comes after the Z; and money taken after the Z. Receipts."""
    soa = make_soa()
    phone.pay(soa, 10000)
    damaged = phone.pay(soa, 700)
    phone.z_reading()
    after = phone.append("payment", phone.payload(soa, 5000, tender="check", channel="BDO", reference="000777"))
    phone.close()
    body = phone.upload_body()
    bad = [{**entry, "payload": {**entry["payload"], "amount": 1}} if entry["hash"] == damaged.hash else entry for entry in body["entries"]]
    receive(phone.code, bad, body["signature"], Uploader(phone.terminal.user_id, "nena"), Policy("automatic", 7), NOW)
    assert [row.late for row in readings.uncovered()] == [1]
    receive(phone.code, [raw(damaged)], phone.sign([damaged]), Uploader(phone.terminal.user_id, "nena"), Policy("automatic", 7), NOW)
    return [damaged.payload["receipt_number"], after.payload["receipt_number"]]


def test_late_payments_enter_the_next_z_and_its_remittance_and_the_closed_z_stays(phone: Phone) -> None:
    numbers = late_payments(phone)
    (first,) = store.waiting_readings()
    assert first.portal["gross"] == 10000 and first.portal["late_count"] == 0 and first.portal["present_accumulated"] == 10000
    (open_money,) = readings.uncovered()
    assert (open_money.terminal, open_money.count, str(open_money.amount), open_money.late) == (phone.code, 2, "57.00", 2)
    phone.open(change_fund=20000)
    phone.pay(make_soa(), 300)
    phone.z_reading()
    phone.close()
    send(phone, phone.entries[-4:])
    first_again, second = store.waiting_readings()
    assert first_again.portal == first.portal
    figures = second.portal
    assert (figures["gross"], figures["late_count"], figures["late_amount"], figures["late_cash"]) == (300, 2, 5700, 700)
    assert figures["expected_cash"] == 20000 + 300 + 700
    assert (figures["previous_accumulated"], figures["present_accumulated"]) == (10000, 10000 + 300 + 5700)
    assert [row.receipt_number for row in readings.late_in(second.id)] == numbers and readings.late_in(first.id) == []
    assert readings.uncovered() == []
    told = [incident.detail for incident in incidents.open_incidents() if incident.kind == "reading_differs"]
    assert "Only late payments make the difference: 2 of ₱57.00" in told[0]
    assert [handed.amount for handed in store.expected_others([second.id])] == [5000]
    made = detail(
        take(phone, pieces((20000, 3), (1000, 1)), [Handed("check", "BDO", 1, 5000)], reason="See the incident of the damaged entry")
    )
    assert str(made.row.expected_cash) == "810.00" and str(made.row.variance) == "-200.00"


def test_a_z_that_differs_only_by_what_earlier_ones_took_late_raises_no_second_incident(phone: Phone) -> None:
    soa = make_soa()
    phone.z_reading()
    phone.append("payment", phone.payload(soa, 5000))
    phone.close()
    phone.open()
    phone.z_reading()
    phone.close()
    send(phone)
    assert [incident.kind for incident in incidents.open_incidents()] == ["reading_differs"]
    phone.open()
    phone.z_reading()
    phone.close()
    send(phone, phone.entries[-3:])
    newest = readings.recent()[0]
    assert newest.differences == 2 and newest.only_late
    assert [incident.kind for incident in incidents.open_incidents()] == ["reading_differs"]


def test_money_of_a_forked_journal_enters_the_next_z_too(phone: Phone) -> None:
    soa = make_soa()
    phone.pay(soa, 100)
    send(phone)
    copy = list(phone.entries)
    phone.pay(soa, 200)
    send(phone, phone.entries[-1:])
    own = list(phone.entries)
    phone.entries = copy
    forked = phone.append("payment", phone.payload(soa, 400))
    send(phone, [forked])
    phone.entries = own
    phone.z_reading()
    phone.close()
    send(phone, phone.entries[-2:])
    (z,) = store.waiting_readings()
    assert (z.portal["gross"], z.portal["late_amount"], z.portal["present_accumulated"]) == (300, 400, 700)
    assert readings.uncovered() == []

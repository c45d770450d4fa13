"""Receiving journals: every entry once, a verdict for each, no payment lost, doubled or changed. On both databases."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from portal.domain.allocation import Allocation
from portal.domain.journal import Entry
from portal.extensions import db
from portal.services import journal, terminals
from portal.services.journal import Answer, BadRequest, BadSignature, Policy, TooLarge, Uploader, WrongTerminal
from portal.store import audit, incidents, ledger, missing, readings
from portal.store import terminals as terminal_store
from portal.store.models import AuditEntry, JournalAside, JournalEntry, Payment, Posting
from tests.factories import NOW, Phone, make_invoice, make_phone, make_soa, make_user, raw, store_soas

AUTOMATIC = Policy("automatic", 7)


def send(phone: Phone, entries: Sequence[Entry] | None = None, policy: Policy = AUTOMATIC, now: Any = NOW) -> Answer:
    body = phone.upload_body(entries)
    user_id = phone.terminal.user_id
    return journal.receive(body["terminal"], body["entries"], body["signature"], Uploader(user_id, phone.user_name), policy, now)


def statuses(answer: Answer) -> list[str]:
    return [verdict["status"] for verdict in answer.verdicts]


def payment(entry: Entry) -> ledger.PaymentDetail:
    found = ledger.get(entry.payload["payment"])
    assert found
    return found


def count(model: Any) -> int:
    return db.session.execute(select(func.count()).select_from(model)).scalar_one()


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    store_soas(make_soa())
    phone = make_phone("nena")
    phone.start()
    return phone


def test_a_day_arrives_and_each_payment_is_in_the_ledger_once_with_its_posting_and_audit_row(phone: Phone) -> None:
    soa = make_soa()
    first = phone.pay(soa, 112000)
    second = phone.pay(soa, 50000, [Allocation("I1", "SI-0001", "principal", 112000)])
    answer = send(phone)
    assert statuses(answer) == ["stored"] * 5 and answer.acknowledged_seq == 5 and answer.approved
    for entry in (first, second):
        detail = payment(entry)
        assert detail.row.status == "approved" and detail.row.flags == ()
        assert detail.row.amount == Decimal(entry.payload["amount"]).scaleb(-2)
        assert detail.row.receipt_number == entry.payload["receipt_number"]
    assert count(Posting) == 2
    booked = db.session.execute(select(func.count()).where(AuditEntry.action == "payment_booked")).scalar_one()
    assert booked == 2 and audit.verify()[1] is None


def test_the_same_upload_again_changes_nothing(phone: Phone) -> None:
    phone.pay(make_soa(), 10000)
    send(phone)
    before = (count(JournalEntry), count(Payment), count(Posting), count(AuditEntry))
    again = send(phone, now=NOW + timedelta(hours=1))
    assert set(statuses(again)) == {"repeat"} and again.acknowledged_seq == len(phone.entries)
    assert (count(JournalEntry), count(Payment), count(Posting), count(AuditEntry)) == before


def test_a_gap_holds_what_follows_and_is_closed_by_what_was_missing(phone: Phone) -> None:
    soa = make_soa()
    entries = [*phone.entries, phone.pay(soa, 100), phone.pay(soa, 200, [Allocation("I1", "SI-0001", "principal", 100)])]
    send(phone, entries[:2])
    answer = send(phone, entries[4:])
    assert statuses(answer) == ["held"] and answer.acknowledged_seq == 2
    assert "3 to 4" in answer.verdicts[0]["reason"]
    assert count(Payment) == 0, "what is held is not shown as money that arrived"
    answer = send(phone, entries[2:4])
    assert answer.acknowledged_seq == 5 and count(Payment) == 2
    assert statuses(send(phone, entries[4:])) == ["repeat"]


def test_one_broken_entry_among_good_ones_is_quarantined_and_the_rest_flows(phone: Phone) -> None:
    soa = make_soa()
    phone.pay(soa, 100)
    bad = phone.payload(soa, 500)
    bad["allocations"][0]["amount"] = 499
    phone.append("payment", bad)
    good = phone.pay(soa, 300, [Allocation("I1", "SI-0001", "principal", 100)])
    answer = send(phone)
    assert statuses(answer)[-3:] == ["stored", "quarantined", "stored"]
    assert answer.verdicts[-2]["reason"] == "The allocation does not add up to the amount."
    assert answer.acknowledged_seq == len(phone.entries)
    assert payment(good).row.status == "approved"
    assert "quarantined" in [incident.kind for incident in incidents.open_incidents()]
    repeated = send(phone)
    assert statuses(repeated)[-2] == "quarantined", "a lost answer must not hide what is wrong"


def test_an_entry_changed_on_the_way_is_quarantined_until_its_intact_copy_comes(phone: Phone) -> None:
    good = phone.pay(make_soa(), 12345)
    changed = replace(good, payload={**good.payload, "amount": 99})
    body = phone.upload_body([*phone.entries[:-1], changed])
    uploader = Uploader(phone.terminal.user_id, "nena")
    answer = journal.receive(phone.code, body["entries"], body["signature"], uploader, AUTOMATIC, NOW)
    assert statuses(answer)[-1] == "quarantined" and count(Payment) == 0
    assert statuses(send(phone))[-1] == "stored"
    assert payment(good).row.amount == Decimal("123.45")


def test_a_restored_phone_is_seen_as_a_fork_and_its_money_is_booked_and_held(phone: Phone) -> None:
    soa = make_soa()
    backup = list(phone.entries)
    first = phone.pay(soa, 100)
    send(phone)
    phone.entries, phone.receipts = backup, 0
    second = phone.pay(soa, 700)
    third = phone.pay(soa, 800)
    answer = send(phone, [second, third])
    assert statuses(answer) == ["conflict", "conflict"]
    assert statuses(send(phone, [second, third])) == ["conflict", "conflict"]
    assert payment(first).row.status == "approved"
    for entry in (second, third):
        detail = payment(entry)
        assert detail.row.status == "pending" and "chain_fork" in detail.row.flags
    assert "number_quarantined" in payment(second).row.flags, "its receipt number is on another payment"
    assert db.session.execute(select(func.count(Payment.receipt_number))).scalar_one() == 2
    terminal = terminal_store.by_code(phone.code)
    assert terminal and terminal.forked_at and terminal.head_seq == 4


def test_the_same_payment_with_other_content_is_never_booked_over_the_first(phone: Phone) -> None:
    first = phone.pay(make_soa(), 100)
    other = phone.payload(make_soa(), 999)
    phone.append("payment", {**other, "payment": first.payload["payment"]})
    answer = send(phone)
    assert statuses(answer)[-2:] == ["stored", "quarantined"]
    assert payment(first).row.amount == Decimal("1.00")


def test_fields_the_phone_may_not_decide_are_ignored(phone: Phone) -> None:
    make_user("jun", "collector", codes=["B2"])
    sent: dict[str, Any] = {"collector_id": 99, "user_id": 99, "status": "completed", "posted": True, "z_id": 7, "created_at": "2020-01-01"}
    entry = phone.pay(make_soa(), 100, **sent)
    send(phone)
    row = payment(entry).row
    assert (row.collector_name, row.status, row.posted_at) == ("nena", "approved", None)


def test_twenty_uploads_of_the_same_batch_at_once_book_it_once(phone: Phone, any_app: Flask) -> None:
    soa = make_soa()
    paid: list[Allocation] = []
    for _ in range(5):
        phone.pay(soa, 1000, paid)
        paid.append(Allocation("I1", "SI-0001", "principal", 1000))
    body = phone.upload_body()
    uploader = Uploader(phone.terminal.user_id, "nena")
    answers: list[Answer] = []
    errors: list[Exception] = []
    db.session.remove()

    def upload() -> None:
        with any_app.app_context():
            try:
                answers.append(journal.receive(phone.code, body["entries"], body["signature"], uploader, AUTOMATIC, NOW))
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=upload) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert {answer.acknowledged_seq for answer in answers} == {8}
    assert {status for answer in answers for status in statuses(answer)} == {"repeat", "stored"}
    assert sum(statuses(answer)[0] == "stored" for answer in answers) == 1
    assert count(Payment) == 5 and count(Posting) == 5


def test_another_collector_cannot_upload_for_this_terminal(phone: Phone) -> None:
    other = make_user("jun", "collector")
    body = phone.upload_body()
    with pytest.raises(WrongTerminal):
        journal.receive(phone.code, body["entries"], body["signature"], Uploader(other, "jun"), AUTOMATIC, NOW)
    db.session.rollback()
    assert count(JournalEntry) == 0


def test_an_upload_that_the_terminal_did_not_sign_is_refused_whole(phone: Phone) -> None:
    body = phone.upload_body()
    for signature in ("", "A" * 86, None, phone.sign(phone.entries[:1])):
        with pytest.raises(BadSignature):
            journal.receive(phone.code, body["entries"], signature, Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW)
        db.session.rollback()
    assert count(JournalEntry) == 0


@pytest.mark.parametrize("spoil", [{"seq": True}, {"seq": 0}, {"seq": "1"}, {"prev": "x"}, {"hash": None}, {"terminal": "T99"}])
def test_what_is_no_journal_upload_is_refused_with_a_reason(phone: Phone, spoil: dict[str, Any]) -> None:
    entries = [{**raw(phone.entries[0]), **spoil}]
    with pytest.raises(BadRequest):
        journal.receive(phone.code, entries, "x", Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW)


def test_more_than_the_limit_asks_for_smaller_batches(phone: Phone) -> None:
    entries = [raw(phone.entries[0])] * 501
    with pytest.raises(TooLarge):
        journal.receive(phone.code, entries, "x", Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW)


@pytest.mark.parametrize(
    ("kind", "at", "payload"),
    [
        ("party", "2026-11-20T08:00:00.000+08:00", {}),
        ("promise", "yesterday", {}),
        ("promise", "2026-11-20T08:00:00", {}),
        ("payment", "2026-11-20T08:00:00.000+08:00", {"payment": "x"}),
        ("payment", "2026-11-20T08:00:00.000+08:00", {}),
        ("registry_opened", "2026-11-20T08:00:00.000+08:00", {"registry": 5}),
        ("count", "2026-11-20T08:00:00.000+08:00", {"registry": "r", "denominations": [{"value": 3}], "total": 0}),
        (
            "soa_downloaded",
            "2026-11-20T08:00:00.000+08:00",
            {"snapshot": "1-0", "as_of": "2026-11-20T05:00:00+08:00", "count": 10**14, "amount_due": 0},
        ),
        ("void_requested", "2026-11-20T08:00:00.000+08:00", {"payment": "x"}),
        ("promise", "2026-11-20T08:00:00.000+08:00\x00", {"note": "\x00"}),
    ],
)
def test_any_poisoned_entry_is_kept_and_stops_nothing(phone: Phone, kind: str, at: str, payload: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phone, "at", lambda: at)
        phone.append(kind, payload)
    good = phone.pay(make_soa(), 100)
    answer = send(phone)
    assert statuses(answer)[-2:] == ["quarantined", "stored"]
    assert answer.verdicts[-2]["reason"]
    assert payment(good).row.status == "approved"


def test_an_soa_that_changed_meanwhile_is_allocated_anew_and_the_money_is_kept(phone: Phone) -> None:
    old = make_soa()
    entry = phone.pay(old, 224000)
    charged = make_soa(invoices=[make_invoice(1, penalty=Decimal("20.00")), make_invoice(2)])
    store_soas(charged, now=NOW + timedelta(minutes=5))
    send(phone)
    detail = payment(entry)
    assert detail.row.flags == ("reallocated",) and detail.row.status == "pending"
    current = [(a.kind, a.amount) for a in detail.allocations if a.current]
    assert current == [("penalty", Decimal("20.00")), ("principal", Decimal("1120.00")), ("principal", Decimal("1100.00"))]
    printed = [(a.kind, a.amount) for a in detail.allocations if not a.current]
    assert printed == [("principal", Decimal("1120.00")), ("principal", Decimal("1120.00"))]


def test_a_customer_who_already_paid_at_the_office_gets_an_advance(phone: Phone) -> None:
    entry = phone.pay(make_soa(), 112000)
    store_soas(
        make_soa(invoices=[make_invoice(1, balance=Decimal(0)), make_invoice(2, balance=Decimal("500.00"))]), now=NOW + timedelta(minutes=5)
    )
    send(phone)
    detail = payment(entry)
    assert detail.row.flags == ("over_collected", "reallocated")
    assert (detail.principal, detail.advance) == (Decimal("500.00"), Decimal("620.00"))


def test_an_advance_the_customer_agreed_to_is_no_flag(phone: Phone) -> None:
    entry = phone.pay(make_soa(), 250000)
    send(phone)
    assert payment(entry).row.status == "approved" and payment(entry).advance == Decimal("260.00")


def test_two_phones_on_one_account_are_both_kept_and_the_second_is_held(phone: Phone) -> None:
    make_user("jun", "collector", codes=["A1"])
    other = make_phone("jun")
    other.start()
    soa = make_soa()
    mine, theirs = phone.pay(soa, 224000), other.pay(soa, 224000)
    send(phone)
    send(other, now=NOW + timedelta(minutes=1))
    assert payment(mine).row.status == "approved"
    assert set(payment(theirs).row.flags) == {"possible_double", "reallocated", "over_collected"}
    assert payment(theirs).advance == Decimal("2240.00")


def test_a_reference_used_twice_is_held_and_a_fresh_one_is_not(phone: Phone) -> None:
    soa = make_soa()
    wallet: dict[str, Any] = {"tender": "e_wallet", "channel": "GCash"}
    first = phone.pay(soa, 100, reference="GC-1", **wallet)
    second = phone.pay(soa, 100, [Allocation("I1", "SI-0001", "principal", 100)], reference="gc-1", **wallet)
    third = phone.pay(soa, 100, [Allocation("I1", "SI-0001", "principal", 200)], reference="GC-1", tender="check", channel="GCash")
    send(phone)
    assert [payment(entry).row.flags for entry in (first, second, third)] == [(), ("duplicate_reference",), ()]


def test_payments_for_an_account_that_is_not_the_collectors_are_kept_and_held(phone: Phone) -> None:
    foreign = make_soa("S2", collector_code="B2")
    store_soas(make_soa(), foreign, now=NOW)
    unknown = make_soa("S9")
    entries = [phone.pay(foreign, 100), phone.pay(unknown, 100)]
    send(phone)
    assert [payment(entry).row.flags for entry in entries] == [("unassigned_account",), ("unassigned_account",)]


def test_a_moved_clock_and_an_old_list_hold_the_payments_after_them(phone: Phone) -> None:
    phone.append("clock_jump", {"seconds": -86400})
    entry = phone.pay(make_soa(), 100)
    send(phone)
    assert payment(entry).row.flags == ("clock_jump",)
    late = make_phone("nena")
    late.start()
    late.append("soa_downloaded", {"snapshot": "1-0", "as_of": "2026-11-01T05:00:00+08:00", "count": 1, "amount_due": 1})
    old = late.pay(make_soa(), 100, [Allocation("I1", "SI-0001", "principal", 100)])
    send(late)
    assert "stale_soa" in payment(old).row.flags


def test_a_z_reading_that_arrives_damaged_and_then_whole_takes_what_followed_with_it(phone: Phone) -> None:
    phone.pay(make_soa(), 100)
    z, closed = phone.z_reading(), phone.close()
    phone.open(business_date="2026-11-21")
    later = phone.pay(make_soa("S2"), 200)
    second = phone.z_reading()
    bent = [replace(entry, payload={**entry.payload, "z_counter": 9}) if entry is z else entry for entry in phone.entries]
    first = send(phone, bent)
    assert first.acknowledged_seq == len(phone.entries)
    by_seq = {verdict["seq"]: verdict["status"] for verdict in first.verdicts}
    assert by_seq[z.seq] == by_seq[closed.seq] == by_seq[second.seq] == "quarantined" and by_seq[later.seq] == "stored"
    assert send(phone, [z]).verdicts[0]["status"] == "stored"
    assert set(statuses(send(phone))) == {"repeat"}
    kept = readings.recent(kind="Z")
    assert [(row.z_counter, row.gross) for row in kept] == [(2, Decimal("2.00")), (1, Decimal("1.00"))]
    assert terminal_store.by_code(phone.code).accumulated == Decimal("3.00")  # type: ignore[union-attr]


def test_a_revoked_terminals_payments_are_kept_for_review(phone: Phone) -> None:
    entry = phone.pay(make_soa(), 100)
    terminals.revoke(phone.code, "admin", NOW)
    answer = send(phone)
    assert set(statuses(answer)) == {"quarantined"} and answer.acknowledged_seq == len(phone.entries)
    assert payment(entry).row.flags == ("revoked_terminal",) and payment(entry).row.status == "pending"
    send(phone)
    assert [incident.kind for incident in incidents.open_incidents()] == ["revoked_terminal"], "told once, not at every repetition"


def test_a_receipt_number_out_of_series_counts_the_money_and_holds_the_number(phone: Phone) -> None:
    entry = phone.pay(make_soa(), 100, receipt_number="T99-00000001")
    skipped = phone.pay(make_soa(), 100, [Allocation("I1", "SI-0001", "principal", 100)], receipt_number=f"{phone.code}-00000007")
    send(phone)
    assert "number_quarantined" in payment(entry).row.flags and payment(entry).row.amount == Decimal("1.00")
    assert payment(skipped).row.flags == ()
    (gap,) = missing.not_arrived(phone.terminal.id)
    assert (gap.series, gap.run, gap.state) == ("receipt", (1, 6), "open")


def test_manual_approval_holds_everything_and_posts_nothing(phone: Phone) -> None:
    entry = phone.pay(make_soa(), 100)
    answer = send(phone, policy=Policy("manual", 7))
    assert payment(entry).row.status == "pending" and count(Posting) == 0 and not answer.approved


def test_a_day_is_closed_and_the_readings_agree_to_the_centavo(phone: Phone) -> None:
    soa = make_soa(invoices=[make_invoice(1, penalty=Decimal("33.33")), make_invoice(2, vat_type="exempt", vat_amount=Decimal(0))])
    store_soas(soa)
    phone.pay(soa, 100001)
    phone.pay(
        soa,
        200000,
        [Allocation("I1", "SI-0001", "penalty", 3333), Allocation("I1", "SI-0001", "principal", 96668)],
        tender="check",
        channel="BDO",
        reference="1",
    )
    phone.x_reading()
    phone.append("cash_drop", {"registry": phone.registry, "amount": 1, "description": "to the cashier"})
    drop = replace(phone.period(), drops=[1])
    phone.period = lambda: replace(drop, counted=phone.counted)  # type: ignore[method-assign]
    phone.count(1)
    phone.z_reading()
    phone.close()
    answer = send(phone)
    assert set(statuses(answer)) == {"stored"}
    found = readings.recent()
    assert [(row.kind, row.differences) for row in found] == [("Z", 0), ("X", 0)]
    z = readings.get(found[0].id)
    assert z and z.portal["expected_cash"] == 50000 + 100001 - 1 and z.portal["gross"] == 300001
    terminal = terminal_store.by_code(phone.code)
    assert terminal and (terminal.z_counter, terminal.accumulated) == (1, Decimal("3000.01"))
    assert incidents.count_open() == 0


def test_a_z_that_differs_by_a_centavo_is_stored_as_printed_and_is_an_incident(phone: Phone) -> None:
    phone.pay(make_soa(), 100)
    phone.taken[0] = replace(phone.taken[0], amount=101)
    phone.z_reading()
    assert statuses(send(phone))[-1] == "stored"
    z = readings.get(readings.recent()[0].id)
    assert z and z.phone["gross"] == 101 and z.portal["gross"] == 100
    assert "gross" in [difference["field"] for difference in z.differences]
    assert "reading_differs" in [incident.kind for incident in incidents.open_incidents()]


def test_a_second_z_and_a_second_registry_while_one_is_open_are_refused_in_words(phone: Phone) -> None:
    first = phone.registry
    phone.open()
    phone.registry = first
    phone.z_reading()
    phone.z_reading()
    phone.close()
    phone.open()
    answer = send(phone)
    assert statuses(answer)[3:] == ["quarantined", "stored", "quarantined", "stored", "stored"]
    assert "still open" in answer.verdicts[3]["reason"]


def test_the_ledger_refuses_to_be_changed_behind_our_back(phone: Phone) -> None:
    phone.pay(make_soa(), 100)
    phone.z_reading()
    send(phone)
    for statement in (
        "UPDATE payments SET amount = 1",
        "DELETE FROM payments",
        "UPDATE payment_allocations SET amount = 1",
        "UPDATE journal_entries SET payload = '{}'",
        "DELETE FROM journal_entries",
        "UPDATE audit_log SET who = 'nobody'",
        "DELETE FROM audit_log",
        "UPDATE readings SET phone = '{}'",
        "UPDATE terminals SET accumulated = 0, z_counter = 0",
    ):
        with pytest.raises(DatabaseError):
            db.session.execute(text(statement))
        db.session.rollback()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_however_a_journal_is_cut_repeated_and_reordered_the_ledger_ends_the_same(phone: Phone, data: st.DataObject) -> None:
    own = make_phone("nena")
    own.start()
    soa = make_soa()
    paid: list[Allocation] = list(ledger.unreflected([soa.id]).get(soa.id, []))
    amounts = data.draw(st.lists(st.integers(1, 30000), min_size=1, max_size=6))
    for amount in amounts:
        entry = own.pay(soa, amount, paid)
        paid += [Allocation(**part) for part in entry.payload["allocations"]]
    own.z_reading()
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(own.entries) - 1))
        end = data.draw(st.integers(start + 1, len(own.entries)))
        send(own, data.draw(st.permutations(own.entries[start:end])))
    send(own)
    booked = db.session.execute(select(Payment.id, Payment.amount).where(Payment.terminal_id == own.terminal.id)).all()
    assert {(id_, int(amount * 100)) for id_, amount in booked} == {
        (entry.payload["payment"], entry.payload["amount"]) for entry in own.entries if entry.kind == "payment"
    }
    terminal = terminal_store.by_code(own.code)
    assert terminal and terminal.head_seq == len(own.entries) and int(terminal.accumulated * 100) == sum(amounts)
    assert not db.session.execute(
        select(JournalAside.id).where(JournalAside.terminal_id == own.terminal.id, JournalAside.state != "released")
    ).all()
    assert audit.verify()[1] is None


def test_what_is_nested_deeper_than_can_be_written_is_kept_as_far_as_it_can() -> None:
    nested: Any = {"amount": 500}
    for _ in range(sys.getrecursionlimit()):
        nested = [nested]
    kept = journal._text({"soa": nested, "seq": 7})
    assert json.loads(kept)["seq"] == 7 and "nested too deep to be kept" in kept

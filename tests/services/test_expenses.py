"""Expenses and cash drops: noted on the phone, an expense decided in the office, counted where the phone wrote the decision down. On both
databases."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.extensions import db
from portal.services import expenses
from portal.services import readings as closing
from portal.services.journal import Answer
from portal.store import audit, readings
from portal.store import expenses as store
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas
from tests.services.test_door import photo
from tests.services.test_journal import send, statuses


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", "supervisor", codes=["A1"])
    make_user("ramon", "supervisor")
    store_soas(make_soa())
    phone = make_phone("nena")
    phone.start()
    return phone


def noted(phone: Phone, amount: int = 4500, **fields: Any) -> store.ExpenseRow:
    """An expense that arrived; its row."""
    entry = phone.spend(amount, **fields)
    answer = send(phone)
    assert answer.verdicts[-1]["status"] == "stored", answer.verdicts[-1]
    found = store.get(entry.payload["expense"])
    assert found
    return found


def refusal(phone: Phone, entry: Entry) -> str:
    """Why an entry was set aside."""
    verdict = next(one for one in send(phone).verdicts if one["seq"] == entry.seq)
    assert verdict["status"] == "quarantined"
    return str(verdict["reason"])


def told(answer: Answer) -> dict[str, Any]:
    (decision,) = answer.expenses
    return decision


def last_reading() -> readings.ReadingDetail:
    detail = readings.get(readings.recent(1)[0].id)
    assert detail
    return detail


def test_an_expense_comes_off_expected_cash_once_it_is_approved_and_written_down(phone: Phone) -> None:
    phone.pay(make_soa(), 30000)
    row = noted(phone, 4500, category="  Fare ", description=" Jeepney to Malolos ")
    assert (row.state, row.category, row.description, row.collector) == ("requested", "Fare", "Jeepney to Malolos", "nena")
    phone.x_reading()
    assert send(phone).expenses == []
    assert (last_reading().portal["less_expenses"], last_reading().differences) == (0, []), "nobody has decided yet"
    expenses.approve(row.id, "ramon", "", NOW + timedelta(minutes=3, microseconds=1234))
    decision = told(send(phone, phone.entries[-1:]))
    assert {name: decision[name] for name in ("expense", "amount", "decision", "decided_by", "reason")} == {
        "expense": row.id, "amount": 4500, "decision": "approved", "decided_by": "ramon", "reason": "",
    }  # fmt: skip
    phone.write_expense_down(decision)
    phone.drop(10000)
    phone.x_reading()
    phone.z_reading()
    answer = send(phone)
    assert set(statuses(answer)) <= {"stored", "repeat"} and answer.expenses == []
    z = last_reading()
    assert z.differences == [] and (z.portal["less_drops"], z.portal["less_expenses"]) == (10000, 4500)
    assert z.portal["expected_cash"] == 50000 + 30000 - 10000 - 4500
    assert audit.verify()[1] is None


def test_an_expense_decided_after_the_z_counts_in_the_next_registry_and_the_made_z_stays(phone: Phone) -> None:
    row = noted(phone)
    phone.z_reading()
    phone.close()
    send(phone)
    before = last_reading().portal
    assert before["less_expenses"] == 0
    expenses.approve(row.id, "ramon", "Seen the paper", NOW)
    decision = told(send(phone, phone.entries[-1:]))
    phone.open(business_date="2026-11-21")
    phone.write_expense_down(decision)
    phone.z_reading()
    assert set(statuses(send(phone))) <= {"stored", "repeat"}
    after = last_reading()
    assert after.differences == [] and (after.portal["less_expenses"], after.portal["expected_cash"]) == (4500, 50000 - 4500)
    first = next(row.id for row in readings.recent(2) if row.z_counter == 1)
    kept = readings.get(first)
    assert kept and kept.portal == before


def test_a_refused_expense_changes_no_figure(phone: Phone) -> None:
    row = noted(phone)
    with pytest.raises(InvalidInput, match="Say why"):
        expenses.refuse(row.id, "ramon", " ", NOW)
    db.session.rollback()
    expenses.refuse(row.id, "ramon", "No paper", NOW)
    decision = told(send(phone, phone.entries[-1:]))
    assert (decision["decision"], decision["reason"]) == ("refused", "No paper")
    phone.write_expense_down(decision)
    phone.z_reading()
    assert set(statuses(send(phone))) <= {"stored", "repeat"}
    assert (last_reading().portal["less_expenses"], last_reading().differences) == (0, [])


def test_nobody_decides_their_own_expense_nor_one_twice(phone: Phone) -> None:
    row = noted(phone)
    with pytest.raises(Forbidden, match="of their own"):
        expenses.approve(row.id, "nena", "", NOW)
    db.session.rollback()
    expenses.approve(row.id, "ramon", "", NOW)
    with pytest.raises(Conflict, match="approved already"):
        expenses.refuse(row.id, "ramon", "Changed my mind", NOW)
    db.session.rollback()
    with pytest.raises(NotFound):
        expenses.approve(str(uuid.uuid4()), "ramon", "", NOW)


def test_the_same_expense_counts_once_and_one_without_an_id_is_known_by_its_place(phone: Phone) -> None:
    row = noted(phone)
    again = phone.spend(4500, expense=row.id)
    assert "in the books already" in refusal(phone, again)
    bare = phone.append("expense", {"registry": phone.registry, "amount": 700, "description": "Ice"})
    answer = send(phone)
    assert answer.verdicts[-1]["status"] == "stored"
    found = [one for one in store.list_page("requested")[0] if one.journal_seq == bare.seq]
    assert [(one.category, one.description) for one in found] == [("Other", "Ice")]
    assert set(statuses(send(phone))) <= {"repeat", "quarantined"} and len(store.list_page("requested")[0]) == 2


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("expense", {"amount": 0}, "amount must be"),
        ("expense", {"category": "x" * 61}, "category must be"),
        ("expense", {"registry": str(uuid.UUID(int=9))}, "never opened"),
        ("cash_drop", {"amount": -5}, "amount must be"),
        ("cash_drop", {"given_to": "\x00"}, "given_to must be"),
        ("cash_drop", {"registry": str(uuid.UUID(int=9))}, "never opened"),
    ],
)
def test_what_cannot_be_right_is_set_aside_in_plain_words(phone: Phone, kind: str, fields: dict[str, Any], words: str) -> None:
    entry = phone.append(kind, {"registry": phone.registry, "amount": 1, **fields})
    assert words in refusal(phone, entry)
    phone.z_reading()
    assert send(phone).verdicts[-1]["status"] == "stored" and last_reading().differences == []


def test_after_the_z_nothing_more_is_taken_from_its_cash(phone: Phone) -> None:
    row = noted(phone)
    phone.z_reading()
    expenses.approve(row.id, "ramon", "", NOW)
    decision = told(send(phone))
    late = [phone.drop(100), phone.spend(100), phone.write_expense_down(decision)]
    for entry in late:
        assert "Z-reading already" in refusal(phone, entry)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"decision": "refused"}, "not what the office decided"),
        ({"amount": 4501}, "not what the office decided"),
        ({"decided_by": "nena"}, "not what the office decided"),
        ({"expense": str(uuid.UUID(int=5))}, "never noted"),
    ],
)
def test_a_decision_that_the_office_did_not_make_is_set_aside(phone: Phone, wrong: dict[str, Any], words: str) -> None:
    row = noted(phone)
    expenses.approve(row.id, "ramon", "", NOW)
    decision = told(send(phone, phone.entries[-1:]))
    assert words in refusal(phone, phone.write_expense_down({**decision, **wrong}))
    phone.write_expense_down(decision)
    assert send(phone).verdicts[-1]["status"] == "stored"
    assert "written down before" in refusal(phone, phone.write_expense_down(decision))


def test_a_decision_before_the_office_made_one_is_set_aside(phone: Phone) -> None:
    row = noted(phone)
    made_up = {
        "expense": row.id,
        "amount": 4500,
        "decision": "approved",
        "decided_by": "ramon",
        "decided_at": "2026-11-20T10:00:00.000+08:00",
    }
    assert "not decided yet" in refusal(phone, phone.write_expense_down(made_up))


def test_what_the_phone_wrote_after_the_office_closed_its_registry_is_carried_into_the_next_z(phone: Phone) -> None:
    row = noted(phone)
    closing.close_by_office(phone.registry, "ramon", "The phone fell into a canal", NOW)
    expenses.approve(row.id, "ramon", "", NOW)
    phone.write_expense_down(told(send(phone, phone.entries[-1:])))
    phone.z_reading()
    phone.close()
    phone.open(business_date="2026-11-21", change_fund=100000)
    phone.z_reading()
    send(phone)
    z = last_reading()
    assert (z.portal["carried_expenses"], z.portal["less_expenses"], z.portal["expected_cash"]) == (4500, 4500, 100000 - 4500)
    assert [one["field"] for one in z.differences if one["field"] not in {"less_expenses", "expected_cash"}] == []


def test_a_photo_of_the_paper_is_kept_once_for_its_collector_alone(phone: Phone) -> None:
    row = noted(phone)
    raw = photo(40, 30)
    named = hashlib.sha256(raw).hexdigest()
    assert expenses.keep_photo(row.id, named, raw, "nena", NOW) is True
    assert expenses.keep_photo(row.id, named, raw, "nena", NOW) is False
    (kept,) = store.photos(row.id)
    assert (kept.width, kept.height) == (40, 30) and store.image(row.id, kept.id) == raw
    assert store.image(str(uuid.uuid4()), kept.id) is None
    with pytest.raises(NotFound):
        expenses.keep_photo(row.id, named, raw, "ramon", NOW)
    with pytest.raises(InvalidInput, match="damaged"):
        expenses.keep_photo(row.id, "0" * 64, raw, "nena", NOW)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE expenses SET amount = amount + 1",
        "UPDATE expenses SET state = 'refused' WHERE state = 'approved'",
        "UPDATE expenses SET counted_seq = counted_seq + 1 WHERE counted_seq IS NOT NULL",
        "DELETE FROM expenses",
        "UPDATE cash_drops SET amount = amount + 1",
        "DELETE FROM cash_drops",
    ],
)
def test_the_database_itself_keeps_what_was_noted_and_decided(phone: Phone, change: str) -> None:
    row = noted(phone)
    expenses.approve(row.id, "ramon", "", NOW)
    phone.write_expense_down(told(send(phone, phone.entries[-1:])))
    phone.drop(100)
    send(phone)
    with pytest.raises(DatabaseError):
        db.session.execute(text(change))
    db.session.rollback()

"""Missing numbers over random days: what is open is exactly what a phone gave out and the books do not hold; what arrives closes by itself;
what is still on a phone is never called missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from portal.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.domain.journal import Entry
from portal.domain.receipts import read_receipt_number, read_void_number
from portal.extensions import db
from portal.services import journal, missing
from portal.services.journal import Policy, Uploader
from portal.store import audit, readings
from portal.store import missing as store
from portal.store import terminals as terminal_store
from portal.store.missing import MissingFilter, MissingRow
from portal.store.missing_tables import MissingNumber
from portal.store.models import AuditEntry, JournalEntry, Payment, Void
from tests.factories import NOW, Phone, make_invoice, make_phone, make_soa, make_user, raw, store_soas
from tests.store.test_plans import walks

TURNS = count()


@pytest.fixture
def office(any_app: Flask) -> Flask:
    make_user("ramon", "supervisor")
    return any_app


def a_phone() -> Phone:
    name = f"nena{next(TURNS)}"
    make_user(name, "collector", codes=["A1"])
    return make_phone(name)


def send(phone: Phone, entries: Sequence[Entry], damaged: frozenset[str] = frozenset()) -> list[str]:
    bodies = [raw(entry) for entry in entries]
    for body in bodies:
        if body["hash"] in damaged:
            body["payload"] = {**body["payload"], "damaged": True}
    uploader = Uploader(phone.terminal.user_id, phone.user_name)
    answer = journal.receive(phone.code, bodies, phone.sign([entries[-1]]), uploader, Policy("automatic", 3650), NOW)
    return [verdict["status"] for verdict in answer.verdicts]


def of_phone(phone: Phone, state: str = "all") -> list[MissingRow]:
    return store.list_page(MissingFilter(state=state, terminal=phone.code), limit=1000)


def spread(rows: Sequence[MissingRow]) -> list[tuple[str, int]]:
    return sorted((row.series, number) for row in rows for number in range(row.first_number, row.last_number + 1))


def not_in_the_books(phone: Phone) -> list[tuple[str, int]]:
    """By hand, from all the books hold: the numbers below the highest of each series that are not there."""
    of_terminal = phone.terminal.id
    there: dict[str, set[int]] = {
        "receipt": {
            read_receipt_number(text)[1]
            for text in db.session.scalars(select(Payment.receipt_number).where(Payment.terminal_id == of_terminal))
            if text
        },
        "void": {read_void_number(text)[1] for text in db.session.scalars(select(Void.void_number).where(Void.terminal_id == of_terminal))},
        "z": {
            found.phone["z_counter"]
            for row in readings.recent(10_000)
            if row.kind == "Z" and row.terminal == phone.code and (found := readings.get(row.id))
        },
    }
    stored = set(
        db.session.scalars(select(JournalEntry.seq).where(JournalEntry.terminal_id == of_terminal, JournalEntry.verdict == "stored"))
    )
    named = [entry.payload["z_counter"] for entry in phone.entries if entry.seq in stored and "z_counter" in entry.payload]
    terminal = terminal_store.by_code(phone.code)
    assert terminal
    highest = {"receipt": terminal.last_receipt, "void": terminal.last_void, "z": max(named, default=0)}
    return sorted((series, number) for series, last in highest.items() for number in set(range(1, last + 1)) - there[series])


STEP = st.one_of(
    st.tuples(st.just("pay"), st.just(0)),
    st.tuples(st.just("pay"), st.just(0)),
    st.tuples(st.just("skip"), st.integers(1, 3)),
    st.tuples(st.just("void"), st.integers(0, 9)),
    st.tuples(st.just("skip void"), st.integers(1, 2)),
    st.tuples(st.just("close"), st.just(0)),
)
STORY = st.lists(st.tuples(STEP, st.booleans()), min_size=1, max_size=14)


def written(phone: Phone, story: list[tuple[tuple[str, int], bool]], mark: int) -> frozenset[str]:
    """The phone lives the story; the hashes of the entries that are to arrive damaged."""
    soa = make_soa(f"S{mark}", invoices=[make_invoice(1, id=f"I{mark}")])
    store_soas(soa)
    phone.start()
    paid: list[Entry] = []
    damaged: set[str] = set()
    for (word, what), bad in story:
        before = len(phone.entries)
        if word == "pay":
            paid.append(phone.pay(soa, 100))
        elif word == "skip":
            phone.receipts += what
        elif word == "skip void":
            phone.voids += what
        elif word == "void" and paid:
            phone.ask_void(paid.pop(what % len(paid)))
        elif word == "close":
            phone.z_reading()
            phone.close()
            phone.open(0)
        if bad and len(phone.entries) > before:
            damaged.add(phone.entries[before].hash)
    return frozenset(damaged)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=STORY, cuts=st.lists(st.integers(1, 6), min_size=1, max_size=4), explains=st.booleans(), data=st.data())
def test_what_is_missing_is_what_the_phone_gave_out_and_the_books_do_not_hold(
    office: Flask, story: list[tuple[tuple[str, int], bool]], cuts: list[int], explains: bool, data: st.DataObject
) -> None:
    phone = a_phone()
    damaged = written(phone, story, next(TURNS))
    start = 0
    for size in [*cuts * len(phone.entries)]:
        some = phone.entries[start : start + size]
        if not some:
            break
        start += size
        send(phone, some, damaged)
        assert spread([row for row in of_phone(phone) if row.state != "arrived"]) == not_in_the_books(phone)
    before = spread(of_phone(phone))
    if explains:
        for row in of_phone(phone, "open"):
            missing.explain(row.id, "ramon", "The phone fell into the sea", NOW)
    bad = [entry for entry in phone.entries if entry.hash in damaged]
    for entry in data.draw(st.permutations(bad)):
        send(phone, [entry])
        assert spread([row for row in of_phone(phone) if row.state != "arrived"]) == not_in_the_books(phone)
    left = [row for row in of_phone(phone) if row.state != "arrived"]
    assert set(before) <= set(spread(of_phone(phone))), "no number that was missing once is forgotten"
    assert all(row.arrived_at == NOW for row in of_phone(phone, "arrived"))
    assert {row.series for row in left} <= {"receipt", "void", "z"}
    assert audit.verify()[1] is None


def skipping(phone: Phone, *numbers: int) -> list[Entry]:
    """Payments with these receipt numbers."""
    soa = make_soa("S1")
    store_soas(soa)
    phone.start()
    found = []
    for number in numbers:
        phone.receipts = number - 1
        found.append(phone.pay(soa, 100))
    return found


def test_what_is_still_on_the_phone_is_told_apart_and_never_missing(office: Flask) -> None:
    phone = a_phone()
    skipping(phone, 1, 2, 3, 4)
    send(phone, phone.entries[:3])
    verdicts = send(phone, phone.entries[-1:])
    assert verdicts == ["held"] and of_phone(phone) == []
    (held,) = [one for one in store.on_the_phone() if one.terminal == phone.code]
    assert (held.held, held.acknowledged, held.highest, held.awaited) == (1, 3, len(phone.entries), len(phone.entries) - 4)
    assert held.receipts == (f"{phone.code}-00000004",)
    send(phone, phone.entries[3:-1])
    assert of_phone(phone) == [] and not [one for one in store.on_the_phone() if one.terminal == phone.code]


def test_a_supervisor_explains_and_takes_it_back_and_an_arrival_closes_it_all_the_same(office: Flask) -> None:
    phone = a_phone()
    paid = skipping(phone, 1, 5, 6, 7)
    damaged = frozenset({paid[2].hash})
    send(phone, phone.entries, damaged)
    (aside, gap) = of_phone(phone, "open")
    assert (gap.numbers, gap.count, gap.found_at) == (f"{phone.code}-00000002 to {phone.code}-00000004", 3, NOW)
    known = store.beside([gap, aside])
    before, after = known[gap.id].before, known[gap.id].after
    assert before and after and known[gap.id].set_aside == 0
    assert after.payment_id == paid[1].payload["payment"]
    assert known[aside.id].set_aside == 1 and aside.numbers == f"{phone.code}-00000006"
    with pytest.raises(InvalidInput, match="what happened"):
        missing.explain(gap.id, "ramon", " no ", NOW)
    with pytest.raises(Forbidden, match="your own phone"):
        missing.explain(gap.id, phone.user_name, "It was me", NOW)
    with pytest.raises(NotFound):
        missing.explain(10**6, "ramon", "Nothing there", NOW)
    missing.explain(gap.id, "ramon", "Printer test,\n no money", NOW)
    with pytest.raises(Conflict, match="explained already"):
        missing.explain(gap.id, "ramon", "Said again", NOW)
    found = store.get(gap.id)
    assert found and (found.state, found.reason, found.decided_by) == ("explained", "Printer test, no money", "ramon")
    missing.reopen(gap.id, "ramon", "The customer has the paper", NOW)
    found = store.get(gap.id)
    assert found and (found.state, found.reason, found.decided_by) == ("open", "", None)
    with pytest.raises(Conflict, match="no explanation"):
        missing.reopen(gap.id, "ramon", "Once more", NOW)
    missing.explain(aside.id, "ramon", "Lost with the phone", NOW)
    assert store.waiting().count >= 1
    send(phone, [paid[2]])
    closed = store.get(aside.id)
    assert closed and (closed.state, closed.arrived_at, closed.reason) == ("arrived", NOW, "Lost with the phone")
    with pytest.raises(Conflict, match="is here already"):
        missing.explain(aside.id, "ramon", "Too late now", NOW)
    told = list(db.session.scalars(select(AuditEntry.action).where(AuditEntry.subject == phone.code).order_by(AuditEntry.seq)))
    assert [word for word in told if "missing" in word] == [
        "number_missing", "number_missing", "missing_explained", "missing_reopened", "missing_explained", "missing_arrived",
    ]  # fmt: skip


def test_the_list_and_the_upload_find_numbers_by_their_index(office: Flask) -> None:
    phone = a_phone()
    skipping(phone, 1, 5, 6)
    send(phone, phone.entries)
    tables = ("payments", "voids", "journal_entries", "journal_asides")
    rows = of_phone(phone, "open")
    assert rows
    for ask in (
        lambda: store.list_page(MissingFilter()), lambda: store.count(MissingFilter(series="z")), store.waiting,
        lambda: store.beside(rows), store.on_the_phone, store.terminals, store.collectors,
        lambda: store.arrived("receipt", phone.terminal.id, phone.code, (2, 4)),
        lambda: store.arrived("void", phone.terminal.id, phone.code, (2, 4)),
        lambda: store.z_numbers(phone.terminal.id, 3), lambda: store.reached(phone.terminal.id),
    ):  # fmt: skip
        assert walks(ask, tables, whole_index=ask is not store.on_the_phone) == []


def test_the_database_keeps_the_states_honest(office: Flask) -> None:
    phone = a_phone()
    for wrong in ({"state": "explained"}, {"state": "arrived"}, {"first_number": 9}, {"series": "x"}, {"state": "gone"}):
        values: dict[str, Any] = {
            "terminal_id": phone.terminal.id,
            "series": "receipt",
            "first_number": 1,
            "last_number": 2,
            "found_at": NOW,
        }
        with pytest.raises(Exception, match=r"(?i)check"), db.session.begin_nested():
            db.session.add(MissingNumber(**(values | wrong)))
            db.session.flush()

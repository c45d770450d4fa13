"""The equations of money (RELIABILITY I9, I13) over random days on a real store: damaged entries that come late, money taken after the Z,
forks, drops, expenses, voids, several registries, remittances of any of their Z-readings. To the centavo, per tender."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from portal.domain.journal import Entry
from portal.domain.money import centavos, from_centavos
from portal.domain.readings import expected_cash
from portal.domain.remittances import Handed
from portal.extensions import db
from portal.services import expenses, journal, remittances, voids
from portal.services import papers as bank
from portal.services import readings as closing
from portal.services.journal import Policy, Uploader
from portal.store import audit, papers, payment_totals, readings
from portal.store import expenses as expense_store
from portal.store import remittances as store
from portal.store import terminals as terminal_store
from portal.store import voids as void_store
from portal.store.models import Payment, ReadingPayment
from portal.store.money_tables import Paper
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, raw, store_soas

TENDERS: Sequence[tuple[str, str | None]] = (
    ("cash", None), ("check", "BDO"), ("check", None), ("e_wallet", "GCash"), ("e_wallet", "Maya"), ("bank_transfer", "BPI"),
)  # fmt: skip
PAYMENT = st.tuples(st.sampled_from(TENDERS), st.integers(1, 5_000_000))
OPERATION = st.one_of(
    st.tuples(st.just("pay"), PAYMENT),
    st.tuples(st.just("damaged"), PAYMENT),
    st.tuples(st.just("fork"), PAYMENT),
    st.tuples(st.just("drop"), st.integers(1, 100_000)),
    st.tuples(st.just("spend"), st.tuples(st.integers(1, 50_000), st.booleans())),
    st.tuples(st.just("decide"), st.booleans()),
    st.tuples(st.just("void"), st.integers(0, 20)),
    st.tuples(st.just("mend"), st.none()),
)
DAY = st.fixed_dictionaries(
    {
        "fund": st.integers(0, 100_000),
        "operations": st.lists(OPERATION, max_size=7),
        "bills": st.none() | st.integers(0, 100),
        "after": st.lists(PAYMENT, max_size=2),
        "remit": st.booleans(),
        "error": st.sampled_from((0, 0, 0, -1, 1, 12345)),
        "forced": st.none() | st.none() | st.lists(OPERATION, max_size=4),
    }
)


class Desk:
    """One phone and the office around it, doing what a day says."""

    def __init__(self) -> None:
        self.phone: Phone = make_phone("nena")
        self.phone.start()
        self.soa = make_soa()
        self.damaged: list[Entry] = []
        self.paid: list[Entry] = []
        self.sent = 0
        self.references = 0
        self.user_id = self.phone.terminal.user_id
        self.remitted: list[int] = []
        self.by_office: set[int] = set()

    def payload(self, what: tuple[tuple[str, str | None], int]) -> dict[str, Any]:
        (tender, channel), amount = what
        self.references += 1
        reference = None if tender == "cash" else f"{self.phone.code}-{self.references}"
        return self.phone.payload(self.soa, amount, tender=tender, channel=channel, reference=reference)

    def send(self, entries: Sequence[dict[str, Any]], last: Entry) -> journal.Answer:
        uploader = Uploader(self.user_id, "nena")
        return journal.receive(self.phone.code, list(entries), self.phone.sign([last]), uploader, Policy("automatic", 7), NOW)

    def upload(self) -> journal.Answer | None:
        """Send what is new; entries chosen to be damaged arrive with another amount than their hash says."""
        new, self.sent = self.phone.entries[self.sent :], len(self.phone.entries)
        bad = {entry.hash for entry in self.damaged}
        bodies = [raw(entry) for entry in new]
        for body in bodies:
            if body["hash"] in bad:
                body["payload"] = {**body["payload"], "amount": body["payload"]["amount"] + 1}
        return self.send(bodies, new[-1]) if new else None

    def mend(self) -> None:
        """The intact copies arrive."""
        self.upload()
        for entry in self.damaged:
            answer = self.send([raw(entry)], entry)
            assert [verdict["status"] for verdict in answer.verdicts] == ["stored"]
        self.paid += self.damaged
        self.damaged = []

    def operate(self, word: str, what: Any) -> None:
        if word == "pay":
            self.paid.append(self.phone.append("payment", self.payload(what)))
        elif word == "damaged":
            self.damaged.append(self.phone.append("payment", self.payload(what)))
        elif word == "drop":
            self.phone.drop(what)
        elif word == "spend":
            self.phone.spend(what[0])
            if what[1]:
                self.decide(approved=True)
        elif word == "decide":
            self.decide(what)
        elif word == "mend":
            self.mend()
        elif word == "fork":
            self.upload()
            own = list(self.phone.entries)
            self.phone.entries = own[:-1]
            forked = self.phone.append("payment", self.payload(what))
            self.phone.entries = own
            assert self.send([raw(forked)], forked).verdicts[0]["status"] == "conflict"
        elif word == "void" and self.paid:
            paid = self.paid.pop(what % len(self.paid))
            self.phone.ask_void(paid)
            self.upload()
            (found,) = void_store.of_payment(paid.payload["payment"])
            voids.approve(found.id, "ramon", "Typed twice", NOW)
            for told in voids.decisions_for(self.phone.terminal.id):
                self.phone.write_down(told)
            self.upload()

    def decide(self, approved: bool) -> None:
        """The office decides every expense that waits, of whichever registry; the phone hears of it and writes it down."""
        self.upload()
        waiting, onward = expense_store.list_page("requested", limit=100_000)
        assert not onward
        for one in waiting:
            if one.terminal == self.phone.code:
                (expenses.approve if approved else expenses.refuse)(one.id, "ramon", "Seen the paper", NOW)
        for told in expenses.decisions_for(self.phone.terminal.id):
            self.phone.write_expense_down(told)
        self.upload()

    def live(self, day: dict[str, Any]) -> None:
        """One registry from opening to closing, and perhaps a remittance of everything that waits."""
        for word, what in day["operations"]:
            self.operate(word, what)
        if day["forced"] is not None:
            self.close_by_office(day["forced"])
        if day["bills"] is not None:
            self.phone.count(day["bills"])
        self.phone.z_reading()
        for what in day["after"]:
            self.paid.append(self.phone.append("payment", self.payload(what)))
        self.phone.close()
        self.upload()
        if day["remit"]:
            self.remit(day["error"])
        self.phone.open(change_fund=day["fund"])

    def close_by_office(self, operations: Sequence[tuple[str, Any]]) -> None:
        """The phone is gone for a while: the office closes its registry, then the phone comes back and goes on in it, of which nothing may
        be lost or counted twice."""
        if not operations or len(operations) > 1:
            self.upload()
        assert self.phone.registry
        if terminal_store.registry(self.phone.registry) is None:
            self.upload()
        number = closing.close_by_office(self.phone.registry, "ramon", "The phone fell into a canal", NOW)
        self.by_office.add(number)
        for word, what in operations:
            self.operate(word, what)

    def remit(self, error: int) -> None:
        """Hand everything over, wrong by so many centavos of cash if that much is there."""
        due = [row for row in store.waiting_readings(self.user_id) if row.terminal == self.phone.code]
        ids = [row.id for row in due]
        expected = sum(row.portal["expected_cash"] for row in due)
        sums: dict[tuple[str, str | None], list[int]] = {}
        for one in store.expected_others(ids):
            line = sums.setdefault((one.tender, one.channel), [0, 0])
            line[0] += one.count
            line[1] += one.amount
        cash = max(expected + error, 0)
        pieces = [{"value": 100, "kind": "coin", "count": cash // 100}, {"value": 1, "kind": "coin", "count": cash % 100}]
        others = [Handed(*key, *line) for key, line in sums.items()]
        self.remitted.append(remittances.receive(self.user_id, ids, pieces, others, "As counted", "carla", NOW))


@pytest.fixture
def office(app: Flask) -> Flask:
    make_user("nena", "collector", codes=["A1"])
    make_user("carla", "office")
    make_user("ramon", "supervisor")
    store_soas(make_soa())
    return app


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(days=st.lists(DAY, min_size=1, max_size=4), mended=st.booleans())
def test_ledger_readings_and_remittances_add_up_whatever_arrives_late(office: Flask, days: list[dict[str, Any]], mended: bool) -> None:
    desk = Desk()
    for day in days:
        desk.live(day)
    if mended:
        desk.mend()
    zs = [reading for row in readings.recent(1000) if row.terminal == desk.phone.code and (reading := readings.get(row.id))]
    figures = {reading.row.id: reading.portal for reading in zs}
    in_one_z_or_named_as_in_none(desk, figures)
    left = expected_cash_is_the_one_sum(desk, figures)
    every_approved_expense_is_in_one_z_or_waits_for_the_next(desk, figures, left)
    remitted_is_expected_and_variance(desk, figures)
    kept_and_on_the_way_to_the_bank_is_the_ledger(desk)
    assert audit.verify()[1] is None


def kept_and_on_the_way_to_the_bank_is_the_ledger(desk: Desk) -> None:
    """The list's kept totals are the ledger's; each payment that is not cash has its place; cash remitted = deposited + left."""
    assert payment_totals.wrong() == []
    booked = by_tender(payment for payment in ledger_of(desk).values() if payment.tender != "cash")
    places: Counter[tuple[str, str | None]] = Counter()
    for paper, payment in db.session.execute(select(Paper, Payment).join(Payment, Payment.id == Paper.payment_id)).all():
        if payment.terminal_id == desk.phone.terminal.id:
            places[paper.tender, payment.channel] += centavos(paper.amount)
    assert places == booked
    left = {row.remittance_id: row for row in papers.cash_left()}
    own = [one for one in desk.remitted if one in left]
    if own:
        part = from_centavos(max(centavos(left[own[0]].left) // 2, 1))
        slip = f"{desk.phone.code}-{own[0]}"
        bank.deposit("BDO 001", slip, date(2026, 11, 20), {own[0]: part}, [], part, "carla", NOW, date(2026, 11, 20))
        after = {row.remittance_id: row.left for row in papers.cash_left()}
        assert after.get(own[0], Decimal(0)) == left[own[0]].counted - part


def ledger_of(desk: Desk) -> dict[str, Payment]:
    found = db.session.execute(select(Payment).where(Payment.terminal_id == desk.phone.terminal.id)).scalars()
    return {payment.id: payment for payment in found}


def by_tender(payments: Any) -> Counter[tuple[str, str | None]]:
    sums: Counter[tuple[str, str | None]] = Counter()
    for payment in payments:
        sums[payment.tender, payment.channel] += centavos(payment.amount)
    return sums


def in_one_z_or_named_as_in_none(desk: Desk, figures: dict[int, dict[str, Any]]) -> None:
    """Sum of the ledger = sum of Z gross + late + what is in no Z yet, by tender; accumulated = everything any Z took."""
    booked = ledger_of(desk)
    places = {row.payment_id: row for row in db.session.execute(select(ReadingPayment)).scalars() if row.payment_id in booked}
    assert {row.reading_id for row in places.values()} <= figures.keys()
    for reading_id, z in figures.items():
        own = [booked[key] for key, row in places.items() if row.reading_id == reading_id and not row.late]
        late = [booked[key] for key, row in places.items() if row.reading_id == reading_id and row.late]
        assert (z["gross"], z["transaction_count"]) == (sum(by_tender(own).values()), len(own))
        assert (z["late_amount"], z["late_count"]) == (sum(by_tender(late).values()), len(late))
        assert {(line["tender"], line["channel"]): line["amount"] for line in z["tenders"]} == by_tender(own)
        assert {(line["tender"], line["channel"]): line["amount"] for line in z["late_tenders"]} == by_tender(late)
        assert {row.payment_id for row in readings.late_in(reading_id)} == {payment.id for payment in late}
    covered = sum(z["gross"] + z["late_amount"] for z in figures.values())
    outside = [payment for key, payment in booked.items() if key not in places]
    named = [row for row in readings.uncovered() if row.terminal == desk.phone.code]
    assert sum(centavos(row.amount) for row in named) == sum(by_tender(outside).values())
    assert sum(row.count for row in named) == len(outside)
    assert sum(by_tender(booked.values()).values()) == covered + sum(by_tender(outside).values())
    terminal = terminal_store.by_code(desk.phone.code)
    assert terminal and centavos(terminal.accumulated) == covered
    running = 0
    for z in sorted(figures.values(), key=lambda one: one["z_counter"]):
        assert z["previous_accumulated"] == running
        running += z["gross"] + z["late_amount"]
        assert z["present_accumulated"] == running


def expected_cash_is_the_one_sum(desk: Desk, figures: dict[int, dict[str, Any]]) -> list[Entry]:
    """Expected cash is the sum of DOMAIN 6 over what the ledger, the journal and the voids hold, late cash among it. Of a registry that
    the office closed, what the phone wrote after that is in the next Z: answers what no Z holds yet."""
    booked = ledger_of(desk)
    places = {row.payment_id: row.reading_id for row in db.session.execute(select(ReadingPayment)).scalars()}
    left: list[Entry] = []
    for reading_id, z in sorted(figures.items(), key=lambda pair: pair[1]["z_counter"]):
        cash = sum(centavos(one.amount) for key, one in booked.items() if one.tender == "cash" and places.get(key) == reading_id)
        of_registry = [entry for entry in desk.phone.entries if entry.payload.get("registry") == z["registry"]]
        registry = terminal_store.registry(z["registry"])
        assert registry
        known = registry.forced_seq if reading_id in desk.by_office else None
        inside = [*left, *(entry for entry in of_registry if known is None or entry.seq <= known)]
        left = [] if known is None else [entry for entry in of_registry if entry.seq > known]
        (fund,) = [entry.payload["change_fund"] for entry in of_registry if entry.kind == "registry_opened"]
        drops = sum(entry.payload["amount"] for entry in inside if entry.kind == "cash_drop")
        voided = [entry.payload for entry in inside if entry.kind == "void_decided"]
        voided_cash = sum(one["amount"] for one in voided if one["tender"] == "cash")
        assert z["less_void"] == sum(one["amount"] for one in voided) and z["net"] == z["gross"] - z["less_void"]
        decided = [entry.payload for entry in inside if entry.kind == "expense_decided"]
        spent = sum(one["amount"] for one in decided if one["decision"] == "approved")
        assert (z["less_drops"], z["less_expenses"]) == (drops, spent)
        assert z["expected_cash"] == expected_cash(fund, cash, voided_cash, drops, spent)
        assert z["short_over"] == (None if z["counted_cash"] is None else z["counted_cash"] - z["expected_cash"])
    return left


def every_approved_expense_is_in_one_z_or_waits_for_the_next(desk: Desk, figures: dict[int, dict[str, Any]], left: Sequence[Entry]) -> None:
    """Approved expenses = those that came off expected cash in some Z, and those that are carried into the next one."""
    own = [one for one in expense_store.list_page("approved", limit=100_000)[0] if one.terminal == desk.phone.code]
    carried = [entry.payload for entry in left if entry.kind == "expense_decided" and entry.payload["decision"] == "approved"]
    taken_off = sum(z["less_expenses"] for z in figures.values())
    assert all(one.counted_seq for one in own)
    assert taken_off + sum(one["amount"] for one in carried) == sum(centavos(one.amount) for one in own)


def remitted_is_expected_and_variance(desk: Desk, figures: dict[int, dict[str, Any]]) -> None:
    """Remitted = expected + variance per tender; a Z is remitted once, or waits; other tenders are those of the Z less what was voided."""
    seen: Counter[int] = Counter()
    for remittance_id in desk.remitted:
        found = store.get(remittance_id)
        assert found
        ids = [reading.id for reading in found.readings]
        seen.update(ids)
        expected = sum(figures[one]["expected_cash"] for one in ids)
        assert centavos(found.row.counted_cash) == expected + centavos(found.row.variance)
        assert found.row.state == ("waiting" if found.row.variance < 0 else "received")
        assert sum(piece["value"] * piece["count"] for piece in found.denominations) == centavos(found.row.counted_cash)
        counted = [figures[one]["counted_cash"] for one in ids]
        assert found.collector_count == (None if None in counted else Decimal(sum(counted)).scaleb(-2))
        of_readings: Counter[tuple[str, str | None]] = Counter()
        for one in ids:
            for line in figures[one]["tenders"] + figures[one]["late_tenders"]:
                of_readings[line["tender"], line["channel"]] += line["amount"]
        del of_readings["cash", None]
        at_desk = Counter({(line.tender, line.channel): centavos(line.expected_amount) for line in found.lines})
        given_back = of_readings - at_desk
        assert sum(given_back.values()) <= sum(centavos(paper.amount) for paper in found.papers if paper.voided)
        assert not at_desk - of_readings
        for other in found.lines:
            assert other.received_amount == other.expected_amount + other.variance and other.agrees
    waiting = {row.id for row in store.waiting_readings(desk.user_id)} & figures.keys()
    assert set(seen.values()) <= {1} and seen.keys() | waiting == figures.keys() and not seen.keys() & waiting

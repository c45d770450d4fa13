"""Reports over random days on a real store: every total equals what the ledger says, added up here by hand, whatever is voided, printed
again, late, promised or allocated anew."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from sqlalchemy import select

from portal import clock, collection_report, report_files
from portal.domain.journal import Entry
from portal.domain.payments import TENDER_WORDS
from portal.extensions import db
from portal.report_files import Wanted
from portal.report_parts import Added
from portal.reports import REPORTS
from portal.services import journal, missing, voids
from portal.services.journal import Policy, Uploader
from portal.store import missing as missing_store
from portal.store import voids as void_store
from portal.store.missing import MissingFilter
from portal.store.models import Payment, PaymentAllocation, Soa, Visit, Void
from portal.store.report_rows import Cell, ReportFilter
from tests.factories import NOW, Phone, make_invoice, make_phone, make_soa, make_user, raw, store_soas

FIRST, TODAY = date(2026, 11, 17), date(2026, 11, 20)
TENDERS = (("cash", None), ("check", "BDO"), ("check", None), ("e_wallet", "GCash"), ("bank_transfer", "BPI"))
STEP = st.one_of(
    st.tuples(st.just("pay"), st.sampled_from(TENDERS), st.sampled_from(("S1", "S2", "S3")), st.integers(1, 400_000)),
    st.tuples(st.just("void"), st.sampled_from(("approve", "refuse", "wait")), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("reprint"), st.just(""), st.integers(0, 9), st.integers(0, 2)),
    st.tuples(st.just("promise"), st.just(""), st.sampled_from(("S1", "S2")), st.none() | st.integers(1, 100_000)),
    st.tuples(st.just("no_collection"), st.sampled_from(("Nobody home", "Moved away")), st.sampled_from(("S1", "S3")), st.just(0)),
    st.tuples(st.just("damage"), st.sampled_from(TENDERS), st.sampled_from(("S1", "S3")), st.integers(1, 400_000)),
)
WORLD = st.lists(st.tuples(st.sampled_from(("nena", "jun")), st.integers(0, 3), st.lists(STEP, max_size=6)), min_size=1, max_size=5)


@pytest.fixture
def office(any_app: Flask) -> Flask:
    return furnished(any_app)


@pytest.fixture
def one_office(app: Flask) -> Flask:
    """The same on one database, for what does not differ between them."""
    return furnished(app)


def furnished(app: Flask) -> Flask:
    make_user("nena", "collector", codes=["A1"])
    make_user("jun", "collector", codes=["A1", "B2"])
    make_user("ramon", "supervisor")
    soas = [
        make_soa("S1", invoices=[make_invoice(1, penalty=Decimal("50.00")), make_invoice(2)]),
        make_soa("S2", collector_code="B2", due_date=date(2026, 11, 20)),
        make_soa(
            "S3", collector_code=None, due_date=date(2026, 7, 1), invoices=[make_invoice(1, vat_type="exempt", vat_amount=Decimal(0))]
        ),
    ]
    store_soas(*soas)
    return app


class Street:
    """Two phones and what they do."""

    def __init__(self) -> None:
        self.soas = {soa.id: soa for soa in (make_soa("S1", invoices=[make_invoice(1, penalty=Decimal("50.00")), make_invoice(2)]),
                                            make_soa("S2", collector_code="B2"), make_soa("S3", collector_code=None))}  # fmt: skip
        self.phones = {name: make_phone(name) for name in ("nena", "jun")}
        self.paid: dict[str, list[Entry]] = {"nena": [], "jun": []}
        self.reprints = 0
        for phone in self.phones.values():
            phone.append("enrolled", {"name": "Phone", "collector": phone.user_name, "app_version": "test"})

    def live(self, name: str, ago: int, steps: list[tuple[Any, ...]]) -> None:
        """One registry of one phone."""
        phone = self.phones[name]
        damaged: list[Entry] = []
        phone.open(0, (TODAY - timedelta(days=ago)).isoformat())
        for word, first, second, third in steps:
            if word in {"pay", "damage"}:
                tender, channel = first
                number = f"{phone.code}-{phone.receipts}"
                entry = phone.pay(self.soas[second], third, tender=tender, channel=channel, reference=None if tender == "cash" else number)
                (damaged if word == "damage" else self.paid[name]).append(entry)
            elif word == "void" and self.paid[name]:
                self.void(phone, self.paid[name].pop(second % len(self.paid[name])), first)
            elif word == "reprint" and self.paid[name]:
                entry = self.paid[name][second % len(self.paid[name])]
                of = {"payment": entry.payload["payment"], "receipt_number": entry.payload["receipt_number"]}
                phone.append("receipt_printed", {**of, "copy": "customer", "reprint": third})
                self.reprints += third > 0
            elif word == "promise":
                phone.append("promise", {"soa": second, "promised_on": "2026-11-21", "amount": third, "note": None})
            elif word == "no_collection":
                phone.append("no_collection", {"soa": second, "reason": first, "note": None})
        phone.z_reading()
        phone.close()
        self.send(phone, {entry.hash for entry in damaged})
        for entry in damaged:  # the intact copies come after the Z: they are late
            self.receive(phone, [raw(entry)], entry)

    def void(self, phone: Phone, paid: Entry, then: str) -> None:
        phone.ask_void(paid)
        self.send(phone)
        (found,) = void_store.of_payment(paid.payload["payment"])
        if then == "approve":
            voids.approve(found.id, "ramon", "", NOW)
        elif then == "refuse":
            voids.refuse(found.id, "ramon", "The amount is right", NOW)

    def send(self, phone: Phone, damaged: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        bodies = [raw(entry) for entry in phone.entries]
        for body in bodies:
            if body["hash"] in damaged:
                body["payload"] = {**body["payload"], "amount": body["payload"]["amount"] + 1}
        self.receive(phone, bodies, phone.entries[-1])

    def receive(self, phone: Phone, bodies: list[dict[str, Any]], last: Entry) -> None:
        uploader = Uploader(phone.terminal.user_id, phone.user_name)
        journal.receive(phone.code, bodies, phone.sign([last]), uploader, Policy("automatic", 3650), NOW)


class Books:
    """The ledger, added up by hand."""

    def __init__(self, wanted: ReportFilter) -> None:
        db.session.expire_all()
        approved = {row.payment_id for row in db.session.scalars(select(Void).where(Void.state == "approved"))}
        every = [one for one in db.session.scalars(select(Payment)) if self.fits(one, wanted)]
        self.voided = [one for one in every if one.id in approved]
        self.good = [one for one in every if one.id not in approved]
        self.kinds: Counter[str] = Counter()
        generations = {one.id: one.allocation_generation for one in self.good}
        for part in db.session.scalars(select(PaymentAllocation)):
            if generations.get(part.payment_id) == part.generation:
                self.kinds[part.kind] += part.amount  # type: ignore[assignment]

    @staticmethod
    def fits(one: Payment, wanted: ReportFilter) -> bool:
        return (
            wanted.first <= one.business_date <= wanted.last
            and wanted.collector in {"", one.user.name}
            and wanted.code in {"", one.collector_code}
        )

    def pesos(self, payments: list[Payment], take: Callable[[Payment], Decimal] = lambda one: one.amount) -> Decimal:
        return sum((take(one) for one in payments), Decimal(0))


def totals(name: str, wanted: ReportFilter) -> tuple[dict[str, Cell], list[dict[str, Cell]]]:
    """The totals of a report by label, and its rows by label."""
    report = REPORTS[name]
    rows = Added(report, report.rows(wanted, TODAY))
    lines = [dict(zip(report.head, row, strict=True)) for row in rows]
    assert rows.count == len(lines) and all(len(line) == len(report.columns) for line in lines)
    return dict(rows.sums), lines


def filters() -> Iterator[ReportFilter]:
    for first, last in ((FIRST, TODAY), (TODAY, TODAY), (FIRST, FIRST + timedelta(days=1))):
        for collector in ("", "nena"):
            for code in ("", "B2"):
                yield ReportFilter(first, last, clock.midnight(first), clock.midnight(last + timedelta(days=1)), collector, code)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(world=WORLD)
def test_every_total_is_the_ledgers(office: Flask, world: list[tuple[str, int, list[tuple[Any, ...]]]]) -> None:
    street = Street()
    for name, ago, steps in world:
        street.live(name, ago, steps)
    for wanted in filters():
        money_reports(wanted)
    everything = next(filters())
    assert sum(line["What"] == "Reprint" for line in totals("voids-reprints", everything)[1]) >= street.reprints
    promises_and_visits(everything)
    owed()


def money_reports(wanted: ReportFilter) -> None:
    books = Books(wanted)
    total, voided = books.pesos(books.good), books.pesos(books.voided)
    sums, lines = totals("daily-collection", wanted)
    assert (sums["Payments"], sums["Total"], sums["Voided payments"], sums["Voided"]) == (len(books.good), total, len(books.voided), voided)
    assert [sums[kind.capitalize()] for kind in ("penalty", "principal", "advance")] == [
        books.kinds[kind] or Decimal(0) for kind in ("penalty", "principal", "advance")
    ]
    for line in [*lines, sums]:
        assert sum(line[word] for word in TENDER_WORDS.values()) == line["Total"]  # type: ignore[misc]
        assert line["Penalty"] + line["Principal"] + line["Advance"] == line["Total"]  # type: ignore[operator]
    sums, lines = totals("tenders", wanted)
    assert (sums["Payments"], sums["Collected"], sums["Voided"]) == (len(books.good), total, voided)
    for line in lines:
        mine = [one for one in books.good if (TENDER_WORDS[one.tender], one.channel) == (line["Tender"], line["Bank or wallet"])]
        assert (line["Payments"], line["Collected"]) == (len(mine), books.pesos(mine))
    sums, lines = totals("vat", wanted)
    assert (sums["Payments"], sums["Total"]) == (len(books.good), total)
    assert sums["VAT amount"] == books.pesos(books.good, lambda one: one.vat_amount)
    for line in lines:
        parts = ("VATable", "VAT amount", "VAT-exempt", "Zero-rated", "Penalty", "Advance")
        assert sum(line[part] for part in parts) == line["Total"]  # type: ignore[misc]
    sums, lines = totals("collection", wanted)
    assert (len(lines), sums["Total"], sums["Voided"]) == (len(books.good) + len(books.voided), total, voided)
    assert sums["Penalty"] + sums["Principal"] + sums["Advance"] == total  # type: ignore[operator]
    sums, lines = totals("performance", wanted)
    assert (sums["Payments"], sums["Collected"], sums["Voids"]) == (len(books.good), total, len(books.voided))
    assert all(0 <= (line["Collected from"] or 0) <= (line["Visited"] or 0) for line in lines)  # type: ignore[operator]
    sums, lines = totals("advances", wanted)
    assert sums["Advance"] == (books.kinds["advance"] or Decimal(0)) and all(line["Advance"] for line in lines)
    late_lines = [line for line in totals("late-missing", wanted)[1] if line["What"] == "Late payment"]
    assert {line["Numbers"] for line in late_lines} <= {one.claimed_receipt_number for one in books.good + books.voided}
    assert not [line for line in totals("late-missing", wanted)[1] if line["What"] != "Late payment"]  # everything arrived in the end
    assert totals("remittances", wanted)[1] == []


def promises_and_visits(wanted: ReportFilter) -> None:
    visits = list(db.session.scalars(select(Visit)))
    promised = [one for one in visits if one.kind == "promise"]
    ahead = ReportFilter(TODAY, TODAY + timedelta(days=6), wanted.since, wanted.until)
    sums, lines = totals("promises", ahead)
    assert len(lines) == len(promised) and sums["Promised"] == sum((one.amount or Decimal(0) for one in promised), Decimal(0))
    today = ReportFilter(FIRST, TODAY, clock.midnight(FIRST), clock.midnight(TODAY + timedelta(days=1)))
    sums, _ = totals("performance", today)
    assert (sums["Promises"], sums["Could not collect"]) == (len(promised), len(visits) - len(promised))
    noted = totals("visits", today)[1]
    assert Counter(line["What"] for line in noted) == Counter({"Promised": len(promised), "Could not collect": len(visits) - len(promised)})
    (why,) = REPORTS["performance"].besides(today, TODAY)
    assert {row[0]: row[1] for row in why.rows} == Counter(one.reason for one in visits if one.kind == "no_collection")


def owed() -> None:
    everything = ReportFilter(date.min, date.max, clock.midnight(TODAY), clock.midnight(TODAY))
    sums, lines = totals("aging", everything)
    soas = list(db.session.scalars(select(Soa).where(Soa.status == "active")))
    assert (sums["Accounts"], sums["Amount due"]) == (len(soas), sum(soa.amount_due for soa in soas))
    ages = ("Not overdue", "1 to 30 days", "31 to 60 days", "61 to 90 days", "Over 90 days")
    for line in [*lines, sums]:
        assert sum(line[age] for age in ages) == line["Amount due"]  # type: ignore[misc]
    by_hand = {"Not overdue": 0, "1 to 30 days": 0, "31 to 60 days": 0, "61 to 90 days": 0, "Over 90 days": 0}
    for soa in soas:
        days = (TODAY - soa.due_date).days
        by_hand[ages[0 if days <= 0 else 1 if days <= 30 else 2 if days <= 60 else 3 if days <= 90 else 4]] += soa.amount_due  # type: ignore[assignment]
    assert {age: sums[age] for age in ages} == by_hand
    each, accounts = totals("aging-accounts", everything)
    assert {age: each[age] for age in (*ages, "Amount due")} == {age: sums[age] for age in (*ages, "Amount due")}
    assert [(line["SOA number"], line["Days overdue"]) for line in accounts] == [
        (soa.soa_number, max((TODAY - soa.due_date).days, 0))
        for soa in sorted(soas, key=lambda soa: (soa.collector_code or "", soa.due_date))
    ]
    for first, last in ((date(2026, 11, 1), date.max), (date.min, date(2026, 8, 1))):
        some = ReportFilter(first, last, everything.since, everything.until)
        mine = [soa.amount_due for soa in soas if first <= soa.due_date <= last]
        assert totals("aging", some)[0]["Amount due"] == totals("aging-accounts", some)[0]["Amount due"] == sum(mine)


def test_a_number_that_is_missing_is_named_until_it_arrives(office: Flask) -> None:
    street = Street()
    phone = street.phones["nena"]
    phone.open(0)
    entries = [phone.pay(street.soas["S1"], 100) for _ in range(5)]
    bad = {entries[1].hash, entries[2].hash}
    street.send(phone, bad)
    wanted = next(filters())
    sums, lines = totals("late-missing", wanted)
    assert [(line["What"], line["Numbers"], line["Missing"]) for line in lines] == [("Missing receipts", "T01-00000002 to T01-00000003", 2)]
    street.receive(phone, [raw(entries[1])], entries[1])
    sums, lines = totals("late-missing", wanted)
    assert [(line["What"], line["Numbers"]) for line in lines] == [("Missing receipt", "T01-00000003")] and sums["Missing"] == 1
    assert totals("late-missing", ReportFilter(FIRST, TODAY, wanted.since, wanted.until, code="A1"))[1] == []
    for other in (ReportFilter(FIRST, TODAY, wanted.since, wanted.until, "jun"), ReportFilter(FIRST, FIRST, wanted.since, wanted.until)):
        assert totals("late-missing", other)[1] == [], "of another collector, of other days"
    (gap,) = missing_store.list_page(MissingFilter())
    missing.explain(gap.id, "ramon", "The phone fell into the river", NOW)
    ((line,), (named,)) = totals("late-missing", wanted)[1], REPORTS["collection"].besides(wanted, TODAY)[1].rows
    assert line["Where it is"] == named[-1] == "Explained by ramon: The phone fell into the river"
    street.receive(phone, [raw(entries[2])], entries[2])
    assert totals("late-missing", wanted)[1] == [] == list(REPORTS["collection"].besides(wanted, TODAY)[1].rows)


def test_a_long_report_of_any_kind_is_lines_that_hold_the_same(one_office: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    street = Street()
    street.live("nena", 0, [("pay", ("cash", None), "S1", 100), ("pay", ("check", None), "S2", 200), ("void", "approve", 0, 0)])
    street.live("jun", 0, [("promise", "", "S1", 100), ("no_collection", "Moved away", "S3", 0)])
    everything = next(filters())
    for report in (REPORTS[name] for name in ("collection", "performance", "aging-accounts", "voids-reprints", "vat")):
        whole = ReportFilter(date.min, date.max, everything.since, everything.until) if "due" in report.asks else everything
        wanted = Wanted(report, whole, ("17 to 20 Nov",), TODAY)
        added = Added(report, list(report.rows(whole, TODAY)))
        figures = [f"{cell:,.2f}" for row in added for cell in row if isinstance(cell, Decimal)]
        figures += [f"{total:,.2f}" for _, total in added.sums if isinstance(total, Decimal)]
        if not added.count:
            continue
        monkeypatch.setattr(report_files, "TABLE", 0)
        monkeypatch.setattr(collection_report, "SHORT", 0)
        long = paper(report_files.at_once(wanted, "pdf"))
        assert report.title.upper() in long and "Page 1 of " in long
        assert [figure for figure in figures if figure not in long] == [], report.name
        monkeypatch.setattr(report_files, "AT_ONCE", {"pdf": added.count - 1, "xlsx": added.count - 1})
        assert report_files.at_once(wanted, "pdf") is None is report_files.at_once(wanted, "xlsx"), report.name
        monkeypatch.undo()


def paper(content: bytes | None) -> str:
    """The words of a PDF."""
    assert content is not None
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split())


def test_readings_as_lines_equal_the_ledger_and_the_drawer(office: Flask) -> None:
    street = Street()
    phone = street.phones["jun"]
    phone.open(20_000)
    phone.pay(street.soas["S1"], 30_000)
    phone.x_reading()
    phone.pay(street.soas["S1"], 5_050, tender="check", reference="0012")
    phone.count(1)
    phone.z_reading()
    phone.close()
    street.send(phone)
    everything = next(filters())
    sums, (z,) = totals("z-readings", everything)
    assert (z["Z counter"], z["Receipts"], z["Phone"]) == (1, f"{phone.code}-00000001 to {phone.code}-00000002", None)
    assert sums["Gross"] == z["Accumulated"] == Decimal("350.50") == sum(one.amount for one in db.session.scalars(select(Payment)))
    assert (z["Expected cash"], z["Counted cash"], sums["Over or short"]) == (Decimal("500.00"), Decimal("1000.00"), Decimal("500.00"))
    sums, (x,) = totals("x-readings", everything)
    assert (x["Gross"], x["Payments"], x["Counted cash"], sums) == (Decimal("300.00"), 1, None, {})
    for wanted in (ReportFilter(FIRST, FIRST, everything.since, everything.until), ReportFilter(FIRST, TODAY, NOW, NOW, "nena")):
        assert totals("z-readings", wanted)[1] == totals("x-readings", wanted)[1] == []

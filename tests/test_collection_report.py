"""The long Collection Report: every payment once, the same figures as the short one, voids in their place, each page numbered."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Flask
from pypdf import PdfReader

from bench.report_pdf import payments
from portal import collection_report
from portal.domain.allocation import Allocation
from portal.domain.money import centavos
from portal.services import journal, voids
from portal.services.journal import Policy, Uploader
from portal.store import report_rows
from portal.store import voids as void_store
from portal.store.report_rows import ReportFilter
from tests.factories import NOW as FACTORY_NOW
from tests.factories import make_invoice, make_phone, make_soa, make_user, store_soas

NOW = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)
VOID: Any = SimpleNamespace(void_number="T05-V000001", reason="Typed twice", decided_by_display="Ramon")


def test_a_long_report_holds_every_payment_once_and_the_same_totals(app: Flask) -> None:
    rows = payments(420)
    heard: list[int] = []
    lines = [(line, VOID if place == 3 else None) for place, line in enumerate(rows)]
    content = collection_report.pdf(lines, ["1 Nov 2026 to 30 Nov 2026"], [], NOW, heard.append)
    assert heard[-1] == len(rows)
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    text = "\n".join(pages)
    for line in rows:
        assert text.count(line.row.receipt_number) == 1, line.row.receipt_number
    assert all(f"Page {number} of {len(pages)}" in page for number, page in enumerate(pages, start=1)) and len(pages) > 3
    assert "VOID T05-V000001" in re.sub(r"\s+", " ", text)
    good = sum((line.row.amount for line, void in lines if void is None), Decimal(0))
    assert f"{good:,.2f}" in pages[-2] and f"{good:,.2f}" in pages[-1], "the running total ends in the grand total"
    assert "Approved by" in pages[-1] and "numbers that have not arrived" in re.sub(r"\s+", " ", pages[-1]).lower()


def test_text_of_customers_stays_text(app: Flask) -> None:
    rows = payments(2)
    rows[0] = rows[0].__class__(
        rows[0].row._replace(customer_name="<b>Ana</b> & {{7*7}}\u202e"),
        *(getattr(rows[0], name) for name in ("penalty", "principal", "advance", "invoices")),
    )
    content = collection_report.pdf([(line, None) for line in rows], ["today"], [], NOW, lambda done: None)
    assert "<b>Ana</b> & {{7*7}}" in PdfReader(io.BytesIO(content)).pages[0].extract_text()


def test_the_portals_lines_are_those_of_the_phones_report(app: Flask) -> None:
    """The phone's report is held against the same lines in tests/js/vectors.test.mjs."""
    vector = json.loads((Path(__file__).parent / "vectors" / "collection.json").read_text("utf-8"))
    make_user("nena", "collector", codes=["A1"])
    make_user("ramon", "supervisor")
    soa = make_soa("S1", invoices=[make_invoice(1, balance=Decimal("500.00"), penalty=Decimal("12.50")), make_invoice(2)])
    store_soas(soa)
    phone = make_phone("nena")
    phone.start()
    paid: list[Allocation] = []
    for taking in vector["payments"]:
        given = {name: taking[name] for name in ("tender", "channel", "reference")}
        entry = phone.pay(soa, taking["amount"], list(paid), **given)
        assert entry.payload["allocations"] == taking["allocations"]
        paid += [Allocation(**part) for part in taking["allocations"]]
        if taking["void"]:
            phone.ask_void(entry, taking["void"]["reason"])
    body = phone.upload_body()
    uploader = Uploader(phone.terminal.user_id, "nena")
    journal.receive(phone.code, body["entries"], body["signature"], uploader, Policy("automatic", 3650), FACTORY_NOW)
    (waiting,) = void_store.list_page("requested")[0]
    voids.approve(waiting.id, "ramon", "", FACTORY_NOW)
    day = date(2026, 11, 20)
    pairs = list(report_rows.collection(ReportFilter(day, day, FACTORY_NOW, FACTORY_NOW)))
    as_they_are = ("receipt_number", "account_number", "customer_name", "tender", "channel", "reference")
    lines = [
        {
            **{name: getattr(line.row, name) for name in as_they_are},
            **{name: centavos(getattr(line, name)) for name in ("penalty", "principal", "advance")},
            "amount": centavos(line.row.amount),
            "invoices": list(line.invoices),
            "void": {"number": void.void_number, "reason": void.reason} if void else None,
        }
        for line, void in pairs
    ]
    assert lines == vector["lines"]
    data = collection_report.contents(pairs, [], [])
    net = {"amount": data["total"], **{name: data[name] for name in ("penalty", "principal", "advance")}}
    assert {name: centavos(value) for name, value in net.items()} == vector["net"] and centavos(data["voided"]) == vector["voided"]

"""The electronic journal: every printed document in the order of printing, REPRINT n and voids included, on screen and as files."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Collection
from typing import Any

import pytest
from sqlalchemy import select

from portal import ejournal
from portal.domain.journal import Entry
from portal.ejournal import Frame
from portal.extensions import db
from portal.services import expenses, voids
from portal.store import ejournal as store
from portal.store import expenses as expense_store
from portal.store import voids as void_store
from portal.store.ejournal import Asked
from portal.store.models import Payment
from tests.blueprints.office_site import Site, attributes, element, text_of, upload
from tests.factories import NOW, Phone, make_phone, make_soa

DAY = "?from=2026-11-20&to=2026-11-20"


class Printer:
    """A phone of Jun that prints: a receipt, its reprint, a void slip, an expense, a drop, an X and a Z, and a reprint after closing."""

    def __init__(self, site: Site) -> None:
        with site.app.app_context():
            self.phone: Phone = make_phone("jun")
            self.phone.start()
            self.paid = self.phone.pay(make_soa("S1"), 30000, tendered=50000, change=20000)
            self.print("customer", 0)
            self.print("customer", 1)
            self.phone.ask_void(self.paid, "Typed twice")
            self.print("collector", 0)
            spent = self.phone.spend(4500, description="To Malolos").payload["expense"]
            self.phone.drop(10000, given_to="Branch safe")
            self.phone.x_reading()
            upload(self.phone, "automatic")
            (void,) = void_store.of_payment(self.paid.payload["payment"])
            voids.approve(void.id, "ramon", "", NOW)
            expenses.approve(spent, "ramon", "", NOW)
            (told,), (decided,) = voids.decisions_for(self.phone.terminal.id), expenses.decisions_for(self.phone.terminal.id)
            self.phone.write_down(told)
            self.phone.write_expense_down(decided)
            self.phone.count(1)
            self.phone.z_reading()
            self.phone.close()
            self.print("customer", 2)
            upload(self.phone, "automatic")
            assert expense_store.waiting()[0] == 0

    def print(self, copy: str, reprint: int) -> Entry:
        facts: dict[str, Any] = {name: self.paid.payload[name] for name in ("payment", "receipt_number")}
        return self.phone.append("receipt_printed", {**facts, "copy": copy, "reprint": reprint})


@pytest.fixture
def printer(site: Site) -> Printer:
    return Printer(site)


def test_every_document_is_there_in_the_order_of_printing_as_it_was_then(site: Site, printer: Printer) -> None:
    code = printer.phone.code
    with site.app.app_context():
        asked = Asked(NOW.date(), NOW.date(), "jun", code)
        found = list(ejournal.documents(asked, Frame({"business_name": "Hardin"}, True)))
        assert store.count(asked, 1000) == len(found)
        assert list(ejournal.documents(Asked(NOW.date(), NOW.date(), "nena", code), Frame({}, False))) == []
        (held,) = {
            row[0] for row in db.session.execute(select(Payment.collector_code).where(Payment.terminal_id == printer.phone.terminal.id))
        }
        assert list(ejournal.documents(Asked(NOW.date(), NOW.date(), "", code, held), Frame({"business_name": "Hardin"}, True))) == found
        assert list(ejournal.documents(Asked(NOW.date(), NOW.date(), "", code, "none"), Frame({}, False))) == []
    assert [(one.name, one.number) for one in found] == [
        ("Receipt", f"{code}-00000001"),
        ("Receipt, reprint 1", f"{code}-00000001"),
        ("Void slip", f"{code}-V000001"),
        ("Receipt", f"{code}-00000001"),
        ("Expense slip", f"{code}/{found[4].seq}"),
        ("Cash drop slip", f"{code}/{found[5].seq}"),
        ("X-reading", ""),
        ("Void slip", f"{code}-V000001"),
        ("Expense slip", f"{code}/{found[4].seq}"),
        ("Z-reading", "Z 1"),
        ("Receipt, reprint 2", f"{code}-00000001"),
    ]
    assert [one.seq for one in found] == sorted(one.seq for one in found[:8]) + [one.seq for one in found[8:]]
    first, reprint, asked_for, copy, expense, drop, x, void, decided, z, last = (one.text for one in found)
    assert "TOTAL" in first and "₱300.00" in first and "Cash tendered" in first and "Three hundred pesos only" in first
    assert "14 Rizal St." in first and "DEMO" in first and "REPRINT" not in first and "VOID" not in first.upper()
    assert "* REPRINT 1 *" in reprint and "* REPRINT 2 *" in last
    assert "COLLECTOR'S COPY" in copy and f"Void {code}-V000001 asked for" in copy
    assert f"* VOID {code}-V000001 *" in last, "printed after the void was approved"
    assert "NOT YET APPROVED" in asked_for and "* APPROVED *" in void and "Typed twice" in void
    assert "NOT YET APPROVED" in expense and "* APPROVED *" in decided and "Branch safe" in drop
    assert "X-READING" in x and "Expected cash is shown after" in x and "Less expenses" in z and "45.00" in z
    assert all(len(line) <= 32 for one in found for line in one.lines)


def test_a_page_and_files_of_the_same_documents(site: Site, printer: Printer) -> None:
    address = f"{DAY}&terminal={printer.phone.code}"
    page = site.page("ramon", f"/reports/e-journal{address}")
    assert element(page, "document-count") == "11" and len(attributes(page, "data-document")) == 11
    assert "Receipts with their reprints, slips and readings, as phones printed them" in text_of(site.page("ramon", "/reports"))
    today = site.page("ramon", "/reports/e-journal")
    first, last = re.findall(r'type="date"[^>]* value="(\d{4}-\d\d-\d\d)"', today)
    assert first == last and 'name="code"' in today, "the day in force stands in the form"
    text = site.get("ramon", f"/reports/e-journal.txt{address}")
    assert text.mimetype == "text/plain" and "attachment" in text.headers["Content-Disposition"]
    whole = text.get_data(as_text=True)
    assert whole.startswith("ELECTRONIC JOURNAL\n20 Nov 2026") and whole.endswith("===== 11 documents =====\n")
    assert whole.count("* REPRINT") == 2
    assert re.search(r"===== T\d+, entry \d+, 20 Nov 2026, \d\d:\d\d:\d\d, Receipt", whole)
    rows = site.get("ramon", f"/reports/e-journal.csv{address}").get_data(as_text=True)
    assert rows.count("Receipt, reprint") == 2
    book = zipfile.ZipFile(io.BytesIO(site.get("ramon", f"/reports/e-journal.xlsx{address}").data))
    cells = b"".join(book.read(name) for name in book.namelist() if name.startswith("xl/")).decode()
    assert cells.count("Receipt, reprint") >= 1 and "Three hundred pesos only" in cells
    assert site.get("ramon", f"/reports/e-journal.pdf{address}").data[:5] == b"%PDF-"
    assert site.get("carla", f"/reports/e-journal{address}").status_code == 403
    assert site.get("ramon", "/reports/e-journal.txt?from=x").status_code == 422
    assert "Nothing was printed" in site.page("ramon", "/reports/e-journal?from=2026-01-01&to=2026-01-02")
    assert "at most 400 days" in text_of(site.page("ramon", "/reports/e-journal?from=2020-01-01&to=2026-11-20"))


def test_what_is_about_an_entry_that_never_arrived_says_so_and_stops_nothing(site: Site) -> None:
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        phone.append("receipt_printed", {"payment": "nobody", "receipt_number": f"{phone.code}-00000009", "copy": "customer", "reprint": 0})
        phone.append("receipt_printed", {"payment": 5, "copy": [], "reprint": "x"})
        upload(phone, "automatic")
        found = list(ejournal.documents(Asked(NOW.date(), NOW.date(), "", phone.code), Frame({}, False)))
    assert [one.number for one in found] == [f"{phone.code}-00000009", ""]
    assert all("is not known" in " ".join(one.lines) for one in found)


def test_a_long_day_is_looked_up_by_set(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    really = store.payments

    def counted(ids: Collection[str]) -> Any:
        asked.append(len(set(ids)))
        return really(ids)

    monkeypatch.setattr(store, "payments", counted)
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        for number in range(30):
            paid = phone.pay(make_soa("S1"), 100 + number)
            phone.append(
                "receipt_printed", {**{n: paid.payload[n] for n in ("payment", "receipt_number")}, "copy": "customer", "reprint": 0}
            )
        upload(phone, "automatic")
        found = list(ejournal.documents(Asked(NOW.date(), NOW.date(), "", phone.code), Frame({}, False)))
    assert len(found) == 30 and asked == [30]

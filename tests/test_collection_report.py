"""The long Collection Report: every payment once, the same figures as the short one, voids in their place, each page numbered."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from flask import Flask
from pypdf import PdfReader

from bench.report_pdf import payments
from portal import collection_report

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

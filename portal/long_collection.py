"""The Collection Report when it is long: the same columns as the short one's table, set as lines (portal/domain/lines.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from portal.documents import LongReport, render_lines_pdf
from portal.domain import lines
from portal.domain.lines import Block, Place
from portal.domain.money import ZERO, show
from portal.domain.payments import TENDER_WORDS
from portal.filters import FLAG_WORDS, STATUS_WORDS, moment
from portal.store.ledger import SplitRow
from portal.store.voids import VoidRow

SHORT = 250
"""Payments up to which the report is a table, tagged for those who have it read to them."""
PLACES = (
    Place("Receipt", 12), Place("Time", 18), Place("Account", 15), Place("Customer", 26), Place("Invoices", 18), Place("Penalty", 10, True),
    Place("Principal", 12, True), Place("Advance", 10, True), Place("Tender, reference", 20), Place("Total", 12, True),
    Place("Running total", 14, True), Place("Status", 20),
)  # fmt: skip


def rows(payments: Iterable[SplitRow], approved: Mapping[str, VoidRow]) -> Iterator[Block]:
    """The payments in receipt order with their running total, voids struck through in their place and in no total."""
    running = ZERO
    for line in payments:
        row, void = line.row, approved.get(line.row.id)
        running += ZERO if void else row.amount
        tender = " ".join(words for words in (TENDER_WORDS[row.tender], row.channel, row.reference) if words)
        figures = (show(line.penalty), show(line.principal), show(line.advance), tender, show(row.amount), show(running))
        cells = (
            row.receipt_number or "", moment(row.collected_at), row.account_number, row.customer_name, ", ".join(line.invoices), *figures,
            _status(line, void),
        )  # fmt: skip
        yield lines.row(cells, PLACES, struck=void is not None)


def _status(line: SplitRow, void: VoidRow | None) -> str:
    if void:
        return f"VOID {void.void_number}: {void.reason}. Approved by {void.decided_by_display}"
    asked = ["void asked for"] if line.row.void else []
    return ", ".join([STATUS_WORDS[line.row.status], *asked, *(FLAG_WORDS[flag].lower() for flag in line.row.flags)])


def pdf(
    payments: Sequence[SplitRow], approved: Mapping[str, VoidRow], words: Sequence[str], data: Mapping[str, Any], made_at: datetime
) -> bytes:
    """The whole report: the rows, then a page of totals and signatures from `data` (report_of)."""
    totals = {name: value for name, value in data.items() if name != "payments"}
    report = LongReport("Collection Report", words, made_at, PLACES, "pdf/collection_ending.html", totals)
    return render_lines_pdf(report, rows(payments, approved))

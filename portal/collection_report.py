"""The Collection Report on paper (DOMAIN 6): a tagged table when it is short, lines of the same columns (portal/domain/lines.py) when it is
long; voids in their place, totals by tender, what has not arrived, signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from portal.documents import LongReport, render_lines_pdf, render_pdf
from portal.domain import lines
from portal.domain.lines import Block, Place
from portal.domain.money import ZERO, show
from portal.domain.payments import TENDER_WORDS, TENDERS
from portal.filters import FLAG_WORDS, STATUS_WORDS, moment
from portal.store.ledger import SplitRow
from portal.store.missing import MissingRow
from portal.store.voids import VoidRow

Line = tuple[SplitRow, VoidRow | None]
"""A payment, and its approved void if it has one."""
SHORT = 250
"""Payments up to which the report is a table, tagged for those who have it read to them."""
PLACES = (
    Place("Receipt", 12), Place("Time", 18), Place("Account", 15), Place("Customer", 26), Place("Invoices", 18), Place("Penalty", 10, True),
    Place("Principal", 12, True), Place("Advance", 10, True), Place("Tender, reference", 20), Place("Total", 12, True),
    Place("Running total", 14, True), Place("Status", 20),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TenderTotal:
    """Count and pesos of one tender and channel."""

    tender: str
    channel: str | None
    count: int
    amount: Decimal


def contents(payments: Sequence[Line], words: Sequence[str], missing: Sequence[MissingRow]) -> dict[str, Any]:
    """What the report says: the lines with voids in place, totals by tender, grand totals and missing numbers. What is voided is in no
    total but its own."""
    good = [line for line, void in payments if void is None]
    return {
        "payments": payments,
        "good": len(good),
        "voids": len(payments) - len(good),
        "voided": sum((line.row.amount for line, void in payments if void), ZERO),
        "words": words,
        "tenders": by_tender(good),
        "missing": missing,
        "total": sum((line.row.amount for line in good), ZERO),
        "penalty": sum((line.penalty for line in good), ZERO),
        "principal": sum((line.principal for line in good), ZERO),
        "advance": sum((line.advance for line in good), ZERO),
    }


def by_tender(payments: Iterable[SplitRow]) -> list[TenderTotal]:
    """Totals per tender and channel, in the order of the readings."""
    groups: dict[tuple[int, str], list[SplitRow]] = {}
    for line in payments:
        groups.setdefault((TENDERS.index(line.row.tender), line.row.channel or ""), []).append(line)
    return [
        TenderTotal(TENDERS[order], channel or None, len(group), sum((line.row.amount for line in group), ZERO))
        for (order, channel), group in sorted(groups.items())
    ]


def status_of(line: SplitRow, void: VoidRow | None) -> str:
    """What stands in the last column: how far the payment is, its flags, or its void with reason and approver."""
    if void:
        return f"VOID {void.void_number}: {void.reason}. Approved by {void.decided_by_display}"
    asked = ["void asked for"] if line.row.void else []
    return ", ".join([STATUS_WORDS[line.row.status], *asked, *(FLAG_WORDS[flag].lower() for flag in line.row.flags)])


def rows(payments: Iterable[Line]) -> Iterator[Block]:
    """The payments in receipt order with their running total, voids struck through in their place and in no total."""
    running = ZERO
    for line, void in payments:
        row = line.row
        running += ZERO if void else row.amount
        tender = " ".join(words for words in (TENDER_WORDS[row.tender], row.channel, row.reference) if words)
        figures = (show(line.penalty), show(line.principal), show(line.advance), tender, show(row.amount), show(running))
        cells = (
            row.receipt_number or "", moment(row.collected_at), row.account_number, row.customer_name, ", ".join(line.invoices), *figures,
            status_of(line, void),
        )  # fmt: skip
        yield lines.row(cells, PLACES, struck=void is not None)


def pdf(
    payments: Sequence[Line], words: Sequence[str], missing: Sequence[MissingRow], made_at: datetime, tell: Callable[[int], None]
) -> bytes:
    """The whole report, of these days and people in `words`; `tell` hears how many payments are set."""
    data = contents(payments, words, missing)
    if len(payments) <= SHORT:
        content = render_pdf("pdf/collection_report.html", {**data, "made_at": made_at})
        tell(len(payments))
        return content
    totals = {name: value for name, value in data.items() if name != "payments"}
    report = LongReport("Collection Report", words, made_at, PLACES, "pdf/collection_ending.html", totals)
    return render_lines_pdf(report, rows(payments), tell)

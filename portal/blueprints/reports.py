"""Reports on paper: the Collection Report and the slip of a remittance (DOMAIN 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice, pairwise

from flask import Blueprint, Response

from portal import clock
from portal.access import roles
from portal.blueprints import remittances
from portal.blueprints.pages import Query, answer
from portal.documents import pdf_response, render_pdf
from portal.domain.errors import InvalidInput
from portal.domain.money import ZERO
from portal.domain.payments import TENDERS
from portal.domain.receipts import ranges, read_receipt_number, receipt_number
from portal.store import ledger, voids
from portal.store.ledger import PaymentFilter, SplitRow
from portal.store.voids import VoidRow

bp = Blueprint("reports", __name__)
NO_VOIDS: Mapping[str, VoidRow] = {}
MOST = 1000
"""Payments in one report; more would take longer to set than a browser waits."""


@dataclass(frozen=True, slots=True)
class TenderTotal:
    """Count and pesos of one tender and channel."""

    tender: str
    channel: str | None
    count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Gap:
    """Receipt numbers of one terminal, between those in the report, that have not arrived (first and last, as printed)."""

    terminal: str
    first: str
    last: str


@bp.get("/reports")
@roles("supervisor", "admin")
def index() -> Response:
    """The form that asks for a report."""
    return answer("reports/index.html", "reports/_forms.html", collectors=ledger.collectors(), today=clock.today())


@bp.get("/reports/collection.pdf")
@roles("supervisor", "admin")
def collection() -> Response:
    """The Collection Report of a period (today when none is given), of all collectors or one."""
    query, today = Query("reports.index"), clock.today()
    first, last = query.days("from", "From", "to", "To")
    names = dict(ledger.collectors())
    collector = query.choice("collector", "Collector", names)
    if query.problems:
        raise InvalidInput(" ".join(query.problems.values()))
    first, last = first or last or today, last or first or today
    payments = in_period(PaymentFilter(date_from=first, date_to=last, collector=collector))
    approved = voids.approved_of(line.row.id for line in payments if line.row.void == "approved")
    data = report_of(payments, first, last, names.get(collector, ""), approved)
    return pdf_response(f"collection-report-{first}-{last}.pdf", render_pdf("pdf/collection_report.html", {**data, "made_at": clock.now()}))


@bp.get("/reports/remittance/<int:remittance_id>.pdf")
@roles("office", "admin")
def remittance(remittance_id: int) -> Response:
    """The slip of a remittance, which collector and cashier sign; the same figures for ever."""
    detail = remittances.found(remittance_id)
    return pdf_response(f"remittance-{detail.row.number}.pdf", render_pdf("pdf/remittance.html", remittances.contents(detail)))


def in_period(wanted: PaymentFilter) -> list[SplitRow]:
    """The payments in receipt order. Raises InvalidInput when there are more than one report holds."""
    rows = list(islice(ledger.iterate(wanted), MOST + 1))
    if len(rows) > MOST:
        raise InvalidInput(f"The period holds more than {MOST:,} payments. Choose fewer days or one collector.")
    return ledger.with_split(rows)


def report_of(
    payments: Sequence[SplitRow], first: date, last: date, collector: str, approved: Mapping[str, VoidRow] = NO_VOIDS
) -> dict[str, object]:
    """What the report says: the lines with voids (`approved`, by payment) in place, totals by tender, grand totals and missing receipt
    numbers. What is voided is in no total but its own."""
    good = [line for line in payments if line.row.id not in approved]
    return {
        "payments": payments,
        "voids": approved,
        "good": len(good),
        "voided": sum((line.row.amount for line in payments if line.row.id in approved), ZERO),
        "first": first,
        "last": last,
        "collector": collector,
        "tenders": by_tender(good),
        "gaps": gaps(line.row.receipt_number for line in payments),
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


def gaps(numbers: Iterable[str | None]) -> list[Gap]:
    """Receipt numbers missing between the first and the last of each terminal."""
    issued: dict[str, set[int]] = {}
    for text in numbers:
        if text:
            terminal, number = read_receipt_number(text)
            issued.setdefault(terminal, set()).add(number)
    found: list[Gap] = []
    for terminal, known in sorted(issued.items()):
        runs = ranges(known)
        for (_, before), (after, _) in pairwise(runs):
            found.append(Gap(terminal, receipt_number(terminal, before + 1), receipt_number(terminal, after - 1)))
    return found

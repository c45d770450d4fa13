"""Reports: each on screen, as CSV, Excel and PDF; the Collection Report and the slip of a remittance on papers of their own (DOMAIN 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice, pairwise

from flask import Blueprint, Response
from flask_login import current_user

from portal import clock, long_collection, reports
from portal.access import roles
from portal.blueprints import remittances
from portal.blueprints.pages import Query, answer
from portal.blueprints.sync import Series
from portal.documents import pdf_response, render_pdf
from portal.domain import charts
from portal.domain.errors import InvalidInput, NotFound
from portal.domain.money import ZERO, show_pesos
from portal.domain.payments import TENDERS
from portal.domain.receipts import ranges, read_receipt_number, receipt_number
from portal.exports import XLSX, csv_response
from portal.extensions import limiter
from portal.filters import day
from portal.reports import LONGEST, REPORTS, Report
from portal.store import collector_codes, ledger, report_rows, voids
from portal.store.ledger import PaymentFilter, SplitRow
from portal.store.report_rows import ReportFilter, Row
from portal.store.voids import VoidRow

bp = Blueprint("reports", __name__)
NO_VOIDS: Mapping[str, VoidRow] = {}
MOST = 10_000
"""Payments in one report; more would take longer to set than a browser waits."""
ON_SCREEN = 500
"""Lines of a report on screen; its totals are of all, and the files hold them all."""
MOST_BARS = 62
"""Days of the longest chart."""
ADDED_UP = 20_000
"""Lines that are added up while somebody waits."""


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


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for: the report, the filter in the address, the same for the store and in words."""

    report: Report
    query: Query
    filter: ReportFilter
    words: list[str]
    today: date


def own_name() -> str:
    """Key of a limit per person."""
    return f"user {current_user.name}" if current_user.is_authenticated else "nobody"


@bp.get("/reports")
@roles("supervisor", "admin")
def index() -> Response:
    """Every report with what it answers."""
    return answer("reports/index.html", "reports/_list.html", reports=REPORTS.values())


@bp.get("/reports/<name>")
@roles("supervisor", "admin")
def show(name: str) -> Response:
    """A report on screen, with the form that narrows it."""
    wanted = asked(name)
    rows = reports.rows_of(wanted.report, wanted.filter, wanted.today)
    read = list(islice(rows, ADDED_UP + 1))
    shown, cut = read[:ON_SCREEN], rows.count > ADDED_UP
    return answer(
        "reports/show.html",
        "reports/_partial.html",
        report=wanted.report,
        reports=REPORTS.values(),
        query=wanted.query,
        words=wanted.words,
        lines=[[reports.shown(column, value) for column, value in zip(wanted.report.columns, row, strict=True)] for row in shown],
        totals=[reports.shown(column, total) for column, total in zip(wanted.report.columns, rows.totals, strict=True)],
        count=min(rows.count, ADDED_UP),
        cut=cut,
        chart=None if cut else chart_of(wanted, read),
        collectors=ledger.collectors(),
        codes=collector_codes.known_codes(),
    )


def chart_of(wanted: Asked, rows: Sequence[Row]) -> Series | None:
    """The pesos of each day as bars; None for a report without, for one day, and for more days than can be told apart."""
    first, last = wanted.filter.first, wanted.filter.last
    if wanted.report.drawn is None or not rows or not 1 <= (last - first).days < MOST_BARS:
        return None
    place, figure = (wanted.report.head.index(label) for label in wanted.report.drawn)
    by_day: dict[object, Decimal] = {}
    for row in rows:
        amount = row[figure]
        by_day[row[place]] = by_day.get(row[place], ZERO) + (amount if isinstance(amount, Decimal) else ZERO)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    chart = charts.bars([int(by_day.get(one, ZERO)) for one in days])
    most = max(days, key=lambda one: by_day.get(one, ZERO))
    told = [f"{day(one)}: {show_pesos(by_day.get(one, ZERO))}" for one in days]
    summary = f"Most on {told[days.index(most)]}. The days are in the table."
    return Series("days", "Collected a day, in pesos", "", chart, [f"{value:,}" for value in chart.scale], told, summary)


@bp.get("/reports/<name>.<any(csv,xlsx,pdf):form>")
@roles("supervisor", "admin")
@limiter.limit("30 per minute", key_func=own_name)
def file(name: str, form: str) -> Response:
    """A report as a file. Raises InvalidInput when part of the filter cannot be used: the file would hold other things than were asked."""
    wanted = asked(name)
    if wanted.query.problems:
        raise InvalidInput(" ".join(wanted.query.problems.values()))
    of = (wanted.report, wanted.filter)
    days = f"{wanted.filter.first}-{wanted.filter.last}" if "days" in wanted.report.asks else f"{wanted.today}"
    saved = f"{name}-{days}.{form}"
    if form == "pdf":
        return pdf_response(saved, reports.pdf_file(*of, wanted.words, wanted.today))
    if form == "csv":
        return csv_response(saved, wanted.report.head, reports.plain_rows(*of, wanted.today))
    response = Response(reports.xlsx_file(*of, wanted.words, wanted.today), mimetype=XLSX)
    response.headers.set("Content-Disposition", "attachment", filename=saved)
    return response


def asked(name: str) -> Asked:
    """What this request's address asks for. Raises NotFound."""
    report = REPORTS.get(name)
    if report is None:
        raise NotFound("There is no report of this name.")
    query, today = Query("reports.show", name=name), clock.today()
    first, last = period(report, query, today) if "days" in report.asks else (today, today)
    collectors, codes = dict(ledger.collectors()), {code: code for code in collector_codes.known_codes()}
    wanted = ReportFilter(
        first,
        last,
        clock.midnight(first),
        clock.midnight(last + timedelta(days=1)),
        query.choice("collector", "Collector", collectors) if "collector" in report.asks else "",
        query.choice("code", "Code", codes) if "code" in report.asks else "",
    )
    days = [f"As of {day(today)}" if "days" not in report.asks else day(first) if first == last else f"{day(first)} to {day(last)}"]
    return Asked(report, query, wanted, days + [words for chip, words in query.chips if chip not in {"from", "to"}], today)


def period(report: Report, query: Query, today: date) -> tuple[date, date]:
    """The days in the address; the report's own where none are given. They stand in the form's fields either way."""
    first, last = query.days("from", "From", "to", "To")
    if first is None and last is None:
        first, last = reports.default_period(report, today)
    first = first or last or today
    last = last or first
    if (last - first).days >= LONGEST:
        query.problems["to"] = f"A report is of at most {LONGEST} days, so this one is of the first {LONGEST}."
        last = first + timedelta(days=LONGEST - 1)
    query.values["from"], query.values["to"] = first.isoformat(), last.isoformat()
    return first, last


@bp.get("/reports/collection.pdf")
@roles("supervisor", "admin")
def collection() -> Response:
    """The Collection Report of a period (today when none is given), of all collectors or one."""
    query, today = Query("reports.index"), clock.today()
    first, last = query.days("from", "From", "to", "To")
    names = dict(ledger.collectors())
    collector = query.choice("collector", "Collector", names)
    code = query.choice("code", "Code", {code: code for code in collector_codes.known_codes()})
    if query.problems:
        raise InvalidInput(" ".join(query.problems.values()))
    first, last = first or last or today, last or first or today
    payments = in_period(PaymentFilter(date_from=first, date_to=last, collector=collector), code)
    approved = voids.approved_of(line.row.id for line in payments if line.row.void == "approved")
    whose = ", ".join(words for words in (names.get(collector, ""), f"code {code}" if code else "") if words)
    data = report_of(payments, first, last, whose, approved)
    if len(payments) > long_collection.SHORT:
        words = [day(first) if first == last else f"{day(first)} to {day(last)}", whose or "all collectors"]
        content = long_collection.pdf(payments, approved, words, data, clock.now())
        return pdf_response(f"collection-report-{first}-{last}.pdf", content)
    return pdf_response(f"collection-report-{first}-{last}.pdf", render_pdf("pdf/collection_report.html", {**data, "made_at": clock.now()}))


@bp.get("/reports/remittance/<int:remittance_id>.pdf")
@roles("office", "admin")
def remittance(remittance_id: int) -> Response:
    """The slip of a remittance, which collector and cashier sign; the same figures for ever."""
    detail = remittances.found(remittance_id)
    return pdf_response(f"remittance-{detail.row.number}.pdf", render_pdf("pdf/remittance.html", remittances.contents(detail)))


def in_period(wanted: PaymentFilter, code: str = "") -> list[SplitRow]:
    """The payments in receipt order. Raises InvalidInput when there are more than one report holds."""
    rows = list(islice(report_rows.of_code(wanted, code), MOST + 1))
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

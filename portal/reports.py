"""The reports: what each is called and asked for, its columns and rows. Screen, CSV, Excel and PDF come from the same rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

from portal import clock
from portal.documents import render_list_pdf
from portal.domain.errors import InvalidInput
from portal.domain.money import ZERO, from_centavos, show
from portal.domain.payments import TENDER_WORDS
from portal.exports import Cell, write_xlsx
from portal.filters import FLAG_WORDS, STATUS_WORDS, day, moment
from portal.store import report_rows as store
from portal.store.report_rows import ReportFilter, Row

MOST = {"pdf": 1_000, "xlsx": 20_000}
"""Rows of the longest file of a format that somebody waits for; CSV is sent as it is read and has no limit."""
LONGEST = 400
"""Days of the longest period."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its width in a spreadsheet in characters, what it holds (text, number, money, day, moment or permille), and
    whether it is added up."""

    label: str
    width: int = 14
    holds: str = "text"
    total: bool = False

    @property
    def figure(self) -> bool:
        """Whether it stands to the right."""
        return self.holds in {"number", "money", "permille"}


@dataclass(frozen=True, slots=True)
class Report:
    """A report. `asks` names what narrows it: days, collector, code; `period` is what it is of when no days are given: today, month (to
    date), week (ahead)."""

    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    rows: Callable[[ReportFilter, date], Iterable[Row]]
    one: str = "line"
    many: str = "lines"
    asks: tuple[str, ...] = ("days", "collector", "code")
    period: str = "today"
    note: str = ""
    drawn: tuple[str, str] | None = None
    """Its day and its pesos, when a chart of the days is drawn on screen."""
    signers: tuple[str, ...] = ("Prepared by", "Checked by")

    @property
    def head(self) -> tuple[str, ...]:
        """The headings."""
        return tuple(column.label for column in self.columns)

    def noun(self, count: int) -> str:
        """Line or lines."""
        return self.one if count == 1 else self.many


def text(label: str, width: int = 18) -> Column:
    """A column of words."""
    return Column(label, width)


def number(label: str) -> Column:
    """A column of numbers that are added up."""
    return Column(label, 10, "number", True)


def money(label: str) -> Column:
    """A column of pesos that are added up."""
    return Column(label, 14, "money", True)


def a_day(label: str) -> Column:
    """A column of business dates."""
    return Column(label, 12, "day")


def a_moment(label: str) -> Column:
    """A column of instants, on the wall clocks of the business."""
    return Column(label, 19, "moment")


def _collection(wanted: ReportFilter, today: date) -> Iterator[Row]:
    for line in store.collection(wanted):
        row, voided = line.row, line.row.void == "approved"
        status = "Voided" if voided else STATUS_WORDS[row.status]
        amounts = (ZERO,) * 4 if voided else (line.penalty, line.principal, line.advance, row.amount)
        yield (
            row.receipt_number, row.collected_at, row.account_number, row.customer_name, ", ".join(line.invoices), row.collector_display,
            TENDER_WORDS[row.tender], row.channel, row.reference, *amounts, row.amount if voided else ZERO,
            ", ".join([status, *(FLAG_WORDS[flag] for flag in row.flags)]),
        )  # fmt: skip


def _tenders(wanted: ReportFilter, today: date) -> Iterator[Row]:
    for tender, *rest in store.tenders(wanted):
        yield (TENDER_WORDS[str(tender)], *rest)


def _advances(wanted: ReportFilter, today: date) -> Iterator[Row]:
    for *first, tender, amount, advance, status in store.advances(wanted):
        yield (*first, TENDER_WORDS[str(tender)], amount, advance, STATUS_WORDS[str(status)])


def _voids_and_reprints(wanted: ReportFilter, today: date) -> Iterator[Row]:
    words = {"requested": "Waiting", "approved": "Approved", "refused": "Refused"}
    for at, voided, receipt, customer, account, collector, amount, reason, state, by, decided in store.voids(wanted):
        taken_off = amount if state == "approved" else ZERO
        yield ("Void", at, receipt, voided, customer, account, collector, amount, taken_off, reason, words[str(state)], by, decided)
    for at, receipt, customer, account, collector, copy, times in store.reprints(wanted):
        yield ("Reprint", at, receipt, None, customer, account, collector, None, ZERO, f"Reprint {times}, {copy}", None, None, None)


def _late_and_missing(wanted: ReportFilter, today: date) -> Iterator[Row]:
    for terminal, receipt, business_date, collected, received, customer, collector, amount, z_counter in store.late(wanted):
        told = f"In Z {z_counter} of {terminal}" if z_counter else "In no Z-reading yet"
        yield ("Late payment", terminal, receipt, business_date, collected, received, customer, collector, 0, amount, told)
    for what, terminal, first, last, count in store.missing(wanted):
        numbers = first if first == last else f"{first} to {last}"
        label = f"Missing {what}{'' if count == 1 else 's'}"
        yield (label, terminal, numbers, None, None, None, None, None, count, ZERO, "Has not arrived")


def _remittances(wanted: ReportFilter, today: date) -> Iterator[Row]:
    words = {"received": "Received", "waiting": "Waits for a supervisor", "approved": "Approved"}
    for row, reason in store.remitted(wanted):
        yield (
            row.number, row.received_at, row.collector_display, row.received_by, row.expected_cash, row.counted_cash, row.variance,
            row.others, row.total, words[row.state], reason or None,
        )  # fmt: skip


def _readings(kind: str, wanted: ReportFilter, today: date) -> Iterator[Row]:
    names = ("vat_amount", "gross", "less_void", "net", "expected_cash", "counted_cash", "short_over")
    for one in store.readings(wanted, kind):
        figures = one.figures
        receipts = f"{figures['first_receipt']} to {figures['last_receipt']}" if figures.get("first_receipt") else None
        pesos = [None if (value := figures.get(name)) is None else from_centavos(value) for name in names]
        told = "Differs" if one.differs else None
        numbers = (receipts, figures["transaction_count"], *pesos)
        if kind == "Z":
            accumulated = from_centavos(figures["present_accumulated"])
            yield (one.business_date, one.terminal, one.collector, one.z_counter, *numbers, accumulated, told)
        else:
            yield (one.business_date, one.terminal, one.collector, one.made_at, *numbers, told)


def _reading_columns(kind: str) -> tuple[Column, ...]:
    """An X holds the ones before it of the same registry, so its figures are not added up."""
    figures = (
        number("Payments"), money("VAT amount"), money("Gross"), money("Less void"), money("Net"), money("Expected cash"),
        money("Counted cash"), money("Over or short"),
    )  # fmt: skip
    first, receipts = (a_day("Business date"), text("Terminal", 10), text("Collector", 22)), text("Receipts", 28)
    if kind == "Z":
        return (*first, Column("Z counter", 9, "number"), receipts, *figures, Column("Accumulated", 16, "money"), text("Phone", 8))
    return (*first, a_moment("Made"), receipts, *(replace(column, total=False) for column in figures), text("Phone", 8))


def _downloads(wanted: ReportFilter, today: date) -> Iterator[Row]:
    for run in store.downloads(wanted):
        seconds = run.duration_seconds
        yield (
            run.id, run.requested_at, "Quick" if run.kind == "quick" else "Full", run.started_by, STATUS_WORDS[run.status], run.total,
            run.succeeded, run.failed, run.added, run.changed, run.unchanged, run.closed, run.amount_due,
            None if seconds is None else round(seconds), run.error or run.note or None,
        )  # fmt: skip


def _promises(wanted: ReportFilter, today: date) -> Iterator[Row]:
    for *rest, state in store.promises(wanted, today):
        yield (*rest, str(state).capitalize())


NOT_VOIDED = "What is voided is in no total but its own."
REPORTS: Mapping[str, Report] = {
    report.name: report
    for report in (
        Report(
            "daily-collection",
            "Daily Collection Summary",
            "What each collector took each day: by tender, and as penalty, principal and advance.",
            (
                a_day("Business date"), text("Collector", 22), number("Payments"), money("Cash"), money("Check"), money("E-wallet"),
                money("Bank transfer"), money("Total"), money("Penalty"), money("Principal"), money("Advance"), number("Voided payments"),
                money("Voided"),
            ),
            lambda wanted, today: store.daily(wanted),
            period="month",
            note=NOT_VOIDED,
            drawn=("Business date", "Total"),
        ),
        Report(
            "collection",
            "Collection Report",
            "Every payment in receipt order with its penalty, principal and advance, and what was voided in its place.",
            (
                text("Receipt"), a_moment("Time"), text("Account"), text("Customer", 30), text("Invoices", 22), text("Collector"),
                text("Tender", 13), text("Bank or wallet", 14), text("Reference", 16), money("Penalty"), money("Principal"),
                money("Advance"), money("Total"), money("Voided"), text("Status", 20),
            ),
            _collection,
            "payment",
            "payments",
            note=NOT_VOIDED,
            signers=("Prepared by", "Checked by", "Approved by"),
        ),
        Report(
            "tenders",
            "Tender Summary",
            "Cash, checks, e-wallets and transfers: how many, how much, and what PSCloud holds of it.",
            (
                text("Tender", 16), text("Bank or wallet"), number("Payments"), money("Collected"), money("Of it in PSCloud"),
                number("Voided payments"), money("Voided"),
            ),
            _tenders,
            note=NOT_VOIDED,
        ),
        Report(
            "aging",
            "Aging of Receivables",
            "Open SOAs of each collector code by how long they are overdue.",
            (
                text("Code", 12), text("Name", 24), number("Accounts"), money("Not overdue"), money("1 to 30 days"), money("31 to 60 days"),
                money("61 to 90 days"), money("Over 90 days"), money("Amount due"),
            ),
            store.aging,
            "code",
            "codes",
            asks=("collector", "code"),
            period="",
            note="PSCloud's figures as downloaded last, penalties included; payments it does not show yet are not taken off.",
        ),
        Report(
            "vat",
            "VAT Summary",
            "How the principal collected each day splits by VAT, with penalties and advances apart.",
            (
                a_day("Business date"), number("Payments"), money("VATable"), money("VAT amount"), money("VAT-exempt"), money("Zero-rated"),
                money("Penalty"), money("Advance"), money("Total"),
            ),
            lambda wanted, today: store.vat(wanted),
            "day",
            "days",
            period="month",
            note="As printed on the receipts, for display: the tax point is PSCloud's business. Voided payments are left out.",
        ),
        Report(
            "voids-reprints",
            "Voids and Reprints",
            "What collectors asked to undo and what came of it, and every receipt that was printed again.",
            (
                text("What", 9), a_moment("Time"), text("Receipt"), text("Void number", 14), text("Customer", 30), text("Account"),
                text("Collector"), Column("Amount", 14, "money"), money("Voided"), text("Reason", 30), text("Decision", 11),
                text("Decided by", 14), a_moment("Decided"),
            ),
            _voids_and_reprints,
            period="month",
        ),
        Report(
            "advances",
            "Advances",
            "Money beyond what was owed, kept for the customer's next invoices.",
            (
                a_day("Business date"), text("Receipt"), text("Account"), text("Customer", 30), text("Collector"), text("Tender", 13),
                money("Amount"), money("Advance"), text("Status", 12),
            ),
            _advances,
            "payment",
            "payments",
            period="month",
            note="Voided payments are left out.",
        ),
        Report(
            "late-missing",
            "Late and Missing",
            "Payments that came after the Z-reading of their day, and numbers that have not arrived to this moment.",
            (
                text("What", 16), text("Terminal", 10), text("Numbers", 28), a_day("Business date"), a_moment("Collected"),
                a_moment("Received"), text("Customer", 30), text("Collector"), number("Missing"), money("Amount"), text("Where it is", 24),
            ),
            _late_and_missing,
            period="month",
            note="Missing are numbers between those of the period. One may still be on its phone, which says what it has not sent.",
        ),
        Report(
            "remittances",
            "Remittance Summary",
            "What collectors handed over: expected and counted cash, short or over, and other tenders.",
            (
                text("Number", 11), a_moment("Received"), text("Collector"), text("Received by", 14), money("Expected cash"),
                money("Counted cash"), money("Over or short"), money("Other tenders"), money("Total received"), text("State", 20),
                text("Reason", 30),
            ),
            _remittances,
            "remittance",
            "remittances",
            asks=("days", "collector"),
            period="month",
            note="By the day on which the money was received. A figure below zero is short.",
        ),
        Report(
            "z-readings",
            "Z-Readings",
            "Every Z of each terminal: its receipts, gross, void and net, the drawer, and what it has accumulated.",
            _reading_columns("Z"),
            partial(_readings, "Z"),
            "Z-reading",
            "Z-readings",
            asks=("days", "collector"),
            period="month",
            note="As the portal worked them out, with late payments in the Z they entered. A figure below zero is short.",
        ),
        Report(
            "x-readings",
            "X-Readings",
            "Every X that was taken: what the registry held at that moment.",
            _reading_columns("X"),
            partial(_readings, "X"),
            "X-reading",
            "X-readings",
            asks=("days", "collector"),
            note="As the portal worked them out. Each holds the ones before it of the same registry, so nothing is added up.",
        ),
        Report(
            "downloads",
            "Sync Summary",
            "Each download of SOAs: what it brought, what changed, what failed and how long it took.",
            (
                Column("Download", 9, "number"), a_moment("Asked for"), text("Kind", 7), text("Started by", 14), text("Status", 11),
                Column("Total", 10, "number"), Column("Success", 10, "number"), number("Failed"), number("Added"), number("Changed"),
                Column("Unchanged", 10, "number"), number("Closed"), Column("Amount due", 16, "money"), Column("Seconds", 9, "number"),
                text("Note", 40),
            ),
            _downloads,
            "download",
            "downloads",
            asks=("days",),
            period="month",
        ),
        Report(
            "performance",
            "Collector Performance",
            "Visited, collected, promised, could not collect and why, and the share of payments that was voided.",
            (
                text("Collector", 22), text("Codes", 20), number("Accounts now"), number("Visited"), number("Collected from"),
                number("Payments"), money("Collected"), number("Promises"), number("Could not collect"),
                text("Most frequent reason", 24), number("Voids"),
                Column("Void rate", 9, "permille"),
            ),
            store.performance,
            "collector",
            "collectors",
            period="month",
            note="Accounts are those of the codes held now; a code that two hold counts for both. Voided payments count as visits only.",
        ),
        Report(
            "promises",
            "Promises Due",
            "What customers promised for which day, and what was collected from them since.",
            (
                a_day("Promised for"), text("Customer", 30), text("Account"), text("SOA number"), text("Collector"), money("Promised"),
                a_moment("Noted"), money("Collected since"), text("State", 12),
            ),
            _promises,
            "promise",
            "promises",
            period="week",
        ),
    )
}  # fmt: skip


def default_period(report: Report, today: date) -> tuple[date, date]:
    """The days a report is of when none are given."""
    if report.period == "month":
        return today.replace(day=1), today
    return today, today + timedelta(days=6) if report.period == "week" else today


class Added:
    """Rows as they pass by: how many, and the totals of the columns that are added up."""

    def __init__(self, report: Report, rows: Iterable[Row]) -> None:
        """Adds up while it is read."""
        self.report, self.rows, self.count = report, rows, 0
        self.totals: list[Cell] = [_nothing(column) for column in report.columns]

    def __iter__(self) -> Iterator[Row]:
        places = [place for place, column in enumerate(self.report.columns) if column.total]
        for row in self.rows:
            self.count += 1
            for place in places:
                self.totals[place] = _plus(self.totals[place], row[place])
            yield row

    @property
    def sums(self) -> list[tuple[str, Cell]]:
        """Each column that is added up, with its total."""
        return [(column.label, total) for column, total in zip(self.report.columns, self.totals, strict=True) if column.total]


def _nothing(column: Column) -> Cell:
    if not column.total:
        return None
    return ZERO if column.holds == "money" else 0


def _plus(total: Cell, value: Cell) -> Cell:
    if isinstance(total, Decimal) and isinstance(value, Decimal):
        return total + value
    if isinstance(total, int) and isinstance(value, int):
        return total + value
    return total


def rows_of(report: Report, wanted: ReportFilter, today: date) -> Added:
    """The rows of a report."""
    return Added(report, report.rows(wanted, today))


def shown(column: Column, value: Cell) -> str:
    """A cell as screen and paper write it."""
    if value is None:
        return ""
    if column.holds == "money" and isinstance(value, Decimal):
        return show(value)
    if column.holds == "permille" and isinstance(value, int):
        return f"{value / 10:.1f} %"
    if column.holds == "number" and isinstance(value, int):
        return f"{value:,}"
    if column.holds == "moment" and not isinstance(value, str):
        return moment(value)  # type: ignore[arg-type]
    if column.holds == "day" and isinstance(value, date):
        return day(value)
    return str(value)


def _plain(report: Report, rows: Iterable[Row]) -> Iterator[Sequence[Cell]]:
    shares = {place for place, column in enumerate(report.columns) if column.holds == "permille"}
    for row in rows:
        yield [shown(report.columns[place], value) if place in shares else value for place, value in enumerate(row)]


def plain_rows(report: Report, wanted: ReportFilter, today: date) -> Iterator[Sequence[Cell]]:
    """The rows for a CSV."""
    return _plain(report, rows_of(report, wanted, today))


def xlsx_file(report: Report, wanted: ReportFilter, words: Sequence[str], today: date) -> bytes:
    """The rows as an Excel file, totals on its second sheet. Raises InvalidInput for one that takes too long."""
    rows, file = rows_of(report, wanted, today), io.BytesIO()

    def about() -> list[tuple[str, Cell]]:
        told: list[tuple[str, Cell]] = [("Of", ", ".join(words)), ("Made", clock.now()), (report.many.capitalize(), rows.count), *rows.sums]
        return [*told, ("Note", report.note)] if report.note else told

    columns = [(column.label, column.width) for column in report.columns]
    write_xlsx(file, report.title, columns, _plain(report, _limited(report, rows, "xlsx")), about)
    return file.getvalue()


def pdf_file(report: Report, wanted: ReportFilter, words: Sequence[str], today: date) -> bytes:
    """The rows on paper with letterhead, totals and signatures. Raises InvalidInput for one that takes too long."""
    rows = rows_of(report, wanted, today)
    lines = [[shown(column, value) for column, value in zip(report.columns, row, strict=True)] for row in _limited(report, rows, "pdf")]
    data = {
        "report": report,
        "words": words,
        "made_at": clock.now(),
        "count": rows.count,
        "totals": [shown(column, total) for column, total in zip(report.columns, rows.totals, strict=True)],
    }
    return render_list_pdf("pdf/report.html", data, lines)


def _limited(report: Report, rows: Iterable[Row], form: str) -> Iterator[Row]:
    for place, row in enumerate(rows, start=1):
        if place > MOST[form]:
            name = "A PDF" if form == "pdf" else "An Excel file"
            raise InvalidInput(
                f"{name} of this report holds at most {MOST[form]:,} {report.many}. Choose fewer days or one collector, or take CSV, "
                "which holds them all."
            )
        yield row

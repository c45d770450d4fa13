"""The reports: what each is called and asked for, its columns and rows. Screen, CSV, Excel and PDF come from the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial

from portal import collection_report
from portal.domain.money import ZERO, from_centavos
from portal.domain.payments import TENDER_WORDS
from portal.filters import STATUS_WORDS
from portal.report_parts import Column, Drawn, Report, Section, a_day, a_moment, money, number, text
from portal.store import report_rows as store
from portal.store.missing import MissingRow
from portal.store.report_rows import ReportFilter, Row

LONGEST = 400
"""Days of the longest period."""


def _collection(wanted: ReportFilter, today: date) -> Iterator[Row]:
    for line, void in store.collection(wanted):
        row = line.row
        amounts = (ZERO,) * 4 if void else (line.penalty, line.principal, line.advance, row.amount)
        yield (
            row.receipt_number, row.collected_at, row.account_number, row.customer_name, ", ".join(line.invoices), row.collector_display,
            TENDER_WORDS[row.tender], row.channel, row.reference, *amounts, row.amount if void else ZERO,
            collection_report.status_of(line, void),
        )  # fmt: skip


def _collection_sections(wanted: ReportFilter, today: date) -> list[Section]:
    columns = (text("Tender", 16), text("Bank or wallet"), number("Payments"), money("Collected"))
    tenders = [(TENDER_WORDS[str(tender)], channel, count, amount) for tender, channel, count, amount, *_ in store.tenders(wanted) if count]
    return [Section("Totals by tender", columns, tuple(tenders), "No payments."), _not_arrived(wanted)]


def _not_arrived(wanted: ReportFilter) -> Section:
    columns = (text("What", 12), text("Terminal", 10), Column("Numbers", 28, "range"), number("Missing"), text("Where it is", 30))
    rows = [(NUMBER_WORDS[row.series], row.terminal, row.numbers, row.count, _told(row)) for row in store.missing(wanted)]
    return Section("Numbers that have not arrived", columns, tuple(rows), "None between the numbers above, or right beside them.")


NUMBER_WORDS = {"receipt": "Receipt", "void": "Void", "z": "Z-reading"}


def _told(row: MissingRow) -> str:
    return f"Explained by {row.decided_by}: {row.reason}" if row.state == "explained" else "Has not arrived"


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
    if wanted.code:
        return  # a terminal's numbers belong to no code
    for row in store.missing(wanted):
        label = f"Missing {'Z-reading' if row.series == 'z' else row.series}{'' if row.count == 1 else 's'}"
        yield (label, row.terminal, row.numbers, None, None, None, None, row.collector_display, row.count, ZERO, _told(row))


def _remittances(wanted: ReportFilter, today: date) -> Iterator[Row]:
    words = {"received": "Received", "waiting": "Waits for a supervisor", "approved": "Approved"}
    for row, more in store.remitted(wanted):
        others = (more.others.get(tender, ZERO) for tender in ("check", "e_wallet", "bank_transfer"))
        yield (
            row.number, row.received_at, row.collector_display, ", ".join(more.readings), row.received_by, row.expected_cash,
            more.collector_count, row.counted_cash, row.variance, *others, row.total, words[row.state], more.reason or None,
            more.decided_by,
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
            accumulated = (from_centavos(figures["previous_accumulated"]), from_centavos(figures["present_accumulated"]))
            yield (one.business_date, one.terminal, one.collector, one.z_counter, *numbers, *accumulated, told)
        else:
            yield (one.business_date, one.terminal, one.collector, one.made_at, *numbers, told)


def _reading_columns(kind: str) -> tuple[Column, ...]:
    """An X holds the ones before it of the same registry, so its figures are not added up."""
    figures = (
        number("Payments"), money("VAT amount"), money("Gross"), money("Less void"), money("Net"), money("Expected cash"),
        money("Counted cash"), money("Over or short"),
    )  # fmt: skip
    first, receipts = (a_day("Business date"), text("Terminal", 10), text("Collector", 22)), Column("Receipts", 28, "range")
    if kind == "Z":
        accumulated = (Column("Accumulated before", 16, "money"), Column("Accumulated", 16, "money"))
        return (*first, Column("Z counter", 9, "number"), receipts, *figures, *accumulated, text("Phone", 8))
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
    for *rest, state, note in store.promises(wanted, today):
        yield (*rest, str(state).capitalize(), note)


def _visits(wanted: ReportFilter, today: date) -> Iterator[Row]:
    words = {"promise": "Promised", "no_collection": "Could not collect"}
    for at, kind, *rest, note in store.visits(wanted):
        yield (at, words[str(kind)], *rest, note or None)


def _why(wanted: ReportFilter, today: date) -> Sequence[Section]:
    columns = (text("Reason", 30), number("Times"), text("Collectors", 50))
    rows = tuple(store.reasons(wanted))
    return (Section("Why nothing was collected", columns, rows, "Nobody noted a visit without money."),)


NOT_VOIDED = "What is voided is in no total but its own."
AS_DOWNLOADED = "PSCloud's figures as downloaded last, penalties included; payments it does not show yet are not taken off."
OF_TODAY = "The days are those on which SOAs fall due; how long they are overdue is counted to today."
OF_READINGS = "Of a collector code: the readings of registries that hold a payment of it, with the figures of the whole reading."
AGES = ("Not overdue", "1 to 30 days", "31 to 60 days", "61 to 90 days", "Over 90 days")
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
            drawn=Drawn("days", "Collected a day", ("Total",), "Business date"),
            running="Total",
            deeper=("collection", "Every payment, one by one"),
        ),
        Report(
            "collection",
            "Collection Report",
            "Every payment in receipt order with its penalty, principal and advance, and what was voided in its place.",
            (
                text("Receipt", 14), a_moment("Time"), text("Account"), text("Customer", 30), text("Invoices", 22), text("Collector"),
                text("Tender", 13), text("Bank or wallet", 14), text("Reference", 16), money("Penalty"), money("Principal"),
                money("Advance"), money("Total"), money("Voided"), text("Status", 28),
            ),
            _collection,
            "payment",
            "payments",
            note=NOT_VOIDED,
            signers=("Prepared by", "Checked by", "Approved by"),
            running="Total",
            besides=_collection_sections,
            count=lambda wanted, today: store.count_payments(wanted),
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
            drawn=Drawn("lines", "Collected by tender", ("Collected",), "Tender"),
            running="Collected",
            deeper=("collection", "Every payment, one by one"),
        ),
        Report(
            "aging",
            "Aging of Receivables",
            "Open SOAs of each collector code by how long they are overdue.",
            (
                text("Code", 12), text("Name", 24), number("Accounts"), *(money(age) for age in AGES), money("Amount due"),
            ),
            store.aging,
            "code",
            "codes",
            asks=("due", "collector", "code"),
            period="all",
            note=AS_DOWNLOADED,
            unasked=OF_TODAY,
            drawn=Drawn("columns", "Amount due by days overdue", AGES),
            running="Amount due",
            deeper=("aging-accounts", "Each account, one by one"),
        ),
        Report(
            "aging-accounts",
            "Aging by Account",
            "Every open SOA with its due date, how long it is overdue, and its amount in the bucket of its age.",
            (
                text("Code", 12), text("Account"), text("Customer", 30), text("SOA number"), a_day("Due date"),
                Column("Days overdue", 9, "number"), *(money(age) for age in AGES), money("Amount due"), money("Penalty in it"),
            ),
            store.aging_accounts,
            "SOA",
            "SOAs",
            count=lambda wanted, today: sum(int(str(row[2])) for row in store.aging(wanted, today)),
            asks=("due", "collector", "code"),
            period="all",
            note=AS_DOWNLOADED,
            unasked=OF_TODAY,
            running="Amount due",
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
            drawn=Drawn("days", "VAT amount a day", ("VAT amount",), "Business date"),
            running="Total",
            deeper=("collection", "Every payment, one by one"),
        ),
        Report(
            "voids-reprints",
            "Voids and Reprints",
            "What collectors asked to undo and what came of it, and every receipt that was printed again.",
            (
                text("What", 9), a_moment("Time"), text("Receipt", 14), text("Void number", 14), text("Customer", 30), text("Account"),
                text("Collector"), Column("Amount", 14, "money"), money("Voided"), text("Reason", 30), text("Decision", 11),
                text("Decided by", 14), a_moment("Decided"),
            ),
            _voids_and_reprints,
            period="month",
            running="Voided",
            elsewhere=("voids.index", "Voids that wait"),
        ),
        Report(
            "advances",
            "Advances",
            "Money beyond what was owed, kept for the customer's next invoices.",
            (
                a_day("Business date"), text("Receipt", 14), text("Account"), text("Customer", 30), text("Code", 12), text("Collector"),
                text("Tender", 13), money("Amount"), money("Advance"), text("Status", 12),
            ),
            _advances,
            "payment",
            "payments",
            period="month",
            note="Voided payments are left out.",
            running="Advance",
        ),
        Report(
            "late-missing",
            "Late and Missing",
            "Payments that came after the Z-reading of their day, and numbers that have not arrived to this moment.",
            (
                text("What", 16), text("Terminal", 10), Column("Numbers", 28, "range"), a_day("Business date"), a_moment("Collected"),
                a_moment("Received"), text("Customer", 30), text("Collector"), number("Missing"), money("Amount"), text("Where it is", 24),
            ),
            _late_and_missing,
            period="month",
            note="Missing are numbers between those of the period or right beside them. One may still be on its phone, which says what "
            "it has not sent; Missing numbers says who must act.",
            unasked="The numbers of a terminal belong to no collector code: of one code the report holds late payments alone.",
            elsewhere=("missing.index", "Missing numbers, and who must act"),
            running="Amount",
        ),
        Report(
            "remittances",
            "Remittance Summary",
            "What collectors handed over: expected and counted cash, short or over, and other tenders.",
            (
                text("Number", 11), a_moment("Received"), text("Collector"), text("Z-readings", 20), text("Received by", 14),
                money("Expected cash"), money("Collector counted"), money("Counted cash"), money("Over or short"), money("Checks"),
                money("E-wallets"), money("Bank transfers"), money("Total received"), text("State", 20), text("Reason", 30),
                text("Approved by", 14),
            ),
            _remittances,
            "remittance",
            "remittances",
            period="month",
            note="By the day on which the money was received. A figure below zero is short.",
            unasked="Of a collector code: the remittances that hold a payment of it, with the figures of the whole remittance.",
            elsewhere=("remittances.index", "Remittances, one by one"),
            running="Total received",
        ),
        Report(
            "z-readings",
            "Z-Readings",
            "Every Z of each terminal: its receipts, gross, void and net, the drawer, and what it has accumulated.",
            _reading_columns("Z"),
            partial(_readings, "Z"),
            "Z-reading",
            "Z-readings",
            unasked=OF_READINGS,
            elsewhere=("readings.index", "Readings, one by one"),
            running="Gross",
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
            unasked=OF_READINGS,
            elsewhere=("readings.index", "Readings, one by one"),
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
            unasked="A download brings the SOAs of all collectors and codes at once, so only days narrow this report.",
            elsewhere=("sync.index", "Downloads, one by one"),
        ),
        Report(
            "performance",
            "Collector Performance",
            "Visited, collected, promised, could not collect and why, and the share of payments that was voided.",
            (
                text("Collector", 22), text("Codes", 20), number("Accounts now"), number("Visited"), number("Collected from"),
                number("Payments"), money("Collected"), number("Promises"), number("Could not collect"),
                text("Why, and how often", 34), number("Voids"),
                Column("Void rate", 9, "permille"),
            ),
            store.performance,
            "collector",
            "collectors",
            period="month",
            note="Accounts are those of the codes held now; a code that two hold counts for both. Voided payments count as visits only.",
            drawn=Drawn("lines", "Collected by collector", ("Collected",), "Collector"),
            running="Collected",
            besides=_why,
            deeper=("visits", "Each visit without money, one by one"),
        ),
        Report(
            "visits",
            "Visits without Money",
            "Whom collectors stood before without collecting: why nothing could be collected, or what was promised for which day.",
            (
                a_moment("Time"), text("What", 16), text("Customer", 30), text("Account"), text("Code", 12), text("Collector"),
                text("Reason", 26), a_day("Promised for"), money("Promised"), text("Note", 30),
            ),
            _visits,
            "visit",
            "visits",
            period="month",
            unasked="The collector code is the one the SOA carries now.",
            elsewhere=("visits.index", "Visits that wait for something"),
            besides=_why,
        ),
        Report(
            "promises",
            "Promises Due",
            "What customers promised for which day, and what was collected from them since.",
            (
                a_day("Promised for"), text("Customer", 30), text("Account"), text("SOA number"), text("Code", 12), text("Collector"),
                money("Promised"), a_moment("Noted"), money("Collected since"), text("State", 12), text("Note", 30),
            ),
            _promises,
            "promise",
            "promises",
            period="week",
            unasked="The days are those the money was promised for; the collector code is the one the SOA carries now.",
            drawn=Drawn("days", "Promised a day", ("Promised",), "Promised for"),
            running="Promised",
        ),
    )
}  # fmt: skip


def default_period(report: Report, today: date) -> tuple[date, date]:
    """The days a report is of when none are given."""
    if report.period == "all":
        return date.min, date.max
    if report.period == "month":
        return today.replace(day=1), today
    return today, today + timedelta(days=6) if report.period == "week" else today

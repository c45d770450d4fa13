"""The long lists as files: their columns, rows and sums, for a page that answers at once and for the worker alike."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from portal import clock
from portal.documents import TYPES, LongReport, render_lines_pdf, render_list_pdf
from portal.domain import lines
from portal.domain import reconciliation as domain
from portal.domain.errors import InvalidInput
from portal.domain.money import ZERO, show
from portal.domain.payments import TENDER_WORDS
from portal.exports import Cell, csv_lines, write_xlsx
from portal.filters import FLAG_WORDS, STATUS_WORDS, day, moment, recorded
from portal.store import ledger, reconciliations, soas
from portal.store.exports import ExportRow
from portal.store.ledger import PaymentFilter
from portal.store.reconciliations import DifferenceFilter
from portal.store.soas import SoaFilter

AT_ONCE = {"csv": 5_000, "xlsx": 5_000, "pdf": 1_000}
"""Rows up to which a file is answered at once, in two or three seconds: setting a line of a PDF takes 1 ms, one for Excel 0.2 ms."""
MOST = {"pdf": 20_000}
"""Rows of the longest file of a format: 20,000 are some 450 pages."""
TABLE = 250
"""Rows up to which a PDF is a table, tagged for those who have it read to them, at 10 ms a row; a longer one is set as lines."""
TELL_EVERY = 500
Tell = Callable[[int], None]
Sums = dict[str, Decimal]
Filter = SoaFilter | PaymentFilter | DifferenceFilter


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its width in a spreadsheet in characters, and its style on paper (None: not on paper)."""

    label: str
    width: int
    paper: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: `rows` gives cells in the order of `columns`, `sums` what of a row is added up, by name; the first of
    `sum_names` is also the running total on paper. `count` counts no further than it is told to."""

    title: str
    file: str
    one: str
    many: str
    columns: tuple[Column, ...]
    filter: type[Any]
    rows: Callable[[Any, date], Iterator[tuple[Cell, ...]]]
    count: Callable[[Any, date, int | None], int]
    sum_names: tuple[str, ...]
    sums: Callable[[Sequence[Any]], Sums]
    paper: str = "pdf/list.html"
    """The template of its PDF."""
    most_on_paper: int | None = None
    """A longer list is cut on paper, which says so; without it a PDF that is too long is refused."""
    besides: Callable[[Any], dict[str, Any]] = lambda wanted: {}
    """What else its PDF and the second sheet of its Excel file tell."""

    @property
    def head(self) -> tuple[str, ...]:
        """The headings."""
        return tuple(column.label for column in self.columns)

    def noun(self, count: int) -> str:
        """SOA or SOAs."""
        return self.one if count == 1 else self.many

    def file_name(self, today: date, form: str) -> str:
        """The name under which a browser saves it."""
        return f"{self.file}-{today}.{form}"


def _soa_rows(wanted: SoaFilter, today: date) -> Iterator[tuple[Cell, ...]]:
    for row in soas.iterate(wanted, today):
        yield (
            row.id, row.soa_number, row.account_number, row.customer_name, row.due_date, row.days_overdue, row.amount_due, row.penalty,
            row.collector_code, row.invoice_count, STATUS_WORDS[row.status], row.closed_on, row.changed_run_id,
        )  # fmt: skip


def _payment_rows(wanted: PaymentFilter, today: date) -> Iterator[tuple[Cell, ...]]:
    for row in ledger.iterate(wanted):
        yield (
            row.receipt_number, row.collected_at, row.received_at, row.business_date, row.customer_name, row.account_number, row.soa_id,
            row.soa_number, row.collector_display, row.terminal, TENDER_WORDS[row.tender], row.channel, row.reference, row.amount,
            STATUS_WORDS[row.status], row.status_reason, ", ".join(FLAG_WORDS[flag] for flag in row.flags), row.posted_at,
            row.pscloud_id, row.id, VOID_WORDS[row.void],
        )  # fmt: skip


VOID_WORDS = {"": None, "requested": "Asked for", "approved": "Voided"}
SOAS = Listing(
    title="SOA Customer List",
    file="soa-list",
    one="SOA",
    many="SOAs",
    columns=(
        Column("SOA", 20),
        Column("SOA number", 18, "code"),
        Column("Account number", 18, "code"),
        Column("Customer", 36, ""),
        Column("Due date", 12, "date"),
        Column("Days overdue", 12, "number short"),
        Column("Amount due", 14, "number figure"),
        Column("Penalty", 14, "number figure"),
        Column("Collector code", 14, "date"),
        Column("Invoices", 10),
        Column("Status", 10, "short"),
        Column("Closed on", 12),
        Column("Changed by download", 12),
    ),
    filter=SoaFilter,
    rows=_soa_rows,
    count=soas.count,
    sum_names=("Amount due", "Penalty"),
    sums=lambda row: {"Amount due": row[6], "Penalty": row[7]},
)
PAYMENTS = Listing(
    title="Collection and Payments",
    file="payments",
    one="payment",
    many="payments",
    columns=(
        Column("Receipt number", 16, "code"),
        Column("Collected", 19, "time"),
        Column("Received", 19),
        Column("Business date", 13),
        Column("Customer", 36, ""),
        Column("Account number", 18, "code"),
        Column("SOA", 20),
        Column("SOA number", 18),
        Column("Collector", 20, "code"),
        Column("Terminal", 10),
        Column("Tender", 14, "date"),
        Column("Bank or wallet", 16, "date"),
        Column("Reference", 18, "code"),
        Column("Amount", 14, "number figure"),
        Column("Status", 12, "short"),
        Column("Reason", 30),
        Column("Flags", 24),
        Column("Posted", 19),
        Column("PSCloud number", 16),
        Column("Payment", 38),
        Column("Void", 10, "short"),
    ),
    filter=PaymentFilter,
    rows=_payment_rows,
    count=lambda wanted, today, most: ledger.totals(wanted).count,
    sum_names=("Collected", "Voided"),
    sums=lambda row: {"Voided": row[13]} if row[20] == VOID_WORDS["approved"] else {"Collected": row[13]},
)


def _difference_rows(wanted: DifferenceFilter, today: date) -> Iterator[tuple[Cell, ...]]:
    for row in reconciliations.iterate(wanted):
        fields = "; ".join(
            f"{domain.words_of(field)}: {recorded(field.here) or 'nothing'} here, {recorded(field.pscloud) or 'nothing'} in PSCloud"
            for field in row.fields
        )
        case = domain.CASES[row.reason]
        yield (
            domain.RECORD_WORDS[row.record], domain.KIND_WORDS[row.kind], row.record_id, row.number, row.account_number, row.customer_name,
            fields or row.detail, row.amount_here, row.amount_pscloud, case.means, case.do,
        )  # fmt: skip


def _report_told(wanted: DifferenceFilter) -> dict[str, Any]:
    """The report that the differences are of, and its counts in words."""
    report = reconciliations.get(wanted.report_id)
    if report is None:
        return {}
    told: list[tuple[str, Cell]] = [("Reconciliation", report.id), ("Compared by", report.started_by), ("Compared at", report.started_at)]
    told += [("PSCloud's data of", report.as_of)]
    for record, words in (("soa", "SOAs"), ("payment", "Payments")):
        told += [(f"{words}: {domain.KIND_WORDS[kind].lower()}", count) for kind, count in report.counts(record).items()]
    told += [("SOAs open here", report.here_count), ("Amount due here", report.here_amount)]
    told += [("SOAs open, PSCloud says", report.pscloud_count), ("Amount due, PSCloud says", report.pscloud_amount)]
    payments = "those PSCloud lists and ours by reference" if report.payments_listed else "ours, by reference; PSCloud cannot list its own"
    told += [
        ("Payments compared", payments),
        ("Payments collected from", report.payments_from or "the first"),
        ("Note", report.note or None),
    ]
    return {"report": report, "told": told, "kinds": domain.KIND_WORDS, "meanings": domain.KIND_MEANINGS}


DIFFERENCES = Listing(
    title="Reconciliation with PSCloud",
    file="reconciliation",
    one="difference",
    many="differences",
    columns=(
        Column("Record", 10, "short"),
        Column("Result", 18, "date"),
        Column("PSCloud id or reference", 38),
        Column("Number", 18, "code"),
        Column("Account number", 18, "code"),
        Column("Customer", 36, ""),
        Column("What differs", 60, "wide-text"),
        Column("Amount here", 14, "number figure"),
        Column("Amount in PSCloud", 14, "number figure"),
        Column("What it means", 60),
        Column("What to do", 60),
    ),
    filter=DifferenceFilter,
    rows=_difference_rows,
    count=lambda wanted, today, most: reconciliations.count(wanted, most),
    sum_names=("Amount here", "Amount in PSCloud"),
    sums=lambda row: {"Amount here": row[7] or ZERO, "Amount in PSCloud": row[8] or ZERO},
    paper="pdf/reconciliation.html",
    most_on_paper=1_000,
    besides=_report_told,
)
LISTS: Mapping[str, Listing] = {"soas": SOAS, "payments": PAYMENTS, "differences": DIFFERENCES}


def pack(wanted: Filter) -> str:
    """A filter as JSON, for the worker."""
    return json.dumps(asdict(wanted), default=date.isoformat)


def unpack(listing: Listing, text: str) -> Any:
    """The filter that `pack` wrote."""
    values = json.loads(text)
    days = {name: date.fromisoformat(value) for name, value in values.items() if name.endswith(("_from", "_to")) and value}
    return listing.filter(**{**values, **days})


class Counted:
    """Rows as they pass by: how many, and their sums; tells after every few hundred."""

    def __init__(self, listing: Listing, rows: Iterable[tuple[Cell, ...]], tell: Tell) -> None:
        """Counts while it is read."""
        self.listing, self.tell = listing, tell
        self.rows = rows
        self.count = 0
        self.sums: Sums = dict.fromkeys(listing.sum_names, ZERO)

    def __iter__(self) -> Iterator[tuple[Cell, ...]]:
        for row in self.rows:
            self.count += 1
            for name, amount in self.listing.sums(row).items():
                self.sums[name] += amount
            if self.count % TELL_EVERY == 0:
                self.tell(self.count)
            yield row


def _heard(done: int) -> None:
    return None


def xlsx(listing: Listing, wanted: Filter, words: Sequence[str], today: date) -> bytes:
    """A list that is not long as an Excel file."""
    file = io.BytesIO()
    _write_xlsx(file, Counted(listing, listing.rows(wanted, today), _heard), wanted, words, None)
    return file.getvalue()


def _write_xlsx(file: Any, rows: Counted, wanted: Filter, words: Sequence[str], folder: Path | None) -> None:
    listing = rows.listing

    def about() -> list[tuple[str, Cell]]:
        filtered: list[tuple[str, Cell]] = [("Filter", ", ".join(words)), ("Made", clock.now()), (listing.many, rows.count)]
        return [*filtered, *((name, amount) for name, amount in rows.sums.items()), *listing.besides(wanted).get("told", [])]

    write_xlsx(file, listing.title, [(column.label, column.width) for column in listing.columns], rows, about, folder)


def pdf(listing: Listing, wanted: Filter, words: Sequence[str], today: date, tell: Tell = _heard, announce: Tell = _heard) -> bytes:
    """A list as PDF, with letterhead, filter, sums, a running total and page numbers. Raises InvalidInput for one that is too long."""
    most = listing.most_on_paper or MOST["pdf"] + 1
    counted = Counted(listing, islice(listing.rows(wanted, today), most), _heard)
    places = [place for place, column in enumerate(listing.columns) if column.paper is not None]
    name = listing.sum_names[0]
    rows: list[list[str]] = []
    for row in counted:
        rows.append([*(_on_paper(row[place]) for place in places), show(counted.sums[name])])
    if counted.count > MOST["pdf"]:
        raise InvalidInput(too_long(listing))
    announce(counted.count)
    head = [(listing.columns[place].label, listing.columns[place].paper or "") for place in places]
    head.append(("Running total", "number figure"))
    data: dict[str, Any] = {
        "title": listing.title,
        "words": words,
        "made_at": clock.now(),
        "count": counted.count,
        "noun": listing.noun(counted.count),
        "sums": list(counted.sums.items()),
        "head": head,
        **listing.besides(wanted),
    }
    if listing.most_on_paper:
        data["left_out"] = listing.count(wanted, today, None) - counted.count if counted.count == most else 0
        return render_list_pdf(listing.paper, data, rows, tell)
    if len(rows) <= TABLE:
        return render_list_pdf(listing.paper, data, rows, tell)
    columns = lines.fitted([label for label, _ in head], rows, ["number" in style for _, style in head], TYPES[-1].characters)
    totals = {"count": counted.count, "many": listing.many, "sums": data["sums"]}
    report = LongReport(listing.title, words, data["made_at"], columns, "pdf/list_ending.html", totals)
    return render_lines_pdf(report, (lines.row(row, columns) for row in rows), tell)


def too_long(listing: Listing) -> str:
    """Why there is no PDF, and what to do."""
    return f"A PDF holds at most {MOST['pdf']:,} {listing.many}. Take Excel or CSV, which hold them all, or narrow the filter."


def _on_paper(value: Cell) -> str:
    if isinstance(value, Decimal):
        return show(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return day(value)
    return "" if value is None else str(value)


def write(export: ExportRow, place: Path, tell: Tell, announce: Tell) -> Path:
    """The file of an export, made in the folder `place`; `announce` hears how many rows it will have, `tell` how many it has so far."""
    listing = LISTS[export.kind]
    wanted = unpack(listing, export.chosen)
    file = place / f"list.{export.format}"
    if export.format == "pdf":
        file.write_bytes(pdf(listing, wanted, export.words, export.day, tell, announce))
        return file
    announce(listing.count(wanted, export.day, None))
    rows = Counted(listing, listing.rows(wanted, export.day), tell)
    with file.open("wb") as out:
        if export.format == "csv":
            out.writelines(piece.encode() for piece in csv_lines(listing.head, rows))
        else:
            _write_xlsx(out, rows, wanted, export.words, place)
    tell(rows.count)
    return file

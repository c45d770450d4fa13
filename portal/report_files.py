"""Reports as files: at once when they are short, by a worker when they are long (services/exports.py keeps and offers both)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any

from portal import clock, collection_report
from portal.documents import TYPES, LongReport, render_lines_pdf, render_list_pdf
from portal.domain import lines
from portal.domain.errors import InvalidInput
from portal.domain.money import ZERO
from portal.exports import Cell, csv_lines, write_xlsx
from portal.report_charts import picture
from portal.report_parts import Added, Column, Report, Section, shown
from portal.reports import REPORTS
from portal.store import report_rows
from portal.store.exports import ExportRow
from portal.store.report_rows import ReportFilter

KIND = "report"
"""What an export of a report is called among the exports."""
AT_ONCE = {"pdf": 1_000, "xlsx": 5_000}
"""Lines up to which a file is answered at once, within two or three seconds; CSV is sent as it is read."""
MOST = {"pdf": 20_000}
"""Lines of the longest file of a format."""
TABLE = 250
"""Lines up to which a PDF is a table, tagged for those who have it read to them; a longer one is set as lines."""
TELL_EVERY = 500
Tell = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A report as it was asked for: its filter for the store and in words, and the day it was asked on."""

    report: Report
    filter: ReportFilter
    words: tuple[str, ...]
    today: date

    def rows(self) -> Iterable[Any]:
        """What a file is made of; the Collection Report on paper wants more of each payment than its cells."""
        return self.report.rows(self.filter, self.today)

    def paper_rows(self) -> Iterable[Any]:
        """The same for a PDF."""
        return report_rows.collection(self.filter) if self.report.name == "collection" else self.rows()

    @property
    def file(self) -> str:
        """The name under which a browser saves it, without its ending."""
        first, last = self.filter.first, self.filter.last
        of_days = date.min < first and last < date.max and set(self.report.asks) & {"days", "due"}
        return f"{self.report.name}-{first}-{last}" if of_days else f"{self.report.name}-{self.today}"


def pack(wanted: Wanted) -> str:
    """What was asked for, as JSON for the worker."""
    return json.dumps({"report": wanted.report.name, "filter": asdict(wanted.filter)}, default=lambda one: one.isoformat())


def unpack(export: ExportRow) -> Wanted:
    """What `pack` wrote. Raises InvalidInput for a report there is no more."""
    values = json.loads(export.chosen)
    report = REPORTS.get(values["report"])
    if report is None:
        raise InvalidInput("There is no report of this name any more. Choose one from the list of reports.")
    given = values["filter"]
    read: dict[str, Any] = {name: date.fromisoformat(given[name]) for name in ("first", "last")}
    read |= {name: datetime.fromisoformat(given[name]) for name in ("since", "until")}
    return Wanted(report, ReportFilter(**{**given, **read}), export.words, export.day)


def at_once(wanted: Wanted, form: str) -> bytes | None:
    """The report as Excel or PDF; None when it is too long to wait for."""
    rows = list(islice(wanted.paper_rows() if form == "pdf" else wanted.rows(), AT_ONCE[form] + 1))
    if len(rows) > AT_ONCE[form]:
        return None
    if form == "pdf":
        return _pdf(wanted, rows, lambda done: None)
    file = io.BytesIO()
    _xlsx(file, wanted, Added(wanted.report, rows), None)
    return file.getvalue()


def count(wanted: Wanted, most: int | None = None) -> int:
    """How many lines it has, counted no further than `most`."""
    if wanted.report.count:
        found = wanted.report.count(wanted.filter, wanted.today)
        return found if most is None else min(found, most)
    return sum(1 for _ in islice(iter(wanted.rows()), most))


def csv_rows(wanted: Wanted) -> Iterator[Sequence[Cell]]:
    """The rows for a CSV."""
    return _plain(wanted.report, Added(wanted.report, wanted.rows()))


def write(export: ExportRow, place: Path, tell: Tell, announce: Tell) -> Path:
    """The file of an export, made in the folder `place`; `announce` hears how many lines it will have, `tell` how many it has so far."""
    wanted = unpack(export)
    file = place / f"report.{export.format}"
    if export.format == "pdf":
        rows = list(islice(wanted.paper_rows(), MOST["pdf"] + 1))
        if len(rows) > MOST["pdf"]:
            raise InvalidInput(too_long(wanted.report))
        announce(len(rows))
        file.write_bytes(_pdf(wanted, rows, tell))
        return file
    announce(count(wanted))
    added = Added(wanted.report, _told(wanted.rows(), tell))
    with file.open("wb") as out:
        if export.format == "csv":
            out.writelines(piece.encode() for piece in csv_lines(wanted.report.head, _plain(wanted.report, added)))
        else:
            _xlsx(out, wanted, added, place)
    tell(added.count)
    return file


def too_long(report: Report) -> str:
    """Why there is no PDF, and what to do."""
    most = f"A PDF holds at most {MOST['pdf']:,} {report.many}."
    return f"{most} Take Excel or CSV, which hold them all, or choose fewer days or one collector."


def _told(rows: Iterable[Any], tell: Tell) -> Iterator[Any]:
    for number, row in enumerate(rows, start=1):
        if number % TELL_EVERY == 0:
            tell(number)
        yield row


def _plain(report: Report, rows: Iterable[Any]) -> Iterator[Sequence[Cell]]:
    """Cells for a spreadsheet: shares as words, everything else in its own type."""
    shares = {place for place, column in enumerate(report.columns) if column.holds == "permille"}
    for row in rows:
        yield [shown(report.columns[place], value) if place in shares else value for place, value in enumerate(row)] if shares else row


def _xlsx(file: IO[bytes], wanted: Wanted, rows: Added, folder: Path | None) -> None:
    report = wanted.report

    def about() -> Iterator[tuple[str, Cell]]:
        yield "Of", ", ".join(wanted.words)
        yield "Made", clock.now()
        yield report.many.capitalize(), rows.count
        yield from rows.sums
        for words in (report.note, report.unasked):
            if words:
                yield "Note", words
        for section in report.besides(wanted.filter, wanted.today):
            yield section.title, None if section.rows else section.empty
            for row in section.rows:
                yield _beside(section, row)

    columns = [(column.label, column.width) for column in report.columns]
    write_xlsx(file, report.title, columns, _plain(report, rows), about, folder)


def _beside(section: Section, row: Sequence[Cell]) -> tuple[str, Cell]:
    """A line of a section in two cells: its words, and its pesos or its last figure, which stay a number."""
    figures = [place for place, column in enumerate(section.columns) if column.figure]
    place = figures[-1]
    told = [shown(column, value) for number, (column, value) in enumerate(zip(section.columns, row, strict=True)) if number != place]
    return ", ".join(words for words in told if words), row[place]


def _pdf(wanted: Wanted, rows: Sequence[Any], tell: Tell) -> bytes:
    report = wanted.report
    if report.name == "collection":
        return collection_report.pdf(rows, wanted.words, report_rows.missing(wanted.filter), clock.now(), tell)
    added = Added(report, rows)
    columns = paper_columns(report)
    cells = list(_on_paper(report, added))
    totals = [shown(column, total) for column, total in zip(report.columns, added.totals, strict=True)]
    data: dict[str, Any] = {
        "report": report,
        "words": wanted.words,
        "made_at": clock.now(),
        "count": added.count,
        "totals": _with_running(report, totals, ""),
        "columns": columns,
        "picture": picture(report, wanted.filter, rows, added),
        "sections": [_told_section(section) for section in report.besides(wanted.filter, wanted.today)],
    }
    if len(cells) <= TABLE:
        return render_list_pdf("pdf/report.html", data, cells, tell)
    right = [column.figure for column in columns]
    labels = [column.label for column in columns]
    places = lines.fitted(labels, cells, right, TYPES[-1].characters)
    data["sums"] = [(column.label, words) for column, words in zip(report.columns, totals, strict=True) if column.total]
    long = LongReport(report.title, wanted.words, data["made_at"], places, "pdf/report_ending.html", data)
    return render_lines_pdf(long, (lines.row(row, places) for row in cells), tell)


def paper_columns(report: Report) -> list[Column]:
    """The columns on paper: those of the report, and the running total beside what it adds up."""
    return _with_running(report, list(report.columns), Column("Running total", 14, "money"))


def _with_running(report: Report, cells: list[Any], running: Any) -> list[Any]:
    if not report.running:
        return cells
    place = report.head.index(report.running) + 1
    return [*cells[:place], running, *cells[place:]]


def _on_paper(report: Report, rows: Iterable[Any]) -> Iterator[list[str]]:
    place = report.head.index(report.running) if report.running else None
    running = ZERO
    for row in rows:
        cells = [shown(column, value) for column, value in zip(report.columns, row, strict=True)]
        if place is not None:
            running += row[place] if isinstance(row[place], Decimal) else ZERO
            cells = _with_running(report, cells, shown(report.columns[place], running))
        yield cells


def _told_section(section: Section) -> dict[str, Any]:
    """A section as papers and pages write it."""
    told = [[shown(column, value) for column, value in zip(section.columns, row, strict=True)] for row in section.rows]
    return {"title": section.title, "columns": section.columns, "rows": told, "empty": section.empty}


def sections(wanted: Wanted) -> list[dict[str, Any]]:
    """The small tables beneath the report, written out."""
    return [_told_section(section) for section in wanted.report.besides(wanted.filter, wanted.today)]

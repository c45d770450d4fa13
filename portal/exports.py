"""Files for spreadsheets, CSV and Excel: money as plain numbers, days as days, no cell a formula (RELIABILITY S36)."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO

from flask import Response, stream_with_context
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from portal import clock
from portal.domain.money import exact

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
"""Characters after which a spreadsheet may calculate instead of show; the wide ones count in Asian versions."""
SHEET_ROWS = 1_048_575
"""Rows of an Excel sheet beneath its heading; a longer list goes on in another sheet."""
LONGEST_CELL = 32_767
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Cell = str | int | Decimal | date | datetime | None


def guarded(text: str) -> str:
    """`text` with an apostrophe before it when a spreadsheet could take it for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def cell(value: Cell) -> str:
    """One value as a spreadsheet reads it: money `-1234.50`, dates ISO, instants on the wall clocks of the business."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{exact(value):f}"
    if isinstance(value, datetime):
        return f"{clock.to_business(value):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    return guarded(value) if isinstance(value, str) else str(value)


def csv_lines(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """A CSV file in pieces, with the byte order mark that Excel wants, so that a long list needs no memory."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write("\ufeff")
    writer.writerow(head)
    for number, row in enumerate(rows, start=1):
        writer.writerow([cell(value) for value in row])
        if number % 200 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def csv_response(name: str, head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Response:
    """A CSV named `name`. An error half-way breaks the connection off, so that no short file passes for a whole one."""
    response = Response(stream_with_context(csv_lines(head, rows)), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def write_xlsx(
    file: IO[bytes],
    title: str,
    columns: Sequence[tuple[str, int]],
    rows: Iterable[Sequence[Cell]],
    about: Callable[[], Iterable[tuple[str, Cell]]],
    folder: Path | None = None,
) -> None:
    """An Excel file: `columns` are (label, width in characters), `about` is asked last and fills a second sheet with (what, value).

    Written row by row through temporary files in `folder` (default: the machine's own), so that memory does not grow with the list."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        book = Workbook(file, {"constant_memory": True, "tmpdir": place})
        styles = Styles(book)
        book.set_properties({"title": title})
        left = iter(rows)
        row = next(left, None)
        while row is not None or not book.worksheets():
            sheet = book.add_worksheet(f"List {len(book.worksheets()) + 1}" if book.worksheets() else "List")
            sheet.freeze_panes(1, 0)
            for number, (label, width) in enumerate(columns):
                sheet.set_column(number, number, width)
                sheet.write_string(0, number, label, styles.head)
            line = 0
            while row is not None and line < SHEET_ROWS:
                line += 1
                for number, value in enumerate(row):
                    write_cell(sheet, line, number, value, styles)
                row = next(left, None)
        sheet = book.add_worksheet("About this list")
        sheet.set_column(0, 1, 32)
        for line, (what, value) in enumerate([(title, None), *about()]):
            sheet.write_string(line, 0, what, styles.head)
            write_cell(sheet, line, 1, value, styles)
        book.close()


class Styles:
    """How the cells of one Excel file look."""

    def __init__(self, book: Workbook) -> None:
        """Make them in this file."""
        self.head: Format = book.add_format({"bold": True})
        self.money: Format = book.add_format({"num_format": "#,##0.00"})
        self.day: Format = book.add_format({"num_format": "yyyy-mm-dd"})
        self.moment: Format = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self.text: Format = book.add_format({"quote_prefix": True})


def write_cell(sheet: Worksheet, line: int, place: int, value: Cell, styles: Styles) -> None:
    """One value in its own type. Text never becomes a formula, a link or a number, and what looks like a formula keeps an apostrophe
    before it that Excel does not show, so that editing the cell does not make it one."""
    if value is None:
        return
    if isinstance(value, str):
        risky = guarded(value) != value
        sheet.write_string(line, place, value[:LONGEST_CELL], styles.text if risky else None)
    elif isinstance(value, Decimal):
        sheet.write_number(line, place, exact(value), styles.money)
    elif isinstance(value, datetime):
        sheet.write_datetime(line, place, clock.to_business(value).replace(tzinfo=None), styles.moment)
    elif isinstance(value, date):
        sheet.write_datetime(line, place, value, styles.day)
    else:
        sheet.write_number(line, place, value)

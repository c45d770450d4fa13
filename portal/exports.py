"""CSV files for spreadsheets: UTF-8 with a byte order mark for Excel, money as plain numbers, no cell a formula (RELIABILITY S36)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal

from flask import Response, stream_with_context

from portal import clock
from portal.domain.money import exact

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
"""Characters after which a spreadsheet may calculate instead of show; the wide ones count in Asian versions."""
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
    """The file in pieces, so that a long list needs no memory."""
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
    """A download named `name`. An error half-way breaks the connection off, so that no short file passes for a whole one."""
    response = Response(stream_with_context(csv_lines(head, rows)), mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response

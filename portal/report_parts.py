"""What a report is made of: its columns, its totals, how a cell is written, the small tables beneath it. What each report is of stands in
reports.py, how it becomes a file in report_files.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from portal.domain.money import ZERO, show
from portal.exports import Cell
from portal.filters import day, moment
from portal.store.report_rows import ReportFilter, Row


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its width in a spreadsheet in characters, what it holds (text, range of numbers as printed, number, money,
    day, moment or permille), and whether it is added up."""

    label: str
    width: int = 14
    holds: str = "text"
    total: bool = False

    @property
    def figure(self) -> bool:
        """Whether it stands to the right."""
        return self.holds in {"number", "money", "permille"}


@dataclass(frozen=True, slots=True)
class Section:
    """A small table beneath a report: totals by tender, reasons, numbers that have not arrived. `empty` is said when it has no rows."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart of a report: a bar for each day of the period, for each line, or for each of some columns (their totals).

    `by` is the column that names the bars of days or lines; `amounts` the column of pesos, or those that are a bar each."""

    of: str
    title: str
    amounts: tuple[str, ...]
    by: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report. `asks` names what narrows it: days, due (days on which SOAs fall due), collector, code; `period` is what it is of when no
    days are given: today, month (to date), week (ahead)."""

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
    unasked: str = ""
    """Why days, collector or code do not narrow it, or how they do where that is not plain."""
    drawn: Drawn | None = None
    signers: tuple[str, ...] = ("Prepared by", "Checked by")
    running: str = ""
    """The column of pesos whose running total stands beside it on paper."""
    besides: Callable[[ReportFilter, date], Sequence[Section]] = lambda wanted, today: ()
    count: Callable[[ReportFilter, date], int] | None = None
    """How many lines it has, where that is known without reading them."""
    deeper: tuple[str, str] | None = None
    """The report that lists one by one what a line of this adds up, and the words of the way to it."""
    elsewhere: tuple[str, str] | None = None
    """The page (its endpoint) on which what it tells of is worked on, and the words of the way to it."""

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

"""The chart of a report: its bars with their words, for screen and paper alike. Drawing them is the templates' work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from portal.domain import charts
from portal.domain.charts import Chart
from portal.domain.money import ZERO, show_pesos
from portal.filters import day
from portal.report_parts import Added, Report
from portal.store.report_rows import ReportFilter, Row

MOST_BARS = 62
"""Days of the longest chart; of more the bars could not be told apart."""
MOST_LINES = 20
"""Lines that are drawn one beneath the other."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart: `of` days, lines or columns; a label, pesos and a sentence for each bar; all of it in one sentence."""

    of: str
    title: str
    labels: Sequence[str]
    amounts: Sequence[Decimal]
    chart: Chart
    summary: str

    @property
    def told(self) -> list[str]:
        """What each bar stands for."""
        return [f"{label}: {show_pesos(amount)}" for label, amount in zip(self.labels, self.amounts, strict=True)]

    @property
    def words(self) -> list[str]:
        """The pesos of each bar."""
        return [show_pesos(amount) for amount in self.amounts]


def picture(report: Report, wanted: ReportFilter, rows: Sequence[Row], added: Added) -> Picture | None:
    """The report's chart; None for a report without, for one bar alone, and where there are too many. `rows` are all of its rows, whose
    totals `added` holds."""
    if report.drawn is None or not rows:
        return None
    if report.drawn.of == "columns":
        sums = dict(added.sums)
        labels, amounts = list(report.drawn.amounts), [_pesos(sums[label]) for label in report.drawn.amounts]
    elif report.drawn.of == "days":
        labels, amounts = _days(report, wanted, rows)
    else:
        labels, amounts = _lines(report, rows)
    if len(labels) < 2 or len(labels) > (MOST_BARS if report.drawn.of == "days" else MOST_LINES) or not any(amounts):
        return None
    most = amounts.index(max(amounts))
    on = "on " if report.drawn.of == "days" else ""
    summary = f"Most {on}{labels[most]}: {show_pesos(amounts[most])}." if on else f"Most: {labels[most]}, {show_pesos(amounts[most])}."
    return Picture(report.drawn.of, report.drawn.title, labels, amounts, charts.bars([int(one) for one in amounts]), summary)


def _pesos(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else ZERO


def _days(report: Report, wanted: ReportFilter, rows: Sequence[Row]) -> tuple[list[str], list[Decimal]]:
    if report.drawn is None or not 1 <= (wanted.last - wanted.first).days < MOST_BARS:
        return [], []
    place, figure = report.head.index(report.drawn.by), report.head.index(report.drawn.amounts[0])
    by_day: dict[object, Decimal] = {}
    for row in rows:
        by_day[row[place]] = by_day.get(row[place], ZERO) + _pesos(row[figure])
    days: list[date] = [wanted.first + timedelta(days=number) for number in range((wanted.last - wanted.first).days + 1)]
    return [day(one) for one in days], [by_day.get(one, ZERO) for one in days]


def _lines(report: Report, rows: Sequence[Row]) -> tuple[list[str], list[Decimal]]:
    if report.drawn is None:
        return [], []
    place, figure = report.head.index(report.drawn.by), report.head.index(report.drawn.amounts[0])
    beside = [report.head.index("Bank or wallet")] if "Bank or wallet" in report.head else []
    labels = [", ".join(str(row[one]) for one in (place, *beside) if row[one] is not None) for row in rows]
    return labels, [_pesos(row[figure]) for row in rows]

"""Readings: every X and Z a phone made, as the portal worked it out from the ledger, and where the phone's paper differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.documents import pdf_response, render_pdf
from portal.domain.errors import NotFound
from portal.domain.money import from_centavos
from portal.domain.money import show as show_money
from portal.domain.payments import TENDER_WORDS, read_instant
from portal.filters import day, moment
from portal.services import readings as service
from portal.store import readings, terminals
from portal.store.readings import ChainRow, DayOf, ReadingDetail, ReadingRow

bp = Blueprint("readings", __name__)
KINDS = {"": "All", "Z": "Z-readings", "X": "X-readings"}
PAGE = 50
COUNTERS = {"transaction_count", "z_counter", "reset_counter", "unsent"}


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of a reading, ready to print; `strong` for sums."""

    label: str
    value: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """Figures that belong together, in the order of DOMAIN 6."""

    title: str
    lines: list[Line]


@bp.get("/readings")
@roles("office", "admin")
def index() -> Response:
    """The list, newest first."""
    query = Query("readings.index")
    kind, before_id = query.choice("kind", "Kind", KINDS), query.number("before_id")
    rows = readings.recent(limit=PAGE, before_id=before_id, kind=kind or None)
    older = rows[-1].id if len(rows) == PAGE else None
    return answer(
        "readings/index.html",
        "readings/_results.html",
        query=query,
        rows=rows,
        kinds=KINDS,
        before_id=before_id,
        older=older,
        registries=readings.open_registries() if not kind and not before_id else [],
        may_close=current_user.can("supervisor"),
    )


@bp.post("/readings/registries/<uuid:registry_id>/close")
@roles("supervisor")
def close(registry_id: UUID) -> ResponseReturnValue:
    """Close a registry whose phone is lost or broken by a Z-reading of the office."""
    reading_id = service.close_by_office(str(registry_id), current_user.name, request.form.get("reason", ""), clock.now())
    flash("The registry is closed. Its Z-reading holds what the portal knows; what arrives later enters the next one.", "good")
    return redirect(url_for("readings.show", reading_id=reading_id), 303)


@bp.get("/readings/calendar")
@roles("office", "admin")
def calendar() -> Response:
    """Which terminal closed which day of a month, as a table."""
    query, today = Query("readings.calendar"), clock.today()
    first = (query.day("from", "Month") or today).replace(day=1)
    last = _next_month(first) - timedelta(days=1)
    cells: dict[str, dict[date, list[DayOf]]] = {}
    for one in readings.days(first, last):
        cells.setdefault(one.terminal, {}).setdefault(one.business_date, []).append(one)
    return answer(
        "readings/calendar.html",
        "readings/_calendar.html",
        query=query,
        month=first,
        days=[first + timedelta(days=number) for number in range((last - first).days + 1)],
        cells=cells,
        earlier=(first - timedelta(days=1)).replace(day=1),
        later=_next_month(first) if _next_month(first) <= today else None,
        today=today,
    )


def _next_month(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


@bp.get("/readings/chain")
@roles("office", "admin")
def chain() -> Response:
    """The Z-readings of one terminal in their order, counters and accumulated totals hand in hand."""
    query = Query("readings.chain")
    codes = [row.code for row in terminals.all_terminals()]
    code = query.choice("terminal", "Terminal", {code: code for code in codes}) or (codes[0] if codes else "")
    before = query.number("before")
    rows = readings.chain(code, before, PAGE + 1) if code else []
    return answer(
        "readings/chain.html",
        "readings/_chain.html",
        query=query,
        code=code,
        codes=codes,
        rows=[_link(one, earlier) for one, earlier in zip_longest(rows, rows[1:])][:PAGE],
        older=rows[PAGE - 1].row.z_counter if len(rows) > PAGE else None,
        before=before,
    )


@dataclass(frozen=True, slots=True)
class Link:
    """A Z-reading in its chain: whether it goes on where the one before ended (DOMAIN 6). Pesos."""

    row: ReadingRow
    previous: Decimal
    gross: Decimal
    late: Decimal
    present: Decimal
    holds: bool


def _link(one: ChainRow, earlier: ChainRow | None) -> Link:
    figures = one.figures
    late = figures.get("late_amount", 0)
    adds_up = figures["previous_accumulated"] + figures["gross"] + late == figures["present_accumulated"]
    if earlier is None:
        follows = figures["z_counter"] > 1 or figures["previous_accumulated"] == 0
    else:
        before = earlier.figures
        follows = (before["z_counter"] + 1, before["present_accumulated"]) == (figures["z_counter"], figures["previous_accumulated"])
    previous, gross, after, present = (
        from_centavos(value) for value in (figures["previous_accumulated"], figures["gross"], late, figures["present_accumulated"])
    )
    return Link(one.row, previous, gross, after, present, adds_up and follows)


@bp.get("/readings/<int:reading_id>")
@roles("office", "admin")
def show(reading_id: int) -> Response:
    """One reading: its figures, and any centavo in which the phone's paper differs."""
    return answer("readings/show.html", "readings/_detail.html", **contents(found(reading_id)))


@bp.get("/readings/<int:reading_id>.pdf")
@roles("office", "admin")
def pdf(reading_id: int) -> Response:
    """The stored reading on paper; the same figures for ever."""
    detail = found(reading_id)
    row = detail.row
    name = f"{row.kind.lower()}-reading-{row.terminal}-{row.business_date}{f'-{row.z_counter}' if row.z_counter else ''}.pdf"
    return pdf_response(name, render_pdf("pdf/reading.html", contents(detail)))


def found(reading_id: int) -> ReadingDetail:
    """The reading. Raises NotFound."""
    detail = readings.get(reading_id)
    if detail is None:
        raise NotFound("There is no reading with this number.")
    return detail


def contents(detail: ReadingDetail) -> dict[str, Any]:
    """What page and paper show of a reading."""
    differences = [
        (label_of(item["field"]), shown(item["field"], item["phone"]), shown(item["field"], item["portal"])) for item in detail.differences
    ]
    return {
        "detail": detail,
        "row": detail.row,
        "reading": detail.portal,
        "sections": sections(detail),
        "differences": differences,
        "late": readings.late_in(detail.row.id),
        "kept": [
            (
                one,
                [
                    (label_of(item["field"]), shown(item["field"], item["phone"]), shown(item["field"], item["portal"]))
                    for item in one.differences
                ],
            )
            for one in (readings.kept_beside(detail.row.id) if detail.row.made_by else [])
        ],
    }


def sections(detail: ReadingDetail) -> list[Section]:
    """The figures of a reading in the order of DOMAIN 6; an X has no counters and no accumulated totals."""
    reading = detail.portal
    found = [
        Section(
            "Period",
            [
                Line("Business date", day(detail.row.business_date)),
                Line("Period start", moment(read_instant(reading["period_start"]))),
                Line("Period end", moment(read_instant(reading["period_end"]))),
                Line("Terminal", detail.row.terminal),
                Line("Collector", detail.row.collector_display),
            ],
        ),
        Section(
            "Numbers",
            [
                Line("Beginning receipt number", reading["first_receipt"] or "none"),
                Line("Ending receipt number", reading["last_receipt"] or "none"),
                Line("Beginning void number", reading["first_void"] or "none"),
                Line("Ending void number", reading["last_void"] or "none"),
                Line("Transaction count", str(reading["transaction_count"])),
            ],
        ),
    ]
    if detail.row.kind == "Z":
        counters = [Line("Reset counter", str(reading["reset_counter"])), Line("Z counter", str(reading["z_counter"]), strong=True)]
        accumulated = [money(reading, "present_accumulated"), money(reading, "previous_accumulated")]
        day_lines = [Line("Collection for the day", pesos(reading["gross"]), strong=True)]
        if reading.get("late_count"):
            day_lines.append(Line(f"Late payments ({reading['late_count']})", pesos(reading["late_amount"]), strong=True))
        found.append(Section("Counters", [*counters, *accumulated, *day_lines]))
    names = ("vatable", "vat_amount", "vat_exempt", "zero_rated", "penalty", "advance")
    totals = [Line(label_of(name), pesos(reading[name]), name in {"gross", "net"}) for name in ("gross", "less_void", "net")]
    found.append(Section("Collection", [*(money(reading, name) for name in names), *totals]))
    late = [tender_line(line, "Late: ") for line in reading.get("late_tenders", [])]
    found.append(Section("Tenders", [*(tender_line(line) for line in reading["tenders"]), *late] or [Line("No payments", "0.00")]))
    if "carried_void" in reading:
        carried = [("Voids", "void"), ("Of them cash", "voided_cash"), ("Cash drops", "drops"), ("Expenses", "expenses")]
        lines = [Line(words, pesos(reading.get(f"carried_{name}", 0))) for words, name in carried]
        found.append(Section("In it from the registry that the office closed", lines))
    found.append(Section("Cash", cash_lines(reading)))
    return found


def cash_lines(reading: Mapping[str, Any]) -> list[Line]:
    """From the change fund to short or over, with the counted denominations."""
    late = ("late_cash",) if reading.get("late_cash") else ()
    names = ("change_fund", "cash_collected", *late, "less_voided_cash", "less_drops", "less_expenses")
    lines = [*(money(reading, name) for name in names), Line("Expected cash", pesos(reading["expected_cash"]), strong=True)]
    if reading["counted"] is None:
        return [*lines, Line("Counted cash", "not counted yet")]
    pieces = [piece for piece in reading["counted"] if piece["count"]]
    lines += [
        Line(f"{piece['count']} x {pesos(piece['value'])} {piece['kind']}", pesos(piece["count"] * piece["value"])) for piece in pieces
    ]
    difference = reading["short_over"]
    word = "Short" if difference < 0 else "Over" if difference > 0 else "Short or over"
    return [*lines, Line("Counted cash", pesos(reading["counted_cash"]), strong=True), Line(word, pesos(abs(difference)), strong=True)]


def tender_line(line: Mapping[str, Any], before: str = "") -> Line:
    """One tender with its channel and count."""
    name = before + TENDER_WORDS.get(line["tender"], line["tender"]) + (f", {line['channel']}" if line["channel"] else "")
    return Line(f"{name} ({line['count']})", pesos(line["amount"]))


def money(reading: Mapping[str, Any], name: str) -> Line:
    """A figure in centavos under its printed name."""
    return Line(label_of(name), pesos(reading[name]))


def pesos(centavos: int) -> str:
    """`1,234.50` from centavos."""
    return show_money(from_centavos(centavos))


def label_of(name: str) -> str:
    """The printed name of a field."""
    special = {
        "vatable": "VATable",
        "vat_amount": "VAT amount",
        "vat_exempt": "VAT-exempt",
        "zero_rated": "Zero-rated",
        "advance": "Advances",
    }
    return special.get(name) or name.replace("_", " ").capitalize()


def shown(name: str, value: object) -> str:
    """A differing value as text, whatever the phone sent."""
    if value is None:
        return "nothing"
    if isinstance(value, int) and not isinstance(value, bool) and name not in COUNTERS and abs(value) < 10**15:
        return pesos(value)
    if name == "tenders" and isinstance(value, list):
        return "; ".join(shown_tender(line) for line in value[:20]) or "nothing"
    return str(value)[:200]


def shown_tender(line: object) -> str:
    """A tender of a differing reading; the phone's may have any shape."""
    if isinstance(line, Mapping) and {"tender", "channel", "count", "amount"} <= line.keys() and type(line["amount"]) is int:
        name = TENDER_WORDS.get(str(line["tender"]), str(line["tender"])[:20])
        return f"{name} {str(line['channel'] or '')[:40]} ({str(line['count'])[:10]}) {shown('amount', line['amount'])}"
    return str(line)[:60]

"""Reports: each on screen, as CSV, Excel and PDF, long ones prepared by a worker; the slip of a remittance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

from flask import Blueprint, Response, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock, report_files, reports
from portal.access import roles
from portal.blueprints import remittances
from portal.blueprints.pages import Query, answer
from portal.blueprints.sync import Series
from portal.documents import pdf_response, render_pdf
from portal.domain.errors import InvalidInput, NotFound
from portal.exports import XLSX, csv_response
from portal.extensions import limiter
from portal.filters import day
from portal.report_charts import Picture, picture
from portal.report_files import KIND, Wanted
from portal.report_parts import Added, Report, shown
from portal.reports import LONGEST, REPORTS
from portal.services import exports
from portal.store import collector_codes, ledger
from portal.store.report_rows import ReportFilter, Row
from portal.store.soas import NO_CODE

bp = Blueprint("reports", __name__)
ON_SCREEN = 500
"""Lines of a report on screen; its totals are of all, and the files hold them all."""
ADDED_UP = 20_000
"""Lines that are added up while somebody waits."""
FORMATS = {"pdf": "PDF", "xlsx": "Excel", "csv": "CSV"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for: the filter in the address, and the same for whoever makes it."""

    query: Query
    wanted: Wanted


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
    asked_for = asked(name)
    wanted, query = asked_for.wanted, asked_for.query
    report = wanted.report
    rows = Added(report, wanted.rows())
    read = list(islice(rows, ADDED_UP + 1))
    lines, cut = read[:ON_SCREEN], rows.count > ADDED_UP
    drawn = None if cut else picture(report, wanted.filter, read, rows)
    return answer(
        "reports/show.html",
        "reports/_partial.html",
        report=report,
        query=query,
        words=wanted.words,
        lines=[[shown(column, value) for column, value in zip(report.columns, row, strict=True)] for row in lines],
        ways=ways(report, query, lines),
        totals=[shown(column, total) for column, total in zip(report.columns, rows.totals, strict=True)],
        count=min(rows.count, ADDED_UP),
        cut=cut,
        chart=series(drawn) if drawn and drawn.of == "days" else None,
        bars=drawn if drawn and drawn.of != "days" else None,
        sections=report_files.sections(wanted) if read else [],
        elsewhere=url_for(report.elsewhere[0]) if report.elsewhere else "",
        deeper=query.url("reports.show", name=report.deeper[0]) if report.deeper else "",
        formats=FORMATS,
        collectors=ledger.collectors(),
        codes=codes_of(report).items(),
    )


def ways(report: Report, query: Query, rows: Sequence[Row]) -> list[str]:
    """For each line of a collector code, or of none, the address of the same filter, of that code alone, in the report that goes deeper."""
    if report.deeper is None or "Code" not in report.head:
        return []
    place = report.head.index("Code")
    return [query.url("reports.show", name=report.deeper[0], code=str(row[place] or NO_CODE)) for row in rows]


def series(drawn: Picture) -> Series:
    """A chart of days as pages draw it."""
    scale = [f"{value:,}" for value in drawn.chart.scale]
    return Series("days", f"{drawn.title}, in pesos", "", drawn.chart, scale, drawn.told, f"{drawn.summary} The days are in the table.")


@bp.get("/reports/<name>.<any(csv,xlsx,pdf):form>")
@roles("supervisor", "admin")
@limiter.limit("30 per minute", key_func=own_name)
def file(name: str, form: str) -> Response:
    """A report as a file, or the page that offers to prepare it when it is long. Raises InvalidInput when part of the filter cannot be
    used: the file would hold other things than were asked."""
    asked_for = usable(name)
    wanted = asked_for.wanted
    saved = f"{wanted.file}.{form}"
    if form == "csv":
        return csv_response(saved, wanted.report.head, report_files.csv_rows(wanted))
    content = report_files.at_once(wanted, form)
    if content is None:
        return offered(asked_for, form)
    if form == "pdf":
        return pdf_response(saved, content)
    response = Response(content, mimetype=XLSX)
    response.headers.set("Content-Disposition", "attachment", filename=saved)
    return response


def offered(asked_for: Asked, form: str) -> Response:
    """The page about a report that is too long to wait for."""
    report, most = asked_for.wanted.report, report_files.MOST["pdf"]
    count = report_files.count(asked_for.wanted, most + 1)
    refused = form == "pdf" and count > most
    choices = [one for one in (form, *(other for other in FORMATS if other != form)) if one != "pdf" or count <= most]
    return answer(
        "reports/long.html",
        "reports/_long.html",
        report=report,
        query=asked_for.query,
        words=asked_for.wanted.words,
        count=count,
        more=count > most,
        form=form,
        formats=FORMATS,
        choices=choices,
        most=report_files.AT_ONCE[form],
        reason=report_files.too_long(report) if refused else "",
        days=exports.KEPT.days,
    )


@bp.post("/reports/<name>.<any(csv,xlsx,pdf):form>")
@roles("supervisor", "admin")
@limiter.limit("20 per minute", key_func=own_name)
def prepare(name: str, form: str) -> ResponseReturnValue:
    """Have a worker write the report of the filter in the address."""
    asked_for = usable(name)
    wanted = asked_for.wanted
    if form == "pdf" and report_files.count(wanted, report_files.MOST["pdf"] + 1) > report_files.MOST["pdf"]:
        raise InvalidInput(report_files.too_long(wanted.report))
    address = asked_for.query.url().partition("?")[2]
    chosen, now, called = report_files.pack(wanted), clock.now(), f"report {name}"
    export_id = exports.request(current_user.id, current_user.name, KIND, form, address, chosen, wanted.words, wanted.today, now, called)
    return redirect(url_for("exports.show", export_id=export_id), 303)


def usable(name: str) -> Asked:
    """What this request's address asks for. Raises InvalidInput when part of it cannot be used."""
    asked_for = asked(name)
    if asked_for.query.problems:
        raise InvalidInput(" ".join(asked_for.query.problems.values()))
    return asked_for


def asked(name: str) -> Asked:
    """What this request's address asks for. Raises NotFound."""
    report = REPORTS.get(name)
    if report is None:
        raise NotFound("There is no report of this name.")
    query, today = Query("reports.show", name=name), clock.today()
    first, last = period(report, query, today)
    collectors, codes = dict(ledger.collectors()), codes_of(report)
    begins, ends = (first, last + timedelta(days=1)) if "days" in report.asks else (today, today)
    wanted = ReportFilter(
        first,
        last,
        clock.midnight(begins),
        clock.midnight(ends),
        query.choice("collector", "Collector", collectors) if "collector" in report.asks else "",
        query.choice("code", "Code", codes) if "code" in report.asks else "",
    )
    words = [days_in_words(report, first, last, today), *(words for chip, words in query.chips if chip not in {"from", "to"})]
    return Asked(query, Wanted(report, wanted, tuple(words), today))


def codes_of(report: Report) -> dict[str, str]:
    """The collector codes to choose from, in words; SOAs may be without one."""
    codes = {code: code for code in collector_codes.known_codes()}
    return {NO_CODE: "No collector code", **codes} if "due" in report.asks else codes


def days_in_words(report: Report, first: date, last: date, today: date) -> str:
    """The days a report is of."""
    if "due" not in report.asks:
        return day(first) if first == last else f"{day(first)} to {day(last)}"
    since = f" from {day(first)}" if first > date.min else ""
    until = f" to {day(last)}" if last < date.max else ""
    return f"as of {day(today)}" + (f", due{since}{until}" if since or until else "")


def period(report: Report, query: Query, today: date) -> tuple[date, date]:
    """The days in the address; the report's own where none are given. They stand in the form's fields either way."""
    if "due" in report.asks:
        first, last = query.days("from", "Due from", "to", "Due to")
        return first or date.min, last or date.max
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


@bp.get("/reports/remittance/<int:remittance_id>.pdf")
@roles("office", "admin")
def remittance(remittance_id: int) -> Response:
    """The slip of a remittance, which collector and cashier sign; the same figures for ever."""
    detail = remittances.found(remittance_id)
    return pdf_response(f"remittance-{detail.row.number}.pdf", render_pdf("pdf/remittance.html", remittances.contents(detail)))

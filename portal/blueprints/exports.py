"""Files of the long lists: answered at once when they are short, prepared by a worker and kept for a week when they are long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from flask import Blueprint, Response, redirect, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal import clock, report_files
from portal.access import roles
from portal.blueprints import payments, reconciliation, soas
from portal.blueprints.pages import Query, answer
from portal.documents import pdf_response
from portal.domain import progress
from portal.domain.errors import InvalidInput, NotFound
from portal.exports import XLSX, csv_response
from portal.extensions import limiter
from portal.lists import AT_ONCE, LISTS, MOST, TABLE, Filter, Listing, pack, pdf, too_long, xlsx
from portal.services import exports as service
from portal.store import exports
from portal.store.soas import find

bp = Blueprint("exports", __name__)
FORMATS = {"csv": "CSV", "xlsx": "Excel", "pdf": "PDF"}
PAGES = {"soas": "soas.index", "payments": "payments.index", "differences": "reconciliation.index"}
TYPES = {"csv": "text/csv", "xlsx": XLSX, "pdf": "application/pdf"}
MAKERS = ("supervisor", "admin")
"""Who may have a report (docs/security.md)."""
ORDERS = {
    "name": "customer", "account_number": "account number", "due_date": "due date", "amount_due": "amount due", "collector_code": "code",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for: the filter for us, and the same in words."""

    kind: str
    listing: Listing
    query: Query
    filter: Filter
    words: list[str]
    day: date

    def count(self, most: int | None = None) -> int:
        """How many rows it has, counted up to `most`."""
        return self.listing.count(self.filter, self.day, most)


def read_soas(query: Query, today: date) -> tuple[Filter, list[str]]:
    """The filter that the page of the same address shows, mended where the page mends it."""
    typed = soas.read_filter(query)
    wanted = find(typed, today)[0]
    if wanted.q != typed.q:
        query.replace("q", wanted.q, f"Text: {wanted.q}")
    status = {"active": "Active SOAs", "closed": "Closed SOAs", "all": "Active and closed SOAs"}[wanted.status]
    order = f"by {ORDERS[wanted.sort.removeprefix('-')]}{', descending' if wanted.sort.startswith('-') else ''}"
    return wanted, [status, *(words for name, words in query.chips if name != "status"), order]


def read_payments(query: Query, today: date) -> tuple[Filter, list[str]]:
    """The filter of the payment list."""
    wanted = payments.read_filter(query)
    return wanted, [words for _, words in query.chips] or ["All payments"]


def read_differences(query: Query, today: date) -> tuple[Filter, list[str]]:
    """The filter of the differences of the finished report that the address names. Raises NotFound."""
    report = reconciliation.finished(query.number("report"))
    query.values["report"] = str(report.id)
    wanted = reconciliation.read_filter(query, report)
    return wanted, [f"Reconciliation {report.id}", *(words for _, words in query.chips)]


READ: dict[str, Callable[[Query, date], tuple[Filter, list[str]]]] = {
    "soas": read_soas,
    "payments": read_payments,
    "differences": read_differences,
}


def asked(kind: str) -> Asked:
    """What this request's address asks for. Raises InvalidInput when part of it cannot be used: a file that holds more than was asked for
    would pass for the right one."""
    query, today = Query(PAGES[kind]), clock.today()
    wanted, words = READ[kind](query, today)
    if query.problems:
        raise InvalidInput(" ".join(query.problems.values()))
    return Asked(kind, LISTS[kind], query, wanted, words, today)


def longest(listing: Listing, form: str) -> int | None:
    """Rows of the longest list of this kind that can be had in a format; None when there is no limit, or it is cut there."""
    return None if listing.most_on_paper else MOST.get(form)


def shortest(listing: Listing, form: str) -> int:
    """Rows up to which a list is answered at once; one that is a table on paper, however long, takes ten times as long there."""
    return min(AT_ONCE[form], TABLE) if form == "pdf" and listing.most_on_paper else AT_ONCE[form]


def own_name() -> str:
    """Key of a limit per person."""
    return f"user {current_user.name}" if current_user.is_authenticated else f"address {request.remote_addr}"


@bp.get("/<any(soas,payments,differences):kind>.<any(csv,xlsx,pdf):form>")
@roles("office", "admin")
@limiter.limit("60 per minute", key_func=own_name)
def at_once(kind: str, form: str) -> Response:
    """The filtered list as a file; a page that offers to prepare it when it is long."""
    return answered(asked(kind), form)


@bp.get("/reports/soa-list.pdf")
@roles("supervisor", "admin")
@limiter.limit("60 per minute", key_func=own_name)
def report() -> Response:
    """The SOA list on paper, as /soas.pdf gives it."""
    return answered(asked("soas"), "pdf")


def answered(wanted: Asked, form: str) -> Response:
    """The file, or the page that offers to prepare it."""
    listing, name = wanted.listing, wanted.listing.file_name(wanted.day, form)
    most = shortest(listing, form)
    if wanted.count(most + 1) > most:
        count = wanted.count()
        choices = [one for one in (form, *(other for other in FORMATS if other != form)) if count <= (longest(listing, one) or count)]
        context = {"asked": wanted, "form": form, "formats": FORMATS, "choices": choices, "count": count, "most": most}
        return answer("exports/long.html", "exports/_long.html", **context, reason="" if form in choices else too_long(listing))
    if form == "csv":
        return csv_response(name, listing.head, listing.rows(wanted.filter, wanted.day))
    if form == "pdf":
        return pdf_response(name, pdf(listing, wanted.filter, wanted.words, wanted.day))
    response = Response(xlsx(listing, wanted.filter, wanted.words, wanted.day), mimetype=XLSX)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@bp.post("/<any(soas,payments,differences):kind>.<any(csv,xlsx,pdf):form>")
@roles("office", "admin")
@limiter.limit("20 per minute", key_func=own_name)
def prepare(kind: str, form: str) -> ResponseReturnValue:
    """Have a worker write the file of the filter in the address."""
    wanted = asked(kind)
    most = longest(wanted.listing, form)
    if most is not None and wanted.count(most + 1) > most:
        raise InvalidInput(too_long(wanted.listing))
    address = wanted.query.url().partition("?")[2]
    export_id = service.request(
        current_user.id, current_user.name, kind, form, address, pack(wanted.filter), wanted.words, wanted.day, clock.now()
    )
    return redirect(url_for("exports.show", export_id=export_id), 303)


@dataclass(frozen=True, slots=True)
class About:
    """What a prepared file is of: its title, its nouns, the name it is saved under, the page it was asked for on, where to ask again."""

    title: str
    one: str
    many: str
    file: str
    page: str
    again: str

    def noun(self, count: int) -> str:
        """SOA or SOAs."""
        return self.one if count == 1 else self.many


def about(export: exports.ExportRow) -> About:
    """What a prepared file is of, list or report."""
    address = f"?{export.query}" if export.query else ""
    if export.kind != report_files.KIND:
        listing = LISTS[export.kind]
        again = url_for("exports.prepare", kind=export.kind, form=export.format)
        name = listing.file_name(export.day, export.format)
        return About(listing.title, listing.one, listing.many, name, url_for(PAGES[export.kind]) + address, again + address)
    wanted = report_files.unpack(export)
    report = wanted.report
    page, again = url_for("reports.show", name=report.name), url_for("reports.prepare", name=report.name, form=export.format)
    return About(report.title, report.one, report.many, f"{wanted.file}.{export.format}", page + address, again + address)


@bp.get("/exports")
@roles("office", "admin")
def index() -> Response:
    """The files this person asked for, the latest first."""
    rows = [(row, about(row)) for row in exports.of_user(current_user.id)]
    return answer("exports/index.html", "exports/_results.html", rows=rows, formats=FORMATS, days=service.KEPT.days)


@bp.get("/exports/<int:export_id>")
@roles("office", "admin")
def show(export_id: int) -> Response:
    """How far a file is; while it is being written the part asks again every second."""
    export = own(export_id)
    far = progress.estimate(export.rows_done, export.rows_total, export.started_at, export.heartbeat_at)
    context = {"export": export, "about": about(export), "progress": far, "formats": FORMATS, "days": service.KEPT.days}
    return answer("exports/show.html", "exports/_export.html", **context)


@bp.get("/exports/<int:export_id>/file")
@roles("office", "admin")
def download(export_id: int) -> Response:
    """The finished file, for the person who asked for it or an admin."""
    export = own(export_id)
    name = about(export).file
    response = send_file(
        service.file_of(export), TYPES[export.format], as_attachment=True, download_name=name, etag=False, conditional=False
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post("/exports/<int:export_id>/cancel")
@roles("office", "admin")
def cancel(export_id: int) -> ResponseReturnValue:
    """Give a file up that is waiting or being written."""
    service.cancel(own(export_id), current_user.name, clock.now())
    return redirect(url_for("exports.show", export_id=export_id), 303)


def own(export_id: int) -> exports.ExportRow:
    """The export, if it is this person's or they are an admin. Raises NotFound, also for a report of one who may have none any more."""
    export = service.found(export_id, current_user.id, current_user.can("admin"))
    if export.kind == report_files.KIND and not current_user.can(*MAKERS):
        raise NotFound("There is no file of this number for you. Reports are for supervisors.")
    return export

"""The electronic journal: receipts with their reprints, slips and readings as printed, on screen, as text, PDF, Excel and CSV."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice

from flask import Blueprint, Response, current_app, stream_with_context
from flask_login import current_user

from portal import clock, ejournal
from portal.access import roles
from portal.blueprints.pages import Query, answer
from portal.documents import pdf_response, render_pdf
from portal.domain.errors import InvalidInput
from portal.ejournal import Document, Frame
from portal.exports import XLSX, Cell, csv_response, write_xlsx
from portal.extensions import limiter
from portal.filters import day, moment
from portal.services import settings
from portal.store import collector_codes, ledger
from portal.store import ejournal as store
from portal.store import terminals as terminal_store
from portal.store.ejournal import Asked

bp = Blueprint("ejournal", __name__)
ON_SCREEN = 100
"""Documents shown on screen; the files hold them all."""
MOST = {"pdf": 500, "xlsx": 20_000}
"""Documents of a file that is made at once; text and CSV have no limit."""
LONGEST = 400
"""Days of the longest period."""
HEAD = ("Terminal", "Entry", "Printed", "Document", "Number", "Collector", "Text")
FORMATS = {"txt": "Text", "pdf": "PDF", "xlsx": "Excel", "csv": "CSV"}


def own_name() -> str:
    """Key of a limit per person."""
    return f"user {current_user.name}" if current_user.is_authenticated else "nobody"


@bp.get("/reports/e-journal")
@roles("supervisor", "admin")
def index() -> Response:
    """The first documents of a filter, and the way to all of them."""
    query, asked, words = asked_for()
    found = list(islice(ejournal.documents(asked, frame()), ON_SCREEN))
    count = store.count(asked, MOST["xlsx"])
    return answer(
        "ejournal/index.html",
        "ejournal/_documents.html",
        query=query,
        words=words,
        documents=found,
        count=min(count, MOST["xlsx"]),
        more=count > MOST["xlsx"],
        formats=FORMATS,
        most=MOST["pdf"],
        collectors=ledger.collectors(),
        terminals=[(code, code) for code in codes()],
        codes=[(code, code) for code in collector_codes.known_codes()],
    )


@bp.get("/reports/e-journal.<any(txt,pdf,xlsx,csv):form>")
@roles("supervisor", "admin")
@limiter.limit("30 per minute", key_func=own_name)
def file(form: str) -> Response:
    """The documents of a filter as a file. Raises InvalidInput when part of the filter cannot be used, or the file would be too long."""
    query, asked, words = asked_for()
    if query.problems:
        raise InvalidInput(" ".join(query.problems.values()))
    if form in MOST and store.count(asked, MOST[form]) > MOST[form]:
        raise InvalidInput(f"As {FORMATS[form]} it holds {MOST[form]:,} documents. Choose fewer days or one terminal, or take it as text.")
    name, found = f"e-journal-{asked.first}-{asked.last}.{form}", ejournal.documents(asked, frame())
    if form == "txt":
        response = Response(stream_with_context(ejournal.text_file(found, words, moment(clock.now()))), mimetype="text/plain")
    elif form == "csv":
        return csv_response(name, HEAD, cells(found))
    elif form == "pdf":
        data = {"words": words, "documents": list(found), "made_at": clock.now(), "heading": ejournal.heading}
        return pdf_response(name, render_pdf("pdf/ejournal.html", data))
    else:
        with tempfile.TemporaryFile() as written:
            places = list(zip(HEAD, (10, 8, 20, 20, 18, 24, 50), strict=True))
            write_xlsx(written, "Electronic journal", places, cells(found), lambda: [(one, None) for one in words])
            written.seek(0)
            response = Response(written.read(), mimetype=XLSX)
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


def cells(found: Iterator[Document]) -> Iterator[Sequence[Cell]]:
    """The documents as rows of a spreadsheet."""
    for one in found:
        yield (one.terminal, one.seq, one.at[:19].replace("T", " "), one.name, one.number, one.collector, one.text)


def frame() -> Frame:
    """The letterhead of today, as papers are printed."""
    return Frame(settings.current().organisation, bool(current_app.config["DEMO"]))


def codes() -> list[str]:
    """The codes of all terminals."""
    return sorted(terminal.code for terminal in terminal_store.all_terminals())


def asked_for() -> tuple[Query, Asked, list[str]]:
    """What this request's address asks for: today unless it says otherwise."""
    query, today = Query("ejournal.index"), clock.today()
    first, last = query.days("from", "From", "to", "To")
    last = last or max(first or today, today)
    first = first or last
    if last - first > timedelta(days=LONGEST):
        query.problems["from"] = f"A period has at most {LONGEST} days, so the last {LONGEST} are shown."
        first = last - timedelta(days=LONGEST)
    collector = query.choice("collector", "Collector", dict(ledger.collectors()))
    code = query.choice("code", "Collector code", {code: code for code in collector_codes.known_codes()})
    terminal = query.choice("terminal", "Terminal", {code: code for code in codes()})
    query.values["from"], query.values["to"] = first.isoformat(), last.isoformat()
    days = day(first) if first == last else f"{day(first)} to {day(last)}"
    words = [days, *(words for name, words in query.chips if name not in {"from", "to"})]
    return query, Asked(first, last, collector, terminal, code), words

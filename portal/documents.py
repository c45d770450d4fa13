"""PDF documents from our own templates. Nothing a document names is fetched, except a few local files (typesetting.py, RELIABILITY S37)."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response, current_app

from portal.domain import lines
from portal.domain.lines import Block, Place

PART = 250
"""Rows of a long list that are set at once: each takes some 90 KiB while it is being set, and 10 ms."""


@dataclass(frozen=True, slots=True)
class Type:
    """A size of type in points: how many characters a line of it holds, how many lines a page without its foot, and the first page, which
    carries the letterhead."""

    points: int
    characters: int
    lines: int
    first_lines: int


TYPES = (Type(8, 160, 48, 32), Type(7, 183, 55, 37), Type(6, 214, 65, 44))
"""The sizes in which lines are set, the most readable first; css/pdf.css knows them."""
PAGES_AT_ONCE = 24


def html_to_pdf(html: str) -> bytes:
    """A PDF of finished HTML, behind the fence. The same HTML gives the same pages."""
    return bytes(_fenced(html).write_pdf())


def render_pdf(template: str, data: Mapping[str, Any]) -> bytes:
    """A PDF of one of our templates, fed with finished data and the letterhead; needs an app context, no request."""
    return html_to_pdf(_filled(template, data))


def render_list_pdf(template: str, data: Mapping[str, Any], rows: Sequence[Any], tell: Callable[[int], None] = lambda done: None) -> bytes:
    """A PDF of a list of any length, set in parts of PART rows, so that memory does not grow with it; `tell` hears how many rows are set.

    The template gets `rows` (a part), `start` (the number of the first of them), `first`, `last` and `whole`; it gives each row the id
    `row-` and its number. Unless `whole`, it leaves the page numbers to us."""
    if len(rows) <= PART:
        whole = render_pdf(template, {**data, "rows": rows, "start": 0, "first": True, "last": True, "whole": True})
        tell(len(rows))
        return whole
    from pypdf import PdfReader, PdfWriter  # only here, for the same reason

    writer = PdfWriter()
    start = 0
    while start < len(rows):
        some = rows[start : start + PART]
        last = start + len(some) == len(rows)
        part = {**data, "rows": some, "start": start, "first": start == 0, "last": last, "whole": False}
        document = _fenced(_filled(template, part)).render()
        begun = start
        start += len(some)
        if not last and len(document.pages) > 1:
            # The last page is not full yet: its rows begin the next part.
            begins = [int(name.removeprefix("row-")) for name in document.pages[-1].anchors if name.startswith("row-")]
            if begins and min(begins) > begun:
                start = min(begins)
                document = document.copy(document.pages[:-1])
        writer.append(io.BytesIO(document.write_pdf()), import_outline=False)
        del document
        gc.collect()  # boxes know their parents: without this two parts would be in memory
        tell(start)
    numbers = PdfReader(io.BytesIO(render_pdf("pdf/page_numbers.html", {"pages": len(writer.pages)})))
    for page, number in zip(writer.pages, numbers.pages, strict=True):
        page.merge_page(number)
        page.compress_content_streams()
    joined = io.BytesIO()
    writer.write(joined)
    return joined.getvalue()


@dataclass(frozen=True, slots=True)
class LongReport:
    """A report whose rows are set as lines: its title, what it is of in words, its columns, and the template and data of its last page."""

    title: str
    words: Sequence[str]
    made_at: datetime
    places: Sequence[Place]
    ending: str
    data: Mapping[str, Any]

    @property
    def type(self) -> Type:
        """The largest type in which a line fits the page."""
        wide = lines.full_width(self.places)
        return next((one for one in TYPES if wide <= one.characters), TYPES[-1])


def render_lines_pdf(report: LongReport, blocks: Iterable[Block], tell: Callable[[int], None] = lambda done: None) -> bytes:
    """A PDF of a long report, each page one block of lines: a fraction of the time and the memory of a table, whose every cell is a box.

    PAGES_AT_ONCE pages are set at a time and joined, so that memory does not grow with the report; `tell` hears how many rows are set."""
    from pypdf import PdfWriter  # only here: few processes set long reports

    head = lines.head(report.places)
    foot = f"{report.title}, {', '.join(report.words)}"
    type_ = report.type
    every = list(lines.pages(blocks, type_.first_lines - len(head), type_.lines - len(head)))
    total = len(every) + 1
    writer = PdfWriter()
    done = 0
    common = {"title": report.title, "words": report.words, "made_at": report.made_at, "points": type_.points}
    with _cheap_collections():
        for start in range(0, len(every), PAGES_AT_ONCE):
            some = every[start : start + PAGES_AT_ONCE]
            part = {**common, "start": start, "head": "\n".join(head), "pages": some, "foot": foot, "total": total}
            document = _fenced(_filled("pdf/lines.html", part)).render()
            if len(document.pages) != len(some):
                raise RuntimeError(f"{len(some)} pages of lines were set as {len(document.pages)}")
            writer.append(io.BytesIO(document.write_pdf()), import_outline=False)
            del document
            if start + PAGES_AT_ONCE < len(every):
                gc.collect()  # boxes know their parents: without this two parts would be in memory
            done += sum(len(page) for page in some)
            tell(done)
        last = {**report.data, **common, "foot": f"{foot}  Page {total} of {total}"}
        writer.append(io.BytesIO(render_pdf(report.ending, last)), import_outline=False)
    writer.add_metadata({"/Title": report.title})
    joined = io.BytesIO()
    writer.write(joined)
    return joined.getvalue()


@contextmanager
def _cheap_collections() -> Iterator[None]:
    """Lets the collector look only at what is made from here on: going through everything the process has imported takes it longer than
    setting ten pages."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _fenced(html: str) -> Any:
    from portal.typesetting import fenced  # heavy, and not every process sets documents

    return fenced(html)


def _filled(template: str, data: Mapping[str, Any]) -> str:
    context = dict(data)
    current_app.update_template_context(context)  # the letterhead, as pages have it
    return current_app.jinja_env.get_template(template).render(context)


def pdf_response(name: str, content: bytes) -> Response:
    """A PDF the browser shows, and saves under `name`."""
    response = Response(content, mimetype="application/pdf")
    response.headers.set("Content-Disposition", "inline", filename=name)
    return response

"""PDF documents from our own templates. Nothing a document names is fetched, except a few local files (typesetting.py, RELIABILITY S37)."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, current_app

PART = 250
"""Rows of a long list that are set at once: each takes some 90 KiB while it is being set, and 10 ms."""


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

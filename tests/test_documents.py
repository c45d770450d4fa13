"""PDFs fetch nothing but our own assets (RELIABILITY S37): the three payloads that put a file or a request into a document."""

from __future__ import annotations

import io
import re
import threading
import zlib
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import weasyprint
from flask import Flask
from pypdf import PdfReader
from weasyprint.urls import URLFetcher

from portal import documents
from portal.documents import html_to_pdf
from portal.typesetting import ASSETS, SCHEME, STATIC, AssetRefused, FencedFetcher

SECRET = "do-not-print-this-0123456789"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret.txt"
    file.write_text(SECRET)
    return file


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server that notes every request; it must note none."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SECRET.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()
    thread.join()


def contents(pdf: bytes) -> bytes:
    """The PDF with every compressed stream opened."""
    found = io.BytesIO(pdf[:])
    parts = [pdf]
    for piece in found.getvalue().split(b"stream")[1:]:
        try:
            parts.append(zlib.decompress(piece.strip(b"\r\n")))
        except zlib.error:
            try:
                parts.append(zlib.decompressobj().decompress(piece.strip(b"\r\n")))
            except zlib.error:
                continue
    return b"".join(parts)


def payloads(address: str) -> list[str]:
    return [
        f'<link rel="attachment" href="{address}"><a rel="attachment" href="{address}">x</a>',
        f'<img src="{address}"><object data="{address}"></object><embed src="{address}">'
        f'<svg><image href="{address}"/><use href="{address}#a"/></svg>',
        f'<link rel="stylesheet" href="{address}"><style>@import "{address}"; @font-face {{ font-family: a; src: url("{address}") }} '
        f'body {{ background: url("{address}"); font-family: a }}</style>',
    ]


def test_without_the_fence_the_first_payload_does_put_the_file_into_the_document(secret_file: Path) -> None:
    html = payloads(secret_file.as_uri())[0]
    assert SECRET.encode() in contents(weasyprint.HTML(string=html, url_fetcher=URLFetcher()).write_pdf())


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_local_file_gets_into_a_document(secret_file: Path, number: int) -> None:
    pdf = html_to_pdf(f"<p>Statement</p>{payloads(secret_file.as_uri())[number]}")
    assert pdf.startswith(b"%PDF-") and SECRET.encode() not in contents(pdf)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_request_leaves_the_machine(listener: tuple[str, list[str]], number: int) -> None:
    address, seen = listener
    assert html_to_pdf(f"<p>Statement</p>{payloads(address + '/hook')[number]}").startswith(b"%PDF-")
    assert seen == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "http://127.0.0.1/", "https://example.org/a.css", "ftp://example.org/", "data:text/css,a{}", "css/pdf.css",
        "", f"{SCHEME}../../config.py", f"{SCHEME}css/../../config.py", f"{SCHEME}/etc/passwd", f"{SCHEME}css/portal.css",
        "PORTAL-ASSET:css/pdf.css",
    ],
)  # fmt: skip
def test_every_other_address_is_refused(url: str) -> None:
    fetcher = FencedFetcher()
    for way in (fetcher.fetch, fetcher.open, fetcher):
        with pytest.raises(AssetRefused):
            way(url)


def test_our_own_assets_are_served_and_exist() -> None:
    for name in ASSETS:
        with FencedFetcher().fetch(SCHEME + name)._file_obj as body:
            assert body.read() == (STATIC / name).read_bytes()


def test_a_list_set_in_parts_has_each_row_once_full_pages_and_one_numbering(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PART", 60)
    head = [("Customer", ""), ("Running total", "number figure")]
    rows = [[f"Customer-{number:04d}", "1.00"] for number in range(203)]
    data = {
        "title": "A list",
        "words": ["All"],
        "made_at": None,
        "count": 203,
        "noun": "rows",
        "sums": [("Sum", Decimal(203))],
        "head": head,
    }
    told: list[int] = []
    pages = PdfReader(io.BytesIO(documents.render_list_pdf("pdf/list.html", data, rows, told.append))).pages
    texts = [page.extract_text() for page in pages]
    monkeypatch.setattr(documents, "PART", 300)
    at_once = [page.extract_text() for page in PdfReader(io.BytesIO(documents.render_list_pdf("pdf/list.html", data, rows))).pages]
    found = [re.findall(r"Customer-\d{4}", text) for text in texts]
    assert found == [re.findall(r"Customer-\d{4}", text) for text in at_once], "the parts cannot be told from the whole"
    assert [name for page in found for name in page] == [row[0] for row in rows]
    assert [f"Page {number} of {len(pages)}" in text for number, text in enumerate(texts, start=1)] == [True] * len(pages) and len(
        pages
    ) > 3
    assert [text.count("of ") for text in texts] == [1] * len(pages), "no page has two numbers"
    assert all("A list, All" in text and "Running total" in text for text in texts)
    assert told[-1] == 203 and told == sorted(told) and "203.00" in texts[-1]

"""PDF documents from our own templates. Nothing a document names is fetched, except the few local files listed here (RELIABILITY S37)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Response, current_app
from weasyprint import HTML
from weasyprint.urls import URLFetcher, URLFetcherResponse

STATIC = Path(__file__).parent / "static"
ASSETS = {"css/pdf.css": "text/css"}
"""The only files a document may use, by their path below `static`."""
SCHEME = "portal-asset:"


class AssetRefused(ValueError):
    """A document named something that is not one of our assets."""


class FencedFetcher(URLFetcher):
    """Serves the listed assets under a scheme of its own; files, network, data, redirects and attachments do not exist for it."""

    def __init__(self) -> None:
        """No protocol is allowed, no redirect followed, whatever a later version of the library does by default."""
        super().__init__(allowed_protocols=(), allow_redirects=False)

    def fetch(self, url: str, headers: Any = None) -> URLFetcherResponse:
        """One listed asset. Raises AssetRefused for every other address."""
        name = url.removeprefix(SCHEME)
        if not url.startswith(SCHEME) or name not in ASSETS:
            raise AssetRefused("A document may use only the portal's own assets.")
        return URLFetcherResponse(url, (STATIC / name).read_bytes(), {"Content-Type": f"{ASSETS[name]}; charset=utf-8"})


def html_to_pdf(html: str) -> bytes:
    """A PDF of finished HTML, behind the fence. The same HTML gives the same pages."""
    return bytes(HTML(string=html, base_url=SCHEME, url_fetcher=FencedFetcher()).write_pdf())


def render_pdf(template: str, data: Mapping[str, Any]) -> bytes:
    """A PDF of one of our templates, fed with finished data and the letterhead; needs an app context, no request."""
    html = current_app.jinja_env.get_template(template).render(
        DEMO=current_app.config["DEMO"], ORGANISATION=current_app.config["ORGANISATION"], **data
    )
    return html_to_pdf(html)


def pdf_response(name: str, content: bytes) -> Response:
    """A PDF the browser shows, and saves under `name`."""
    response = Response(content, mimetype="application/pdf")
    response.headers.set("Content-Disposition", "inline", filename=name)
    return response

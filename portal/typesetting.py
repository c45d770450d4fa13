"""The fence around the library that sets PDFs. Loaded when the first document is set: it takes a second and forty megabytes, which
processes that set none should not pay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weasyprint import HTML
from weasyprint.urls import URLFetcher, URLFetcherResponse

STATIC = Path(__file__).parent / "static"
ASSETS = {
    "css/pdf.css": "text/css",
    **{f"fonts/DejaVuSans{face}.ttf": "font/ttf" for face in ("", "-Bold", "Mono", "Mono-Bold")},
}
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
        kind = ASSETS[name]
        return URLFetcherResponse(
            url, (STATIC / name).read_bytes(), {"Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind}
        )


def fenced(html: str) -> Any:
    """Finished HTML, ready to be set, which can reach nothing but the listed assets."""
    return HTML(string=html, base_url=SCHEME, url_fetcher=FencedFetcher())

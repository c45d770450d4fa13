"""Addresses in templates: those that a page asks for again and again are put together once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import Flask, has_request_context, request, url_for

KEPT = 4096
"""Addresses kept at a time; the longest unused go first, so a million SOAs cannot fill the memory."""


@lru_cache(KEPT)
def _kept(_app: Flask, _root: str, endpoint: str, values: tuple[tuple[str, Any], ...]) -> str:
    return url_for(endpoint, **dict(values))


def address(app: Flask, endpoint: str, **values: Any) -> str:
    """url_for(), remembered: an address within the site depends on nothing but its parts and where the application is mounted."""
    kept = has_request_context() and not endpoint.startswith(".") and all(type(value) in (str, int) for value in values.values())
    if not kept or any(name.startswith("_") for name in values):
        return url_for(endpoint, **values)
    return _kept(app, request.environ.get("SCRIPT_NAME", ""), endpoint, tuple(values.items()))


def in_address(text: str) -> str:
    """A text as part of an address, as Jinja's urlencode has it; nearly every number of ours is one already."""
    return text if text.isascii() and text.isalnum() else quote(text)


def register(app: Flask) -> None:
    """What templates call url_for, and the filter for what they put together themselves."""
    app.add_template_filter(in_address)
    app.jinja_env.globals["url_for"] = lambda endpoint, **values: address(app, endpoint, **values)

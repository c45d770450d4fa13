"""What every office page shares: one handler answering a full page or its partial, and filters that live in the address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from flask import Response, make_response, render_template, request, url_for

from portal.filters import day as show_day
from portal.store import voids

PLAIN = "!$'()*,/:;?@"
"""What stays as it is in the part of an address after the question mark, as url_for() has it."""


def wants_partial() -> bool:
    """Whether htmx asks for a part of the page; its restoring of history and boosted forms want the whole."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in headers and "HX-Boosted" not in headers


def answer(page: str, partial: str, /, **context: Any) -> Response:
    """The full page with what the rail counts, or the partial when htmx asks; caches are told that the two differ."""
    if wants_partial():
        response = make_response(render_template(partial, **context))
    else:
        if "voids_waiting" not in context:
            context["voids_waiting"] = voids.count_waiting()
        response = make_response(render_template(page, **context))
    response.vary.add("HX-Request")
    return response


def own_way_back(default: str) -> str:
    """Where a form wants to return to, if that is below `default` (a path of ours), else `default`."""
    wanted = request.form.get("back", "")
    return wanted if wanted == default or wanted.startswith(f"{default}?") else default


@lru_cache(4096)
def _address(path: str, values: tuple[tuple[str, str], ...]) -> str:
    """Remembered: a page names the same dozen addresses whenever it is asked for."""
    return f"{path}?{urlencode(values, safe=PLAIN)}"


class Query:
    """The filter in the address. Each reading method returns a clean value, notes a chip when it is in force, and puts
    a plain sentence into `problems` when the value cannot be used; the rest of the filter still applies."""

    def __init__(self, endpoint: str, **path: Any) -> None:
        self.path = url_for(endpoint, **path)
        self.endpoint, self._path = endpoint, path
        self.values: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        self.chips: list[tuple[str, str]] = []

    def get(self, name: str) -> str:
        """The value in force, as it stands in the address; empty when there is none."""
        return self.values.get(name, "")

    def text(self, name: str, label: str, most: int = 100) -> str:
        """Free text without control characters, cut at `most`."""
        value = "".join(c for c in request.args.get(name, "") if c.isprintable()).strip()[:most]
        return self._keep(name, value, f"{label}: {value}")

    def flag(self, name: str, label: str) -> bool:
        """True for `1`."""
        return bool(self._keep(name, "1" if request.args.get(name) == "1" else "", label))

    def choice(self, name: str, label: str, words: Mapping[str, str], default: str = "") -> str:
        """One of the keys of `words`, or the default."""
        value = request.args.get(name, "") or default
        if value not in words and value != default:
            self.problems[name] = f"{label}: {value[:40]!r} is not one of the choices, so it was left out."
            value = default
        self._keep(name, "" if value == default else value, f"{label}: {words.get(value, value)}")
        return value

    def day(self, name: str, label: str) -> date | None:
        """A date such as 2026-11-20, between 2000 and 2200."""
        value = request.args.get(name, "").strip()
        if not value:
            return None
        try:
            found = date.fromisoformat(value)
        except ValueError:
            found = date.min
        if not 2000 <= found.year <= 2200 or len(value) != 10:
            self.problems[name] = f"{label}: {value[:20]!r} is not a date such as 2026-11-20, so it was left out."
            return None
        self._keep(name, value, f"{label}: {show_day(found)}")
        return found

    def days(self, first: str, first_label: str, last: str, last_label: str) -> tuple[date | None, date | None]:
        """A range of dates; says so when it is the wrong way round."""
        start, end = self.day(first, first_label), self.day(last, last_label)
        if start and end and start > end:
            self.problems[last] = f"{last_label} is before {first_label[0].lower()}{first_label[1:]}: nothing can match."
        return start, end

    def sort(self, allowed: tuple[str, ...], default: str) -> str:
        """A column of `allowed`, with `-` before it for descending. Anything else is the default."""
        value = request.args.get("sort", "")
        if value.removeprefix("-") not in allowed:
            return default
        self.values["sort"] = value
        return value

    def cursor(self, name: str) -> str | None:
        """An opaque place in a list; never part of a filter."""
        return request.args.get(name, "")[:2000] or None

    def number(self, name: str) -> int | None:
        """A whole number above zero that fits an INTEGER column, or None."""
        value = request.args.get(name, "")
        return int(value) or None if value.isascii() and value.isdigit() and len(value) <= 9 else None

    def url(self, endpoint: str | None = None, **changes: str | None) -> str:
        """The address of this filter, with some values changed (None drops one), always from the first page on."""
        values: dict[str, Any] = {name: value for name, value in {**self.values, **changes}.items() if value}
        if endpoint:
            return url_for(endpoint, **values)
        return _address(self.path, tuple(values.items())) if values else self.path

    def replace(self, name: str, value: str, chip: str) -> None:
        """Go on as if this value had been asked for."""
        self.values[name] = value
        self.chips = [(one, chip if one == name else words) for one, words in self.chips]

    def _keep(self, name: str, value: str, chip: str) -> str:
        if value:
            self.values[name] = value
            self.chips.append((name, chip))
        return value

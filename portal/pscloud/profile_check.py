"""Reads a connector profile and refuses what cannot work, at start, with the line and a plain sentence."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from portal.pscloud import answers
from portal.pscloud.profile import Join, Keys, Listing, Part, Profile, ProfileError

_PATH = re.compile(r"/[A-Za-z0-9._~/{}%()'$,=:@-]*", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*", re.ASCII)
_OURS = frozenset(
    "accept accept-encoding authorization connection content-length content-type cookie host te transfer-encoding user-agent".split()
)
"""Headers that are not a profile's to set."""
_TABLE = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_SETTING = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
_KEY = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")
Place = tuple[str, ...]


class Wrong(Exception):
    """What is wrong at one place of the profile."""

    def __init__(self, place: str, sentence: str) -> None:
        super().__init__(sentence)
        self.place: Place = tuple(place.split("."))
        self.sentence = sentence


def read(text: str, path: Path) -> Profile:
    """The profile in this text. Raises ProfileError."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"The connector profile {path} is not valid TOML: {error}.") from None
    try:
        try:
            profile = msgspec.convert(plain, Profile)
        except msgspec.ValidationError as error:
            raise _in_plain_words(str(error), plain) from None
        for check in CHECKS:
            check(profile)
    except Wrong as wrong:
        line = _line_of(text, wrong.place)
        where = f"{path}, line {line}" if line else str(path)
        raise ProfileError(f"The connector profile {where}: {wrong.sentence}") from None
    return profile


# --- places


def _lines(text: str) -> dict[Place, int]:
    """The line of each table and setting."""
    found: dict[Place, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.fullmatch(line):
            table = _names(header[1])
            found.setdefault(table, number)
        elif setting := _SETTING.match(line):
            found.setdefault(table + _names(setting[1]), number)
    return found


def _names(text: str) -> Place:
    return tuple(match[1] or match[2] or match[3] or "" for match in _KEY.finditer(text))


def _line_of(text: str, place: Place) -> int | None:
    """The line of a place, or of the nearest table around it."""
    lines = _lines(text)
    while place:
        if place in lines:
            return lines[place]
        place = place[:-1]
    return None


# --- what does not fit the classes


def _in_plain_words(said: str, plain: dict[str, Any]) -> Wrong:
    if "`$.joins[...]" in said:  # which of them is not said
        for name, join in plain["joins"].items():
            try:
                msgspec.convert(join, Join)
            except msgspec.ValidationError as error:
                problem, _, rest = str(error).partition(" - at `$")
                said = f"{problem} - at `$.joins.{name}{rest}"
    problem, _, at = said.partition(" - at `$.")
    at = re.sub(r"\[[^\]]*\]", "", at.rstrip("`"))
    prefix = f"{at}." if at else ""
    if found := re.search(r"unknown field `(.*)`", problem):
        known = _settings(at)
        near = difflib.get_close_matches(found[1], known, 1)
        hint = f" Did you mean {near[0]}?" if near else f" Known here: {', '.join(known)}."
        return Wrong(f"{prefix}{found[1]}", f"{prefix}{found[1]} is not a setting.{hint}")
    if found := re.search(r"missing required field `(.*)`", problem):
        return Wrong(at or found[1], f"{prefix}{found[1]} is missing. {_meaning(at)}".rstrip())
    if "enum" in problem:
        value = re.search(r"'(.*)'", problem)
        choices = ", ".join(_choices(at))
        return Wrong(at, f"{at} cannot be {value[1] if value else 'this'}. Write one of: {choices}.")
    if found := re.search(r"Expected `(.*)`, got `(.*)`", problem):
        names = {"str": "a text in quotes", "int": "a whole number", "bool": "true or false", "object": "a table", "array": "a list"}
        wanted, got = (" or ".join(names.get(one, one) for one in found[number].split(" | ")) for number in (1, 2))
        return Wrong(at, f"{at} must be {wanted}, not {got}.")
    return Wrong(at, f"{at}: {problem}." if at else f"{problem}.")


def _class_at(place: str) -> type[Part] | None:
    """The class of a section, through tables whose names are free (joins)."""
    found: Any = Profile
    for name in place.split(".") if place else []:
        if get_origin(found) is dict:
            found = get_args(found)[1]
        else:
            found = next((field.type for field in msgspec.structs.fields(found) if field.name == name), None)
        parts = [one for one in get_args(found) if isinstance(one, type) and issubclass(one, Part)]
        if parts and get_origin(found) is not dict:
            found = parts[0]  # a section that may be left out
        if found is None or (get_origin(found) is not dict and not (isinstance(found, type) and issubclass(found, Part))):
            return None
    return found if isinstance(found, type) else None


def _settings(place: str) -> list[str]:
    found = _class_at(place)
    return [field.name for field in msgspec.structs.fields(found)] if found else []


def _meaning(place: str) -> str:
    found = _class_at(place)
    return f"This section says: {(found.__doc__ or '').split('.')[0].strip()}." if found and place else ""


def _choices(place: str) -> list[str]:
    section, _, name = place.rpartition(".")
    found = _class_at(section)
    if found is None:
        return []
    for field in msgspec.structs.fields(found):
        if field.name == name:
            kinds = [field.type, *get_args(field.type)]
            return [str(one) for kind in kinds if get_origin(kind) is Literal for one in get_args(kind)]
    return []


# --- what fits but cannot work


def _listings(profile: Profile) -> Iterator[tuple[str, Listing]]:
    yield "soas", profile.soas
    if profile.collectors:
        yield "collectors", profile.collectors
    yield "payments.lookup", profile.payments.lookup
    if profile.payments.listing:
        yield "payments.listing", profile.payments.listing
    for name, join in profile.joins.items():
        yield f"joins.{name}", join


def _walk(part: Part, place: str = "") -> Iterator[tuple[str, str, Any]]:
    """Each setting: its place, the name of its class, its value."""
    for name in part.__struct_fields__:
        value, at = getattr(part, name), f"{place}.{name}" if place else name
        if isinstance(value, Part):
            yield from _walk(value, at)
        elif isinstance(value, dict) and any(isinstance(one, Part) for one in value.values()):
            for key, one in value.items():
                yield from _walk(one, f"{at}.{key}")
        else:
            yield at, type(part).__name__, value


def _check_addresses(profile: Profile) -> None:
    for place, _, value in _walk(profile):
        name = place.rpartition(".")[2]
        if name in {"path", "one_path", "status_path", "void_path", "logout_path"} and value:
            if not _PATH.fullmatch(value) or "//" in value or "/../" in f"{value}/":
                raise Wrong(place, f"{place}: {value!r} is not a path. Write it like /api/v1/soas, with %20 for a space.")
            allowed = {"one_path": {"id"}, "void_path": {"reference", "pscloud_id"}}.get(name, set())
            _placeholders(place, value, allowed)
    if "{id}" not in profile.soas.one_path:
        raise Wrong("soas.one_path", "soas.one_path must hold {id}, where the SOA's id is put.")
    void = profile.payments.void_path
    if void and "{reference}" not in void and "{pscloud_id}" not in void:
        raise Wrong("payments.void_path", "payments.void_path must hold {reference} or {pscloud_id}, so that one payment is voided.")
    summary = profile.summary
    if summary.style == "totals" and not summary.path:
        raise Wrong("summary.path", 'summary.path is missing. A PSCloud without control totals has summary.style = "list" or "none".')


def _placeholders(place: str, text: str, allowed: set[str]) -> None:
    """Raises for braces that hold nothing we know."""
    try:
        names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        raise Wrong(place, f"{place}: the braces do not match.") from None
    if unknown := names - allowed:
        known = f"only {' and '.join(f'{{{one}}}' for one in sorted(allowed))}" if allowed else "nothing"
        raise Wrong(place, f"{place}: {{{min(unknown)}}} is not known; {known} can stand in braces there.")


def _check_field_paths(profile: Profile) -> None:
    classes = {"SoaFields", "InvoiceFields", "CollectorFields", "ResultFields", "PaymentFields", "HeldFields", "VoidFields", "Errors"}
    names = {
        "records",
        "total",
        "as_of",
        "one_record",
        "next",
        "value",
        "count",
        "amount_due",
        "token",
        "key",
        "soa_key",
        "results",
        "record",
    }
    for place, owner, value in _walk(profile):
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, str) and (owner in classes or place.rpartition(".")[2] in names):
                try:
                    answers.keys(path)
                except ValueError:
                    raise Wrong(
                        place,
                        f'{place}: {path!r} is no field path. Write keys with dots between, as in customer.name or "@odata.count".',
                    ) from None
    if profile.soas.total and profile.soas.count:
        raise Wrong("soas.count", "soas.count has no use where soas.total says how many SOAs there are. Leave one of them out.")
    if profile.soas.changes and not any("{since}" in text for text in profile.soas.changes.query.values()):
        raise Wrong("soas.changes.query", "soas.changes.query must hold {since}, where the instant is put.")
    if profile.soas.as_of and profile.soas.as_of_header:
        raise Wrong("soas.as_of_header", "soas.as_of_header has no use where soas.as_of says the same. Leave one of them out.")


def _check_auth(profile: Profile) -> None:
    auth, login = profile.auth, profile.auth.login
    if auth.style == "session" and login is None:
        raise Wrong("auth.style", "auth.style is session, so a section [auth.login] must say how a session is begun.")
    if auth.style != "session" and login is not None:
        raise Wrong("auth.login", 'auth.login is only for auth.style = "session".')
    if auth.prefix and auth.style in {"bearer", "basic"}:
        raise Wrong("auth.prefix", f'auth.prefix is only for auth.style = "header" or "session"; {auth.style} has its own.')
    if login is not None:
        for key, text in login.body.items():
            _placeholders(f"auth.login.body.{key}", text, {"user", "password"})
        if not any("{password}" in text for text in login.body.values()):
            raise Wrong("auth.login.body", "auth.login.body must hold {password}, where the password is put; it is never written here.")
        if not login.token and (auth.prefix or auth.header != "Authorization"):
            raise Wrong("auth.login", "auth.header and auth.prefix have no use without auth.login.token: the session is a cookie.")
    if not _HEADER_NAME.fullmatch(auth.header) or not _HEADER_VALUE.fullmatch(auth.prefix):
        raise Wrong("auth.header", f"auth.header: {auth.header!r} is no name of a header, or auth.prefix holds what no header can.")
    for name, value in profile.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Wrong(f"headers.{name}", f"headers.{name} is no header that can be sent.")
        if name.lower() in _OURS | {auth.header.lower()}:
            raise Wrong(f"headers.{name}", f"headers.{name} is not a profile's to set. How the token travels stands in [auth].")


NEEDS = {
    "cursor": ({"next", "parameter"}, {"limit_parameter"}),
    "page": ({"parameter"}, {"limit_parameter", "first"}),
    "offset": ({"parameter", "limit_parameter"}, set()),
    "link_header": (set(), {"limit_parameter"}),
    "next_link": ({"next"}, {"limit_parameter"}),
    "none": (set(), set()),
}
"""What each style of pagination needs, and what it may have besides."""


def _check_paging(profile: Profile) -> None:
    for place, listing in _listings(profile):
        paging, at = listing.pagination, f"{place}.pagination"
        needed, allowed = NEEDS[paging.style]
        for name in ("next", "parameter", "limit_parameter"):
            given = bool(getattr(paging, name))
            if name in needed and not given:
                raise Wrong(f"{at}.style", f"{at}.style is {paging.style}, which needs {at}.{name}.")
            if given and name not in needed | allowed:
                raise Wrong(f"{at}.{name}", f"{at}.{name} has no use where the style is {paging.style}. Leave it out.")
        if paging.first != 1 and "first" not in allowed:
            raise Wrong(f"{at}.first", f"{at}.first is only for the style page.")
        if not 1 <= paging.limit <= 10_000 or (paging.style == "offset" and paging.limit < 2):
            raise Wrong(f"{at}.limit", f"{at}.limit: limits are from 1 to 10000, and from 2 where the style is offset.")
        if paging.parameter and paging.parameter in listing.query:
            raise Wrong(f"{place}.query", f"{place}.query holds {paging.parameter}, which the pagination sets.")
    for place, listing in _listings(profile):
        if isinstance(listing, Join) or hasattr(listing, "keys"):
            _check_keys(f"{place}.keys", listing.keys, listing)
    if profile.summary.style != "totals":
        for name in ("path", "count", "amount_due"):
            if getattr(profile.summary, name):
                raise Wrong(f"summary.{name}", f"summary.{name} has no use where summary.style is {profile.summary.style}. Leave it out.")
    if profile.summary.style == "totals" and not (profile.summary.count and profile.summary.amount_due):
        raise Wrong("summary", "summary.count and summary.amount_due must say where the answer holds the control totals.")
    if profile.summary.style == "none" and profile.summary.query:
        raise Wrong("summary.query", "summary.query has no use where summary.style is none. Leave it out.")


def _check_keys(place: str, keys: Keys, listing: Listing) -> None:
    wanted = {"repeat": None, "json": "{keys}", "quoted": "{keys}", "each": "{key}"}[keys.style]
    if wanted is None and keys.template:
        raise Wrong(f"{place}.template", f"{place}.template has no use where the style is repeat. Leave it out.")
    if wanted is not None and keys.template.count(wanted) != 1:
        raise Wrong(f"{place}.template", f"{place}.template must hold {wanted} once where the style is {keys.style}.")
    if not 1 <= keys.limit <= 1000:
        raise Wrong(f"{place}.limit", f"{place}.limit is from 1 to 1000 keys in one request.")
    if keys.parameter in listing.query:
        raise Wrong(
            f"{place}.parameter", f"{place}.parameter: the query sets {keys.parameter} already. Put all of it into {place}.template."
        )


def _check_joins(profile: Profile) -> None:
    used = {answers.keys(path)[0]: name for name in profile.soa.__struct_fields__ if (path := getattr(profile.soa, name))}
    for name, join in profile.joins.items():
        place = f"joins.{name}"
        if name not in used:
            raise Wrong(place, f"{place} is read, but no field of [soa] begins with {name}. Leave it out, or use it.")
        if (used[name] == "invoices") != join.many:
            right = "many = true, because an SOA has several invoices" if not join.many else "many = false, because an SOA has one of it"
            raise Wrong(place, f"{place}: [soa] takes {used[name]} from it, so it needs {right}.")
        if name in {"soa_key", join.soa_key}:
            raise Wrong(f"{place}.soa_key", f"{place}.soa_key is a field of the SOA itself and cannot be what is put there.")
    if sum(join.sorted != "no" for join in profile.joins.values()) and profile.soas.pagination.style == "none":
        raise Wrong("soas.pagination", "A join with `sorted` is for SOAs that come in pages.")
    if profile.soa.invoices == "":
        raise Wrong("soa.invoices", "soa.invoices must say where an SOA holds the list of its invoices.")


def _check_payments(profile: Profile) -> None:
    payments = profile.payments
    if payments.style == "single" and payments.limit != 1:
        raise Wrong("payments.limit", "payments.style is single, so payments.limit must be 1.")
    if payments.style == "batch" and payments.refused:
        raise Wrong(
            "payments.refused", 'payments.refused is only for payments.style = "single": in a batch each payment has its own result.'
        )
    if payments.style == "batch" and not payments.results:
        raise Wrong("payments.results", "payments.results must say where the answer holds the list of results.")
    if not 1 <= payments.limit <= 10_000:
        raise Wrong("payments.limit", "payments.limit: limits are from 1 to 10000.")
    if wrong := [status for status in payments.refused if not 400 <= status < 500 or status in {401, 403, 404, 408, 409, 425, 429}]:
        raise Wrong(
            "payments.refused", f"payments.refused: {wrong[0]} does not speak of one payment only. Statuses such as 400, 417, 422 do."
        )
    for name, table, wanted in (
        ("methods", payments.methods, ("cash", "check", "e_wallet", "bank_transfer")),
        ("kinds", payments.kinds, ("principal", "penalty", "advance")),
    ):
        if missing := [word for word in wanted if word not in table]:
            raise Wrong(f"payments.{name}", f"payments.{name} has no word for: {', '.join(missing)}.")
        if unknown := [word for word in table if word not in wanted]:
            raise Wrong(f"payments.{name}.{unknown[0]}", f"payments.{name}.{unknown[0]} is none of {', '.join(wanted)}.")
    if "accepted" not in payments.statuses.values():
        raise Wrong("payments.statuses", 'payments.statuses has no word that means "accepted", so no payment would ever be Completed.')
    if payments.void_path and "voided" not in payments.statuses.values():
        raise Wrong("payments.statuses", 'payments.statuses has no word that means "voided", so no void would ever be known to be done.')
    for place, fixed in (("payments.fixed", payments.fixed), ("payments.void.fixed", payments.void.fixed)):
        for key, value in fixed.items():
            if isinstance(value, str):
                _placeholders(f"{place}.{key}", value, {"reference", "pscloud_id"} if place.endswith("void.fixed") else set())


def _check_words_and_formats(profile: Profile) -> None:
    formats = profile.formats
    if profile.soa.status and "active" not in profile.soa_status.values():
        raise Wrong("soa_status", 'soa_status has no word that means "active", so no SOA could ever be read.')
    if profile.invoice.vat_type and not profile.vat_type:
        raise Wrong("vat_type", "invoice.vat_type is read, so a section [vat_type] must say what its words mean.")
    example = datetime(2026, 11, 20, 8, 15)  # noqa: DTZ001 - only to try a pattern
    for place, pattern, plain, wanted in (
        ("formats.date", formats.date, {"iso", "midnight"}, date(2026, 11, 20)),
        ("formats.instant", formats.instant, {"iso", "local", "unix"}, example),
    ):
        if pattern in plain:
            continue
        try:
            back = datetime.strptime(example.strftime(pattern.replace("%z", "")), pattern.replace("%z", ""))  # noqa: DTZ007 - see above
        except ValueError:
            back = None
        if back is None or (back.date() if place == "formats.date" else back) != wanted:
            choices = ", ".join(sorted(plain))
            raise Wrong(place, f"{place}: {pattern!r} is none of {choices}, and no pattern that says the whole, such as %d/%m/%Y.")
    try:
        ZoneInfo(formats.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong("formats.zone", f"formats.zone: {formats.zone!r} is no time zone. Write e.g. Asia/Manila.") from None


CHECKS = (
    _check_addresses,
    _check_field_paths,
    _check_auth,
    _check_paging,
    _check_joins,
    _check_payments,
    _check_words_and_formats,
)

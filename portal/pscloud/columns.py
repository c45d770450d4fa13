"""Mapping for many records at once: the same field of all of them is looked at together, which takes a third of the time of each by itself.

Of records that are all as records usually are it gives exactly what portal.pscloud.mapping gives; of any others nothing
(tests/pscloud/test_fast.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain, repeat
from operator import gt, itemgetter
from typing import Any, Protocol

from portal.domain.plain import PlainInvoice, PlainSoa, fingerprint
from portal.domain.plain import moment as plain_moment
from portal.pscloud.mapping import EARLIEST_YEAR, LATEST_YEAR, LONGEST_TEXT, MOST_INVOICES
from portal.pscloud.profile import Profile

NOTHING = "0.00"
PESOS = r"(?:0|[1-9][0-9]{0,12})\.[0-9]{2}"
"""Pesos as they are kept: two places, no signs of thousands, no zeros before."""
_ALL_PESOS = re.compile(rf"{PESOS}(?:\n{PESOS})*+", re.ASCII).fullmatch
_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_ALL_MOMENTS = re.compile(rf"{_MOMENT}(?:\n{_MOMENT})*+", re.ASCII).fullmatch
_IN_ORDER = itemgetter(3, 1, 0)
_make_soa: Callable[[tuple[Any, ...]], PlainSoa] = partial(tuple.__new__, PlainSoa)
_make_invoice: Callable[[tuple[Any, ...]], PlainInvoice] = partial(tuple.__new__, PlainInvoice)
Column = Sequence[Any]


class Unusual(Exception):
    """A record is for mapping.to_soa()."""


class Values(Protocol):
    """How single values are read where a column is not as usual; each raises Unusual, MappingError or InvalidAmount."""

    profile: Profile
    as_pesos: bool
    days: dict[str, str]

    def pesos(self, value: Any) -> str:
        """Pesos with two places."""

    def day(self, value: Any) -> str:
        """A date as ISO text."""

    def moment(self, value: Any) -> str:
        """An instant in UTC, as tables hold it."""


def soas(read: Values, records: list[tuple[Any, ...]], invoice_values: Callable[[Any], tuple[Any, ...]]) -> list[PlainSoa]:
    """The SOAs in these records, each the values at the profile's paths. Raises Unusual, TypeError, ValueError or what `read` raises."""
    due, penalty, one, number, customer, account, name, address, contact, tin, issued, due_on, code, status, updated, listed = zip(
        *records, strict=True
    )
    if max(map(len, listed)) > MOST_INVOICES:
        raise Unusual
    profile = read.profile
    amounts = _pesos(read, due)
    penalties = _pesos(read, penalty) if profile.soa.penalty else [NOTHING] * len(amounts)
    if _any_more(penalties, amounts):
        raise Unusual
    bare: tuple[Column, ...] = (
        _texts(read, one, 100, needed=True),
        _texts(read, number, 100, needed=True),
        _texts(read, customer, 100, needed=True),
        _texts(read, account, 100, needed=True),
        _texts(read, name, 300, needed=True),
        _texts(read, address, LONGEST_TEXT),
        _texts(read, contact, 60),
        _texts(read, tin, 40),
        _days(read, issued),
        _days(read, due_on),
        amounts,
        penalties,
        [text or None for text in _texts(read, code, 40)],
        _words(status, profile.soa_status) if profile.soa.status else ["active"] * len(amounts),
        _moments(read, updated),
    )
    invoices = _invoices(read, listed, invoice_values)
    made = map(_make_soa, zip(*bare, repeat("", len(amounts)), invoices, strict=True))
    return [_make_soa((*soa[:15], fingerprint(soa), soa[16])) for soa in made]


def _invoices(read: Values, listed: Sequence[list[Any]], invoice_values: Callable[[Any], tuple[Any, ...]]) -> list[list[PlainInvoice]]:
    """The invoices of each SOA, in order."""
    values = list(map(invoice_values, chain.from_iterable(listed)))
    if not values:
        return [[] for _ in listed]
    one, number, issued, due, description, amount, balance, penalty, vat_type, vat = zip(*values, strict=True)
    amounts, vats = _pesos(read, amount), _pesos(read, vat, absent=NOTHING)
    if _any_more(vats, amounts):
        raise Unusual
    columns = (
        _texts(read, one, 100, needed=True),
        _texts(read, number, 100, needed=True),
        _days(read, issued),
        _days(read, due),
        _texts(read, description, LONGEST_TEXT),
        amounts,
        _pesos(read, balance),
        _pesos(read, penalty, absent=NOTHING),
        _words(vat_type, {**read.profile.vat_type, None: "vatable"}),
        vats,
    )
    every = list(map(_make_invoice, zip(*columns, strict=True)))
    found, at = [], 0
    for some in listed:
        until = at + len(some)
        own = every[at:until]
        at = until
        if len(own) > 1:
            if len({invoice[0] for invoice in own}) < len(own):
                raise Unusual
            own.sort(key=_IN_ORDER)
        found.append(own)
    return found


def _texts(read: Values, column: Column, limit: int, *, needed: bool = False) -> list[str]:
    kinds = set(map(type, column))
    if kinds != {str}:
        if int in kinds:
            if not read.profile.formats.numbers_as_text:
                raise Unusual
            column = [str(value) if value.__class__ is int else value for value in column]
            kinds.discard(int)
        if type(None) in kinds and not needed:
            column = ["" if value is None else value for value in column]
            kinds.discard(type(None))
        if not kinds <= {str}:
            raise Unusual
    found = list(map(str.strip, column))
    if max(map(len, found)) > limit or (needed and not all(found)):
        raise Unusual
    return found


def _pesos(read: Values, column: Column, absent: str | None = None) -> list[str]:
    if absent is not None and None in column:
        column = [absent if value is None else value for value in column]
    if read.as_pesos and set(map(type, column)) == {str}:
        joined = "\n".join(column)
        if _ALL_PESOS(joined) and joined.count("\n") == len(column) - 1:
            return list(column)
    return list(map(read.pesos, column))


def _any_more(some: list[str], others: list[str]) -> bool:
    """Whether any amount is more than its neighbour."""
    return any(map(gt, map(float, some), map(float, others)))  # exact enough to compare: of 15 digits each number keeps its place


def _days(read: Values, column: Column) -> list[str]:
    found = list(map(read.days.get, column))
    return [known or read.day(value) for known, value in zip(found, column, strict=True)] if None in found else found  # type: ignore[return-value]


def _words(column: Column, words: Any) -> list[str]:
    found = list(map(words.get, column))
    if None in found:
        raise Unusual
    return found


def _moments(read: Values, column: Column) -> list[str]:
    if read.profile.formats.instant == "iso" and set(map(type, column)) == {str}:
        joined = "\n".join(column)
        if _ALL_MOMENTS(joined) and joined.count("\n") == len(column) - 1:
            found = list(map(datetime.fromisoformat, column))
            if not all(EARLIEST_YEAR <= moment.year <= LATEST_YEAR for moment in found):
                raise Unusual
            return [str(moment.astimezone(UTC))[:26] if moment.microsecond else plain_moment(moment) for moment in found]
    return list(map(read.moment, column))

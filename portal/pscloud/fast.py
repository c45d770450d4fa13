"""Mapping for records as they usually are. Whatever is unusual is left to portal.pscloud.mapping, which decides and words every refusal.

For every record, read() gives exactly what mapping.to_soa() gives, or None: never anything else (tests/pscloud/test_fast.py)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from portal.domain import money, plain, soa
from portal.domain.errors import InvalidAmount
from portal.domain.plain import PlainInvoice, PlainSoa, fingerprint, moment
from portal.pscloud import answers, columns, mapping
from portal.pscloud.answers import keys
from portal.pscloud.columns import NOTHING, PESOS, Unusual
from portal.pscloud.mapping import LONGEST_TEXT, MOST_INVOICES, MappingError, read_amount, read_date, read_instant, to_soa
from portal.pscloud.profile import Formats, Profile

MOST_DAYS = 20_000
"""Different texts of dates that are remembered at once."""
_RULES = b"".join(
    Path(str(file)).read_bytes() for file in (__file__, *(module.__file__ for module in (answers, columns, mapping, money, plain, soa)))
)
"""A release that reads records otherwise knows none of the digests of the one before."""

SOA_PARTS = (
    "amount_due",
    "penalty",
    "id",
    "soa_number",
    "customer_id",
    "account_number",
    "customer_name",
    "address",
    "contact_number",
    "tin",
    "issued_on",
    "due_date",
    "collector_code",
    "status",
    "updated_at",
)
INVOICE_PARTS = (
    "id",
    "invoice_number",
    "invoice_date",
    "due_date",
    "description",
    "amount",
    "balance",
    "penalty",
    "vat_type",
    "vat_amount",
)


FEW = 8
"""Fewer records are read each by itself."""
_LEFT_TO_THE_CAREFUL = (Unusual, msgspec.DecodeError, RecursionError, UnicodeDecodeError, MappingError, InvalidAmount, TypeError)


class Reader:
    """Reads SOA records by one profile. Not shared between threads."""

    def __init__(self, profile: Profile) -> None:
        """`profile` says where a record holds what."""
        self.profile = profile
        self.formats: Formats = profile.formats
        self.as_pesos = profile.formats.amount != "centavos"
        self.days: dict[str, str] = {}
        self.seed = hashlib.sha256(_RULES + _told(profile)).digest()[:32]
        built = _decoder(profile)
        self.decode: Callable[[bytes], Any] | None = built and built[0]
        self.decode_all: Callable[[bytes], list[Any]] | None = built and built[1]
        self.soa_values: Callable[[Any], tuple[Any, ...]] = built[2] if built else tuple
        self.invoice_values: Callable[[Any], tuple[Any, ...]] = built[3] if built else tuple

    def digest(self, raw: bytes) -> str:
        """What tells these bytes, read by this profile and by the rules of this release, from all others; 32 hex characters."""
        return hashlib.blake2b(raw, digest_size=16, key=self.seed).hexdigest()

    def soa(self, raw: bytes) -> PlainSoa:
        """The SOA in a record. Raises MappingError where mapping.to_soa() does."""
        return self.read(raw) or plain.plain(to_soa(raw, self.profile))

    def soas(self, raws: Sequence[bytes]) -> list[PlainSoa | None]:
        """What read() gives for each of these records, found for all of them at once as long as they are as records usually are."""
        if len(raws) < FEW or self.decode_all is None:
            return list(map(self.read, raws))
        whole = b"[" + b",".join(raws) + b"]"
        if b"\\u0000" not in whole:
            try:
                records = list(map(self.soa_values, self.decode_all(whole)))
                if len(records) == len(raws):
                    return [*columns.soas(self, records, self.invoice_values)]
            except (*_LEFT_TO_THE_CAREFUL, ValueError):
                pass  # one of them is unusual: which one is soon found by halves
        middle = len(raws) // 2
        return [*self.soas(raws[:middle]), *self.soas(raws[middle:])]

    def read(self, raw: bytes) -> PlainSoa | None:
        """The SOA in a record that is as records usually are, else None."""
        if self.decode is None or b"\\u0000" in raw:
            return None
        try:
            record = self.decode(raw)
            return self._soa(self.soa_values(record))
        except _LEFT_TO_THE_CAREFUL:
            return None

    def _soa(self, values: tuple[Any, ...]) -> PlainSoa:
        due, penalty, one, number, customer, account, name, address, contact, tin, issued, due_on, code, status, updated, listed = values
        amount = self.pesos(due)
        part = self.pesos(penalty) if self.profile.soa.penalty else NOTHING
        if (len(part), part) > (len(amount), amount) or len(listed) > MOST_INVOICES:
            raise Unusual
        text, days = self._text, self.days
        made = (
            one if one.__class__ is str and 0 < len(one) <= 100 and one.strip() is one else text(one, 100) or _unusual(),
            number if number.__class__ is str and 0 < len(number) <= 100 and number.strip() is number else text(number, 100) or _unusual(),
            text(customer, 100) or _unusual(),
            text(account, 100) or _unusual(),
            text(name, 300) or _unusual(),
            "" if address is None else text(address, LONGEST_TEXT),
            "" if contact is None else text(contact, 60),
            "" if tin is None else text(tin, 40),
            days.get(issued) or self.day(issued),
            days.get(due_on) or self.day(due_on),
            amount,
            part,
            None if code is None else text(code, 40) or None,
            self._word(status, self.profile.soa_status) if self.profile.soa.status else "active",
            self.moment(updated),
        )
        invoices = self._invoices(listed)
        return PlainSoa(*made, fingerprint(PlainSoa(*made, "", invoices)), invoices)

    def _invoices(self, listed: list[Any]) -> list[PlainInvoice]:
        # A hundred thousand SOAs have three hundred thousand invoices: what is usual is looked at here, without a call for each value.
        invoices = []
        text, days, as_pesos, words, new = self._text, self.days, self.as_pesos, self.profile.vat_type, tuple.__new__
        for one, number, issued, due, description, amount, balance, penalty, vat_type, vat in map(self.invoice_values, listed):
            if not (one.__class__ is str and 0 < len(one) <= 100 and one.strip() is one):
                one = text(one, 100) or _unusual()
            if not (number.__class__ is str and 0 < len(number) <= 100 and number.strip() is number):
                number = text(number, 100) or _unusual()
            if not (description.__class__ is str and len(description) <= LONGEST_TEXT and description.strip() is description):
                description = "" if description is None else text(description, LONGEST_TEXT)
            if not (as_pesos and amount.__class__ is str and _PESOS(amount)):
                amount = self.pesos(amount)
            if not (as_pesos and balance.__class__ is str and _PESOS(balance)):
                balance = self.pesos(balance)
            if not (as_pesos and penalty.__class__ is str and _PESOS(penalty)):
                penalty = NOTHING if penalty is None else self.pesos(penalty)
            if not (as_pesos and vat.__class__ is str and _PESOS(vat)):
                vat = NOTHING if vat is None else self.pesos(vat)
            if len(vat) >= len(amount) and (len(vat), vat) > (len(amount), amount):
                raise Unusual
            day = days.get(issued) or self.day(issued)
            until = days.get(due) or self.day(due)
            kind = "vatable" if vat_type is None else words.get(vat_type) if vat_type.__class__ is str else None
            invoices.append(new(PlainInvoice, (one, number, day, until, description, amount, balance, penalty, kind or _unusual(), vat)))
        if len(invoices) > 1:
            if len({invoice[0] for invoice in invoices}) < len(invoices):
                raise Unusual
            invoices.sort(key=_IN_ORDER)
        return invoices

    def _text(self, value: Any, limit: int) -> str:
        if value.__class__ is not str:
            if value.__class__ is not int or not self.formats.numbers_as_text:
                raise Unusual
            value = str(value)
        text: str = value.strip()
        return text if len(text) <= limit else _unusual()

    def pesos(self, value: Any) -> str:
        """Pesos with two places. Raises Unusual, MappingError or InvalidAmount."""
        if self.as_pesos and value.__class__ is str and _PESOS(value):
            text: str = value
            return text
        text = str(read_amount(value, self.formats))
        return text if text[0] != "-" else _unusual()

    def day(self, value: Any) -> str:
        """A date as ISO text. Raises Unusual or MappingError."""
        found: date = read_date(self._text(value, 40) or _unusual(), "", self.formats)
        if len(self.days) >= MOST_DAYS:
            self.days.clear()
        return self.days.setdefault(value, found.isoformat()) if value.__class__ is str else found.isoformat()

    def moment(self, value: Any) -> str:
        """An instant in UTC, as tables hold it. Raises Unusual or MappingError."""
        if self.formats.instant == "unix" and value.__class__ in {int, Decimal}:
            value = str(value)
        found: datetime = read_instant(self._text(value, 60) or _unusual(), "", self.formats)
        return moment(found)

    def _word(self, value: Any, words: Mapping[str, str]) -> str:
        found = words.get(value) if value.__class__ is str else None
        return found or _unusual()


def _unusual() -> Any:
    raise Unusual


_PESOS = re.compile(PESOS, re.ASCII).fullmatch
_IN_ORDER = attrgetter("due_date", "invoice_number", "id")


def _told(profile: Profile) -> bytes:
    """Everything a profile says, in an order of its own."""
    return msgspec.json.encode(profile, order="deterministic")


def _decoder(
    profile: Profile,
) -> tuple[Callable[[bytes], Any], Callable[[bytes], list[Any]], Callable[[Any], Any], Callable[[Any], Any]] | None:
    """What decodes a record into a structure of its own, what does so with a list of them, and what takes the values of SOA and invoice
    out of it; None for a profile whose paths go through lists or into each other."""
    try:
        invoice, invoice_names = _shape([getattr(profile.invoice, name) for name in INVOICE_PARTS], {})
        paths = [getattr(profile.soa, name) for name in SOA_PARTS]
        record, soa_names = _shape([*paths, profile.soa.invoices], {profile.soa.invoices: list[invoice]})  # type: ignore[valid-type]
    except ValueError:
        return None
    decoder = msgspec.json.Decoder(record, float_hook=Decimal)
    decoder_of_all = msgspec.json.Decoder(list[record], float_hook=Decimal)  # type: ignore[valid-type]
    return decoder.decode, decoder_of_all.decode, attrgetter(*soa_names), attrgetter(*invoice_names)


def _shape(paths: list[str], types: Mapping[str, Any]) -> tuple[type[msgspec.Struct], list[str]]:
    """A structure that holds what stands at these paths, and for each path the attribute where it is found. An empty path leads to None.
    Raises ValueError."""
    tree: dict[str, Any] = {}
    for path in paths:
        *way, last = keys(path) if path else ("",)
        if any(key.isdecimal() for key in (*way, last)):
            raise ValueError(path)
        here = tree
        for key in way:
            here = here.setdefault(key, {})
            if not isinstance(here, dict):
                raise ValueError(path)
        if isinstance(here.get(last), dict):
            raise ValueError(path)
        here[last] = types.get(path, Any)
    return _struct(tree), [_attribute(tree, keys(path) if path else ("",)) for path in paths]


def _attribute(tree: Mapping[str, Any], way: tuple[str, ...]) -> str:
    names = []
    here: Any = tree
    for key in way:
        names.append(f"f{list(here).index(key)}")
        here = here[key]
    return ".".join(names)


def _struct(tree: Mapping[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    names: dict[str, str] = {}
    for number, (key, kind) in enumerate(tree.items()):
        name = f"f{number}"
        names[name] = key if key else "\x00"  # no field of any record is called so
        if isinstance(kind, dict):
            fields.append((name, _struct(kind)))
        elif kind is Any:
            fields.append((name, Any, None))
        else:
            fields.append((name, kind))
    return msgspec.defstruct("Record", fields, rename=names, kw_only=True, gc=False)

"""PSCloud's records <-> our objects, by the connector profile. Pure. What cannot be read is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

import msgspec

from portal.domain.errors import InvalidAmount
from portal.domain.money import ZERO, exact
from portal.domain.soa import Invoice, Soa, in_order
from portal.pscloud.profile import Profile

EARLIEST_YEAR, LATEST_YEAR = 1900, 2199
LONGEST_TEXT = 2000
MOST_INVOICES = 2000
LIMITS = {
    "id": 100,
    "soa_number": 100,
    "customer_id": 100,
    "account_number": 100,
    "customer_name": 300,
    "contact_number": 60,
    "tin": 40,
    "collector_code": 40,
    "invoice_number": 100,
    "code": 40,
    "name": 120,
    "area": 200,
}
"""The longest texts the tables hold; what is longer is refused rather than cut."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})", re.ASCII)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.", re.DOTALL)
Word = TypeVar("Word", bound=str)
_MISSING = object()
_record_decoder = msgspec.json.Decoder(float_hook=Decimal)
_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class MappingError(Exception):
    """One record cannot be used. `field` is PSCloud's name for the part at fault, `reason` plain words, `pscloud_id` and `label`
    (who it is about) as far as they can be read."""

    def __init__(self, field: str, reason: str, pscloud_id: str | None = None, label: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason
        self.pscloud_id = pscloud_id
        self.label = label


@dataclass(frozen=True, slots=True)
class CollectorRecord:
    """A collector code as PSCloud lists it."""

    code: str
    name: str
    area: str
    active: bool


@dataclass(frozen=True, slots=True)
class PaymentResult:
    """What PSCloud says of one payment; `raw` is its answer as JSON, to keep as evidence."""

    reference: str
    status: Literal["accepted", "duplicate", "rejected", "voided"]
    pscloud_id: str | None
    error_code: str
    error_message: str
    raw: str


# --- JSON


def open_envelope(body: bytes) -> dict[str, msgspec.Raw]:
    """The outer object of an answer, its parts still unread, so that one bad record fails alone. Raises ValueError."""
    try:
        return _object_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        mended = _LONE_SURROGATE.sub(_half_character, body)
        if mended == body:
            raise ValueError("not a JSON object") from None
    try:
        return _object_decoder.decode(mended)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("not a JSON object") from None


def _half_character(found: re.Match[bytes]) -> bytes:
    r"""An escaped half of a character makes the decoder refuse the whole page; as \u0000 it makes us refuse its record alone."""
    text = found.group()
    return rb"\u0000" if len(text) == 6 else text


def at_path(envelope: dict[str, msgspec.Raw], path: str) -> msgspec.Raw | None:
    """The unread part at a dotted path, or None when it is not there. Raises ValueError when the way is not objects."""
    *way, last = path.split(".")
    for key in way:
        if key not in envelope:
            return None
        envelope = open_envelope(bytes(envelope[key]))
    return envelope.get(last)


def split_list(part: msgspec.Raw) -> list[bytes]:
    """The items of a JSON list, each as its own JSON text. Raises ValueError when it is no list."""
    try:
        return [bytes(item) for item in _list_decoder.decode(part)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValueError("not a JSON list") from None


def read_json(text: bytes) -> Any:
    """Any JSON value; numbers come out as int or exact Decimal, never float. Raises ValueError."""
    try:
        return _record_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


# --- records to objects


def to_soa(raw: bytes | Mapping[str, Any], profile: Profile) -> Soa:
    """The SOA in one record (JSON text, or already decoded with exact numbers). Raises MappingError naming the field at fault.

    PSCloud is the master: `amount_due` is taken as it is, even where balances and penalties do not add up to it (an account
    may carry a credit). But no amount may be negative, and the penalty is never more than the amount due."""
    record = _record(raw)
    pscloud_id, label = _identity(record, profile)
    try:
        return _soa(record, profile)
    except MappingError as error:
        raise MappingError(error.field, error.reason, pscloud_id, label) from None


def to_collector(raw: bytes | Mapping[str, Any], profile: Profile) -> CollectorRecord:
    """The collector code in one record; a missing area is empty, a missing `active` is true. Raises MappingError."""
    record = _record(raw)
    fields = profile.collectors.fields
    active = _at(record, fields.active)
    if active is _MISSING or active is None:
        active = True
    if not isinstance(active, bool):
        raise MappingError(fields.active, f"{_show(active)} is neither true nor false.")
    return CollectorRecord(
        _text(record, fields.code, LIMITS["code"]),
        _optional(record, fields.name, LIMITS["name"]),
        _optional(record, fields.area, LIMITS["area"]),
        active,
    )


def to_result(raw: bytes | Mapping[str, Any], profile: Profile) -> PaymentResult:
    """The result of one payment. Raises MappingError for a status word the profile does not know."""
    record = _record(raw)
    fields = profile.payments.result
    return PaymentResult(
        reference=_text(record, fields.reference, LIMITS["id"]),
        status=_word(record, fields.status, profile.payments.statuses),
        pscloud_id=_optional(record, fields.pscloud_id, LIMITS["id"]) or None,
        error_code=_optional(record, fields.error_code, 100),
        error_message=_optional(record, fields.error_message, LONGEST_TEXT),
        raw=raw.decode("utf-8", "replace") if isinstance(raw, bytes) else msgspec.json.encode(raw).decode(),
    )


def _record(raw: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(raw, bytes):
        try:
            raw = read_json(raw)
        except ValueError as error:
            raise MappingError("", f"The record cannot be read: {error}.") from None
    if not isinstance(raw, Mapping):
        raise MappingError("", f"The record is {_kind(raw)}, not an object with fields.")
    return raw


def _identity(record: Mapping[str, Any], profile: Profile) -> tuple[str | None, str]:
    """The record's id, and a few words that tell a person whose it is; as far as they can be read."""

    def readable(path: str, limit: int) -> str:
        try:
            return _text(record, path, limit)
        except MappingError:
            return ""

    words = [readable(path, 120) for path in (profile.soa.customer_name, profile.soa.account_number, profile.soa.soa_number)]
    return readable(profile.soa.id, LIMITS["id"]) or None, " · ".join(word for word in words if word)[:300]


def _soa(record: Mapping[str, Any], profile: Profile) -> Soa:
    paths = profile.soa
    amount_due = _amount(record, paths.amount_due)
    penalty = _amount(record, paths.penalty)
    if penalty > amount_due:
        raise MappingError(paths.penalty, f"The penalty {penalty} is more than the amount due {amount_due}.")
    listed = _at(record, paths.invoices)
    if not isinstance(listed, list):
        raise MappingError(paths.invoices, "The field is missing." if listed is _MISSING else f"It is {_kind(listed)}, not a list.")
    if len(listed) > MOST_INVOICES:
        raise MappingError(paths.invoices, f"There are {len(listed)} invoices on one SOA; the most that can be read is {MOST_INVOICES}.")
    invoices = [_invoice(entry, f"{paths.invoices}[{number}]", profile) for number, entry in enumerate(listed)]
    if len({invoice.id for invoice in invoices}) < len(invoices):
        raise MappingError(paths.invoices, "Two invoices of this SOA carry the same id.")
    return Soa(
        id=_text(record, paths.id, LIMITS["id"]),
        soa_number=_text(record, paths.soa_number, LIMITS["soa_number"]),
        customer_id=_text(record, paths.customer_id, LIMITS["customer_id"]),
        account_number=_text(record, paths.account_number, LIMITS["account_number"]),
        customer_name=_text(record, paths.customer_name, LIMITS["customer_name"]),
        address=_optional(record, paths.address, LONGEST_TEXT),
        contact_number=_optional(record, paths.contact_number, LIMITS["contact_number"]),
        tin=_optional(record, paths.tin, LIMITS["tin"]),
        issued_on=_date(record, paths.issued_on, profile),
        due_date=_date(record, paths.due_date, profile),
        amount_due=amount_due,
        penalty=penalty,
        collector_code=_optional(record, paths.collector_code, LIMITS["collector_code"]) or None,
        status=_word(record, paths.status, profile.soa_status),
        updated_at=_instant(record, paths.updated_at),
        invoices=in_order(tuple(invoices)),
    )


def _invoice(entry: Any, place: str, profile: Profile) -> Invoice:
    if not isinstance(entry, Mapping):
        raise MappingError(place, f"It is {_kind(entry)}, not an object with fields.")
    paths = profile.invoice
    try:
        amount = _amount(entry, paths.amount)
        vat_amount = _amount(entry, paths.vat_amount, missing=ZERO)
        if vat_amount > amount:
            raise MappingError(paths.vat_amount, f"The VAT {vat_amount} is more than the invoice's amount {amount}.")
        return Invoice(
            id=_text(entry, paths.id, LIMITS["id"]),
            invoice_number=_text(entry, paths.invoice_number, LIMITS["invoice_number"]),
            invoice_date=_date(entry, paths.invoice_date, profile),
            due_date=_date(entry, paths.due_date, profile),
            description=_optional(entry, paths.description, LONGEST_TEXT),
            amount=amount,
            balance=_amount(entry, paths.balance),
            penalty=_amount(entry, paths.penalty, missing=ZERO),
            vat_type=_word(entry, paths.vat_type, profile.vat_type, missing="vatable"),
            vat_amount=vat_amount,
        )
    except MappingError as error:
        raise MappingError(f"{place}.{error.field}", error.reason) from None


# --- one field


def _at(record: Mapping[str, Any], path: str) -> Any:
    if not path:
        return _MISSING
    value: Any = record
    for key in path.split("."):
        if value is None or not isinstance(value, Mapping) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _clean(value: object, path: str, limit: int) -> str:
    if not isinstance(value, str):
        raise MappingError(path, f"It is {_kind(value)}, not a text.")
    text = value.strip()
    if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise MappingError(path, "It holds a character that is no text.")
    if len(text) > limit:
        raise MappingError(path, f"It is {len(text)} characters long; the most that can be kept is {limit}.")
    return text


def _text(record: Mapping[str, Any], path: str, limit: int) -> str:
    value = _at(record, path)
    if value is _MISSING or value is None:
        raise MappingError(path, "The field is missing." if value is _MISSING else "The field is empty (null).")
    text = _clean(value, path, limit)
    if not text:
        raise MappingError(path, "The field is empty.")
    return text


def _optional(record: Mapping[str, Any], path: str, limit: int) -> str:
    value = _at(record, path)
    return "" if value is _MISSING or value is None else _clean(value, path, limit)


def _amount(record: Mapping[str, Any], path: str, missing: Decimal | None = None) -> Decimal:
    """Exact pesos, never negative; JSON text or number. Binary floats cannot occur: numbers are decoded to Decimal."""
    value = _at(record, path)
    if value is _MISSING or value is None:
        if missing is not None:
            return missing
        raise MappingError(path, "The amount is missing." if value is _MISSING else "The amount is empty (null).")
    try:
        amount = exact(value)
    except InvalidAmount as error:
        raise MappingError(path, error.message) from None
    if amount < 0:
        raise MappingError(path, f"The amount {amount} is negative.")
    return amount


def _date(record: Mapping[str, Any], path: str, profile: Profile) -> date:
    text = _text(record, path, 40)
    pattern = profile.formats.date
    try:
        if not text.isascii() or (pattern == "iso" and not _DATE.fullmatch(text)):
            raise ValueError
        value = date.fromisoformat(text) if pattern == "iso" else datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        example = "2026-11-20" if pattern == "iso" else date(2026, 11, 20).strftime(pattern)
        raise MappingError(path, f"{_show(text)} is not a date such as {example}.") from None
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise MappingError(path, f"The year {value.year} cannot be right.")
    return value


def _instant(record: Mapping[str, Any], path: str) -> datetime:
    return read_instant(_text(record, path, 60), path)


def read_instant(text: str, path: str) -> datetime:
    """An aware instant from ISO 8601 with an offset. Raises MappingError; `path` is the field's name in its message."""
    try:
        if not _INSTANT.fullmatch(text):
            raise ValueError
        value = datetime.fromisoformat(text)
    except ValueError:
        raise MappingError(path, f"{_show(text)} is not a moment with an offset such as 2026-11-20T08:15:30+08:00.") from None
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise MappingError(path, f"The year {value.year} cannot be right.")
    return value


def _word(record: Mapping[str, Any], path: str, words: Mapping[str, Word], missing: Word | None = None) -> Word:
    value = _at(record, path)
    if (value is _MISSING or value is None) and missing is not None:
        return missing
    text = _text(record, path, 100)
    if text not in words:
        raise MappingError(path, f"{_show(text)} is not one of {', '.join(sorted(words))}.")
    return words[text]


def _kind(value: object) -> str:
    if value is None:
        return "empty (null)"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float | Decimal):
        return "a number"
    return "a text" if isinstance(value, str) else "a list" if isinstance(value, list) else "an object"


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


# --- payments to PSCloud


@dataclass(frozen=True, slots=True)
class PaymentToPost:
    """All that PSCloud is told of a payment. Amounts in exact pesos, `collected_at` aware; `allocations` are
    (invoice id or None for an advance, kind, amount) and add up to `amount`."""

    reference: str
    receipt_number: str
    soa_id: str
    amount: Decimal
    tender: str
    tender_reference: str | None
    collected_at: datetime
    collector_code: str
    allocations: Sequence[tuple[str | None, str, Decimal]]


def to_payment(payment: PaymentToPost, profile: Profile) -> dict[str, Any]:
    """The record PSCloud expects for a payment, money as text with two places. Raises ValueError when the parts do not add up:
    such a payment must never leave the house."""
    if sum((amount for _, _, amount in payment.allocations), ZERO) != payment.amount:
        raise ValueError(f"the allocations of payment {payment.reference} do not add up to its amount")
    names, words = profile.payments.fields, profile.payments
    allocations = [
        {names.allocation_invoice: invoice, names.allocation_kind: words.kinds[kind], names.allocation_amount: _money(amount)}
        for invoice, kind, amount in payment.allocations
    ]
    record: dict[str, Any] = {}
    for path, value in (
        (names.reference, payment.reference),
        (names.receipt_number, payment.receipt_number),
        (names.soa_id, payment.soa_id),
        (names.amount, _money(payment.amount)),
        (names.method, words.methods[payment.tender]),
        (names.method_reference, payment.tender_reference),
        (names.collected_at, payment.collected_at.isoformat()),
        (names.collector_code, payment.collector_code),
        (names.allocations, allocations),
    ):
        _put(record, path, value)
    return record


def to_void(reason: str, voided_at: datetime, approved_by: str, profile: Profile) -> dict[str, Any]:
    """The record PSCloud expects for the void of a payment; `voided_at` aware."""
    names = profile.payments.void
    record: dict[str, Any] = {}
    for path, value in ((names.reason, reason), (names.voided_at, voided_at.isoformat()), (names.approved_by, approved_by)):
        _put(record, path, value)
    return record


def _money(amount: Decimal) -> str:
    return str(exact(amount))


def _put(record: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for key in way:
        record = record.setdefault(key, {})
    record[last] = value

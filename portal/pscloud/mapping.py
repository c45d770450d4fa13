"""PSCloud's records <-> our objects, by the connector profile. Pure. What cannot be read is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from portal.domain.errors import InvalidAmount
from portal.domain.money import ZERO, centavos, exact, from_centavos, parse
from portal.domain.soa import Invoice, Soa, in_order
from portal.pscloud.answers import MISSING, keys, read_json, value_at
from portal.pscloud.profile import Formats, Profile

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
_LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?", re.ASCII)
_MIDNIGHT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]00:00(:00(\.0{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)
Word = TypeVar("Word", bound=str)


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


# --- records to objects


@dataclass(frozen=True, slots=True)
class Field:
    """One part of our records: where PSCloud holds it (empty: nowhere), whether a record without it is refused, and what reads it from a
    record, raising MappingError."""

    name: str
    path: str
    needed: bool
    read: Callable[[Mapping[str, Any]], Any]


def to_soa(raw: bytes | Mapping[str, Any], profile: Profile) -> Soa:
    """The SOA in one record (JSON text, or already decoded with exact numbers). Raises MappingError naming the field at fault.

    PSCloud is the master: `amount_due` is taken as it is, even where balances and penalties do not add up to it (an account
    may carry a credit). But no amount may be negative, and the penalty is never more than the amount due."""
    record = to_record(raw)
    try:
        return _soa(record, profile)
    except MappingError as error:
        raise MappingError(error.field, error.reason, *_identity(record, profile)) from None


def to_collector(raw: bytes | Mapping[str, Any], profile: Profile) -> CollectorRecord:
    """The collector code in one record; a missing area is empty, a missing `active` is true. Raises MappingError."""
    record = to_record(raw)
    if profile.collectors is None:
        raise MappingError("", "The connector profile names no collector codes.")
    fields, formats = profile.collectors.fields, profile.formats
    return CollectorRecord(
        _text(record, fields.code, LIMITS["code"], formats),
        _optional(record, fields.name, LIMITS["name"], formats),
        _optional(record, fields.area, LIMITS["area"], formats),
        _flag(record, fields.active, True) and not _flag(record, fields.inactive, False),
    )


def to_result(raw: bytes | Mapping[str, Any], profile: Profile) -> PaymentResult:
    """The result of one payment. Raises MappingError for a status word the profile does not know."""
    record = to_record(raw)
    fields, formats = profile.payments.result, profile.formats
    return PaymentResult(
        reference=_text(record, fields.reference, LIMITS["id"], formats),
        status=_word(record, fields.status, profile.payments.statuses),
        pscloud_id=_optional(record, fields.pscloud_id, LIMITS["id"], formats) or None,
        error_code=_optional(record, fields.error_code, 100, formats),
        error_message=_optional(record, fields.error_message, LONGEST_TEXT, formats),
        raw=raw.decode("utf-8", "replace") if isinstance(raw, bytes) else msgspec.json.encode(raw).decode(),
    )


def to_record(raw: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """The record, decoded. Raises MappingError when it is none."""
    if isinstance(raw, bytes):
        try:
            raw = read_json(raw)
        except ValueError as error:
            raise MappingError("", f"The record cannot be read: {error}.") from None
    if not isinstance(raw, Mapping):
        raise MappingError("", f"The record is {kind_of(raw)}, not an object with fields.")
    return raw


@lru_cache(maxsize=8)
def soa_fields(profile: Profile) -> tuple[Field, ...]:
    """The parts of an SOA but its invoices, in the order in which they are read."""
    paths, formats = profile.soa, profile.formats

    def text(name: str) -> Field:
        path = getattr(paths, name)
        return Field(name, path, True, lambda record: _text(record, path, LIMITS[name], formats))

    def optional(name: str, limit: int) -> Field:
        path = getattr(paths, name)
        return Field(name, path, False, lambda record: _optional(record, path, limit, formats))

    def day(name: str) -> Field:
        path = getattr(paths, name)
        return Field(name, path, True, lambda record: _date(record, path, formats))

    def status(record: Mapping[str, Any]) -> Literal["active", "closed"]:
        return _word(record, paths.status, profile.soa_status) if paths.status else "active"

    no_penalty = None if paths.penalty else ZERO
    return (
        Field("amount_due", paths.amount_due, True, lambda record: _amount(record, paths.amount_due, formats)),
        Field("penalty", paths.penalty, bool(paths.penalty), lambda record: _amount(record, paths.penalty, formats, no_penalty)),
        *(text(name) for name in ("id", "soa_number", "customer_id", "account_number", "customer_name")),
        optional("address", LONGEST_TEXT),
        optional("contact_number", LIMITS["contact_number"]),
        optional("tin", LIMITS["tin"]),
        day("issued_on"),
        day("due_date"),
        Field(
            "collector_code",
            paths.collector_code,
            False,
            lambda record: _optional(record, paths.collector_code, LIMITS["collector_code"], formats) or None,
        ),
        Field("status", paths.status, bool(paths.status), status),
        Field("updated_at", paths.updated_at, True, lambda record: _instant(record, paths.updated_at, formats)),
    )


@lru_cache(maxsize=8)
def invoice_fields(profile: Profile) -> tuple[Field, ...]:
    """The parts of an invoice, in the order in which they are read."""
    paths, formats = profile.invoice, profile.formats
    return (
        Field("amount", paths.amount, True, lambda record: _amount(record, paths.amount, formats)),
        Field("vat_amount", paths.vat_amount, False, lambda record: _amount(record, paths.vat_amount, formats, ZERO)),
        Field("id", paths.id, True, lambda record: _text(record, paths.id, LIMITS["id"], formats)),
        Field(
            "invoice_number",
            paths.invoice_number,
            True,
            lambda record: _text(record, paths.invoice_number, LIMITS["invoice_number"], formats),
        ),
        Field("invoice_date", paths.invoice_date, True, lambda record: _date(record, paths.invoice_date, formats)),
        Field("due_date", paths.due_date, True, lambda record: _date(record, paths.due_date, formats)),
        Field("description", paths.description, False, lambda record: _optional(record, paths.description, LONGEST_TEXT, formats)),
        Field("balance", paths.balance, True, lambda record: _amount(record, paths.balance, formats)),
        Field("penalty", paths.penalty, False, lambda record: _amount(record, paths.penalty, formats, ZERO)),
        Field("vat_type", paths.vat_type, False, lambda record: _word(record, paths.vat_type, profile.vat_type, "vatable")),
    )


def _identity(record: Mapping[str, Any], profile: Profile) -> tuple[str | None, str]:
    """The record's id, and a few words that tell a person whose it is; as far as they can be read."""

    def readable(path: str, limit: int) -> str:
        try:
            return _text(record, path, limit, profile.formats)
        except MappingError:
            return ""

    words = [readable(path, 120) for path in (profile.soa.customer_name, profile.soa.account_number, profile.soa.soa_number)]
    return readable(profile.soa.id, LIMITS["id"]) or None, " · ".join(word for word in words if word)[:300]


def _soa(record: Mapping[str, Any], profile: Profile) -> Soa:
    paths = profile.soa
    values = {field.name: field.read(record) for field in soa_fields(profile)}
    if values["penalty"] > values["amount_due"]:
        raise MappingError(paths.penalty, f"The penalty {values['penalty']} is more than the amount due {values['amount_due']}.")
    invoices = [_invoice(entry, f"{paths.invoices}[{number}]", profile) for number, entry in enumerate(invoice_records(record, profile))]
    if len({invoice.id for invoice in invoices}) < len(invoices):
        raise MappingError(paths.invoices, "Two invoices of this SOA carry the same id.")
    return Soa(**values, invoices=in_order(tuple(invoices)))


def invoice_records(record: Mapping[str, Any], profile: Profile) -> list[Any]:
    """The records of an SOA's invoices, unread. Raises MappingError when there is no list of them, or too many."""
    path = profile.soa.invoices
    listed = value_at(record, path)
    if not isinstance(listed, list):
        raise MappingError(path, "The field is missing." if listed is MISSING else f"It is {kind_of(listed)}, not a list.")
    if len(listed) > MOST_INVOICES:
        raise MappingError(path, f"There are {len(listed)} invoices on one SOA; the most that can be read is {MOST_INVOICES}.")
    return listed


def _invoice(entry: Any, place: str, profile: Profile) -> Invoice:
    if not isinstance(entry, Mapping):
        raise MappingError(place, f"It is {kind_of(entry)}, not an object with fields.")
    try:
        values = {field.name: field.read(entry) for field in invoice_fields(profile)}
        if values["vat_amount"] > values["amount"]:
            path = profile.invoice.vat_amount
            raise MappingError(path, f"The VAT {values['vat_amount']} is more than the invoice's amount {values['amount']}.")
        return Invoice(**values)
    except MappingError as error:
        raise MappingError(f"{place}.{error.field}", error.reason) from None


# --- one field


def _at(record: Mapping[str, Any], path: str) -> Any:
    return value_at(record, path) if path else MISSING


def _clean(value: object, path: str, limit: int, formats: Formats) -> str:
    if formats.numbers_as_text and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise MappingError(path, f"It is {kind_of(value)}, not a text.")
    text = value.strip()
    if "\x00" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise MappingError(path, "It holds a character that is no text.")
    if len(text) > limit:
        raise MappingError(path, f"It is {len(text)} characters long; the most that can be kept is {limit}.")
    return text


def _text(record: Mapping[str, Any], path: str, limit: int, formats: Formats) -> str:
    value = _at(record, path)
    if value is MISSING or value is None:
        raise MappingError(path, "The field is missing." if value is MISSING else "The field is empty (null).")
    text = _clean(value, path, limit, formats)
    if not text:
        raise MappingError(path, "The field is empty.")
    return text


def _optional(record: Mapping[str, Any], path: str, limit: int, formats: Formats) -> str:
    value = _at(record, path)
    return "" if value is MISSING or value is None else _clean(value, path, limit, formats)


def _flag(record: Mapping[str, Any], path: str, missing: bool) -> bool:
    """True or false, also written as 1 or 0."""
    value = _at(record, path)
    if value is MISSING or value is None:
        return missing
    if not isinstance(value, bool) and (not isinstance(value, int) or value not in {0, 1}):
        raise MappingError(path, f"{_show(value)} is neither true nor false.")
    return bool(value)


def read_amount(value: object, formats: Formats) -> Decimal:
    """Exact pesos, however the profile says they are written. Binary floats cannot occur: numbers are decoded to Decimal.
    Raises InvalidAmount."""
    if formats.amount == "centavos":
        whole = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value, re.ASCII) else value
        return from_centavos(whole)  # type: ignore[arg-type]
    if formats.amount == "grouped" and isinstance(value, str) and value[:1].isdecimal():
        return parse(value)
    return exact(value)


def _amount(record: Mapping[str, Any], path: str, formats: Formats, missing: Decimal | None = None) -> Decimal:
    """Exact pesos, never negative."""
    value = _at(record, path)
    if value is MISSING or value is None:
        if missing is not None:
            return missing
        raise MappingError(path, "The amount is missing." if value is MISSING else "The amount is empty (null).")
    try:
        amount = read_amount(value, formats)
    except InvalidAmount as error:
        raise MappingError(path, error.message) from None
    if amount < 0:
        raise MappingError(path, f"The amount {amount} is negative.")
    return amount


def _date(record: Mapping[str, Any], path: str, formats: Formats) -> date:
    return read_date(_text(record, path, 40, formats), path, formats)


def read_date(text: str, path: str, formats: Formats) -> date:
    """A date, however the profile says they are written. Raises MappingError; `path` is the field's name in its message."""
    pattern = formats.date
    try:
        if not text.isascii():
            raise ValueError
        if pattern == "midnight":
            found = _MIDNIGHT.fullmatch(text)
            value = date.fromisoformat(found[1] if found else "")
        elif pattern == "iso":
            value = date.fromisoformat(text if _DATE.fullmatch(text) else "")
        else:
            value = datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        examples = {"iso": "2026-11-20", "midnight": "2026-11-20T00:00:00Z"}
        example = examples.get(pattern) or date(2026, 11, 20).strftime(pattern)
        raise MappingError(path, f"{_show(text)} is not a date such as {example}.") from None
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise MappingError(path, f"The year {value.year} cannot be right.")
    return value


def _instant(record: Mapping[str, Any], path: str, formats: Formats) -> datetime:
    value = _at(record, path)
    if formats.instant == "unix" and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return read_instant(str(value), path, formats)
    return read_instant(_text(record, path, 60, formats), path, formats)


def read_instant(text: str, path: str, formats: Formats | None = None) -> datetime:
    """An aware instant, by default from ISO 8601 with an offset. Raises MappingError; `path` is the field's name in its message."""
    how = formats.instant if formats else "iso"
    zone = ZoneInfo(formats.zone) if formats else UTC
    try:
        if not text.isascii():
            raise ValueError
        if how == "iso":
            value = datetime.fromisoformat(text if _INSTANT.fullmatch(text) else "")
        elif how == "local":
            value = datetime.fromisoformat(text if _LOCAL.fullmatch(text) else "").replace(tzinfo=zone)
        elif how == "unix":
            value = datetime.fromtimestamp(float(text if re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", text) else "no"), UTC)
        else:
            value = datetime.strptime(text, how)  # noqa: DTZ007 - the pattern may have no zone; then the profile's is meant
            value = value if value.tzinfo else value.replace(tzinfo=zone)
    except (ValueError, OverflowError, OSError):
        example = write_instant(datetime(2026, 11, 20, 8, 15, 30, tzinfo=ZoneInfo("Asia/Manila")), formats)
        kind = "a moment with an offset" if how == "iso" else "a moment"
        raise MappingError(path, f"{_show(text)} is not {kind} such as {example}.") from None
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise MappingError(path, f"The year {value.year} cannot be right.")
    return value


def write_instant(moment: datetime, formats: Formats | None = None) -> str:
    """An aware instant as PSCloud writes them."""
    how = formats.instant if formats else "iso"
    if how == "iso" or formats is None:
        return moment.isoformat()
    if how == "unix":
        return str(int(moment.timestamp()))
    local = moment.astimezone(ZoneInfo(formats.zone))
    return local.replace(tzinfo=None).isoformat(" ") if how == "local" else local.strftime(how)


def _word(record: Mapping[str, Any], path: str, words: Mapping[str, Word], missing: Word | None = None) -> Word:
    value = _at(record, path)
    if (value is MISSING or value is None) and missing is not None:
        return missing
    if isinstance(value, int):
        text = str(value).lower()
    elif isinstance(value, str) and value.strip():
        text = value.strip()
    else:
        raise MappingError(
            path, "The field is missing." if value is MISSING else f"It is {kind_of(value) if value != '' else 'empty'}, not a text."
        )
    if text not in words:
        raise MappingError(path, f"{_show(text)} is not one of {', '.join(sorted(words))}.")
    return words[text]


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
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
    """The record PSCloud expects for a payment, money as the profile says. Raises ValueError when the parts do not add up:
    such a payment must never leave the house."""
    if sum((amount for _, _, amount in payment.allocations), ZERO) != payment.amount:
        raise ValueError(f"the allocations of payment {payment.reference} do not add up to its amount")
    asked, names = profile.payments, profile.payments.fields
    allocations = []
    for invoice, kind, amount in payment.allocations:
        part: dict[str, Any] = {}
        _put(part, names.allocation_invoice, _number(invoice) if "allocation_invoice" in asked.as_numbers else invoice)
        _put(part, names.allocation_kind, asked.kinds[kind])
        _put(part, names.allocation_amount, _money(amount, asked.money))
        allocations.append(part)
    record: dict[str, Any] = dict(asked.fixed)
    for path, value in (
        (names.reference, payment.reference),
        (names.receipt_number, payment.receipt_number),
        (names.soa_id, _number(payment.soa_id) if "soa_id" in asked.as_numbers else payment.soa_id),
        (names.amount, _money(payment.amount, asked.money)),
        (names.method, asked.methods[payment.tender]),
        (names.method_reference, payment.tender_reference),
        (names.collected_at, write_instant(payment.collected_at, profile.formats)),
        (names.collector_code, payment.collector_code),
        (names.allocations, allocations),
    ):
        _put(record, path, value)
    return record


def to_void(reason: str, voided_at: datetime, approved_by: str, profile: Profile) -> dict[str, Any]:
    """The record PSCloud expects for the void of a payment; `voided_at` aware."""
    names = profile.payments.void
    record: dict[str, Any] = dict(names.fixed)
    moment = write_instant(voided_at, profile.formats)
    for path, value in ((names.reason, reason), (names.voided_at, moment), (names.approved_by, approved_by)):
        _put(record, path, value)
    return record


def _number(text: str | None) -> int | str | None:
    """A PSCloud id that is a whole number there."""
    return int(text) if text is not None and re.fullmatch(r"0|[1-9][0-9]{0,17}", text, re.ASCII) else text


def _money(amount: Decimal, how: str) -> Decimal | str | int:
    return centavos(amount) if how == "centavos" else exact(amount) if how == "number" else str(exact(amount))


def _put(record: dict[str, Any], path: str, value: Any) -> None:
    if not path:
        return
    *way, last = keys(path)
    for key in way:
        record = record.setdefault(key, {})
    record[last] = value

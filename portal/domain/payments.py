"""What a payment is, the flags that hold it, and the moves its status may make (DOMAIN 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from portal.domain.allocation import Allocation, Vat
from portal.domain.errors import Conflict, InvalidInput
from portal.domain.receipts import read_receipt_number

TENDERS = ("cash", "check", "e_wallet", "bank_transfer")
TENDER_WORDS = {"cash": "Cash", "check": "Check", "e_wallet": "E-wallet", "bank_transfer": "Bank transfer"}
STATUSES = ("pending", "approved", "processing", "completed", "failed")
FLAGS = {
    "reallocated": "The SOA changed after the phone downloaded it, so the payment was allocated anew.",
    "over_collected": "More was collected than is still owed; the surplus is kept as an advance.",
    "possible_double": "Another terminal collected this SOA since the phone downloaded it.",
    "duplicate_reference": "The same check or transaction number was used for another payment.",
    "stale_soa": "The phone's list of SOAs was older than the policy allows.",
    "clock_jump": "The phone's clock was moved in this registry.",
    "late": "The payment arrived after its registry was closed.",
    "chain_fork": "The phone's journal has two versions; it may have been restored from a backup.",
    "unassigned_account": "The SOA is unknown or was not assigned to this collector.",
    "revoked_terminal": "The terminal had been revoked when this payment arrived.",
    "disabled_collector": "The collector's login had been disabled when this payment arrived.",
    "number_quarantined": "The receipt number is taken or out of series; the money is counted, the number is not.",
    "rebuilt": "Recorded from the code on the customer's receipt, because the phone's own entry had not arrived.",
    "or_entry": "An official receipt was written by hand, and entered into the phone afterwards.",
    "or_number_taken": "Another payment carries the same number of a booklet's official receipt.",
    "large_advance": "Far more was collected than was due; the customer may have been charged by mistake.",
}
MOVES = {
    ("pending", "approved"),
    ("approved", "processing"),
    ("processing", "approved"),  # PSCloud could not be reached: nothing was posted, it is tried again
    ("processing", "completed"),
    ("processing", "failed"),
    ("failed", "approved"),  # Retry
    ("completed", "approved"),  # a reconciliation found that PSCloud lost it, and a supervisor has it sent again
    ("approved", "pending"),  # held by a person before it is posted
}
LARGE_ADVANCE = 20_000_00
"""An advance of so much (centavos) that is more than what the payment pays besides is looked at by a person."""
UNLISTED = "account:"
"""Begins the `soa` of an OR entry on an account that was not in the phone's list; the account number follows."""
LARGEST_PAYMENT = 100_000_000_00
"""One payment above a hundred million pesos is a typing error, not a collection (centavos)."""


def move(current: str, new: str) -> str:
    """The new status, when the move is legal. Raises Conflict naming both when it is not."""
    if current == new:
        raise Conflict(f"This payment is {current} already. Reload the page to see where it stands.")
    if (current, new) not in MOVES:
        raise Conflict(f"This payment is {current}, so it cannot become {new}. Reload the page to see where it stands.")
    return new


@dataclass(frozen=True, slots=True)
class Place:
    """Where the phone was: millionths of a degree, and metres around it."""

    latitude: int
    longitude: int
    accuracy: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the phone journaled it; money in integer centavos. The collector is not here: the terminal's holder is."""

    id: str
    registry: str
    receipt_number: str
    soa: str
    soa_number: str
    account_number: str
    customer_name: str
    soa_version: str
    amount: int
    tender: str
    channel: str | None
    reference: str | None
    tendered: int | None
    change: int | None
    mode: str
    directed: tuple[str, ...]
    allocations: tuple[Allocation, ...]
    vat: Vat
    balance_after: int
    branch: str | None = None
    check_date: date | None = None
    or_number: str | None = None
    or_date: date | None = None
    place: Place | None = None


def or_key(number: str) -> str:
    """A booklet number as it is compared: capitals, no spaces and hyphens, no zeros before it."""
    return re.sub(r"[\s-]", "", number).upper().lstrip("0") or "0"


def is_large_advance(allocations: Sequence[Allocation]) -> bool:
    """Whether so much of a payment is an advance that a person has to look at it."""
    advance = sum(part.amount for part in allocations if part.kind == "advance")
    return advance >= LARGE_ADVANCE and advance * 2 > sum(part.amount for part in allocations)


def read_payment(payload: Mapping[str, Any]) -> Payment:
    """The payment in a journal payload, everything checked that the phone checked. Raises InvalidInput in plain words.

    Fields the page docs/journal.md does not name (a collector, a status) are ignored: the server decides those."""
    reader = Reader(payload)
    tender = reader.one_of("tender", TENDERS)
    amount = reader.centavos("amount", lowest=1, highest=LARGEST_PAYMENT)
    allocations = tuple(_allocation(item) for item in reader.list_of_objects("allocations", most=200))
    if sum(part.amount for part in allocations) != amount:
        raise InvalidInput("The allocation does not add up to the amount.")
    vat_reader = Reader(reader.object("vat"), "vat.")
    vat = Vat(*(vat_reader.centavos(name) for name in ("vatable", "vat_amount", "vat_exempt", "zero_rated")))
    principal = sum(part.amount for part in allocations if part.kind == "principal")
    if vat.vatable + vat.vat_amount + vat.vat_exempt + vat.zero_rated != principal:
        raise InvalidInput("The VAT figures do not add up to the principal.")
    reference = reader.text("reference", most=60, optional=True)
    tendered, change = reader.optional_centavos("tendered"), reader.optional_centavos("change")
    if tender == "cash":
        if tendered is not None and (tendered < amount or change != tendered - amount):
            raise InvalidInput("The change is not what was tendered less the amount.")
    elif not reference:
        raise InvalidInput("A payment that is not cash needs its reference number.")
    or_number = reader.text("or_number", most=30, optional=True)
    soa = reader.text("soa", most=100) or ""
    if soa.startswith(UNLISTED) and or_number is None:
        raise InvalidInput("Only an OR entry may be for an account that is not in the list.")
    receipt = reader.text("receipt_number", most=20) or ""
    read_receipt_number(receipt)
    return Payment(
        id=reader.uuid("payment"),
        registry=reader.uuid("registry"),
        receipt_number=receipt,
        soa=soa,
        soa_number=reader.text("soa_number", most=100) or "",
        account_number=reader.text("account_number", most=100) or "",
        customer_name=reader.text("customer_name", most=300) or "",
        soa_version=reader.text("soa_version", most=64) or "",
        amount=amount,
        tender=tender,
        channel=reader.text("channel", most=60, optional=True),
        reference=reference,
        tendered=tendered,
        change=change,
        mode=reader.one_of("mode", ("oldest_first", "directed")),
        directed=tuple(reader.texts("directed", most=200)),
        allocations=allocations,
        vat=vat,
        balance_after=reader.centavos("balance_after"),
        branch=reader.text("branch", most=60, optional=True) if tender == "check" else None,
        check_date=reader.date("check_date") if tender == "check" and payload.get("check_date") is not None else None,
        or_number=or_number,
        or_date=None if or_number is None else reader.date("or_date"),
        place=_place(payload.get("place")),
    )


def _place(value: Any) -> Place | None:
    """Where the phone was, None for whatever is no place: money is never set aside for a wrong coordinate."""
    if not isinstance(value, Mapping):
        return None
    numbers = [value.get(name) for name in ("latitude", "longitude", "accuracy")]
    latitude, longitude, accuracy = (number if type(number) is int else -(10**9) for number in numbers)
    known = abs(latitude) <= 90_000_000 and abs(longitude) <= 180_000_000 and 0 <= accuracy <= 10_000_000
    return Place(latitude, longitude, accuracy) if known else None


def _allocation(item: Mapping[str, Any]) -> Allocation:
    reader = Reader(item, "allocations.")
    kind = reader.one_of("kind", ("penalty", "principal", "advance"))
    invoice = reader.text("invoice", most=100, optional=True)
    if (invoice is None) != (kind == "advance"):
        raise InvalidInput("An allocation names an invoice, unless it is an advance.")
    number = reader.text("invoice_number", most=100, optional=True)
    return Allocation(invoice, number, kind, reader.centavos("amount", lowest=1))  # type: ignore[arg-type]


class Reader:
    """Reads typed fields of a payload; every failure is an InvalidInput that names the field."""

    def __init__(self, payload: Any, path: str = "") -> None:
        """`path` is put before field names in messages. Raises InvalidInput unless `payload` is an object."""
        self.path = path
        if not isinstance(payload, dict | Mapping):
            raise InvalidInput(f"{path.rstrip('.') or 'The payload'} must be an object.")
        self.payload = payload

    def _fail(self, name: str, rule: str) -> InvalidInput:
        return InvalidInput(f"{self.path}{name} {rule}.")

    def text(self, name: str, most: int, optional: bool = False) -> str | None:
        """A text of 1 to `most` characters without NUL; None only when optional."""
        value = self.payload.get(name)
        if value is None and optional:
            return None
        if not isinstance(value, str) or not value.strip() or len(value) > most or "\x00" in value:
            raise self._fail(name, f"must be a text of 1 to {most} characters")
        return value

    def texts(self, name: str, most: int) -> list[str]:
        """A list of at most `most` texts."""
        value = self.payload.get(name)
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, str) and 0 < len(item) <= 100 for item in value):
            raise self._fail(name, "must be a list of texts")
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the given words."""
        value = self.payload.get(name)
        if value not in choices or not isinstance(value, str):
            raise self._fail(name, f"must be one of {', '.join(choices)}")
        return value

    def centavos(self, name: str, lowest: int = 0, highest: int = 10**15) -> int:
        """A whole number of centavos in range."""
        value = self.payload.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self._fail(name, f"must be a whole number of centavos from {lowest} to {highest}")
        return value

    def whole(self, name: str, lowest: int, highest: int) -> int:
        """A whole number in range."""
        value = self.payload.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self._fail(name, f"must be a whole number from {lowest} to {highest}")
        return value

    def optional_centavos(self, name: str) -> int | None:
        """Centavos, or None when null or absent."""
        return None if self.payload.get(name) is None else self.centavos(name)

    def uuid(self, name: str) -> str:
        """A UUID in its canonical lower-case form."""
        value = self.payload.get(name)
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
            return value
        raise self._fail(name, "must be a UUID in lower case")

    def date(self, name: str) -> date:
        """A calendar date."""
        value = self.payload.get(name)
        try:
            if isinstance(value, str) and len(value) == 10:
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise self._fail(name, "must be a date such as 2026-11-20")

    def object(self, name: str) -> Mapping[str, Any]:
        """An object."""
        value = self.payload.get(name)
        if not isinstance(value, Mapping):
            raise self._fail(name, "must be an object")
        return value

    def list_of_objects(self, name: str, most: int) -> list[Mapping[str, Any]]:
        """A list of at most `most` objects."""
        value = self.payload.get(name)
        if not isinstance(value, list) or len(value) > most or not all(isinstance(item, Mapping) for item in value):
            raise self._fail(name, "must be a list of objects")
        return value


_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def read_instant(text: str) -> datetime:
    """An instant with its offset, between the years 1970 and 2200. Raises InvalidInput."""
    try:
        if not _INSTANT.fullmatch(text):
            raise ValueError(text)
        instant = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise InvalidInput(f"{text!r} is not an instant such as 2026-11-20T08:15:30.123+08:00.") from None
    if instant.tzinfo is None or not 1970 <= instant.year <= 2200:
        raise InvalidInput(f"{text!r} is not an instant with an offset between the years 1970 and 2200.")
    return instant


_SECRET = re.compile(
    r'("[^"]*(?:token|password|secret|authorization|api[_-]?key|session|cookie)[^"]*"\s*:\s*)("(?:[^"\\]|\\.)*"|[^,}\]\s]+)', re.IGNORECASE
)
_BEARER = re.compile(r"(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)


def masked(answer: str) -> str:
    """PSCloud's answer without what looks like a secret: values of fields named so, and what follows Bearer or Basic."""
    return _BEARER.sub(r"\1 ...", _SECRET.sub(r'\1"..."', answer))

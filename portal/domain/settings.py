"""The settings an administrator may change: what each is called, what it may be, and how it is read from a form."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.domain.errors import InvalidInput

Value = str | int | bool | list[str]
APPROVALS = {
    "payment_approval": {
        "automatic": "Automatic, unless it carries a flag",
        "manual": "A person approves every payment",
    },
    "terminal_approval": {
        "automatic": "At once",
        "manual": "When an administrator approved them",
    },
}
MOST_LINES = 6
"""Lines of a receipt's own header or footer: a paper of 58 mm holds 32 letters a line."""
MOST_REASONS = 12
TIN = r"[0-9]{3}-?[0-9]{3}-?[0-9]{3}(-?[0-9]{3,5})?"
"""Nine digits and the branch code of three to five, as the BIR prints them, with or without the hyphens."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One setting. `kind`: line (a text), lines (several lines of text), reasons (one choice a line), number, choice or flag."""

    name: str
    label: str
    kind: str
    hint: str = ""
    least: int = 0
    most: int = 200
    choices: Mapping[str, str] | None = None
    shape: str = ""
    """What a line that is not empty must look like, as a regular expression; `hint` shows one that does."""


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that are changed together."""

    name: str
    title: str
    about: str
    settings: tuple[Definition, ...]


SECTIONS = (
    Section(
        "letterhead",
        "Letterhead",
        "Printed on every receipt, reading, report and slip, as registered with the BIR.",
        (
            Definition("registered_name", "Registered name", "line", least=1),
            Definition("business_name", "Business name", "line", "When it differs from the registered name"),
            Definition("address", "Registered address", "line", most=300),
            Definition("tin", "TIN with branch code", "line", "Such as 123-456-789-00000", most=40, shape=TIN),
            Definition("vat_registered", "VAT registered", "flag", "Prints VAT REG TIN; otherwise NON-VAT REG TIN"),
            Definition("min", "Machine identification number (MIN)", "line", most=60),
            Definition("serial", "Serial number", "line", most=60),
            Definition("ptu", "Permit to use (PTU)", "line", most=60),
        ),
    ),
    Section(
        "receipts",
        "Receipts",
        "What the customer gets. A phone prints it so from its next Download SOA on.",
        (
            Definition("receipt_title", "Title", "line", least=1, most=60),
            Definition("receipt_header", "Lines beneath the letterhead", "lines", "A telephone number, say; 32 letters fit on 58 mm"),
            Definition("receipt_phrase", "Phrase at the foot", "line", "About input tax, as your permit words it", least=1),
            Definition("receipt_footer", "Lines at the end", "lines", "Such as a word of thanks"),
        ),
    ),
    Section(
        "rules",
        "Rules",
        "They hold for what arrives from now on; what was decided before stays as it is.",
        (
            Definition("payment_approval", "Approval of payments", "choice", choices=APPROVALS["payment_approval"]),
            Definition("stale_soa_days", "Oldest list of a phone, in days", "number", "Payments on an older one are held", 1, 365),
            Definition("terminal_approval", "New phones work", "choice", choices=APPROVALS["terminal_approval"]),
            Definition(
                "sync_drop_percent",
                "Largest share a download may close by itself, in percent",
                "number",
                "A download that would close more of the open SOAs closes none: PSCloud may have sent only a part",
                0,
                100,
            ),
        ),
    ),
    Section(
        "reasons",
        "Reasons",
        "What a collector may choose from on the phone; for a void and a visit other words can still be typed. One a line, the most "
        "frequent first.",
        (
            Definition("void_reasons", "For a void", "reasons", least=1),
            Definition("no_collection_reasons", "For Cannot collect", "reasons", least=1),
            Definition("expense_kinds", "Kinds of expenses", "reasons", least=1),
        ),
    ),
)
DEFINITIONS: Mapping[str, Definition] = {one.name: one for section in SECTIONS for one in section.settings}
VOID_REASONS = ("Wrong amount", "Wrong customer", "Wrong tender", "Customer changed their mind")
EXPENSE_KINDS = ("Fuel", "Fare", "Meals", "Parking and toll", "Mobile load", "Repair")
NO_COLLECTION_REASONS = (
    "Nobody home",
    "Cannot pay today",
    "Already paid at the office",
    "Address not found",
    "Moved away",
    "Disputes the amount",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting at one moment. `organisation` is what phones and papers are told of the business."""

    values: Mapping[str, Value]

    @property
    def organisation(self) -> dict[str, Value]:
        """Letterhead, words of receipts and reasons, as `business` of the phone API."""
        return {one.name: self.values[one.name] for section in SECTIONS if section.name != "rules" for one in section.settings}

    @property
    def payment_approval(self) -> str:
        """`automatic` or `manual`."""
        return str(self.values["payment_approval"])

    @property
    def terminal_approval(self) -> str:
        """`automatic` or `manual`."""
        return str(self.values["terminal_approval"])

    @property
    def stale_soa_days(self) -> int:
        """Days after which a phone's list is stale."""
        return int(str(self.values["stale_soa_days"]))

    @property
    def sync_drop_percent(self) -> int:
        """Share of the open SOAs that a download may close by itself."""
        return int(str(self.values["sync_drop_percent"]))


def section(name: str) -> Section | None:
    """The section of this name, or None."""
    return next((one for one in SECTIONS if one.name == name), None)


def fits(name: str, value: Any) -> bool:
    """Whether a value, from wherever, is one this setting may have."""
    definition = DEFINITIONS.get(name)
    if definition is None:
        return False
    try:
        return bool(checked(definition, value) == value)
    except InvalidInput:
        return False


def read(definition: Definition, texts: Sequence[str]) -> Value:
    """The value of a setting from what a form sent for it. Raises InvalidInput in plain words."""
    text = texts[0] if texts else ""
    if definition.kind == "flag":
        return text == "1"
    if definition.kind == "number":
        digits = text.strip()
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else -1
        return checked(definition, number)
    if definition.kind in {"lines", "reasons"}:
        lines = [" ".join(line.split()) for line in text.splitlines()]
        return checked(definition, [line for line in lines if line])
    return checked(definition, " ".join(text.split()))


def checked(definition: Definition, value: Any) -> Value:
    """The value when the setting may have it. Raises InvalidInput saying what it may be."""
    label = definition.label
    if definition.kind == "flag" and isinstance(value, bool):
        return value
    if definition.kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        if definition.least <= value <= definition.most:
            return value
        raise InvalidInput(f"{label}: write a whole number from {definition.least} to {definition.most}.")
    if definition.kind == "choice" and isinstance(value, str) and value in (definition.choices or {}):
        return value
    if definition.kind == "line" and isinstance(value, str):
        if not value and definition.least:
            raise InvalidInput(f"{label}: this cannot be empty.")
        if len(value) > definition.most or not value.isprintable():
            raise InvalidInput(f"{label}: use at most {definition.most} ordinary letters.")
        if value and definition.shape and not re.fullmatch(definition.shape, value):
            raise InvalidInput(f"{label}: '{value}' is not one. {definition.hint.replace('Such as', 'Write it like')}.")
        return value
    if definition.kind in {"lines", "reasons"} and isinstance(value, list):
        return _lines(definition, value)
    raise InvalidInput(f"{label}: take one of the choices." if definition.choices else f"{label}: this cannot be read.")


def _lines(definition: Definition, value: list[Any]) -> list[str]:
    most, longest = (MOST_REASONS, 60) if definition.kind == "reasons" else (MOST_LINES, 48)
    lines = [str(line) for line in value]
    if len(lines) < definition.least:
        raise InvalidInput(f"{definition.label}: write at least one line.")
    if len(lines) > most:
        raise InvalidInput(f"{definition.label}: write at most {most} lines.")
    if any(len(line) > longest or not line.isprintable() for line in lines):
        raise InvalidInput(f"{definition.label}: a line holds at most {longest} ordinary letters.")
    if definition.kind == "reasons" and len({line.casefold() for line in lines}) < len(lines):
        raise InvalidInput(f"{definition.label}: one of the lines stands there twice.")
    return lines

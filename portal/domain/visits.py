"""Visits without money: a customer who could not be collected from, and promises to pay. Dates are business dates in Manila."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from portal.domain.payments import Reader

KINDS = ("no_collection", "promise")
LONGEST_REASON = 200
LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True)
class Visit:
    """What a collector noted at the door: why nothing could be collected, or what was promised for which day. Centavos."""

    kind: str
    soa: str
    reason: str = ""
    promised_on: date | None = None
    amount: int | None = None
    note: str = ""


def read_visit(kind: str, payload: Any) -> Visit:
    """The visit in a journal entry's payload (docs/journal.md 5). Raises InvalidInput naming the field that is wrong."""
    read = Reader(payload)
    soa, note = read.text("soa", 100) or "", read.text("note", LONGEST_NOTE, optional=True) or ""
    if kind == "no_collection":
        return Visit(kind, soa, reason=read.text("reason", LONGEST_REASON) or "", note=note)
    amount = None if read.payload.get("amount") is None else read.centavos("amount", lowest=1)
    return Visit(kind, soa, promised_on=read.date("promised_on"), amount=amount, note=note)

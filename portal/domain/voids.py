"""What a void is: the request and the decision as the phone journals them, and who may decide (docs/journal.md, Voids)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.domain.errors import Conflict, Forbidden
from portal.domain.payments import LARGEST_PAYMENT, TENDERS, Reader, read_instant
from portal.domain.receipts import read_receipt_number, read_void_number

STATES = ("requested", "approved", "refused")
DECISIONS = ("approved", "refused")


@dataclass(frozen=True, slots=True)
class VoidRequest:
    """A collector's request to void one payment; `amount` in centavos. The collector is not here: the terminal's holder is."""

    registry: str
    void_number: str
    payment: str
    receipt_number: str
    amount: int
    reason: str
    supervisor_code: str | None = None


@dataclass(frozen=True, slots=True)
class VoidDecision:
    """What the phone wrote down of the office's decision; `amount` in centavos."""

    registry: str
    void_number: str
    payment: str
    amount: int
    tender: str
    decision: str
    decided_by: str
    decided_at: datetime


def read_request(payload: Mapping[str, Any]) -> VoidRequest:
    """The request in a `void_requested` payload. Raises InvalidInput in plain words."""
    reader = Reader(payload)
    number, receipt = reader.text("void_number", most=20) or "", reader.text("receipt_number", most=20) or ""
    read_void_number(number)
    read_receipt_number(receipt)
    return VoidRequest(
        registry=reader.uuid("registry"),
        void_number=number,
        payment=reader.uuid("payment"),
        receipt_number=receipt,
        amount=reader.centavos("amount", lowest=1, highest=LARGEST_PAYMENT),
        reason=(reader.text("reason", most=500) or "").strip(),
        supervisor_code=_read_code(payload.get("supervisor_code")),
    )


def _read_code(value: object) -> str | None:
    """A code as it was typed; whatever else stands there is a wrong code: it never stops the request it came with."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) and len(value) <= 40 else "unreadable"


def read_decision(payload: Mapping[str, Any]) -> VoidDecision:
    """The decision in a `void_decided` payload. Raises InvalidInput in plain words."""
    reader = Reader(payload)
    number = reader.text("void_number", most=20) or ""
    read_void_number(number)
    return VoidDecision(
        registry=reader.uuid("registry"),
        void_number=number,
        payment=reader.uuid("payment"),
        amount=reader.centavos("amount", lowest=1, highest=LARGEST_PAYMENT),
        tender=reader.one_of("tender", TENDERS),
        decision=reader.one_of("decision", DECISIONS),
        decided_by=reader.text("decided_by", most=60) or "",
        decided_at=read_instant(reader.text("decided_at", most=40) or ""),
    )


def check_decider(who: str, asked_by: str, collected_by: str, state: str) -> None:
    """Raises Forbidden when `who` asked for the void or collected the payment, Conflict when it is decided already (DOMAIN 1)."""
    if state != "requested":
        raise Conflict(f"This void was {state} already. Reload the page to see by whom.")
    if who == asked_by:
        raise Forbidden("Nobody decides a void they asked for themselves. Ask another supervisor.")
    if who == collected_by:
        raise Forbidden("Nobody decides a void of a payment they collected themselves. Ask another supervisor.")

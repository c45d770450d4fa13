"""Expenses and cash drops as the phone journals them, and who may decide an expense (docs/journal.md, Expenses and cash drops)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.domain.errors import Conflict, Forbidden
from portal.domain.payments import LARGEST_PAYMENT, Reader, read_instant

STATES = ("requested", "approved", "refused")
DECISIONS = ("approved", "refused")
UNNAMED = "Other"
"""The kind of an expense whose entry names none."""
_BY_PLACE = uuid.UUID("6f5a9c1e-3f0d-4b0e-9d39-0c8f1d2f7a11")


@dataclass(frozen=True, slots=True)
class Expense:
    """Money a collector spent out of the cash in hand; `amount` in centavos. Who spent it is the terminal's holder."""

    id: str
    registry: str
    amount: int
    category: str
    description: str


@dataclass(frozen=True, slots=True)
class CashDrop:
    """Cash handed over before the remittance; `amount` in centavos."""

    registry: str
    amount: int
    given_to: str
    reference: str
    description: str


@dataclass(frozen=True, slots=True)
class ExpenseDecision:
    """What the phone wrote down of the office's decision; `amount` in centavos."""

    registry: str
    expense: str
    amount: int
    decision: str
    decided_by: str
    decided_at: datetime


def read_expense(payload: Mapping[str, Any], terminal: str, seq: int) -> Expense:
    """The expense in an `expense` payload. One without a UUID of its own is known by its place in the journal. Raises InvalidInput."""
    reader = Reader(payload)
    named = payload.get("expense") is not None
    return Expense(
        id=reader.uuid("expense") if named else str(uuid.uuid5(_BY_PLACE, f"{terminal}/{seq}")),
        registry=reader.uuid("registry"),
        amount=reader.centavos("amount", lowest=1, highest=LARGEST_PAYMENT),
        category=(reader.text("category", most=60, optional=True) or "").strip() or UNNAMED,
        description=(reader.text("description", most=500, optional=True) or "").strip(),
    )


def read_drop(payload: Mapping[str, Any]) -> CashDrop:
    """The drop in a `cash_drop` payload. Raises InvalidInput in plain words."""
    reader = Reader(payload)
    return CashDrop(
        registry=reader.uuid("registry"),
        amount=reader.centavos("amount", lowest=1, highest=LARGEST_PAYMENT),
        given_to=(reader.text("given_to", most=100, optional=True) or "").strip(),
        reference=(reader.text("reference", most=60, optional=True) or "").strip(),
        description=(reader.text("description", most=500, optional=True) or "").strip(),
    )


def read_decision(payload: Mapping[str, Any]) -> ExpenseDecision:
    """The decision in an `expense_decided` payload. Raises InvalidInput in plain words."""
    reader = Reader(payload)
    return ExpenseDecision(
        registry=reader.uuid("registry"),
        expense=reader.uuid("expense"),
        amount=reader.centavos("amount", lowest=1, highest=LARGEST_PAYMENT),
        decision=reader.one_of("decision", DECISIONS),
        decided_by=reader.text("decided_by", most=60) or "",
        decided_at=read_instant(reader.text("decided_at", most=40) or ""),
    )


def check_decider(who: str, spent_by: str, state: str) -> None:
    """Raises Forbidden when `who` spent the money, Conflict when it is decided already (DOMAIN 1)."""
    if state != "requested":
        raise Conflict(f"This expense was {state} already. Reload the page to see by whom.")
    if who == spent_by:
        raise Forbidden("Nobody decides an expense of their own. Ask another supervisor.")

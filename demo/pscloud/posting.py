"""What PSCloud does with a payment: accept it once, know it again, refuse it with a reason, or void it."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from demo.pscloud import money, store
from demo.pscloud.errors import ApiError
from demo.pscloud.records import MANILA, Soa, as_json
from demo.pscloud.records import instant as records_instant

METHODS = ("cash", "check", "e_wallet", "bank_transfer")
KINDS = ("principal", "penalty", "advance")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Rejected(Exception):
    """This payment is not accepted; code and message go into its result."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Allocation:
    """Part of a payment in centavos; invoice_id is None for an advance."""

    invoice_id: str | None
    kind: str
    amount: int


@dataclass(frozen=True)
class Payment:
    """A payment as sent, read and checked for shape; amounts in centavos."""

    reference: str
    receipt_number: str
    soa_id: str
    amount: int
    method: str
    method_reference: str | None
    collected_at: datetime
    collector_code: str
    allocations: tuple[Allocation, ...]

    def content(self) -> str:
        """Text that is equal for two payments exactly when PSCloud takes them for the same one."""
        return as_json(
            {
                "receipt_number": self.receipt_number,
                "soa_id": self.soa_id,
                "amount": self.amount,
                "method": self.method,
                "method_reference": self.method_reference,
                "collected_at": store.micros(self.collected_at),
                "collector_code": self.collector_code,
                "allocations": [[part.invoice_id, part.kind, part.amount] for part in self.allocations],
            }
        )


def instant(value: object, name: str) -> datetime:
    """An ISO 8601 instant with an offset; raises ValueError with a plain message."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1900 < moment.year < 2200:
        raise ValueError(f"{name} must be an instant with an offset, like 2026-11-20T08:15:30+08:00")
    return moment


def post_batch(db: sqlite3.Connection, items: list[dict[str, Any]], now: datetime, refuse: Callable[[], bool]) -> list[dict[str, Any]]:
    """One result for each item, in order; `refuse` is asked before a new payment is accepted (a switch for tests)."""
    return [_post_one(db, item, now, refuse) for item in items]


def _post_one(db: sqlite3.Connection, item: dict[str, Any], now: datetime, refuse: Callable[[], bool]) -> dict[str, Any]:
    reference = item["reference"]
    held = store.payment(db, reference.lower())
    try:
        if held is not None:
            return _known(item, held)
        payment = _read(item)
        if refuse():
            raise Rejected("invalid", "PSCloud was told to refuse this payment (demo switch reject_next).")
        stored = _accept(db, payment, now)
    except Rejected as rejection:
        return result(reference, "rejected", None, {"code": rejection.code, "message": rejection.message})
    return result(reference, "accepted", stored.pscloud_id)


def result(reference: str, status: str, pscloud_id: str | None, error: dict[str, str] | None = None) -> dict[str, Any]:
    """A PaymentResult of the contract."""
    return {"reference": reference, "status": status, "pscloud_id": pscloud_id, "error": error}


def details(held: store.StoredPayment) -> dict[str, Any]:
    """What a payment is about, beyond its result."""
    return {
        "amount": money.text(held.amount),
        "soa_id": held.soa_id,
        "receipt_number": held.receipt_number,
        "collected_at": records_instant(held.collected_at),
    }


def _known(item: dict[str, Any], held: store.StoredPayment) -> dict[str, Any]:
    """A reference seen before: the same content is a duplicate, anything else a conflict."""
    try:
        same = _read(item).content() == held.content
    except Rejected:
        same = False
    if not same:
        raise Rejected(
            "reference_conflict",
            f"PSCloud already holds a payment with this reference and other content (receipt {held.receipt_number}). Nothing was changed.",
        )
    return result(item["reference"], "duplicate", held.pscloud_id)


def _read(item: dict[str, Any]) -> Payment:
    """The payment in exact figures; raises Rejected naming the first thing that is wrong."""
    if not _UUID.fullmatch(item["reference"].lower()):
        raise Rejected("invalid", "reference must be a UUID.")
    if item.get("method") not in METHODS:
        raise Rejected("invalid", f"method must be one of {', '.join(METHODS)}.")
    method_reference = item.get("method_reference")
    if method_reference is not None and not isinstance(method_reference, str):
        raise Rejected("invalid", "method_reference must be text or null.")
    try:
        collected_at = instant(item.get("collected_at"), "collected_at")
    except ValueError as error:
        raise Rejected("invalid", f"{error}.") from error
    parts = item.get("allocations")
    if not isinstance(parts, list):
        raise Rejected("invalid", "allocations must be a list.")
    payment = Payment(
        reference=item["reference"].lower(),
        receipt_number=_text(item, "receipt_number"),
        soa_id=_text(item, "soa_id"),
        amount=_amount(item.get("amount"), "amount"),
        method=item["method"],
        method_reference=method_reference,
        collected_at=collected_at,
        collector_code=_text(item, "collector_code"),
        allocations=tuple(_allocation(part, f"allocations[{index}]") for index, part in enumerate(parts)),
    )
    allocated = sum(part.amount for part in payment.allocations)
    if allocated != payment.amount:
        raise Rejected("invalid", f"The allocations add up to {money.text(allocated)}, but the payment is {money.text(payment.amount)}.")
    return payment


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > 100:
        raise Rejected("invalid", f"{name} must be text of 1 to 100 characters.")
    return value


def _amount(value: object, name: str) -> int:
    try:
        centavos = money.parse(value)
    except money.NotMoney as error:
        raise Rejected("invalid", f"{name}: {error}.") from error
    if centavos <= 0:
        raise Rejected("invalid", f"{name} must be above zero.")
    return centavos


def _allocation(part: object, name: str) -> Allocation:
    if not isinstance(part, dict):
        raise Rejected("invalid", f"{name} must be an object.")
    kind, invoice_id = part.get("kind"), part.get("invoice_id")
    if kind not in KINDS:
        raise Rejected("invalid", f"{name}.kind must be one of {', '.join(KINDS)}.")
    if kind == "advance" and invoice_id is not None:
        raise Rejected("invalid", f"{name} is an advance and must not name an invoice.")
    if kind != "advance" and not isinstance(invoice_id, str):
        raise Rejected("invalid", f"{name} pays {kind} and must name the invoice in invoice_id.")
    return Allocation(invoice_id, kind, _amount(part.get("amount"), f"{name}.amount"))


def _accept(db: sqlite3.Connection, payment: Payment, now: datetime) -> store.StoredPayment:
    """Applies the payment to its statement and stores it; raises Rejected before anything is written."""
    soa = store.load(db, payment.soa_id)
    if soa is None or soa.hidden:
        raise Rejected("soa_not_found", f"PSCloud has no statement of account {payment.soa_id}.")
    if soa.status != "active":
        raise Rejected("soa_closed", f"Statement {soa.soa_number} is {soa.status}; PSCloud takes no more payments for it.")
    if soa.fault:
        raise Rejected("invalid", f"The record of statement {soa.soa_number} is damaged in PSCloud and must be corrected there first.")
    _apply(soa, payment)
    if soa.amount_due == 0:
        soa.status = "settled"
    store.save_and_publish(db, soa, now)
    return store.add_payment(
        db,
        reference=payment.reference,
        content=payment.content(),
        soa_id=soa.id,
        receipt_number=payment.receipt_number,
        amount=payment.amount,
        collected_at=payment.collected_at,
        allocations=[{"invoice_id": part.invoice_id, "kind": part.kind, "amount": part.amount} for part in payment.allocations],
        now=now,
    )


def _apply(soa: Soa, payment: Payment) -> None:
    """Takes each allocation off its invoice, an advance onto the account; `soa` is used only when nothing was refused."""
    for part in payment.allocations:
        if part.invoice_id is None:
            soa.credit += part.amount
            continue
        invoice = soa.invoice(part.invoice_id)
        if invoice is None:
            raise Rejected("invalid", f"Statement {soa.soa_number} has no invoice {part.invoice_id}.")
        owed = invoice.penalty if part.kind == "penalty" else invoice.balance
        if part.amount > owed:
            raise Rejected(
                "invalid",
                f"{money.text(part.amount)} is allocated to the {part.kind} of invoice {invoice.invoice_number},"
                f" but only {money.text(owed)} is owed.",
            )
        if part.kind == "penalty":
            invoice.penalty -= part.amount
        else:
            invoice.balance -= part.amount


def void(db: sqlite3.Connection, reference: str, body: dict[str, Any], now: datetime, closed_before: date | None) -> dict[str, Any]:
    """Voids an accepted payment and restores its balances; the same reason again changes nothing.

    Raises ApiError: 400 for a broken body, 404 never posted, 409 voided with another reason or collected in a closed period.
    """
    reason, approved_by = body.get("reason"), body.get("approved_by")
    if not isinstance(reason, str) or not reason.strip() or not isinstance(approved_by, str) or not approved_by.strip():
        raise ApiError(400, "bad_request", "A void needs a reason and approved_by, both as text.")
    try:
        voided_at = instant(body.get("voided_at"), "voided_at")
    except ValueError as error:
        raise ApiError(400, "bad_request", f"{error}.") from error
    held = store.payment(db, reference.lower())
    if held is None:
        raise ApiError(404, "payment_not_found", "PSCloud holds no payment with this reference.")
    if held.status == "voided":
        if held.void_reason != reason:
            raise ApiError(409, "already_voided", f"This payment was voided before, with the reason: {held.void_reason}")
        return result(reference, "voided", held.pscloud_id)
    if closed_before is not None and held.collected_at.astimezone(MANILA).date() < closed_before:
        raise ApiError(409, "period_closed", f"The period of this payment is closed; only payments from {closed_before} on can be voided.")
    soa = store.load(db, held.soa_id)
    if soa is None:
        raise LookupError(f"payment {held.reference} names statement {held.soa_id}, which is not in the data file")
    _restore(soa, held)
    store.save_and_publish(db, soa, now)
    store.mark_voided(db, held.reference, reason, voided_at.isoformat(), approved_by)
    return result(reference, "voided", held.pscloud_id)


def _restore(soa: Soa, held: store.StoredPayment) -> None:
    """Puts each allocation back where it came from; a settled statement that owes again is active again."""
    for part in held.allocations:
        if part["invoice_id"] is None:
            soa.credit -= part["amount"]
            continue
        invoice = soa.invoice(part["invoice_id"])
        if invoice is None:
            raise LookupError(f"payment {held.reference} names invoice {part['invoice_id']}, which is not in the data file")
        if part["kind"] == "penalty":
            invoice.penalty += part["amount"]
        else:
            invoice.balance += part["amount"]
    if soa.status == "settled" and soa.amount_due > 0:
        soa.status = "active"

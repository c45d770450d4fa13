"""Which invoice a payment pays. Twin: static/mpos/domain/allocation.mjs; both are held to tests/vectors/allocation.json.

Money here is integer centavos, the form in which phone and portal exchange it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from portal.domain.errors import InvalidInput
from portal.domain.money import half_up

Mode = Literal["oldest_first", "directed"]
Kind = Literal["penalty", "principal", "advance"]


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """What allocation needs of an invoice; `balance` and `penalty` are what is still open, `amount` and `vat_amount` as invoiced."""

    id: str
    invoice_number: str
    due_date: str
    balance: int
    penalty: int
    amount: int = 0
    vat_amount: int = 0
    vat_type: str = "vatable"


@dataclass(frozen=True, slots=True)
class Allocation:
    """A part of a payment: to an invoice's penalty or principal, or an advance on the account (`invoice` None)."""

    invoice: str | None
    invoice_number: str | None
    kind: Kind
    amount: int


@dataclass(frozen=True, slots=True)
class Vat:
    """The principal of one payment split by VAT; the four add up to that principal."""

    vatable: int = 0
    vat_amount: int = 0
    vat_exempt: int = 0
    zero_rated: int = 0


def allocate(amount: int, invoices: Sequence[OpenInvoice], mode: Mode = "oldest_first", directed: Sequence[str] = ()) -> list[Allocation]:
    """Allocate `amount` centavos (DOMAIN 4): invoices by due date then number, on each penalty then principal, the rest an advance.

    `directed` (Civil Code 1252) pays the chosen invoices first, in the order chosen, and only what they leave becomes an advance.
    The parts are above zero and add up to `amount`. Raises InvalidInput for an amount of zero or less or an unknown chosen invoice."""
    if amount <= 0:
        raise InvalidInput("A payment must be more than zero.")
    by_id = {invoice.id: invoice for invoice in invoices}
    if mode == "directed":
        unknown = [key for key in directed if key not in by_id]
        if unknown or not directed:
            raise InvalidInput("Choose at least one invoice of this SOA.")
        order = [by_id[key] for key in dict.fromkeys(directed)]
    else:
        order = sorted(invoices, key=lambda invoice: (invoice.due_date, invoice.invoice_number, invoice.id))
    parts: list[Allocation] = []
    left = amount
    for invoice in order:
        for kind, open_amount in (("penalty", invoice.penalty), ("principal", invoice.balance)):
            part = min(left, max(open_amount, 0))
            if part > 0:
                parts.append(Allocation(invoice.id, invoice.invoice_number, kind, part))  # type: ignore[arg-type]
                left -= part
    if left > 0:
        parts.append(Allocation(None, None, "advance", left))
    return parts


def split_vat(allocations: Sequence[Allocation], invoices: Sequence[OpenInvoice]) -> Vat:
    """Split a payment's principal pro rata by each invoice's own VAT figures, rounded half-up once for the whole payment (DOMAIN 4)."""
    by_id = {invoice.id: invoice for invoice in invoices}
    vatable = exempt = zero_rated = 0
    vat = Fraction(0)
    for part in allocations:
        if part.kind != "principal" or part.invoice is None:
            continue
        invoice = by_id[part.invoice]
        if invoice.vat_type == "exempt":
            exempt += part.amount
        elif invoice.vat_type == "zero_rated":
            zero_rated += part.amount
        else:
            vatable += part.amount
            if invoice.amount > 0:
                vat += Fraction(part.amount * invoice.vat_amount, invoice.amount)
    vat_amount = min(half_up(vat), vatable)
    return Vat(vatable - vat_amount, vat_amount, exempt, zero_rated)


def less_payments(invoices: Sequence[OpenInvoice], paid: Sequence[Allocation]) -> list[OpenInvoice]:
    """The invoices with `paid` taken off, never below zero: a snapshot less the payments it does not hold yet.

    Advances already taken reduce nothing here: what an advance pays is PSCloud's decision."""
    taken: dict[tuple[str, str], int] = {}
    for part in paid:
        if part.invoice is not None:
            taken[part.invoice, part.kind] = taken.get((part.invoice, part.kind), 0) + part.amount
    return [
        OpenInvoice(
            invoice.id,
            invoice.invoice_number,
            invoice.due_date,
            max(invoice.balance - taken.get((invoice.id, "principal"), 0), 0),
            max(invoice.penalty - taken.get((invoice.id, "penalty"), 0), 0),
            invoice.amount,
            invoice.vat_amount,
            invoice.vat_type,
        )
        for invoice in invoices
    ]

"""A statement of account (SOA) and its invoices, as PSCloud last told us. Money in exact pesos, dates are business dates."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from portal.domain.plain import plain

VatType = Literal["vatable", "exempt", "zero_rated"]
VAT_TYPES: tuple[VatType, ...] = ("vatable", "exempt", "zero_rated")
SoaStatus = Literal["active", "closed"]


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice: `balance` is unpaid principal without penalty; `amount` is as invoiced, VAT included."""

    id: str
    invoice_number: str
    invoice_date: date
    due_date: date
    description: str
    amount: Decimal
    balance: Decimal
    penalty: Decimal
    vat_type: VatType
    vat_amount: Decimal


@dataclass(frozen=True, slots=True)
class Soa:
    """One SOA; `amount_due` includes `penalty`. `invoices` are in allocation order: due date, then number."""

    id: str
    soa_number: str
    customer_id: str
    account_number: str
    customer_name: str
    address: str
    contact_number: str
    tin: str
    issued_on: date
    due_date: date
    amount_due: Decimal
    penalty: Decimal
    collector_code: str | None
    status: SoaStatus
    updated_at: datetime
    invoices: tuple[Invoice, ...]

    @property
    def version(self) -> str:
        """Short fingerprint of all that matters to a payment; equal when nothing changed (`updated_at` alone does not count)."""
        return plain(self).version


def in_order(invoices: tuple[Invoice, ...]) -> tuple[Invoice, ...]:
    """Invoices by due date, then number: the order of `oldest_first` (DOMAIN 4)."""
    return tuple(sorted(invoices, key=lambda invoice: (invoice.due_date, invoice.invoice_number, invoice.id)))


def days_overdue(due: date, today: date) -> int:
    """Whole days past the due date; 0 when not yet due."""
    return max((today - due).days, 0)


def changes(old: Soa, new: Soa) -> dict[str, tuple[str, str]]:
    """Field name -> (before, after) as text, for the account's timeline. An invoice's field is named `invoice <number>: <field>`; one that
    came or went is told as a whole, as `invoice <number>`."""
    found = _differences(old, new, {"updated_at", "invoices"})
    old_invoices = {invoice.id: invoice for invoice in old.invoices}
    new_invoices = {invoice.id: invoice for invoice in new.invoices}
    for key in sorted(old_invoices.keys() | new_invoices.keys()):
        was, now = old_invoices.get(key), new_invoices.get(key)
        if was is not None and now is not None:
            for name, texts in _differences(was, now, {"id"}).items():
                found[f"invoice {now.invoice_number}: {name.replace('_', ' ')}"] = texts
        elif was is not None:
            found[f"invoice {was.invoice_number}"] = (_invoice_text(was), "")
        elif now is not None:
            found[f"invoice {now.invoice_number}"] = ("", _invoice_text(now))
    return found


def _differences(old: Soa | Invoice, new: Soa | Invoice, apart: set[str]) -> dict[str, tuple[str, str]]:
    found = {}
    for field in fields(old):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after and field.name not in apart:
            found[field.name] = (_text(before), _text(after))
    return found


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _invoice_text(invoice: Invoice) -> str:
    return f"balance {invoice.balance}, penalty {invoice.penalty}, due {invoice.due_date}"

"""An SOA with its invoices as the simulator holds it, and the JSON record that PSCloud would publish for it."""

import copy
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from demo.pscloud import money

MANILA = ZoneInfo("Asia/Manila")
STATUSES = ("active", "settled", "cancelled")


@dataclass
class Invoice:
    """One invoice; amount, balance, penalty and vat_amount in centavos, balance without penalty."""

    id: str
    invoice_number: str
    invoice_date: date
    due_date: date
    description: str
    amount: int
    balance: int
    penalty: int
    vat_type: str
    vat_amount: int


@dataclass
class Soa:
    """One statement of account; credit is the advance held on the account, in centavos."""

    id: str
    soa_number: str
    customer_id: str
    account_number: str
    name: str
    address: str | None
    contact_number: str | None
    tin: str | None
    latitude: float | None
    longitude: float | None
    issued_on: date
    due_date: date
    collector_code: str | None
    status: str
    invoices: list[Invoice] = field(default_factory=list)
    credit: int = 0
    hidden: bool = False
    fault: list[dict[str, Any]] | None = None

    @property
    def penalty(self) -> int:
        """Penalty of all invoices in centavos."""
        return sum(invoice.penalty for invoice in self.invoices)

    @property
    def amount_due(self) -> int:
        """What is owed now in centavos, penalty included: exactly the sum of balances and penalties."""
        return sum(invoice.balance + invoice.penalty for invoice in self.invoices)

    def invoice(self, invoice_id: str) -> Invoice | None:
        """The invoice with this id, or None."""
        return next((invoice for invoice in self.invoices if invoice.id == invoice_id), None)

    def oldest_first(self) -> list[Invoice]:
        """Invoices by due date, then number: the order in which money is applied."""
        return sorted(self.invoices, key=lambda invoice: (invoice.due_date, invoice.invoice_number))


def instant(moment: datetime) -> str:
    """An instant as PSCloud prints it: ISO 8601 with microseconds and Manila's offset."""
    return moment.astimezone(MANILA).isoformat(timespec="microseconds")


def record(soa: Soa, updated_at: datetime) -> dict[str, Any]:
    """The published record of an SOA; with a fault, the record carries that fault."""
    published: dict[str, Any] = {
        "id": soa.id,
        "soa_number": soa.soa_number,
        "customer": {
            "id": soa.customer_id,
            "account_number": soa.account_number,
            "name": soa.name,
            "address": soa.address,
            "contact_number": soa.contact_number,
            "tin": soa.tin,
            "latitude": soa.latitude,
            "longitude": soa.longitude,
        },
        "issued_on": soa.issued_on.isoformat(),
        "due_date": soa.due_date.isoformat(),
        "amount_due": money.text(soa.amount_due),
        "penalty": money.text(soa.penalty),
        "collector_code": soa.collector_code,
        "status": soa.status,
        "updated_at": instant(updated_at),
        "invoices": [
            {
                "id": invoice.id,
                "invoice_number": invoice.invoice_number,
                "invoice_date": invoice.invoice_date.isoformat(),
                "due_date": invoice.due_date.isoformat(),
                "description": invoice.description,
                "amount": money.text(invoice.amount),
                "balance": money.text(invoice.balance),
                "penalty": money.text(invoice.penalty),
                "vat_type": invoice.vat_type,
                "vat_amount": money.text(invoice.vat_amount),
            }
            for invoice in soa.invoices
        ],
    }
    return damaged(published, soa.fault) if soa.fault else published


def damaged(published: dict[str, Any], edits: list[dict[str, Any]]) -> dict[str, Any]:
    """A copy of the record with each edit applied: {"path": [...], "value": x} or {"path": [...], "remove": true}.

    Raises ValueError when an edit points at nothing.
    """
    result = copy.deepcopy(published)
    for edit in edits:
        path = edit.get("path") if isinstance(edit, dict) else None
        if not isinstance(path, list) or not path or not ("value" in edit or edit.get("remove") is True):
            raise ValueError('each edit is {"path": [...], "value": ...} or {"path": [...], "remove": true}')
        target: Any = result
        try:
            for step in path[:-1]:
                target = target[step]
            if edit.get("remove") is True:
                del target[path[-1]]
            else:
                target[path[-1]] = edit["value"]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"there is nothing at {path!r} in the record") from error
    return result


def as_json(value: Any) -> str:
    """Compact JSON text, characters outside ASCII written literally; refuses NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

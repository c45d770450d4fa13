"""The list of SOAs a phone downloads: PSCloud's figures less every payment they do not show yet (docs/phone-api.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from portal.domain import allocation
from portal.domain import columns as by_column
from portal.domain.allocation import Allocation
from portal.domain.money import centavos
from portal.domain.soa import Soa
from portal.services.payments import open_invoices, snapshot_name
from portal.store import ledger, soa_columns, soas


def snapshot(user_id: int, codes: Sequence[str], business: Mapping[str, object]) -> dict[str, Any]:
    """The snapshot for these collector codes, money in integer centavos. To be read in one database snapshot."""
    found = soas.for_codes(codes) if codes else []
    paid = ledger.unreflected([soa.id for soa in found])
    records = [record(soa, paid.get(soa.id, [])) for soa in found]
    return {**_head(user_id, codes, business, [record["amount_due"] for record in records]), "soas": records}


def columns(user_id: int, codes: Sequence[str], business: Mapping[str, object]) -> dict[str, Any]:
    """The same snapshot with `columns` in place of `soas` (docs/phone-api.md, the list in columns)."""
    table = soa_columns.for_codes(codes)
    _take_off_payments(table, codes)
    amounts = table.soas[by_column.SOA_FIELDS.index("amount_due")]
    return {**_head(user_id, codes, business, amounts), "columns": by_column.pack(table)}


def _head(user_id: int, codes: Sequence[str], business: Mapping[str, object], amounts: Sequence[int]) -> dict[str, Any]:
    figures = soa_columns.figures()
    as_of = figures.as_of or datetime(2000, 1, 1, tzinfo=UTC)
    return {
        "snapshot": snapshot_name(figures.run_id or 0, figures.received),
        "as_of": as_of.isoformat(),
        "count": len(amounts),
        "amount_due": sum(amounts),
        "included": {code: head_seq for code, _, head_seq in soa_columns.states(user_id)},
        "collector_codes": list(codes),
        "business": dict(business),
    }


def _take_off_payments(table: by_column.Table, codes: Sequence[str]) -> None:
    """Put the figures less payments into the few SOAs that have any: those SOAs alone are read whole."""
    touched = soa_columns.collected(codes)
    if not touched:
        return
    paid = ledger.unreflected(touched)
    rows = {soa_id: row for row, soa_id in enumerate(table.soas[0])}
    starts = list(accumulate(table.counts, initial=0))
    soa_field, invoice_field = by_column.SOA_FIELDS.index, by_column.INVOICE_FIELDS.index
    for soa_id, soa in soas.get_many(list(paid)).items():
        less, row = record(soa, paid[soa_id]), rows[soa_id]
        for name in ("amount_due", "penalty"):
            table.soas[soa_field(name)][row] = less[name]
        for place, invoice in enumerate(less["invoices"], starts[row]):
            for name in ("balance", "penalty"):
                table.invoices[invoice_field(name)][place] = invoice[name]


def tag(user_id: int, codes: Sequence[str], business: Mapping[str, object]) -> str:
    """A short text that changes whenever the figures would: cheap to work out, so an unchanged phone costs almost nothing.

    How far the journals are included is left out: an older `included` stays right as long as no payment came in."""
    mine = [(code, state) for code, state, _ in soa_columns.states(user_id)]
    parts = repr((*soa_columns.figures(), mine, sorted(codes), sorted(business.items())))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def record(soa: Soa, paid: Sequence[Allocation]) -> dict[str, Any]:
    """One SOA of the list, less what was paid. Centavos."""
    open_now = {invoice.id: invoice for invoice in allocation.less_payments(open_invoices(soa), paid)}
    # Charges that PSCloud adds to the SOA itself and to no invoice stay in the amount due; what was paid comes off it.
    taken = sum(part.amount for part in paid)
    penalty_taken = sum(part.amount for part in paid if part.kind == "penalty")
    return {
        "id": soa.id,
        "soa_number": soa.soa_number,
        "version": soa.version,
        "account_number": soa.account_number,
        "customer_name": soa.customer_name,
        "address": soa.address,
        "contact_number": soa.contact_number,
        "tin": soa.tin,
        "issued_on": soa.issued_on.isoformat(),
        "due_date": soa.due_date.isoformat(),
        "amount_due": max(centavos(soa.amount_due) - taken, 0),
        "penalty": max(centavos(soa.penalty) - penalty_taken, 0),
        "collector_code": soa.collector_code,
        "invoices": [
            {
                "id": invoice.id,
                "invoice_number": invoice.invoice_number,
                "invoice_date": invoice.invoice_date.isoformat(),
                "due_date": invoice.due_date.isoformat(),
                "description": invoice.description,
                "amount": centavos(invoice.amount),
                "balance": open_now[invoice.id].balance,
                "penalty": open_now[invoice.id].penalty,
                "vat_type": invoice.vat_type,
                "vat_amount": centavos(invoice.vat_amount),
            }
            for invoice in soa.invoices
        ],
    }

"""The list of SOAs a phone downloads: PSCloud's figures less every payment they do not show yet (docs/phone-api.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from portal.domain import allocation
from portal.domain.allocation import Allocation
from portal.domain.money import centavos
from portal.domain.soa import Soa
from portal.services.payments import open_invoices, snapshot_name
from portal.store import ledger, soas, terminals, voids


def snapshot(user_id: int, codes: Sequence[str], business: Mapping[str, object]) -> dict[str, Any]:
    """The snapshot for these collector codes, money in integer centavos. To be read in one database snapshot."""
    included = {terminal.code: terminal.head_seq for terminal in terminals.of_user(user_id)}
    run_id, as_of = soas.data_as_of() or (0, datetime(2000, 1, 1, tzinfo=UTC))
    found = soas.for_codes(codes) if codes else []
    paid = ledger.unreflected([soa.id for soa in found])
    records = [_record(soa, paid.get(soa.id, [])) for soa in found]
    return {
        "snapshot": snapshot_name(run_id, ledger.last_received()),
        "as_of": as_of.isoformat(),
        "count": len(records),
        "amount_due": sum(record["amount_due"] for record in records),
        "included": included,
        "collector_codes": list(codes),
        "business": dict(business),
        "soas": records,
    }


def tag(user_id: int, codes: Sequence[str], business: Mapping[str, object]) -> str:
    """A short text that changes whenever the figures would: cheap to work out, so an unchanged phone costs almost nothing.

    How far the journals are included is left out: an older `included` stays right as long as no payment came in."""
    included = sorted((terminal.code, terminal.state) for terminal in terminals.of_user(user_id))
    figures = (soas.data_as_of(), soas.last_change(), ledger.last_received(), ledger.last_allocation(), voids.last_decision())
    parts = repr((*figures, included, sorted(codes), sorted(business.items())))
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _record(soa: Soa, paid: Sequence[Allocation]) -> dict[str, Any]:
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

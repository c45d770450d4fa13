"""The list in columns as docs/phone-api.md explains it, written from that page: what another client would do with it."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import accumulate
from typing import Any

from portal.domain import columns


def table(soas: list[dict[str, Any]]) -> columns.Table:
    """The SOAs of a snapshot by field, as the portal reads them."""

    def by_field(records: list[dict[str, Any]], names: tuple[str, ...]) -> list[list[Any]]:
        return [[one[name] for one in records] for name in names]

    invoices = [invoice for soa in soas for invoice in soa["invoices"]]
    counts = [len(soa["invoices"]) for soa in soas]
    return columns.Table(by_field(soas, columns.SOA_FIELDS), by_field(invoices, columns.INVOICE_FIELDS), counts)


def unpack(packed: dict[str, Any]) -> list[dict[str, Any]]:
    """The SOAs of a snapshot from its columns."""
    soas, of = packed["soas"], packed["invoices"]
    ids, invoice_ids, descriptions = lengthened(soas["id"]), lengthened(of["id"]), lengthened(of["description"])
    starts = list(accumulate(soas["invoices"], initial=0))
    found = []
    for row, soa_id in enumerate(ids):
        due = date(2000, 1, 1) + timedelta(days=soas["due_date"][row])
        invoices = []
        for place in range(starts[row], starts[row + 1]):
            own_due = due - timedelta(days=of["due_date"][place])
            amount, kind = of["amount"][place], of["vat_type"][place]
            invoices.append(
                {
                    "id": invoice_ids[place],
                    "invoice_number": of["invoice_number"][place],
                    "invoice_date": (own_due - timedelta(days=of["invoice_date"][place])).isoformat(),
                    "due_date": own_due.isoformat(),
                    "description": descriptions[place],
                    "amount": amount,
                    "balance": amount - of["paid"][place],
                    "penalty": of["penalty"][place],
                    "vat_type": kind,
                    "vat_amount": of["vat_amount"][place] + ((amount * 24 + 112) // 224 if kind == "vatable" else 0),
                }
            )
        texts = {name: soas[name][row] for name in columns.SOA_TEXTS}
        found.append(
            {
                "id": soa_id,
                **texts,
                "issued_on": (due - timedelta(days=soas["issued_on"][row])).isoformat(),
                "due_date": due.isoformat(),
                "amount_due": soas["amount_due"][row] + sum(one["balance"] + one["penalty"] for one in invoices),
                "penalty": soas["penalty"][row] + sum(one["penalty"] for one in invoices),
                "invoices": invoices,
            }
        )
    return found


def lengthened(column: list[list[Any]]) -> list[str]:
    """The whole texts of a shortened column."""
    before, found = "", []
    for shared, rest in zip(*column, strict=True):
        before = before[:shared] + rest
        found.append(before)
    return found

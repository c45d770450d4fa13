"""The list of SOAs for a phone, one array per field: small when compressed, quick to write (docs/phone-api.md, the list in columns).

Twin of static/mpos/domain/columns.mjs, both held to tests/vectors/columns.json. Money in centavos, dates are business dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate, chain, repeat
from operator import add, sub
from typing import Any

FIRST_DAY = date(2000, 1, 1).toordinal()
SOA_TEXTS = ("soa_number", "version", "account_number", "customer_name", "address", "contact_number", "tin", "collector_code")

SOA_FIELDS = ("id", *SOA_TEXTS, "issued_on", "due_date", "amount_due", "penalty")
INVOICE_TEXTS = ("invoice_number",)
INVOICE_FIELDS = (
    "id",
    *INVOICE_TEXTS,
    "description",
    "invoice_date",
    "due_date",
    "amount",
    "balance",
    "penalty",
    "vat_type",
    "vat_amount",
)


@dataclass(frozen=True, slots=True)
class Table:
    """SOAs and their invoices by field: `soas` as SOA_FIELDS and `invoices` as INVOICE_FIELDS name them, the invoices of the first SOA
    first; `counts` says how many invoices each SOA has. Dates are ISO texts. What SOA_TEXTS and INVOICE_TEXTS name is passed on unread."""

    soas: list[Any]
    invoices: list[Any]
    counts: list[int]


def pack(table: Table) -> dict[str, dict[str, Any]]:
    """The two sets of columns. What follows from other columns is sent as the difference from it, which is nearly always 0: the VAT from
    12 % inside the amount, rounded half up."""
    soa = dict(zip(SOA_FIELDS, table.soas, strict=True))
    invoice = dict(zip(INVOICE_FIELDS, table.invoices, strict=True))
    due, issued = _days(soa["due_date"]), _days(soa["issued_on"])
    invoice_due, dated = _days(invoice["due_date"]), _days(invoice["invoice_date"])
    soa_due = chain.from_iterable(map(repeat, due, table.counts))
    amounts, balances, invoice_penalties = invoice["amount"], invoice["balance"], invoice["penalty"]
    penalties = _sums(invoice_penalties, table.counts)
    owed = list(map(add, penalties, _sums(balances, table.counts)))
    return {
        "soas": {
            "id": shortened(soa["id"]),
            **{name: soa[name] for name in SOA_TEXTS},
            "due_date": [day - FIRST_DAY for day in due],
            "issued_on": list(map(sub, due, issued)),
            "amount_due": list(map(sub, soa["amount_due"], owed)),
            "penalty": list(map(sub, soa["penalty"], penalties)),
            "invoices": table.counts,
        },
        "invoices": {
            "id": shortened(invoice["id"]),
            **{name: invoice[name] for name in INVOICE_TEXTS},
            "description": shortened(invoice["description"]),
            "due_date": list(map(sub, soa_due, invoice_due)),
            "invoice_date": list(map(sub, invoice_due, dated)),
            "amount": amounts,
            "paid": list(map(sub, amounts, balances)),
            "penalty": invoice_penalties,
            "vat_type": invoice["vat_type"],
            "vat_amount": [
                vat - (amount * 24 + 112) // 224 if kind == "vatable" else vat
                for vat, amount, kind in zip(invoice["vat_amount"], amounts, invoice["vat_type"], strict=True)
            ],
        },
    }


def _days(dates: Sequence[str]) -> list[int]:
    known = {day: date.fromisoformat(day).toordinal() for day in set(dates)}
    return [known[day] for day in dates]


def _sums(values: Sequence[int], counts: Sequence[int]) -> list[int]:
    """The sum over each SOA's invoices: differences of running sums, as a sum for each SOA takes three times as long."""
    running = list(accumulate(values, initial=0))
    ends = [running[end] for end in accumulate(counts, initial=0)]
    return list(map(sub, ends[1:], ends))


def shortened(texts: Sequence[str]) -> list[list[Any]]:
    """[how many characters each text shares with the one before, the rest of each]. Only ASCII texts share: there every language
    counts characters alike. Two texts are compared as two numbers, whose difference begins where the texts part."""
    shared, rest = [], []
    number = int.from_bytes
    before, size, value = "", 0, 0
    for text in texts:
        if text == before:
            same = size
        else:
            own_size, own = (len(text), number(text.encode())) if text.isascii() else (0, 0)
            if own_size < size:
                same = own_size - (7 + (own ^ value >> 8 * (size - own_size)).bit_length()) // 8
            else:
                same = size - (7 + (own >> 8 * (own_size - size) ^ value).bit_length()) // 8
            before, size, value = text, own_size, own
        shared.append(same)
        rest.append(text[same:])
    return [shared, rest]

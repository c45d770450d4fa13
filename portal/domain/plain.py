"""An SOA as the texts and whole numbers that tables and fingerprints are made of: what a download handles a hundred thousand times."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, NamedTuple

from portal.domain.money import exact

if TYPE_CHECKING:
    from portal.domain.soa import Soa


class PlainInvoice(NamedTuple):
    """An invoice: money as text in pesos with two places (`1234.50`), dates as ISO text."""

    id: str
    invoice_number: str
    invoice_date: str
    due_date: str
    description: str
    amount: str
    balance: str
    penalty: str
    vat_type: str
    vat_amount: str


class PlainSoa(NamedTuple):
    """An SOA: money as text in pesos with two places, dates as ISO text, `updated_at` in UTC as `2026-11-20 00:15:30.000000`; invoices in
    allocation order."""

    id: str
    soa_number: str
    customer_id: str
    account_number: str
    customer_name: str
    address: str
    contact_number: str
    tin: str
    issued_on: str
    due_date: str
    amount_due: str
    penalty: str
    collector_code: str | None
    status: str
    updated_at: str
    version: str
    invoices: Sequence[PlainInvoice]


def plain(soa: Soa) -> PlainSoa:
    """The SOA, plain. Raises InvalidAmount for a fraction of a centavo."""
    bare = PlainSoa(
        soa.id,
        soa.soa_number,
        soa.customer_id,
        soa.account_number,
        soa.customer_name,
        soa.address,
        soa.contact_number,
        soa.tin,
        soa.issued_on.isoformat(),
        soa.due_date.isoformat(),
        pesos(soa.amount_due),
        pesos(soa.penalty),
        soa.collector_code,
        soa.status,
        moment(soa.updated_at),
        "",
        [
            PlainInvoice(
                one.id,
                one.invoice_number,
                one.invoice_date.isoformat(),
                one.due_date.isoformat(),
                one.description,
                pesos(one.amount),
                pesos(one.balance),
                pesos(one.penalty),
                one.vat_type,
                pesos(one.vat_amount),
            )
            for one in soa.invoices
        ],
    )
    return bare._replace(version=fingerprint(bare))


def moment(instant: datetime) -> str:
    """An aware instant in UTC, as tables hold it."""
    return instant.astimezone(UTC).isoformat(" ", "microseconds")[:26]


def pesos(amount: Decimal) -> str:
    """Exact pesos with two places, without signs of thousands. Raises InvalidAmount."""
    return str(exact(amount))


def centavos(text: str) -> int:
    """Centavos of pesos with two places."""
    return int(text.replace(".", ""))


def fingerprint(soa: PlainSoa) -> str:
    """16 hex characters of SHA-256 over the JSON of every field but `updated_at` and `version`, keys sorted: the `version` that phones were
    given since the first release. Never change what goes in: payments would be taken for some of an SOA that changed meanwhile."""
    text = encode_basestring_ascii
    parts = [
        f'{{"amount":"{amount}","balance":"{balance}","description":{text(description)},"due_date":"{due}","id":{text(one)},'
        f'"invoice_date":"{issued}","invoice_number":{text(number)},"penalty":"{penalty}","vat_amount":"{vat}","vat_type":"{vat_type}"}}'
        for one, number, issued, due, description, amount, balance, penalty, vat_type, vat in soa.invoices
    ]
    one, number, customer, account, name, address, contact, tin, issued, due, amount, penalty, code, status, _, _, _ = soa
    whole = (
        f'{{"account_number":{text(account)},"address":{text(address)},"amount_due":"{amount}",'
        f'"collector_code":{"null" if code is None else text(code)},"contact_number":{text(contact)},"customer_id":{text(customer)},'
        f'"customer_name":{text(name)},"due_date":"{due}","id":{text(one)},"invoices":[{",".join(parts)}],"issued_on":"{issued}",'
        f'"penalty":"{penalty}","soa_number":{text(number)},"status":"{status}","tin":{text(tin)}}}'
    )
    return hashlib.sha256(whole.encode()).hexdigest()[:16]

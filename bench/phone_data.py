"""Invented SOAs for the benchmarks of the phone: those of the demo's simulator, but with three invoices each and of one collector."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice

from demo.pscloud import seed
from portal.domain.soa import Invoice, Soa, in_order

TODAY = date(2026, 11, 20)
CODE = "BUL-01"


def make_list(count: int, today: date = TODAY) -> list[Soa]:
    """So many active SOAs; the same ones each time. Ids, names, addresses, amounts and texts are as varied as the demo's."""
    found = (soa for soa, _ in seed.statements(7, count * 40, False, today) if soa.status == "active")
    shaped = (_three_invoices(soa) for soa in found if len(soa.invoices) >= 3)
    return list(islice((soa for soa in shaped if soa is not None), count))


def _three_invoices(made: seed.Soa) -> Soa:
    invoices = in_order(tuple(_invoice(item) for item in made.invoices[:3]))
    penalty = sum((item.penalty for item in invoices), Decimal("0.00"))
    soa = Soa(
        id=made.id,
        soa_number=made.soa_number,
        customer_id=made.customer_id,
        account_number=made.account_number,
        customer_name=made.name,
        address=made.address or "",
        contact_number=made.contact_number or "",
        tin=made.tin or "",
        issued_on=made.issued_on,
        due_date=made.due_date,
        amount_due=sum((item.balance for item in invoices), Decimal("0.00")) + penalty,
        penalty=penalty,
        collector_code=CODE,
        status="active",
        updated_at=datetime(2026, 11, 19, 12, 0, tzinfo=UTC),
        invoices=invoices,
    )
    return replace(soa)


def _invoice(item: seed.Invoice) -> Invoice:
    pesos = [Decimal(value).scaleb(-2) for value in (item.amount, item.balance, item.penalty, item.vat_amount)]
    amount, balance, penalty, vat_amount = pesos
    return Invoice(
        item.id,
        item.invoice_number,
        item.invoice_date,
        item.due_date,
        item.description,
        amount,
        balance,
        penalty,
        item.vat_type,  # type: ignore[arg-type]
        vat_amount,
    )

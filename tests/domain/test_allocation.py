"""Which invoice a payment pays: worked by hand, then for any payment at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.allocation import Allocation, OpenInvoice, allocate, less_payments, split_vat
from portal.domain.errors import InvalidInput

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "allocation.json").read_text(encoding="utf-8"))
OLD = OpenInvoice("a", "SI-1", "2026-09-01", balance=100000, penalty=2000, amount=112000, vat_amount=12000)
NEW = OpenInvoice("b", "SI-2", "2026-10-01", balance=112000, penalty=0, amount=112000, vat_amount=12000)
EXEMPT = OpenInvoice("c", "SI-3", "2026-11-01", balance=50000, penalty=0, amount=50000, vat_amount=0, vat_type="exempt")


def parts(*allocations: Allocation) -> list[tuple[str | None, str, int]]:
    return [(part.invoice, part.kind, part.amount) for part in allocations]


def test_the_oldest_invoice_is_paid_first_penalty_before_principal() -> None:
    assert parts(*allocate(120000, [NEW, OLD])) == [("a", "penalty", 2000), ("a", "principal", 100000), ("b", "principal", 18000)]


def test_a_small_payment_may_not_even_cover_the_penalty() -> None:
    assert parts(*allocate(1500, [OLD, NEW])) == [("a", "penalty", 1500)]


def test_what_is_left_after_all_balances_is_an_advance() -> None:
    assert parts(*allocate(300000, [OLD, NEW]))[-1] == (None, "advance", 300000 - 214000)


def test_a_customer_may_direct_the_money_to_a_newer_invoice() -> None:
    assert parts(*allocate(150000, [OLD, NEW], "directed", ["b"])) == [("b", "principal", 112000), (None, "advance", 38000)]


def test_equal_due_dates_go_by_invoice_number() -> None:
    first, second = OpenInvoice("x", "SI-10", "2026-10-01", 100, 0), OpenInvoice("y", "SI-09", "2026-10-01", 100, 0)
    assert parts(*allocate(150, [first, second])) == [("y", "principal", 100), ("x", "principal", 50)]


def test_vat_is_the_invoices_own_share_of_the_principal_only() -> None:
    vat = split_vat(allocate(2000 + 100000 + 112000 + 25000, [OLD, NEW, EXEMPT]), [OLD, NEW, EXEMPT])
    # 100000 and 112000 of invoices that hold 12/112 VAT: 22714.29 rounded once; the penalty is in none of the four.
    assert (vat.vatable, vat.vat_amount, vat.vat_exempt, vat.zero_rated) == (212000 - 22714, 22714, 25000, 0)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_payment_of_nothing_is_refused(amount: int) -> None:
    with pytest.raises(InvalidInput):
        allocate(amount, [OLD])


@pytest.mark.parametrize("directed", [[], ["nowhere"]])
def test_directing_money_needs_invoices_of_this_soa(directed: list[str]) -> None:
    with pytest.raises(InvalidInput):
        allocate(100, [OLD], "directed", directed)


invoices = st.lists(
    st.builds(
        OpenInvoice,
        id=st.uuids().map(str),
        invoice_number=st.integers(1, 99).map(lambda n: f"SI-{n}"),
        due_date=st.dates().map(str),
        balance=st.integers(0, 10**8),
        penalty=st.integers(0, 10**6),
        amount=st.integers(1, 10**8),
        vat_amount=st.integers(0, 10**6),
        vat_type=st.sampled_from(["vatable", "exempt", "zero_rated"]),
    ),
    max_size=8,
    unique_by=lambda invoice: invoice.id,
)


@given(st.integers(1, 10**9), invoices)
def test_every_centavo_goes_somewhere_and_no_invoice_below_zero(amount: int, open_invoices: list[OpenInvoice]) -> None:
    result = allocate(amount, open_invoices)
    assert sum(part.amount for part in result) == amount
    assert all(part.amount > 0 for part in result)
    owed = sum(invoice.balance + invoice.penalty for invoice in open_invoices)
    left = less_payments(open_invoices, result)
    assert all(invoice.balance >= 0 and invoice.penalty >= 0 for invoice in left)
    assert sum(invoice.balance + invoice.penalty for invoice in left) == max(owed - amount, 0)
    vat = split_vat(result, open_invoices)
    assert sum(asdict(vat).values()) == sum(part.amount for part in result if part.kind == "principal")


@given(st.integers(1, 10**8), st.integers(1, 10**8), invoices)
def test_two_payments_pay_what_one_of_both_would(first: int, second: int, open_invoices: list[OpenInvoice]) -> None:
    paid = allocate(first, open_invoices)
    paid += allocate(second, less_payments(open_invoices, paid))
    once = allocate(first + second, open_invoices)

    def sums(allocations: list[Allocation]) -> dict[tuple[str | None, str], int]:
        found: dict[tuple[str | None, str], int] = {}
        for part in allocations:
            found[part.invoice, part.kind] = found.get((part.invoice, part.kind), 0) + part.amount
        return found

    assert sums(paid) == sums(once)


@pytest.mark.parametrize("case", VECTORS)
def test_the_shared_vectors_still_hold(case: dict) -> None:
    open_invoices = [OpenInvoice(**invoice) for invoice in case["invoices"]]
    result = allocate(case["amount"], open_invoices, case["mode"], case["directed"])
    assert [asdict(part) for part in result] == case["allocations"]
    assert asdict(split_vat(result, open_invoices)) == case["vat"]
    paid = [Allocation(**part) for part in case["paid_before"]]
    assert [asdict(invoice) for invoice in less_payments(open_invoices, paid)] == case["less_payments"]

"""Two books side by side: every record is judged once, equal means that nothing differs, and changed sides mirror each other."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.payments import STATUSES
from portal.domain.reconciliation import (
    CASES,
    DIFFERENCES,
    EQUAL,
    FIELDS,
    Booked,
    Differing,
    Held,
    Kind,
    Verdict,
    compare_payments,
    compare_soas,
    differing,
)
from portal.domain.soa import Invoice, Soa, in_order
from tests.factories import make_invoice, make_soa

MIRRORED = {"only_here": "only_pscloud", "only_pscloud": "only_here", "different": "different", "equal": "equal"}
amounts = st.integers(0, 5).map(lambda number: Decimal(number) / 4)
days = st.sampled_from([date(2026, 11, 20), date(2026, 12, 1)])
invoices = st.lists(
    st.builds(
        make_invoice,
        st.integers(1, 3),
        balance=amounts,
        penalty=amounts,
        description=st.sampled_from(["Lot", "Lote"]),
        invoice_number=st.sampled_from(["SI-1", "SI-2"]),
    ),
    max_size=3,
    unique_by=lambda invoice: invoice.id,
)


@st.composite
def soa(draw: st.DrawFn) -> Soa:
    return make_soa(
        "S1",
        invoices=in_order(tuple(draw(invoices))),
        amount_due=draw(amounts),
        due_date=draw(days),
        collector_code=draw(st.sampled_from([None, "A1"])),
        customer_name=draw(st.sampled_from(["Ana", "Añã"])),
        status=draw(st.sampled_from(["active", "closed"])),
        updated_at=draw(st.sampled_from([datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)])),
    )


sides = st.dictionaries(st.sampled_from("ABCDEF"), soa(), max_size=6)


@given(sides, sides)
def test_the_kinds_part_all_that_is_open_on_either_side(here: dict[str, Soa], pscloud: dict[str, Soa]) -> None:
    open_somewhere = {one for side in (here, pscloud) for one, found in side.items() if found.status == "active"}
    kinds = {one: verdict.kind for one in here.keys() | pscloud.keys() if (verdict := compare_soas(here.get(one), pscloud.get(one)))}
    assert kinds.keys() == open_somewhere
    assert set(kinds.values()) <= MIRRORED.keys()
    assert {one for one, kind in kinds.items() if kind == "only_here"} == open_somewhere - pscloud.keys()
    assert {one for one, kind in kinds.items() if kind == "only_pscloud"} == open_somewhere - here.keys()


@given(st.none() | soa(), st.none() | soa())
def test_changed_sides_mirror_each_other(one: Soa | None, other: Soa | None) -> None:
    there, back = compare_soas(one, other), compare_soas(other, one)
    assert (there is None) == (back is None)
    if there and back:
        assert MIRRORED[there.kind] == back.kind
        assert tuple(field.swapped() for field in there.fields) == back.fields


@given(soa(), soa())
def test_equal_means_that_no_field_differs(one: Soa, other: Soa) -> None:
    verdict = compare_soas(one, other)
    same = all(getattr(one, field.name) == getattr(other, field.name) for field in fields(Soa) if field.name != "updated_at")
    if verdict is not None:
        assert (verdict == EQUAL) == same == (one.version == other.version)
        assert bool(verdict.fields) == (verdict.kind == "different")
        assert all(field.here != field.pscloud and field.group in FIELDS for field in verdict.fields)


def test_what_differs_is_named_field_by_field() -> None:
    here = make_soa("S1", invoices=(make_invoice(1), make_invoice(2)))
    there = replace(
        here, amount_due=Decimal("99.50"), collector_code=None, invoices=(make_invoice(1, balance=Decimal("1.5")), make_invoice(3))
    )
    found = compare_soas(here, there)
    assert found == Verdict(
        "different",
        "soa_changed",
        (
            Differing("amount_due", "2240.00", "99.50"),
            Differing("collector_code", "A1", ""),
            Differing("invoice SI-0001 balance", "1120.00", "1.50"),
            Differing("invoice SI-0002", "balance 1120.00, due 2026-10-02", ""),
            Differing("invoice SI-0003", "", "balance 1120.00, due 2026-10-03"),
        ),
    )
    assert [field.group for field in found.fields] == ["amount_due", "collector_code", *["invoices"] * 3]


def test_an_invoice_with_another_number_keeps_its_id_as_its_name() -> None:
    found = differing_invoice(make_invoice(1), make_invoice(1, invoice_number="SI-9"))
    assert found == (Differing("invoice I1 invoice number", "SI-0001", "SI-9"),)


def differing_invoice(one: Invoice, other: Invoice) -> tuple[Differing, ...]:
    here, there = make_soa(invoices=(one,)), make_soa(invoices=(other,))
    found = compare_soas(here, replace(there, due_date=here.due_date))
    assert found
    return found.fields


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")), st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy")))
def test_differing_is_empty_for_the_same_and_mirrors(one: dict[str, str], other: dict[str, str]) -> None:
    assert differing(one, one) == ()
    assert tuple(field.swapped() for field in differing(one, other)) == differing(other, one)
    assert bool(differing(one, other)) == (one != other)


# --- payments

HERE = Booked("completed", "", "none", Decimal("50.00"), "S1", "T01-00000001")
THERE = Held(False, Decimal("50.00"), "S1", "T01-00000001")


def case(here: Booked | None, there: Held | None) -> tuple[str, str]:
    verdict = compare_payments(here, there)
    assert verdict
    return verdict.kind, verdict.case


@pytest.mark.parametrize(
    ("status", "void", "told", "there", "expected"),
    [
        ("completed", "", "none", "accepted", ("equal", "")),
        ("completed", "", "none", None, ("only_here", "payment_missing")),
        ("completed", "", "none", "voided", ("different", "payment_voided_there")),
        ("completed", "requested", "none", "accepted", ("equal", "")),
        ("completed", "approved", "completed", "voided", ("equal", "")),
        ("completed", "approved", "completed", "accepted", ("different", "void_missing")),
        ("completed", "approved", "failed", "accepted", ("different", "void_missing")),
        ("completed", "approved", "due", "accepted", ("waiting", "void_waiting")),
        ("completed", "approved", "claimed", "voided", ("equal", "")),
        ("pending", "", "none", None, ("waiting", "payment_waiting")),
        ("pending", "approved", "none", None, ("equal", "")),
        ("pending", "", "none", "accepted", ("different", "payment_there_already")),
        ("approved", "", "none", "accepted", ("waiting", "payment_waiting")),
        ("processing", "", "none", "accepted", ("waiting", "payment_waiting")),
        ("processing", "", "none", None, ("waiting", "payment_waiting")),
        ("failed", "", "none", None, ("only_here", "payment_refused")),
        ("failed", "", "none", "accepted", ("different", "payment_there_already")),
        ("failed", "", "none", "voided", ("different", "payment_voided_there")),
    ],
)
def test_each_way_a_payment_can_stand(status: str, void: str, told: str, there: str | None, expected: tuple[str, str]) -> None:
    here = replace(HERE, status=status, void=void, void_posting=told)
    assert case(here, None if there is None else replace(THERE, voided=there == "voided")) == expected


def test_what_pscloud_does_not_say_is_not_compared() -> None:
    assert compare_payments(HERE, Held(False)) == EQUAL
    assert compare_payments(HERE, replace(THERE, soa_id=None)) == EQUAL


def test_figures_that_differ_are_named_whatever_the_state_is() -> None:
    found = compare_payments(HERE, replace(THERE, amount=Decimal("5"), receipt_number="T01-00000009"))
    assert found == Verdict(
        "different",
        "payment_changed",
        (Differing("amount", "50.00", "5.00"), Differing("receipt_number", "T01-00000001", "T01-00000009")),
    )
    waiting = compare_payments(replace(HERE, status="approved"), replace(THERE, amount=Decimal("5")))
    assert waiting and waiting.kind == "different"
    voided = compare_payments(HERE, replace(THERE, voided=True))
    assert voided and voided.fields == (Differing("state", "Completed", "Voided"),)


booked = st.builds(
    Booked,
    st.sampled_from(STATUSES),
    st.sampled_from(["", "requested", "approved"]),
    st.sampled_from(["none", "due", "claimed", "completed", "failed"]),
    amounts,
    st.sampled_from(["S1", "S2"]),
    st.just("T01-00000001"),
)
held = st.builds(Held, st.booleans(), st.none() | amounts, st.none() | st.sampled_from(["S1", "S2"]), st.none())


@given(st.none() | booked, st.none() | held)
def test_every_payment_on_either_side_is_judged_once_and_in_words(here: Booked | None, there: Held | None) -> None:
    verdict = compare_payments(here, there)
    if here is None and there is None:
        assert verdict is None
        return
    assert verdict and verdict.kind in get_args(Kind) and (verdict.case in CASES) == (verdict.kind != "equal")
    assert (verdict.kind == "only_pscloud") == (here is None)
    assert not (verdict.kind == "only_here" and there is not None)
    assert bool(verdict.fields) == (verdict.kind == "different")
    if here and there and there.amount is not None and there.amount != here.amount:
        assert verdict.kind in DIFFERENCES, "money that differs is never waited for"


def test_every_case_says_what_it_means_and_what_to_do() -> None:
    for one in CASES.values():
        assert one.means.endswith(".") and one.do.endswith(".")

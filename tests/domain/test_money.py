"""Money is exact or refused."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import money
from portal.domain.errors import InvalidAmount

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "money.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS["parse"], ids=lambda case: repr(case["text"]))
def test_parse_reads_what_people_type(case: dict) -> None:
    assert money.centavos(money.parse(case["text"])) == case["centavos"]


@pytest.mark.parametrize("text", VECTORS["refused"])
def test_parse_refuses_what_is_not_plainly_an_amount(text: str) -> None:
    with pytest.raises(InvalidAmount):
        money.parse(text)


@pytest.mark.parametrize(
    "value", [1.5, 0.1, True, None, Decimal("0.001"), Decimal("NaN"), Decimal("1E+400"), "1_000", "1e3", "12,5O0.00", [1]]
)
def test_exact_refuses_whatever_could_hide_a_centavo(value: object) -> None:
    with pytest.raises(InvalidAmount):
        money.exact(value)


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_centavos_and_pesos_are_the_same_money(value: int) -> None:
    assert money.centavos(money.from_centavos(value)) == value
    assert money.centavos(money.exact(str(money.from_centavos(value)))) == value


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=12).filter(any))
def test_a_split_adds_up_and_strays_less_than_a_centavo(total: int, weights: list[int]) -> None:
    parts = money.split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(part) - Fraction(total * weight, sum(weights))) < 1


@pytest.mark.parametrize(("amount", "rounded"), [(Fraction(1, 2), 1), (Fraction(-1, 2), -1), (Fraction(3, 2), 2), (Fraction(149, 100), 1)])
def test_half_a_centavo_is_rounded_away_from_zero(amount: Fraction, rounded: int) -> None:
    assert money.half_up(amount) == rounded


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (123450, "One thousand two hundred thirty-four pesos and 50/100"),
        (100, "One peso only"),
        (0, "Zero pesos only"),
        (5, "Zero pesos and 05/100"),
        (100000100, "One million one pesos only"),
        (1100001900, "Eleven million nineteen pesos only"),
    ],
)
def test_an_amount_in_words(value: int, words: str) -> None:
    assert money.in_words(value) == words


def test_pesos_are_shown_with_two_places_and_a_minus_before_the_sign() -> None:
    assert money.show(Decimal("1234567.5")) == "1,234,567.50"
    assert money.show_pesos(Decimal("-1234.5")) == "-₱1,234.50"

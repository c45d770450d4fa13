"""Gaps in dense numbers, and what an arrival leaves of one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.errors import InvalidInput
from portal.domain.numbers import after_arrival, as_printed, explanation, gaps, run_as_printed

NUMBERS = st.sets(st.integers(1, 60))


def spread(runs: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in runs for number in range(first, last + 1)}


@given(NUMBERS, st.integers(1, 60), st.integers(0, 60))
def test_gaps_are_exactly_what_is_not_there_as_few_runs_as_can_be(arrived: set[int], first: int, length: int) -> None:
    last = first + length
    found = gaps(first, last, arrived)
    assert spread(found) == set(range(first, last + 1)) - arrived
    assert all(after > before + 1 for (_, before), (after, _) in pairwise(found))


@given(NUMBERS, st.integers(1, 60), st.integers(0, 60))
def test_an_arrival_parts_a_gap_and_loses_no_number(arrived: set[int], first: int, length: int) -> None:
    run = (first, first + length)
    missing, there = after_arrival(run, arrived)
    assert spread(missing) | spread(there) == spread([run]) and not spread(missing) & spread(there)
    assert spread(there) == spread([run]) & arrived


def test_numbers_are_written_as_on_paper() -> None:
    assert [as_printed(series, "T07", 12) for series in ("receipt", "void", "z")] == ["T07-00000012", "T07-V000012", "T07 Z 12"]
    assert run_as_printed("receipt", "T07", (3, 4)) == "T07-00000003 to T07-00000004"
    assert run_as_printed("void", "T07", (3, 3)) == "T07-V000003"


@pytest.mark.parametrize("words", ["", "  ab  ", "x" * 501, "torn\x00paper"])
def test_an_explanation_says_something(words: str) -> None:
    with pytest.raises(InvalidInput, match="letters what happened"):
        explanation(words)
    assert explanation("  Torn\n paper ") == "Torn paper"

"""Remittances worked by hand, then: expected and received always differ by the variance, per line and in all."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import remittances as rules
from portal.domain.errors import Forbidden, InvalidInput
from portal.domain.remittances import Handed, ReasonNeeded


def z(expected: int, counted: int | None = None) -> dict[str, Any]:
    return {"expected_cash": expected, "counted_cash": counted}


def test_expected_cash_is_the_sum_of_the_readings_and_a_missing_count_is_not_a_zero() -> None:
    assert rules.expected_cash([z(60000), z(-100)]) == 59900
    assert rules.collector_count([z(1, 5), z(1, 0)]) == 5
    assert rules.collector_count([z(1, 5), z(1)]) is None and rules.collector_count([]) is None


@pytest.mark.parametrize(
    ("counted", "received", "reason", "supervisor"),
    [
        (60000, [Handed("check", "BDO", 1, 500)], False, False),
        (59999, [Handed("check", "BDO", 1, 500)], True, True),
        (60001, [Handed("check", "BDO", 1, 500)], True, False),
        (60000, [], True, True),
        (60000, [Handed("check", "BDO", 2, 500)], True, True),
        (60000, [Handed("check", None, 1, 500)], True, True),
        (60500, [], True, True),  # a check that is missing is not made good by cash
    ],
)
def test_what_asks_for_a_reason_and_what_for_a_supervisor(counted: int, received: list[Handed], reason: bool, supervisor: bool) -> None:
    found = rules.compare([z(60000)], [Handed("check", "BDO", 1, 500)], counted, received)
    assert (found.needs_reason, found.needs_supervisor) == (reason, supervisor)
    assert found.state == ("waiting" if supervisor else "received")
    if reason:
        for text in ("", "  ", "no", "x" * 501, "why\x00"):
            with pytest.raises(ReasonNeeded):
                rules.check_reason(found, text)
    assert rules.check_reason(found, " counted twice ") == "counted twice"


def test_a_third_person_approves_and_nobody_receives_their_own() -> None:
    rules.check_receiver("carla", "nena")
    rules.check_approver("ramon", "carla", "nena")
    for who in ("carla", "nena"):
        with pytest.raises(Forbidden):
            rules.check_approver(who, "carla", "nena")
    with pytest.raises(Forbidden):
        rules.check_receiver("nena", "nena")


def test_numbers_are_dense_and_stay_readable() -> None:
    assert [rules.number(position) for position in (1, 999999, 1000000)] == ["R-000001", "R-999999", "R-1000000"]


HANDED = st.builds(
    Handed, st.sampled_from(rules.OTHER_TENDERS), st.sampled_from((None, "BDO", "GCash")), st.integers(1, 9), st.integers(1, 10**9)
)


@given(expected=st.lists(HANDED), received=st.lists(HANDED, unique_by=lambda one: (one.tender, one.channel)))
def test_every_line_is_there_once_and_adds_up(expected: list[Handed], received: list[Handed]) -> None:
    lines = rules.lines(expected, received)
    keys = [(line.tender, line.channel) for line in lines]
    assert len(set(keys)) == len(keys) and set(keys) == {(one.tender, one.channel) for one in [*expected, *received]}
    sums: Counter[tuple[str, str | None]] = Counter()
    for one in expected:
        sums[one.tender, one.channel] += one.amount
    for line in lines:
        assert line.expected_amount == sums[line.tender, line.channel]
        assert line.received_amount == line.expected_amount + line.variance
        assert line.agrees == ((line.expected_count, line.expected_amount) == (line.received_count, line.received_amount))
    assert sum(line.received_amount for line in lines) == sum(one.amount for one in received)
    for wrong in received:
        with pytest.raises(InvalidInput):
            rules.lines(expected, [*received, wrong])

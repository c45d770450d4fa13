"""Bars of a chart: nothing outside the field, nothing invisible, a scale in round numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portal.domain.charts import SMALLEST, bars, top_of_scale

VALUES = st.lists(st.none() | st.integers(0, 10**9), max_size=60)


@given(VALUES, st.sampled_from([1, 60, 3600]))
def test_every_bar_stands_in_the_field_in_its_place_and_as_tall_as_its_share(values: list[int | None], unit: int) -> None:
    chart = bars(values, unit)
    top, middle, bottom = chart.scale
    assert len(chart.bars) == len(values) and bottom == 0 and middle * 2 == top and top % unit == 0
    end = 0.0
    for bar, value in zip(chart.bars, values, strict=True):
        assert bar.value == value and bar.x >= end - 0.02 and bar.width > 0
        end = bar.x + bar.width
        assert bar.y >= 0 and abs(bar.y + bar.height - chart.height) < 0.02
        if value:
            assert bar.height >= SMALLEST and abs(bar.height - max(SMALLEST, chart.height * value / top)) < 0.01
        else:
            assert bar.height == 0
    assert end <= chart.width + 0.02
    assert chart.empty == (not any(values))


def test_the_scale_ends_at_the_next_round_number() -> None:
    found = [(largest, top_of_scale(largest)) for largest in (0, 1, 2, 3, 10, 11, 61, 999, 1000, 1001, 300_000)]
    assert found == [
        (0, 2), (1, 2), (2, 2), (3, 4), (10, 10), (11, 20), (61, 80), (999, 1000), (1000, 1000), (1001, 2000), (300_000, 400_000),
    ]  # fmt: skip
    assert top_of_scale(45, 1) == 60 and top_of_scale(100, 60) == 120 and top_of_scale(1801, 60) == 2400


def test_a_chart_of_nothing_can_be_drawn() -> None:
    assert bars([]).bars == () and bars([]).empty and bars([None, 0]).empty and not bars([0, 1]).empty

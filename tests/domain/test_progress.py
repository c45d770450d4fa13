"""Rate and time left of a download."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portal.domain.progress import Progress, estimate

START = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)


def test_the_rate_is_what_was_done_by_the_time_it_took() -> None:
    assert estimate(2_000, 10_000, START, START + timedelta(seconds=10)) == Progress(2_000, 10_000, 20, 200.0, 40)
    assert estimate(10_000, 10_000, START, START + timedelta(seconds=10)).left == 0
    assert estimate(9_999, 10_000, START, START + timedelta(seconds=10)).percent == 99


def test_nothing_is_promised_before_it_can_be_told() -> None:
    assert estimate(0, 10_000, None, START) == Progress(0, 10_000, 0, None, None)
    assert estimate(500, 10_000, START, START + timedelta(seconds=1)).left is None
    assert estimate(0, 10_000, START, START + timedelta(seconds=60)).rate is None
    unknown = estimate(500, None, START, START + timedelta(seconds=10))
    assert (unknown.percent, unknown.rate, unknown.left) == (None, 50.0, None)


def test_a_total_that_was_wrong_is_not_shown() -> None:
    more = estimate(501, 500, START, START + timedelta(seconds=10))
    assert (more.total, more.percent, more.left) == (None, None, None) and more.rate == 50.1

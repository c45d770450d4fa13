"""Remittances: what a collector must hand over for Z-readings, what was counted at the desk, and what a difference asks for (DOMAIN 6).

Money is integer centavos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.domain.errors import Forbidden, InvalidInput
from portal.domain.readings import TENDER_ORDER

STATES = ("received", "waiting", "approved")
OTHER_TENDERS = TENDER_ORDER[1:]
"""Everything but cash."""


class ReasonNeeded(InvalidInput):
    """A difference was to be recorded without a usable reason."""


@dataclass(frozen=True, slots=True)
class Handed:
    """Checks, slips or screenshots of one tender and channel: how many and how much."""

    tender: str
    channel: str | None
    count: int
    amount: int


@dataclass(frozen=True, slots=True)
class Line:
    """One tender and channel besides cash: what the Z-readings say beside what was received."""

    tender: str
    channel: str | None
    expected_count: int
    expected_amount: int
    received_count: int
    received_amount: int

    @property
    def variance(self) -> int:
        """Received less expected."""
        return self.received_amount - self.expected_amount

    @property
    def agrees(self) -> bool:
        """Whether count and amount are as expected."""
        return self.received_count == self.expected_count and self.variance == 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was counted held against what is expected. `collector_count` is None unless the collector counted for each of the readings."""

    expected_cash: int
    collector_count: int | None
    counted_cash: int
    lines: tuple[Line, ...]

    @property
    def variance(self) -> int:
        """Counted cash less expected cash: below zero is short, above is over."""
        return self.counted_cash - self.expected_cash

    @property
    def needs_reason(self) -> bool:
        """Any difference must be explained."""
        return self.variance != 0 or self.needs_supervisor

    @property
    def needs_supervisor(self) -> bool:
        """A shortage waits for a supervisor, and so does a tender that does not agree: money may be missing behind an equal sum."""
        return self.variance < 0 or not all(line.agrees for line in self.lines)

    @property
    def state(self) -> str:
        """The state a remittance with these figures begins in."""
        return "waiting" if self.needs_supervisor else "received"


def expected_cash(readings: Iterable[Mapping[str, Any]]) -> int:
    """The cash of several Z-readings: each one's own expected cash, which the one sum of portal.domain.readings gave."""
    return sum(int(reading["expected_cash"]) for reading in readings)


def collector_count(readings: Iterable[Mapping[str, Any]]) -> int | None:
    """What the collector counted in all, None when one of the readings was made without a count: a part would be held against the whole."""
    counts = [reading["counted_cash"] for reading in readings]
    return None if not counts or None in counts else sum(counts)


def lines(expected: Iterable[Handed], received: Iterable[Handed]) -> tuple[Line, ...]:
    """One line per tender and channel that is expected or was received, in the order of a reading. Raises InvalidInput for cash, for a
    tender named twice and for numbers below zero."""
    of_readings: dict[tuple[str, str | None], Handed] = {}
    for one in expected:
        before = of_readings.get((one.tender, one.channel), Handed(one.tender, one.channel, 0, 0))
        of_readings[one.tender, one.channel] = Handed(one.tender, one.channel, before.count + one.count, before.amount + one.amount)
    at_desk: dict[tuple[str, str | None], Handed] = {}
    for one in received:
        if one.tender not in OTHER_TENDERS:
            raise InvalidInput("Cash is counted by denomination; the other lines are checks, e-wallet and bank transfer.")
        if one.count < 0 or one.amount < 0 or (one.count == 0) != (one.amount == 0):
            raise InvalidInput("Each line needs a number and an amount: both zero when nothing was handed over, none below zero.")
        if (one.tender, one.channel) in at_desk:
            raise InvalidInput("One tender and channel stands in two lines. Enter it once.")
        at_desk[one.tender, one.channel] = one
    nothing = Handed("", None, 0, 0)
    keys = sorted(of_readings.keys() | at_desk.keys(), key=lambda key: (OTHER_TENDERS.index(key[0]), key[1] is not None, key[1] or ""))
    found = []
    for key in keys:
        due, got = of_readings.get(key, nothing), at_desk.get(key, nothing)
        found.append(Line(*key, due.count, due.amount, got.count, got.amount))
    return tuple(found)


def compare(readings: Sequence[Mapping[str, Any]], expected: Iterable[Handed], counted_cash: int, received: Iterable[Handed]) -> Comparison:
    """What was counted beside what the Z-readings expect. Raises InvalidInput as `lines` does."""
    return Comparison(expected_cash(readings), collector_count(readings), counted_cash, lines(expected, received))


def check_reason(comparison: Comparison, reason: str) -> str:
    """The reason, trimmed. Raises ReasonNeeded when a difference has none, or one too long to keep."""
    text = reason.strip()
    if comparison.needs_reason and len(text) < 3:
        raise ReasonNeeded("The count differs from what is expected. Say why, in 3 to 500 characters.")
    if len(text) > 500 or "\x00" in text:
        raise ReasonNeeded("The reason is too long. Say why in at most 500 characters.")
    return text


def check_receiver(who: str, collector: str) -> None:
    """Raises Forbidden when somebody would receive their own collection. Both are user names."""
    if who == collector:
        raise Forbidden("Nobody receives a remittance of their own. Ask a colleague.")


def check_approver(who: str, received_by: str, collector: str) -> None:
    """Raises Forbidden unless a third person approves: neither who recorded the remittance nor who handed it over (DOMAIN 1)."""
    if who == received_by:
        raise Forbidden("Nobody approves a remittance they recorded themselves. Another supervisor must do it.")
    if who == collector:
        raise Forbidden("Nobody approves a remittance of their own. Another supervisor must do it.")


def number(position: int) -> str:
    """`R-000001` for the first remittance of this portal, dense from there."""
    return f"R-{position:06d}"

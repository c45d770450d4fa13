"""Bars of a chart in coordinates, and a scale a person can read. Drawing them is the template's work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (2, 4, 6, 8, 10)
"""Tops of a scale, times a power of ten: half of each is a whole number as well."""
SMALLEST = 2.0
"""Height of the lowest bar that stands for something, so that one of a million is still seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, its corner at the top left; `value` is what it stands for, None for a place where there is nothing to show."""

    x: float
    y: float
    width: float
    height: float
    value: int | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars in a field of `width` by `height`, y downwards; `scale` is what the top, the middle and the bottom of the field stand for."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    scale: tuple[int, int, int]

    @property
    def empty(self) -> bool:
        """Whether no bar stands for more than nothing."""
        return not any(bar.value for bar in self.bars)


def top_of_scale(largest: int, unit: int = 1) -> int:
    """The smallest of 2, 4, 6, 8, 10, 20, 40 ... `unit`s that is not below `largest`; never less than two units."""
    power = unit
    while True:
        for step in STEPS:
            if step * power >= largest:
                return step * power
        power *= 10


def bars(values: Sequence[int | None], unit: int = 1, width: int = 600, height: int = 100, gap: float = 0.3) -> Chart:
    """A bar for each value from left to right, none below zero; `gap` is the part of each place that is left free."""
    top = top_of_scale(max((value or 0 for value in values), default=0), unit)
    place = width / max(len(values), 1)
    found = []
    for number, value in enumerate(values):
        tall = max(height * value / top, SMALLEST) if value else 0.0
        x = number * place + place * gap / 2
        found.append(Bar(round(x, 2), round(height - tall, 2), round(place * (1 - gap), 2), round(tall, 2), value))
    return Chart(width, height, tuple(found), (top, top // 2, 0))

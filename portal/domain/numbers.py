"""Numbers that a terminal gave out and that did not arrive (DOMAIN 3, 5): gaps, and what an arrival leaves of one."""

from __future__ import annotations

from collections.abc import Iterable

from portal.domain.errors import InvalidInput
from portal.domain.receipts import ranges, receipt_number, void_number

SERIES = ("receipt", "void", "z")
"""The dense series of a terminal: collection receipts, voids, Z-readings. An X-reading has no number."""
STATES = ("open", "explained", "arrived")
SHORTEST, LONGEST = 5, 500
"""Characters of an explanation."""

Run = tuple[int, int]
"""First and last of numbers that follow each other."""


def gaps(first: int, last: int, arrived: Iterable[int]) -> list[Run]:
    """The runs of numbers from `first` to `last` that are not among those that arrived."""
    found, begin = [], first
    for start, end in ranges(number for number in arrived if first <= number <= last):
        if start > begin:
            found.append((begin, start - 1))
        begin = end + 1
    if begin <= last:
        found.append((begin, last))
    return found


def after_arrival(run: Run, arrived: Iterable[int]) -> tuple[list[Run], list[Run]]:
    """What of a run is still missing, and what of it is there now."""
    numbers = [number for number in arrived if run[0] <= number <= run[1]]
    return gaps(*run, numbers), ranges(numbers)


def as_printed(series: str, terminal: str, number: int) -> str:
    """`T07-00000131`, `T07-V000004`, or `T07 Z 12`."""
    if series == "z":
        return f"{terminal} Z {number}"
    return receipt_number(terminal, number) if series == "receipt" else void_number(terminal, number)


def run_as_printed(series: str, terminal: str, run: Run) -> str:
    """One number, or `T07-00000131 to T07-00000140`."""
    first, last = (as_printed(series, terminal, number) for number in run)
    return first if first == last else f"{first} to {last}"


def explanation(text: str) -> str:
    """Why a number will not arrive, on one line. Raises InvalidInput when it says too little or too much."""
    words = " ".join(text.split())
    if not SHORTEST <= len(words) <= LONGEST or "\x00" in words:
        raise InvalidInput(f"Say in {SHORTEST} to {LONGEST} letters what happened to the number, so that an auditor need not ask again.")
    return words

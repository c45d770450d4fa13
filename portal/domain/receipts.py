"""Receipt and void numbers: dense per terminal, never reused (DOMAIN 5). Twin: static/mpos/domain/receipts.mjs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from portal.domain.errors import InvalidInput

_RECEIPT = re.compile(r"(T[0-9]{2,6})-([0-9]{8})", re.ASCII)
_VOID = re.compile(r"(T[0-9]{2,6})-V([0-9]{6})", re.ASCII)


def terminal_code(number: int) -> str:
    """`T07`; at least two digits."""
    return f"T{number:02d}"


def terminal_number(code: object) -> int | None:
    """The number in a terminal's code as terminal_code() writes it; None for anything else."""
    match = re.fullmatch(r"T([0-9]{2,6})", code, re.ASCII) if isinstance(code, str) else None
    number = int(match[1]) if match else 0
    return number if number and terminal_code(number) == code else None


def receipt_number(terminal: str, number: int) -> str:
    """`T07-00000123`."""
    return f"{terminal}-{number:08d}"


def void_number(terminal: str, number: int) -> str:
    """`T07-V000004`."""
    return f"{terminal}-V{number:06d}"


def read_receipt_number(text: str) -> tuple[str, int]:
    """(terminal, number) of a printed receipt number. Raises InvalidInput."""
    return _read(_RECEIPT, text, "T07-00000123")


def read_void_number(text: str) -> tuple[str, int]:
    """(terminal, number) of a printed void number. Raises InvalidInput."""
    return _read(_VOID, text, "T07-V000004")


def _read(pattern: re.Pattern[str], text: str, example: str) -> tuple[str, int]:
    match = pattern.fullmatch(text)
    if not match or int(match[2]) == 0:
        raise InvalidInput(f"{text!r} is not a number of the form {example}.")
    return match[1], int(match[2])


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers joined into (first, last) runs: what a list of missing receipts shows."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs

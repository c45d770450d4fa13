"""Exact pesos. In Python money is Decimal with at most two places; in payloads and columns it is integer centavos (DOMAIN 4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeGuard

from portal.domain.errors import InvalidAmount

CENTAVO = Decimal("0.01")
ZERO = Decimal("0.00")
LARGEST = Decimal("9999999999999.99")
"""Above every real amount, and its centavos still fit a 64-bit column and a JavaScript integer."""

_PLAIN = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,2})?", re.ASCII)
_TYPED = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]{1,2})?|[0-9]{1,13}(\.[0-9]{0,2})?|\.[0-9]{1,2}", re.ASCII)


def exact(value: object) -> Decimal:
    """Pesos from a Decimal, int or plain decimal string, exactly. Raises InvalidAmount for anything else: floats, more
    than two places, signs of thousands, NaN, digits of other scripts, amounts above LARGEST."""
    if _is_usual(value):
        return value
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise InvalidAmount(f"{_show(value)} is not an amount.")
    if isinstance(value, str):
        if not _PLAIN.fullmatch(value):
            raise InvalidAmount(f"{_show(value)} is not an amount in pesos and centavos such as 1234.50.")
        value = Decimal(value)
    number = Decimal(value)
    if not number.is_finite() or abs(number) > LARGEST:
        raise InvalidAmount(f"{_show(value)} is not an amount the books can hold.")
    rounded = number.quantize(CENTAVO)
    if rounded != number:
        raise InvalidAmount(f"{_show(value)} has a fraction of a centavo.")
    return rounded + ZERO  # -0.00 becomes 0.00


def _is_usual(value: object) -> TypeGuard[Decimal]:
    """Whether this is what nearly every figure of a long list is: a Decimal above zero with two places that the books can hold."""
    return type(value) is Decimal and value.same_quantum(CENTAVO) and ZERO < value <= LARGEST


def parse(text: str) -> Decimal:
    """Pesos as a person types them: `1234.5`, `1,234.50`, `₱ 1,234`. Raises InvalidAmount; never guesses, never negative."""
    cleaned = text.strip().removeprefix("₱").removeprefix("PHP").removeprefix("P").strip()
    if not _TYPED.fullmatch(cleaned):
        raise InvalidAmount(f"{_show(text)} is not an amount. Write it like 1234.50.")
    return exact(Decimal(cleaned.replace(",", "")))


def centavos(amount: Decimal) -> int:
    """Integer centavos of exact pesos. Raises InvalidAmount on a fraction of a centavo."""
    return int(exact(amount).scaleb(2))


def from_centavos(value: int) -> Decimal:
    """Exact pesos of integer centavos. Raises InvalidAmount for anything but an int in range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidAmount(f"{_show(value)} is not a whole number of centavos.")
    pesos = Decimal(value).scaleb(-2)
    return pesos if -LARGEST <= pesos <= LARGEST else exact(pesos)


def half_up(amount: Fraction) -> int:
    """Whole number nearest to `amount`, halves away from zero: rounding of a document's figure to the centavo."""
    magnitude = abs(amount)
    whole = (magnitude.numerator * 2 + magnitude.denominator) // (magnitude.denominator * 2)
    return whole if amount >= 0 else -whole


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Split centavos in proportion to `weights` (none negative); the parts add up to `total` exactly, largest remainder first."""
    whole = sum(weights)
    if whole <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("split needs weights of at least 0 with a sum above 0")
    parts = [total * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in remainders[: total - sum(parts)]:
        parts[index] += 1
    return parts


def show(amount: Decimal) -> str:
    """`1,234.50`, the way every table writes money."""
    return f"{exact(amount):,.2f}"


def show_pesos(amount: Decimal) -> str:
    """`₱1,234.50`, for totals and headings; a minus stands before the sign."""
    value = exact(amount)
    return f"-₱{-value:,.2f}" if value < 0 else f"₱{value:,.2f}"


_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()


def _below_thousand(number: int) -> str:
    words = []
    if number >= 100:
        words.append(f"{_ONES[number // 100]} hundred")
        number %= 100
    if number >= 20:
        words.append(_TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else ""))
    elif number or not words:
        words.append(_ONES[number])
    return " ".join(words)


def in_words(value: int) -> str:
    """Amount in words, from centavos: `One thousand two hundred thirty-four pesos and 50/100`. Raises InvalidAmount below zero."""
    if value < 0:
        raise InvalidAmount("A receipt's amount is never negative.")
    pesos, cents = divmod(value, 100)
    groups: list[str] = []
    rest = pesos
    for name in ("", " thousand", " million", " billion", " trillion"):
        rest, group = divmod(rest, 1000)
        if group:
            groups.insert(0, _below_thousand(group) + name)
    words = " ".join(groups) or "zero"
    unit = "peso" if pesos == 1 else "pesos"
    return f"{words[0].upper()}{words[1:]} {unit}" + (f" and {cents:02d}/100" if cents else " only")


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

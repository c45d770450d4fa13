"""Exact pesos: integer centavos inside the simulator, decimal strings with two places on the wire."""

import re
from decimal import Decimal

LIMIT = 10**13
_TEXT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)


class NotMoney(ValueError):
    """The value is not an exact amount of pesos and centavos; the message says what was received."""


def parse(value: object) -> int:
    """Centavos of a decimal string or an exactly read JSON number; raises NotMoney, never rounds."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal) or (isinstance(value, str) and not _TEXT.fullmatch(value)):
        raise NotMoney(f"{_shown(value)} is not an amount like 1234.50")
    number = Decimal(value)
    if not number.is_finite() or abs(number) * 100 > LIMIT:
        raise NotMoney(f"{_shown(value)} is too large to be an amount")
    centavos = number * 100
    if centavos != centavos.to_integral_value():
        raise NotMoney(f"{_shown(value)} has a fraction of a centavo")
    return int(centavos)


def text(centavos: int) -> str:
    """Pesos as a decimal string with two places: 123450 gives "1234.50"."""
    sign = "-" if centavos < 0 else ""
    pesos, rest = divmod(abs(centavos), 100)
    return f"{sign}{pesos}.{rest:02d}"


def share(centavos: int, numerator: int, denominator: int) -> int:
    """centavos x numerator / denominator, rounded half up; all arguments zero or above."""
    return (centavos * numerator * 2 + denominator) // (denominator * 2)


def vat_inside(centavos: int) -> int:
    """The 12 % VAT contained in a VAT-inclusive amount: 12/112 of it, rounded half up."""
    return share(centavos, 12, 112)


def _shown(value: object) -> str:
    shown = repr(str(value)) if isinstance(value, Decimal) else repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."

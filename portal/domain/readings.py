"""X- and Z-readings and the one sum of expected cash (DOMAIN 6). Twin: static/mpos/domain/readings.mjs, tests/vectors/readings.json.

Money is integer centavos. The phone feeds these rules from its journal, the portal from its ledger; the results must be equal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.domain.allocation import Vat
from portal.domain.errors import InvalidInput
from portal.domain.payments import Reader

TENDER_ORDER = ("cash", "check", "e_wallet", "bank_transfer")
DENOMINATIONS: tuple[tuple[int, str], ...] = (
    (100000, "bill"),
    (50000, "bill"),
    (20000, "bill"),
    (10000, "bill"),
    (5000, "bill"),
    (2000, "bill"),
    (2000, "coin"),
    (1000, "coin"),
    (500, "coin"),
    (100, "coin"),
    (25, "coin"),
    (10, "coin"),
    (5, "coin"),
    (1, "coin"),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One payment as a reading sees it."""

    receipt_number: str | None
    amount: int
    tender: str
    channel: str | None
    penalty: int
    advance: int
    vat: Vat


@dataclass(frozen=True, slots=True)
class Voided:
    """One approved void; `cash` says whether the payment it undoes was cash."""

    void_number: str
    amount: int
    cash: bool


@dataclass(frozen=True, slots=True)
class Period:
    """Everything of one registry, in journal order. `void_numbers` holds all voids issued, approved or not; amounts of drops and
    expenses count what reduces expected cash (approved expenses only)."""

    registry: str
    business_date: str
    terminal: str
    collector: str
    period_start: str
    change_fund: int
    payments: Sequence[Taken] = ()
    voids: Sequence[Voided] = ()
    void_numbers: Sequence[str] = ()
    drops: Sequence[int] = ()
    expenses: Sequence[int] = ()
    counted: Sequence[Mapping[str, Any]] | None = None


def expected_cash(change_fund: int, cash_collected: int, voided_cash: int, drops: int, expenses: int) -> int:
    """THE sum (DOMAIN 6): change fund + cash collected (net of change) - voided cash - cash drops - approved expenses."""
    return change_fund + cash_collected - voided_cash - drops - expenses


def count_total(denominations: Iterable[Mapping[str, Any]]) -> int:
    """Centavos of a denomination count."""
    return sum(int(line["value"]) * int(line["count"]) for line in denominations)


def read_denominations(denominations: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The lines of a cash count. Raises InvalidInput for a denomination that does not exist, or a count that is no whole number."""
    lines: list[dict[str, Any]] = []
    for item in denominations:
        line = Reader(item, "denominations.")
        value, kind = line.centavos("value", lowest=1), line.one_of("kind", ("bill", "coin"))
        if (value, kind) not in DENOMINATIONS:
            raise InvalidInput(f"There is no {kind} of {value} centavos.")
        lines.append({"value": value, "kind": kind, "count": line.whole("count", 0, 1_000_000)})
    return lines


@dataclass(frozen=True, slots=True)
class Counters:
    """What a terminal carries from Z to Z."""

    z_counter: int = 0
    accumulated: int = 0
    reset_counter: int = 0


def x_reading(period: Period, period_end: str, head_hash: str, unsent: int) -> dict[str, Any]:
    """An X-reading (docs/journal.md, reading): interim, repeatable, moves nothing."""
    cash_collected = sum(payment.amount for payment in period.payments if payment.tender == "cash")
    voided_cash = sum(void.amount for void in period.voids if void.cash)
    drops, expenses = sum(period.drops), sum(period.expenses)
    expected = expected_cash(period.change_fund, cash_collected, voided_cash, drops, expenses)
    gross = sum(payment.amount for payment in period.payments)
    less_void = sum(void.amount for void in period.voids)
    counted_cash = None if period.counted is None else count_total(period.counted)
    numbers = [payment.receipt_number for payment in period.payments if payment.receipt_number]
    return {
        "registry": period.registry,
        "business_date": period.business_date,
        "terminal": period.terminal,
        "collector": period.collector,
        "period_start": period.period_start,
        "period_end": period_end,
        "first_receipt": numbers[0] if numbers else None,
        "last_receipt": numbers[-1] if numbers else None,
        "first_void": period.void_numbers[0] if period.void_numbers else None,
        "last_void": period.void_numbers[-1] if period.void_numbers else None,
        "transaction_count": len(period.payments),
        "vatable": sum(payment.vat.vatable for payment in period.payments),
        "vat_amount": sum(payment.vat.vat_amount for payment in period.payments),
        "vat_exempt": sum(payment.vat.vat_exempt for payment in period.payments),
        "zero_rated": sum(payment.vat.zero_rated for payment in period.payments),
        "penalty": sum(payment.penalty for payment in period.payments),
        "advance": sum(payment.advance for payment in period.payments),
        "gross": gross,
        "less_void": less_void,
        "net": gross - less_void,
        "tenders": by_tender(period.payments),
        "change_fund": period.change_fund,
        "cash_collected": cash_collected,
        "less_voided_cash": voided_cash,
        "less_drops": drops,
        "less_expenses": expenses,
        "expected_cash": expected,
        "counted": None if period.counted is None else [dict(line) for line in period.counted],
        "counted_cash": counted_cash,
        "short_over": None if counted_cash is None else counted_cash - expected,
        "head_hash": head_hash,
        "unsent": unsent,
    }


def z_reading(period: Period, previous: Counters, period_end: str, head_hash: str, unsent: int) -> dict[str, Any]:
    """A Z-reading: the X's body, the Z counter one up, present accumulated = previous accumulated + gross (never less a void)."""
    reading = x_reading(period, period_end, head_hash, unsent)
    reading["z_counter"] = previous.z_counter + 1
    reading["reset_counter"] = previous.reset_counter
    reading["previous_accumulated"] = previous.accumulated
    reading["present_accumulated"] = previous.accumulated + reading["gross"]
    return reading


def with_late(reading: Mapping[str, Any], late: Sequence[Taken], printed: int, never_printed: int) -> dict[str, Any]:
    """The portal's Z-reading with the payments that reached it after the Z of their own registry (DOMAIN 6): they enter this one beside
    its period, in the accumulated total and in expected cash. Phones have no late payments, so these fields have no twin.

    Of the late payments, `printed` is what the phone has in the Z it printed for their own registry (they were damaged on the way);
    `never_printed` is what this terminal's earlier Z-readings took late and no Z of the phone ever had. Centavos."""
    amount = sum(payment.amount for payment in late)
    cash = sum(payment.amount for payment in late if payment.tender == "cash")
    expected = expected_cash(
        reading["change_fund"],
        reading["cash_collected"] + cash,
        reading["less_voided_cash"],
        reading["less_drops"],
        reading["less_expenses"],
    )
    counted = reading["counted_cash"]
    return {
        **reading,
        "expected_cash": expected,
        "short_over": None if counted is None else counted - expected,
        "present_accumulated": reading["previous_accumulated"] + reading["gross"] + amount,
        "late_count": len(late),
        "late_amount": amount,
        "late_cash": cash,
        "late_tenders": by_tender(late),
        "late_printed": printed,
        "late_never_printed": never_printed + amount - printed,
    }


def with_carried(reading: Mapping[str, Any], voids: Sequence[Voided], drops: Sequence[int], expenses: Sequence[int] = ()) -> dict[str, Any]:
    """The portal's Z-reading with what the phone wrote into the registry before after the office had closed that one: voids, cash drops
    and approved expenses that its own Z could not hold, so that none falls between two. Centavos; the reading itself when there is
    nothing."""
    if not voids and not drops and not expenses:
        return dict(reading)
    void, cash = sum(one.amount for one in voids), sum(one.amount for one in voids if one.cash)
    changed = {
        **reading,
        "less_void": reading["less_void"] + void,
        "net": reading["net"] - void,
        "less_voided_cash": reading["less_voided_cash"] + cash,
        "less_drops": reading["less_drops"] + sum(drops),
        "less_expenses": reading["less_expenses"] + sum(expenses),
    }
    given = (changed[name] for name in ("change_fund", "cash_collected", "less_voided_cash", "less_drops", "less_expenses"))
    expected, counted = expected_cash(*given), reading["counted_cash"]
    carried = {"carried_void": void, "carried_voided_cash": cash, "carried_drops": sum(drops), "carried_expenses": sum(expenses)}
    return {**changed, "expected_cash": expected, "short_over": None if counted is None else counted - expected, **carried}


def without_carried(reading: Mapping[str, Any]) -> dict[str, Any]:
    """A portal's Z-reading as the phone works it out, whose own Z of the registry before held what was carried."""
    void, cash, drops, spent = (reading.get(f"carried_{name}", 0) for name in ("void", "voided_cash", "drops", "expenses"))
    plain = {
        **reading,
        "less_void": reading["less_void"] - void,
        "net": reading["net"] + void,
        "less_voided_cash": reading["less_voided_cash"] - cash,
        "less_drops": reading["less_drops"] - drops,
        "less_expenses": reading["less_expenses"] - spent,
        "expected_cash": reading["expected_cash"] + cash + drops + spent,
    }
    if reading["short_over"] is not None:
        plain["short_over"] = reading["short_over"] - cash - drops - spent
    return plain


def without_late(reading: Mapping[str, Any]) -> dict[str, Any]:
    """A portal's Z-reading as the phone works it out, to which no payment is late: it was in the Z of its own registry, or in none. Nor is
    anything carried over from a registry that the office closed."""
    reading = without_carried(reading)
    cash, amount, never = (reading.get(name, 0) for name in ("late_cash", "late_amount", "late_never_printed"))
    plain = {**reading, "expected_cash": reading["expected_cash"] - cash}
    if reading["short_over"] is not None:
        plain["short_over"] = reading["short_over"] + cash
    if "present_accumulated" in reading:
        plain["previous_accumulated"] = reading["previous_accumulated"] + amount - never
        plain["present_accumulated"] = reading["present_accumulated"] - never
    return plain


def by_tender(payments: Sequence[Taken]) -> list[dict[str, Any]]:
    """Count and amount per tender and channel, in the order docs/journal.md gives."""
    groups: dict[tuple[int, bool, str], dict[str, Any]] = {}
    for payment in payments:
        key = (TENDER_ORDER.index(payment.tender), payment.channel is not None, payment.channel or "")
        line = groups.setdefault(key, {"tender": payment.tender, "channel": payment.channel, "count": 0, "amount": 0})
        line["count"] += 1
        line["amount"] += payment.amount
    return [groups[key] for key in sorted(groups)]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field in which the phone's reading and the portal's disagree."""

    field: str
    phone: Any
    portal: Any


COMPARED = (
    "first_receipt",
    "last_receipt",
    "first_void",
    "last_void",
    "transaction_count",
    "vatable",
    "vat_amount",
    "vat_exempt",
    "zero_rated",
    "penalty",
    "advance",
    "gross",
    "less_void",
    "net",
    "tenders",
    "change_fund",
    "cash_collected",
    "less_voided_cash",
    "less_drops",
    "less_expenses",
    "expected_cash",
    "counted_cash",
    "short_over",
    "z_counter",
    "reset_counter",
    "previous_accumulated",
    "present_accumulated",
)
"""Fields both sides work out; times, the head hash and the number of unsent entries are the phone's alone."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of holding a phone's reading against the portal's own."""

    differences: tuple[Difference, ...] = field(default=())

    @property
    def equal(self) -> bool:
        """True when no centavo and no counter differs."""
        return not self.differences


def compare(phone: Mapping[str, Any], portal: Mapping[str, Any]) -> Comparison:
    """Compare the fields both sides work out; a missing field counts as different."""
    missing = object()
    return Comparison(
        tuple(
            Difference(name, phone.get(name), portal[name])
            for name in COMPARED
            if name in portal and phone.get(name, missing) != portal[name]
        )
    )


def only_late_differs(phone: Mapping[str, Any], portal: Mapping[str, Any]) -> bool:
    """Whether phone and portal differ, and by nothing but late payments."""
    return not compare(phone, portal).equal and compare(phone, without_late(portal)).equal

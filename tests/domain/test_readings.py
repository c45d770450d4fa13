"""X- and Z-readings: worked by hand, then over random days."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import readings
from portal.domain.allocation import Vat
from portal.domain.readings import Counters, Period, Taken, Voided

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "readings.json").read_text(encoding="utf-8"))
END = ("2026-11-20T17:00:00.000+08:00", "ab" * 32, 0)


def day(*payments: Taken, **fields: Any) -> Period:
    values = {"change_fund": 50000, "payments": payments, **fields}
    return Period("r", "2026-11-20", "T07", "nena", "2026-11-20T08:00:00.000+08:00", **values)


def cash(number: int, amount: int, **fields: Any) -> Taken:
    values = {"penalty": 0, "advance": 0, "vat": Vat(amount, 0, 0, 0), "tender": "cash", "channel": None, **fields}
    return Taken(f"T07-{number:08d}", amount, **values)


def test_expected_cash_is_fund_plus_cash_less_voided_less_drops_less_expenses() -> None:
    assert readings.expected_cash(50000, 123450, 10000, 60000, 1500) == 101950


def test_an_empty_day_reads_as_nothing_but_the_change_fund() -> None:
    z = readings.z_reading(day(), Counters(4, 900), *END)
    assert (z["gross"], z["expected_cash"], z["transaction_count"], z["first_receipt"]) == (0, 50000, 0, None)
    assert (z["z_counter"], z["previous_accumulated"], z["present_accumulated"]) == (5, 900, 900)


def test_only_cash_is_expected_in_the_bag_and_each_tender_has_its_line() -> None:
    wallet = cash(2, 7000, tender="e_wallet", channel="GCash")
    check = cash(3, 5000, tender="check", channel="BDO")
    x = readings.x_reading(day(cash(1, 10000), wallet, check, cash(4, 1)), *END)
    assert x["expected_cash"] == 60001
    assert [(line["tender"], line["channel"], line["count"], line["amount"]) for line in x["tenders"]] == [
        ("cash", None, 2, 10001),
        ("check", "BDO", 1, 5000),
        ("e_wallet", "GCash", 1, 7000),
    ]
    assert (x["first_receipt"], x["last_receipt"]) == ("T07-00000001", "T07-00000004")
    assert "z_counter" not in x


def test_a_void_is_taken_from_net_and_cash_but_never_from_the_accumulated_total() -> None:
    period = day(cash(1, 10000), cash(2, 5000), voids=[Voided("T07-V000001", 5000, True)], void_numbers=["T07-V000001"])
    z = readings.z_reading(period, Counters(0, 100), *END)
    assert (z["gross"], z["less_void"], z["net"], z["expected_cash"]) == (15000, 5000, 10000, 60000)
    assert z["present_accumulated"] == 15100


def test_short_and_over_are_counted_less_expected() -> None:
    counted = [{"value": 100000, "kind": "bill", "count": 1}, {"value": 2000, "kind": "coin", "count": 2}]
    x = readings.x_reading(day(cash(1, 60000), counted=counted), *END)
    assert (x["counted_cash"], x["short_over"]) == (104000, 104000 - 110000)


@given(st.lists(st.tuples(st.integers(1, 10**7), st.sampled_from(readings.TENDER_ORDER), st.booleans()), max_size=30))
def test_tenders_gross_and_net_agree_on_any_day(taken: list[tuple[int, str, bool]]) -> None:
    payments = [cash(number, amount, tender=tender) for number, (amount, tender, _) in enumerate(taken, start=1)]
    voids = [Voided(f"T07-V{i:06d}", amount, tender == "cash") for i, (amount, tender, void) in enumerate(taken, 1) if void]
    z = readings.z_reading(day(*payments, voids=voids), Counters(7, 12345), *END)
    assert sum(line["amount"] for line in z["tenders"]) == z["gross"] == z["net"] + z["less_void"]
    assert sum(line["count"] for line in z["tenders"]) == z["transaction_count"]
    assert z["present_accumulated"] >= z["previous_accumulated"]
    in_bag = sum(amount for amount, tender, void in taken if tender == "cash" and not void)
    assert z["expected_cash"] == 50000 + in_bag


def test_a_centavo_of_difference_is_found_and_a_missing_field_too() -> None:
    portal = readings.z_reading(day(cash(1, 100)), Counters(), *END)
    assert readings.compare(portal, portal).equal
    wrong = {**portal, "gross": 101, "unsent": 99}
    assert [difference.field for difference in readings.compare(wrong, portal).differences] == ["gross"]
    del wrong["gross"]
    assert not readings.compare(wrong, portal).equal


@pytest.mark.parametrize("case", VECTORS)
def test_the_shared_vectors_still_hold(case: dict[str, Any]) -> None:
    raw = case["period"]
    payments = [Taken(**{**payment, "vat": Vat(**payment["vat"])}) for payment in raw["payments"]]
    period = Period(**{**raw, "payments": payments, "voids": [Voided(**void) for void in raw["voids"]]})
    arguments = (case["period_end"], case["head_hash"], case["unsent"])
    assert readings.x_reading(period, *arguments) == case["x"]
    assert readings.z_reading(period, Counters(**case["previous"]), *arguments) == case["z"]


def test_late_payments_enter_beside_the_period_in_accumulated_and_expected_cash_and_nowhere_else() -> None:
    z = readings.z_reading(
        day(cash(3, 10000), drops=[1000], counted=[{"value": 100000, "kind": "bill", "count": 1}]), Counters(1, 900), *END
    )
    late = [cash(1, 500), cash(2, 70, tender="check", channel="BDO")]
    found = readings.with_late(z, late, printed=70, never_printed=300)
    assert (found["late_count"], found["late_amount"], found["late_cash"], found["late_printed"]) == (2, 570, 500, 70)
    assert found["late_never_printed"] == 300 + 500
    assert found["late_tenders"] == [
        {"tender": "cash", "channel": None, "count": 1, "amount": 500},
        {"tender": "check", "channel": "BDO", "count": 1, "amount": 70},
    ]
    assert found["expected_cash"] == 50000 + 10000 + 500 - 1000 and found["short_over"] == 100000 - 59500
    assert found["present_accumulated"] == 900 + 10000 + 570
    moved = {"expected_cash", "short_over", "present_accumulated"}
    assert {name: value for name, value in found.items() if name in z and name not in moved} == {
        name: value for name, value in z.items() if name not in moved
    }


def test_an_uncounted_z_stays_uncounted_with_late_payments() -> None:
    assert readings.with_late(readings.z_reading(day(), Counters(), *END), [cash(1, 5)], 0, 0)["short_over"] is None


def test_a_difference_that_late_payments_make_alone_is_told_from_any_other() -> None:
    period = day(cash(2, 10000), counted=[{"value": 100, "kind": "coin", "count": 3}])
    phone = readings.z_reading(period, Counters(1, 900), *END)
    portal = readings.with_late(readings.z_reading(period, Counters(1, 900 + 300), *END), [cash(1, 500)], 0, never_printed=300)
    assert {difference.field for difference in readings.compare(phone, portal).differences} == {
        "expected_cash", "short_over", "previous_accumulated", "present_accumulated",
    }  # fmt: skip
    assert readings.only_late_differs(phone, portal)
    assert not readings.only_late_differs({**phone, "gross": 1}, portal)
    assert not readings.only_late_differs({**phone, "expected_cash": phone["expected_cash"] + 1}, portal)
    portal = readings.with_late(readings.z_reading(period, Counters(1, 900 + 300 - 500), *END), [cash(1, 500)], 500, never_printed=300)
    assert readings.only_late_differs(phone, portal), "the phone has it in an earlier Z, so its accumulated total does not differ by it"
    plain = readings.with_late(phone, [], 0, 0)
    assert readings.compare(phone, plain).equal and not readings.only_late_differs(phone, plain)
    x = readings.x_reading(period, *END)
    assert not readings.only_late_differs({**x, "gross": 1}, x)

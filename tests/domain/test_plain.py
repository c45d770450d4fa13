"""The version of an SOA is the one phones were given since the first release, however it is worked out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.domain.plain import centavos, moment, plain
from portal.domain.soa import Invoice, Soa
from tests.factories import make_soa

TEXT = st.text(max_size=12)
PESOS = st.integers(0, 10**12).map(lambda value: Decimal(value).scaleb(-2))
DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
INVOICES = st.builds(
    Invoice, TEXT, TEXT, DAYS, DAYS, TEXT, PESOS, PESOS, PESOS, st.sampled_from(["vatable", "exempt", "zero_rated"]), PESOS
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
SOAS = st.builds(
    Soa,
    *[TEXT] * 8,
    DAYS,
    DAYS,
    PESOS,
    PESOS,
    st.none() | TEXT,
    st.sampled_from(["active", "closed"]),
    st.datetimes(datetime(1900, 1, 3), datetime(2199, 1, 1), timezones=ZONES),  # noqa: DTZ001 - the zone comes from ZONES
    st.lists(INVOICES, max_size=3).map(tuple),
)


def first_release(soa: Soa) -> str:
    """The version as the first release worked it out."""

    def told(value: Any) -> str:
        return value.isoformat() if isinstance(value, date) else str(value)

    fields = asdict(soa)
    del fields["updated_at"]
    text = json.dumps(fields, default=told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@given(SOAS)
def test_every_version_is_that_of_the_first_release(soa: Soa) -> None:
    assert soa.version == plain(soa).version == first_release(soa)


def test_a_version_known_by_heart() -> None:
    assert make_soa("S1").version == "657deb00d484e2c3"


@given(SOAS)
def test_plain_holds_the_same_values(soa: Soa) -> None:
    made = plain(soa)
    assert (made.id, made.customer_name, made.collector_code) == (soa.id, soa.customer_name, soa.collector_code)
    assert Decimal(centavos(made.amount_due)).scaleb(-2) == soa.amount_due
    assert [centavos(one.balance) for one in made.invoices] == [int(one.balance * 100) for one in soa.invoices]
    assert datetime.fromisoformat(f"{made.updated_at}+00:00") == soa.updated_at
    assert date.fromisoformat(made.due_date) == soa.due_date


def test_an_instant_has_always_the_same_length() -> None:
    assert moment(datetime(2026, 11, 20, 8, 15, 30, tzinfo=timezone(timedelta(hours=8)))) == "2026-11-20 00:15:30.000000"
    assert moment(datetime(2026, 11, 20, 0, 15, 30, 120, tzinfo=UTC)) == "2026-11-20 00:15:30.000120"

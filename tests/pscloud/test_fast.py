"""The quick way of mapping gives what the careful way gives, or leaves the record to it; its digests know who reads."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.domain.plain import plain
from portal.pscloud.fast import Reader
from portal.pscloud.mapping import MappingError, to_soa
from portal.pscloud.profile import Profile, load
from tests.pscloud.server import invoice, record
from tests.pscloud.shapes.base import Shape
from tests.pscloud.shapes.frappe import Frappe
from tests.pscloud.shapes.odata import Odata

DEFAULT = load()
ODD = st.sampled_from(
    [
        None, True, False, 0, 1, 12, -1, 1250, "", " ", "x", "12.50", "0.00", "00.10", "007.00", "12.5", "12", "-1.00", "1,250.00",
        "1e3", "NaN", "1_0.00", "１２.00", "12.50 ", "9999999999999.99", "99999999999999.99", "2026-11-20", "2026-02-31", "0000-00-00",
        "2026-11-20T00:00:00Z", "1899-12-31", "2026-11-19T08:00:00+08:00", "2026-11-19T08:00:00.1234567+08:00", "2026-11-19 08:00:00",
        "active", "settled", " active", "on_hold", "vatable", "exempt", "COL-01", "x" * 41, "x" * 101, "x" * 301, "x" * 2001, "a\x00b",
        "\u2028", " padded ", "ñ", "😀", "\\N", [], {}, [1], {"id": "x"}, ["x"], 10**30,
    ]
)  # fmt: skip
"""What fields hold when somebody else fills them."""


def paths(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a record."""
    if isinstance(value, dict):
        return [way, *(place for key, part in value.items() for place in paths(part, (*way, key)))]
    if isinstance(value, list):
        return [way, *(place for key, part in enumerate(value) for place in paths(part, (*way, key)))]
    return [way]


GOOD = record(1, invoices=[invoice(2, due_date="2026-10-05"), invoice(1), invoice(3, vat_type="exempt")])


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good record in which up to three places hold something else, or nothing."""
    made = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from([place for place in paths(made) if place]))
        target: Any = made
        for step in way[:-1]:
            target = target[step]
        if draw(st.booleans()):
            target[way[-1]] = copy.deepcopy(draw(ODD))  # what is put in may be spoilt further
        else:
            del target[way[-1]]
    return json.dumps(made, ensure_ascii=draw(st.booleans())).encode()


def careful(raw: bytes, profile: Profile) -> Any:
    try:
        return plain(to_soa(raw, profile))
    except MappingError:
        return None


@settings(max_examples=600, deadline=None)
@given(spoilt())
def test_it_gives_what_the_careful_way_gives_or_nothing(raw: bytes) -> None:
    found = Reader(DEFAULT).read(raw)
    assert found is None or found == careful(raw, DEFAULT)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spoilt(), st.sampled_from(["pesos", "centavos", "grouped"]), st.booleans(), st.sampled_from(["iso", "midnight", "%d/%m/%Y"]))
def test_it_does_so_however_values_are_written(raw: bytes, amount: Any, numbers: bool, day: str) -> None:
    formats = msgspec.structs.replace(DEFAULT.formats, amount=amount, numbers_as_text=numbers, date=day)
    profile = msgspec.structs.replace(DEFAULT, formats=formats)
    found = Reader(profile).read(raw)
    assert found is None or found == careful(raw, profile)


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"null", b'"x"', b"{", b"", b'{"id": "\\ud800"}', b"\xff", b"[" * 100_000])
def test_what_is_no_record_is_left_to_the_careful_way(raw: bytes) -> None:
    assert Reader(DEFAULT).read(raw) is None
    with pytest.raises(MappingError):
        Reader(DEFAULT).soa(raw)


def test_usual_records_do_take_the_quick_way() -> None:
    assert Reader(DEFAULT).read(json.dumps(GOOD).encode()) is not None
    assert Reader(DEFAULT).read(json.dumps(GOOD, ensure_ascii=False).encode()) is not None


@pytest.mark.parametrize("shape", [Frappe, Odata])
def test_other_shapes_read_the_same_both_ways(shape: type[Shape]) -> None:
    from portal.pscloud.client import PscloudClient
    from tests.pscloud.shapes.base import serving

    made = shape()
    with serving(made), PscloudClient(made.url, made.credential, load(made.profile), allow_private=True) as client:
        records = [raw for page in client.soa_pages() for raw in page.records]
        reader = Reader(client.profile)
        assert len(records) == 7 and [reader.soa(raw) for raw in records] == [careful(raw, client.profile) for raw in records]
        assert all(reader.read(raw) is not None for raw in records)


def test_paths_that_lead_through_lists_are_left_to_the_careful_way() -> None:
    through = msgspec.structs.replace(DEFAULT, soa=msgspec.structs.replace(DEFAULT.soa, tin="invoices.0.id"))
    raw = json.dumps(GOOD).encode()
    assert Reader(through).read(raw) is None and Reader(through).soa(raw) == careful(raw, through)


def test_a_digest_is_that_of_the_bytes_the_profile_and_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = json.dumps(GOOD).encode()
    first = Reader(DEFAULT).digest(raw)
    assert first == Reader(DEFAULT).digest(raw) and first != Reader(DEFAULT).digest(raw + b" ")
    other = msgspec.structs.replace(DEFAULT, soa_status={**DEFAULT.soa_status, "active": "closed"})
    assert first != Reader(other).digest(raw)
    monkeypatch.setattr("portal.pscloud.fast._RULES", b"other rules")
    assert first != Reader(DEFAULT).digest(raw)


@settings(max_examples=120, deadline=None)
@given(st.lists(spoilt(), min_size=8, max_size=12))
def test_many_at_once_give_what_each_by_itself_gives(raws: list[bytes]) -> None:
    reader = Reader(DEFAULT)
    assert reader.soas(raws) == list(map(reader.read, raws))


@pytest.mark.parametrize("unusual", [b'{"id": "\\u0000"}', b"{", b'{"id": 1e400}', json.dumps(record(2, amount_due="1e3")).encode()])
def test_an_unusual_record_among_many_does_not_touch_its_neighbours(unusual: bytes) -> None:
    raws = [json.dumps(record(n), ensure_ascii=bool(n % 2)).encode() for n in range(40)]
    raws[17] = unusual
    reader = Reader(DEFAULT)
    assert reader.soas(raws) == [*map(reader.read, raws)]
    assert [one is None for one in reader.soas(raws)] == [n == 17 for n in range(40)]


def test_unusual_values_in_every_record_read_the_same_at_once() -> None:
    formats = msgspec.structs.replace(DEFAULT.formats, amount="grouped")
    for profile in (DEFAULT, msgspec.structs.replace(DEFAULT, formats=formats)):
        reader = Reader(profile)
        made = [record(n, invoices=[invoice(n * 3 + part, vat_type=None, penalty=None) for part in range(n % 3)]) for n in range(20)]
        raws = [json.dumps(one).encode() for one in made]
        assert reader.soas(raws) == [*map(reader.read, raws)]

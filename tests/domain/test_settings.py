"""What a setting may be: read from a form, checked, and refused in words that say what would be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.errors import InvalidInput
from portal.domain.settings import DEFINITIONS, NO_COLLECTION_REASONS, SECTIONS, VOID_REASONS, Settings, fits, read


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("registered_name", ["  Hardin \n ng   Kapayapaan "], "Hardin ng Kapayapaan"),
        ("business_name", [], ""),
        ("vat_registered", ["1"], True),
        ("tin", [""], ""),
        ("tin", ["123-456-789"], "123-456-789"),
        ("tin", ["12345678900000"], "12345678900000"),
        ("vat_registered", [], False),
        ("stale_soa_days", [" 30 "], 30),
        ("sync_drop_percent", ["0"], 0),
        ("payment_approval", ["manual"], "manual"),
        ("receipt_footer", ["Salamat po!\r\n\r\n  See you  "], ["Salamat po!", "See you"]),
        ("receipt_header", [""], []),
        ("void_reasons", ["Wrong amount\nWrong customer"], ["Wrong amount", "Wrong customer"]),
    ],
)
def test_what_a_form_sends_is_read(name: str, texts: list[str], value: object) -> None:
    assert read(DEFINITIONS[name], texts) == value and fits(name, value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("registered_name", "   ", "cannot be empty"),
        ("tin", "1" * 41, "at most 40"),
        ("tin", "abc", "'abc' is not one. Write it like 123-456-789-00000."),
        ("tin", "123-456-789-0", "Write it like"),
        ("stale_soa_days", "0", "from 1 to 365"),
        ("stale_soa_days", "-1", "from 1 to 365"),
        ("stale_soa_days", "１２", "from 1 to 365"),
        ("stale_soa_days", "9" * 5000, "from 1 to 365"),
        ("sync_drop_percent", "101", "from 0 to 100"),
        ("payment_approval", "sometimes", "one of the choices"),
        ("void_reasons", "\n \n", "at least one line"),
        ("void_reasons", "Wrong amount\nwrong  AMOUNT", "twice"),
        ("void_reasons", "\n".join(map(str, range(13))), "at most 12 lines"),
        ("receipt_footer", "x" * 49, "at most 48"),
        ("business_name", "Har\u202edin", "ordinary letters"),
    ],
)
def test_what_cannot_be_is_refused_in_words(name: str, text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(DEFINITIONS[name], [text])
    assert says in refused.value.message and refused.value.message.startswith(DEFINITIONS[name].label)


@given(st.sampled_from(sorted(DEFINITIONS)), st.text(max_size=80))
def test_whatever_is_read_fits_and_is_read_again_as_it_is(name: str, text: str) -> None:
    try:
        value = read(DEFINITIONS[name], [text])
    except InvalidInput:
        return
    assert fits(name, value)
    shown = "\n".join(value) if isinstance(value, list) else "1" if value is True else "" if value is False else str(value)
    assert read(DEFINITIONS[name], [shown]) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stale_soa_days", True),
        ("stale_soa_days", "7"),
        ("vat_registered", 1),
        ("void_reasons", "x"),
        ("payment_approval", []),
        ("nothing", 1),
    ],
)
def test_a_stored_value_of_another_kind_does_not_fit(name: str, value: object) -> None:
    assert not fits(name, value)


def test_names_are_unique_and_the_phone_is_told_everything_but_the_rules() -> None:
    names = [one.name for section in SECTIONS for one in section.settings]
    assert len(set(names)) == len(names)
    told = Settings(dict.fromkeys(names, "")).organisation
    assert set(names) - set(told) == {"payment_approval", "stale_soa_days", "terminal_approval", "sync_drop_percent"}
    assert fits("void_reasons", [*VOID_REASONS]) and fits("no_collection_reasons", [*NO_COLLECTION_REASONS])

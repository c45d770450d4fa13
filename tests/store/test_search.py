"""Search over the SOAs: the same hits as reading every row, through the index of either database, and one wrong letter forgiven."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update

from portal.extensions import db
from portal.store import search, soas
from portal.store.models import Soa
from portal.store.soas import SoaFilter
from tests.factories import make_soa, store_soas

TODAY = date(2026, 11, 20)
NAMES = (
    "Dela Cruz, Maria Lourdes",
    "de la Cruz, José",
    "De Los Santos, Ana",
    "Reyes, Ramon",
    "Villanueva, Señorita",
    "Ñiguez, Ben",
    "Li, Bo",
)


def found(q: str) -> list[str]:
    page = soas.list_page(SoaFilter(q=q, sort="name", status="all"), TODAY)
    assert soas.totals(SoaFilter(q=q, status="all"), TODAY).count == len(page.rows)
    return sorted(row.customer_name for row in page.rows)


@pytest.fixture
def customers(any_app: Flask) -> None:
    store_soas(*(make_soa(f"S{n}", customer_name=name, account_number=f"MP-2019-{n:05}") for n, name in enumerate(NAMES)))


@pytest.mark.usefixtures("customers")
def test_words_in_any_order_with_or_without_accents_and_de_la_in_one_word_or_two() -> None:
    both = ["Dela Cruz, Maria Lourdes", "de la Cruz, José"]
    assert found("dela cruz") == found("De La Cruz") == found("cruz, dela") == found("cruz de la") == found("la cruz") == both
    assert found("jose cruz") == found("JOSÉ delacruz") or found("jose cruz") == ["de la Cruz, José"]
    assert found("delos santos") == found("de los") == ["De Los Santos, Ana"]
    assert found("niguez") == ["Ñiguez, Ben"] and found("senorita villa") == ["Villanueva, Señorita"]
    assert found("bo") == ["Li, Bo"] and found("li") == ["Li, Bo"]
    assert found("mp-2019-00003") == ["Reyes, Ramon"] and len(found("MP-2019")) == len(NAMES)
    assert found('"') == found("%") == found("_") == found("reyes%") == found('re"yes') == []


@pytest.mark.usefixtures("customers")
def test_a_number_is_found_by_its_beginning_first_and_else_by_any_part() -> None:
    store_soas(make_soa("S90", customer_name="Other, One", account_number="AB-MP-2019-00003"))
    assert found("MP-2019-00003") == found("mp-2019-00003") == ["Reyes, Ramon"]
    assert found("2019-00003") == ["Other, One", "Reyes, Ramon"] and found("ramon 2019-00003") == ["Reyes, Ramon"]


@pytest.mark.usefixtures("customers")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [("reyez", "reyes"), ("reys", "reyes"), ("reyees", "reyes"), ("ryees", "reyes"), ("feyes", "reyes"), ("villanueb", "villanueva"),
     ("vilanueva", "villanueva"), ("ramon reyez", "ramon reyes"), ("dela cruz lurdes", "dela cruz lourdes"), ("reyez r", "reyes r")],
)  # fmt: skip
def test_one_wrong_letter_is_mended(typed: str, meant: str) -> None:
    assert found(typed) == []
    guess = next(one for one in search.guesses(typed) if found(one))
    assert guess.split()[: len(meant.split())] == meant.split() and found(guess)


@pytest.mark.usefixtures("customers")
def test_what_is_right_or_too_far_off_is_not_mended() -> None:
    assert list(search.guesses("reyes")) == list(search.guesses("rey")) == list(search.guesses("mp-2019-99999")) == []
    assert list(search.guesses("rxyxs")) == list(search.guesses("")) == list(search.guesses("%%%%")) == []


def test_the_index_follows_every_change_of_a_row(any_app: Flask) -> None:
    store_soas(make_soa("S1", customer_name="Reyes, Ramon"), make_soa("S2", customer_name="Santos, Ana"))
    db.session.execute(update(Soa).where(Soa.id == "S1").values(search_text="ramos, ramon"))
    assert found("reyes") == [] and found("ramos") == ["Reyes, Ramon"]
    db.session.execute(update(Soa).where(Soa.id == "S1").values(search_text="ramos, ramon"))
    db.session.execute(text("DELETE FROM invoices WHERE soa_id = 'S2'"))
    db.session.execute(text("DELETE FROM soas WHERE id = 'S2'"))
    assert found("santos") == [] and found("ramos") == ["Reyes, Ramon"]


def test_many_hits_and_few_are_found_alike(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    store_soas(*(make_soa(f"S{n:02}", customer_name=f"Santos, Ana {'Marie' if n % 3 else 'Rose'}") for n in range(20)))
    few = found("santos rose")
    monkeypatch.setattr(search, "FEW", 3)
    assert len(few) == 7 and found("santos rose") == few and len(found("santos")) == 20


LETTERS = st.text("abcñÁ de%_\"'-é", min_size=0, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(LETTERS.filter(str.strip), min_size=1, max_size=6), typed=LETTERS)
def test_the_index_finds_what_reading_every_row_finds(app: Flask, names: list[str], typed: str) -> None:
    db.session.rollback()
    for table in ("invoices", "soa_changes", "unconfirmed_soas", "soas", "soa_totals"):
        db.session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - names of our own
    store_soas(*(make_soa(f"S{n}", customer_name=name, account_number="-", soa_number="-") for n, name in enumerate(names)))
    expected = sorted(name for name in names if all(word in search.fold(f"{name} - -") for word in search.words_of(typed)))
    assert sorted(found(typed)) == expected


@given(st.text("abcd", min_size=1, max_size=8), st.data())
def test_one_letter_apart_is_one_edit(known: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(known) - 1))
    letter = data.draw(st.sampled_from("abcdz"))
    swapped = known[:place] + known[place + 1 : place + 2] + known[place] + known[place + 2 :]
    for typed in (
        known[:place] + known[place + 1 :],
        known[:place] + letter + known[place:],
        known[:place] + letter + known[place + 1 :],
        swapped,
    ):
        assert typed == known or search.one_letter_apart(typed, known)
        assert typed == known or search.one_letter_apart(typed, known + data.draw(st.text("abcd", max_size=3)), unfinished=True)
    assert not search.one_letter_apart(known + "xy", known) and not search.one_letter_apart("xy" + known, known)

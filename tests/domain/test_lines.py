"""Rows as lines of one pitch: nothing is lost, nothing is wider than its column, no row is parted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portal.domain.lines import Block, Place, full_width, head, pages, plain, row, width, wrapped

TEXT = st.text(st.characters(codec="utf-8"), max_size=80)


@given(TEXT, st.integers(2, 30))
def test_wrapping_loses_no_letter_and_keeps_to_the_width(text: str, most: int) -> None:
    lines = wrapped(plain(text), most)
    assert "".join("".join(lines).split()) == "".join(plain(text).split())
    assert all(width(line) <= most or len(line) == 1 for line in lines) and lines


@given(st.lists(TEXT, min_size=3, max_size=3))
def test_columns_stand_beneath_each_other_whatever_is_in_them(cells: list[str]) -> None:
    places = (Place("Name", 12), Place("Amount", 10, True), Place("Note", 8))
    block = row(cells, places)
    assert all(width(line) <= full_width(places) for line in block.lines)
    assert all("\n" not in line and "\u202e" not in line for line in block.lines)


def test_figures_stand_to_the_right_and_long_texts_go_on_beneath() -> None:
    places = (Place("Customer", 10), Place("Amount", 8, True))
    assert row(["Dela Cruz, Maria", "1,120.00"], places).lines == ("Dela Cruz,  1,120.00", "Maria")
    assert row(["Ana", "5.00"], places).lines == ("Ana             5.00",)
    assert head(places) == ("Customer      Amount", "─" * 20)
    assert row(["Ñuñez", "5.00"], places).lines == ("Ñuñez           5.00",)


@given(st.lists(st.integers(1, 4), max_size=60), st.integers(4, 9), st.integers(4, 12))
def test_pages_hold_every_row_once_in_order_and_whole(depths: list[int], first: int, rest: int) -> None:
    blocks = [Block(tuple(f"{number}.{line}" for line in range(depth))) for number, depth in enumerate(depths)]
    found = list(pages(blocks, first, rest))
    assert [block for page in found for block in page] == blocks
    for number, page in enumerate(found):
        assert sum(len(block.lines) for block in page) <= (rest if number else first)

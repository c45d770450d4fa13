"""CSV: no cell is a formula, money stays a number, a long list comes in pieces."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from portal.exports import FORMULA_STARTS, cell, csv_lines, guarded


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\0x", "  =1", "＝1"])
def test_what_a_spreadsheet_could_calculate_is_shown_as_text(text: str) -> None:
    assert guarded(text) == f"'{text}"


@given(st.text())
def test_no_text_begins_like_a_formula_once_guarded(text: str) -> None:
    assert not guarded(text).lstrip(" ").startswith(FORMULA_STARTS) and guarded(text).removeprefix("'") in {text, text.removeprefix("'")}


def test_numbers_dates_and_nothing_keep_their_meaning(app: Flask) -> None:
    assert cell(Decimal("-1234.5")) == "-1234.50" and cell(7) == "7" and cell(None) == ""
    assert cell(date(2026, 11, 20)) == "2026-11-20"
    assert cell(datetime(2026, 11, 20, 1, 30, tzinfo=UTC)) == "2026-11-20 09:30:00"


def test_a_long_list_comes_in_pieces_and_reads_back_whole(app: Flask) -> None:
    rows = [(f'Dela Cruz, "{n}"\n', Decimal(n)) for n in range(450)]
    pieces = list(csv_lines(("Name", "Pesos"), rows))
    assert len(pieces) == 3 and pieces[0].startswith("\ufeff")
    read = list(csv.reader(io.StringIO("".join(pieces).removeprefix("\ufeff"), newline="")))
    assert len(read) == 451 and read[1] == ['Dela Cruz, "0"\n', "0.00"]

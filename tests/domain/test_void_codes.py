"""The supervisor's code for a void: bound to its facts, told when mistyped, the same here and on the phone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import void_codes
from portal.domain.errors import InvalidInput

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "void_codes.json").read_text(encoding="utf-8"))
SECRET = bytes(range(32))
FACTS = ("T07", "00112233-4455-4677-8899-aabbccddeeff", "T07-V000004", 123450)


def test_vectors_hold() -> None:
    for case in VECTORS:
        asked = void_codes.challenge(case["terminal"], case["payment"], case["void_number"], case["amount"])
        assert asked == case["challenge"]
        assert void_codes.code(bytes.fromhex(case["secret"]), case["void_number"], case["amount"], asked) == case["code"]
        assert void_codes.plausible(case["code"], asked) and not void_codes.plausible(case["mistyped"], asked)


def test_each_fact_changes_the_challenge_and_each_of_number_amount_challenge_and_secret_the_code() -> None:
    asked = void_codes.challenge(*FACTS)
    others = [
        ("T08", *FACTS[1:]),
        (FACTS[0], "0" + FACTS[1][1:-1] + "e", *FACTS[2:]),
        (*FACTS[:2], "T07-V000005", FACTS[3]),
        (*FACTS[:3], 123451),
    ]
    assert len({asked, *(void_codes.challenge(*other) for other in others)}) == 5
    right = void_codes.code(SECRET, FACTS[2], FACTS[3], asked)
    assert void_codes.fits(right, right) and not void_codes.fits("", right) and not void_codes.fits(right + "0", right)
    wrong = {
        void_codes.code(SECRET[::-1], FACTS[2], FACTS[3], asked),
        void_codes.code(SECRET, "T07-V000005", FACTS[3], asked),
        void_codes.code(SECRET, FACTS[2], 1, asked),
        void_codes.code(SECRET, FACTS[2], FACTS[3], "00000000"),
    }
    assert len(wrong | {right}) == 5


@given(st.binary(min_size=32, max_size=32), st.integers(0, 7), st.integers(1, 9))
def test_one_wrong_digit_is_always_told(secret: bytes, place: int, step: int) -> None:
    asked = void_codes.challenge(*FACTS)
    code = void_codes.code(secret, FACTS[2], FACTS[3], asked)
    assert void_codes.plausible(code, asked)
    assert not void_codes.plausible(code[:place] + str((int(code[place]) + step) % 10) + code[place + 1 :], asked)


def test_a_challenge_is_read_as_people_type_it() -> None:
    assert void_codes.read_challenge(" 7kqf-3m2p ") == "7KQF3M2P"
    assert void_codes.read_challenge("oil0 1111") == "01101111"
    for text in ("", "7KQF3M2", "7KQF3M2PX", "7KQF3M2U", "7KQF3M2ñ"):
        with pytest.raises(InvalidInput):
            void_codes.read_challenge(text)
    for typed in ("", "1234567", "１２３４５６７８", "12345678 "):
        assert not void_codes.plausible(typed, "00000000")

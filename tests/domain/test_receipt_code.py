"""The code of a receipt: few bytes, one spelling, nothing else read as one."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import receipt_code
from portal.domain.errors import InvalidInput
from portal.domain.receipt_code import ReceiptFacts

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "receipt_code.json").read_text(encoding="utf-8"))
FACTS = ReceiptFacts("T07", 5, 9, 100, "cash", 1, str(uuid.UUID(int=7)), "ab" * 16, "SOA-1")


def test_vectors_are_written_and_read_as_they_stand() -> None:
    for case in VECTORS["cases"]:
        facts = ReceiptFacts(**case["facts"])
        body = receipt_code.body(facts)
        assert body.hex() == case["body_hex"]
        read, same, signature = receipt_code.read(case["code"])
        assert (read, same, len(signature)) == (facts, body, 64)
    assert len(VECTORS["refused"]) >= 10
    for text in VECTORS["refused"]:
        with pytest.raises(InvalidInput):
            receipt_code.read(text)


def test_the_first_vector_worked_by_hand() -> None:
    # version 1 and cash; 7; 123; 456 = 3 * 128 + 72; 123450 = (7 * 128 + 68) * 128 + 58; the instant in six bytes
    body = VECTORS["cases"][0]["body_hex"]
    assert body.startswith("10077bc803bac407")
    assert body.endswith("0b7f7c526a3a4c379a0e0d8c3f0a1b2c00112233445566778899aabbccddeeff" + b"2026-09-000123".hex())


@given(
    st.builds(
        ReceiptFacts,
        st.integers(1, 999999).map(lambda number: f"T{number:02d}"),
        st.integers(1, 99_999_999), st.integers(1, 2**31), st.integers(1, 10**12), st.sampled_from(receipt_code.TENDERS),
        st.integers(0, receipt_code.LATEST), st.uuids().map(str), st.binary(min_size=16, max_size=16).map(bytes.hex), st.text(max_size=100),
    ),
    st.binary(min_size=64, max_size=64),
)  # fmt: skip
def test_what_is_written_is_read_again(facts: ReceiptFacts, signature: bytes) -> None:
    body = receipt_code.body(facts)
    assert receipt_code.read(receipt_code.code(body, signature)) == (facts, body, signature)


@given(st.binary(max_size=200))
def test_whatever_is_read_has_one_spelling_and_nothing_else_escapes(raw: bytes) -> None:
    text = receipt_code.code(b"\x10" + raw, b"")
    try:
        facts, body, signature = receipt_code.read(text)
    except InvalidInput:
        return
    assert receipt_code.code(receipt_code.body(facts), signature) == text and body == receipt_code.body(facts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"terminal": "X7"}, {"terminal": "T7"}, {"tender": "gold"}, {"number": -1}, {"at": receipt_code.LATEST + 1}, {"amount": 2**53 - 1},
        {"payment": "no"}, {"hash_start": "ab"}, {"hash_start": "zz" * 16},
    ],
)  # fmt: skip
def test_what_has_no_place_in_a_code_is_refused(wrong: dict[str, object]) -> None:
    assert receipt_code.body(FACTS)
    with pytest.raises(InvalidInput):
        receipt_code.body(replace(FACTS, **wrong))  # type: ignore[arg-type]
    assert asdict(FACTS).keys() >= wrong.keys()

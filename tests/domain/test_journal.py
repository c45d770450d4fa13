"""The journal's bytes are fixed for ever, and its order cannot be faked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain import journal
from portal.domain.errors import InvalidInput
from portal.domain.journal import FIRST_PREV, Entry

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "journal.json").read_text(encoding="utf-8"))


def chain(length: int, start: str = FIRST_PREV, first: int = 1, tag: str = "") -> list[Entry]:
    entries: list[Entry] = []
    prev = start
    for seq in range(first, first + length):
        entries.append(journal.append("T07", seq, "promise", "2026-11-20T08:00:00.000+08:00", None, {"note": f"{tag}{seq}"}, prev))
        prev = entries[-1].hash
    return entries


def places(entries: list[Entry], head_seq: int, head_hash: str, stored: dict[int, str], forked: frozenset[str] = frozenset()) -> list[str]:
    return [item.place for item in journal.verify(entries, head_seq, head_hash, stored, forked)]


def test_canonical_bytes_written_out_by_hand() -> None:
    value = {"b": [1, True, None], "a": 'x"\\\n\x07ñ😀'}
    assert journal.canonical(value) == '{"a":"x\\"\\\\\\n\\u0007ñ😀","b":[1,true,null]}'.encode()


@pytest.mark.parametrize("case", VECTORS["canonical"])
def test_canonical_vectors(case: dict[str, Any]) -> None:
    assert journal.canonical(case["value"]).hex() == case["bytes_hex"]


def test_entry_vectors_chain_from_the_first_to_the_last() -> None:
    prev = FIRST_PREV
    for raw in VECTORS["entries"]:
        content = {key: value for key, value in raw.items() if key != "hash"}
        assert raw["prev"] == prev
        prev = hashlib.sha256(journal.canonical(content)).hexdigest()
        assert raw["hash"] == prev


@pytest.mark.parametrize("value", [1.5, float("nan"), 2**53, "\ud800", {"ñ": 1}, {1: 2}, object(), [[[[[[[[[[[[[[1]]]]]]]]]]]]]]])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        journal.canonical({"a": value} if not isinstance(value, dict) else value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(max_codepoint=126), max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_canonical_bytes_say_the_same_thing_again(value: Any) -> None:
    written = journal.canonical(value)
    assert json.loads(written) == value
    assert journal.canonical(json.loads(written)) == written


@given(st.integers(1, 12), st.data())
def test_any_cut_of_a_batch_sent_in_any_order_ends_as_the_whole_chain(length: int, data: st.DataObject) -> None:
    entries = chain(length)
    stored: dict[int, str] = {}
    head_seq, head_hash = 0, FIRST_PREV
    for _ in range(data.draw(st.integers(1, 5))):
        batch = data.draw(st.permutations(entries[data.draw(st.integers(0, length)) :]))
        for item in journal.verify(batch, head_seq, head_hash, stored):
            assert item.place in {"accepted", "repeat", "gap"}
            if item.place == "accepted":
                stored[item.entry.seq] = head_hash = item.entry.hash
                head_seq = item.entry.seq
    journal_after = journal.verify(entries, head_seq, head_hash, stored)
    assert [item.place for item in journal_after] == ["repeat"] * head_seq + ["accepted"] * (length - head_seq)


def test_a_gap_holds_what_follows_it() -> None:
    entries = chain(4)
    assert places([entries[0], entries[2], entries[3]], 0, FIRST_PREV, {}) == ["accepted", "gap", "gap"]


def test_a_second_version_of_an_entry_is_a_fork_and_so_is_all_that_follows_it() -> None:
    first, second = chain(3), chain(5, tag="restored ")
    stored = {entry.seq: entry.hash for entry in first}
    assert places(second, 3, first[-1].hash, stored) == ["fork"] * 5
    assert places(second[3:], 3, first[-1].hash, stored, frozenset({second[2].hash})) == ["fork", "fork"]


def test_a_repeated_fork_is_a_repeat() -> None:
    first, second = chain(2), chain(2, tag="x")
    stored = {entry.seq: entry.hash for entry in first}
    assert places(second, 2, first[-1].hash, stored, frozenset(entry.hash for entry in second)) == ["repeat", "repeat"]


def test_an_entry_whose_content_was_changed_is_damaged_and_the_chain_goes_on() -> None:
    entries = chain(3)
    changed = Entry("T07", 2, "promise", entries[1].at, None, {"note": "another"}, entries[1].prev, entries[1].hash)
    assert places([entries[0], changed, entries[2]], 0, FIRST_PREV, {}) == ["accepted", "damaged", "accepted"]


def test_the_signed_text_names_terminal_place_and_hash() -> None:
    assert journal.signed_text("T07", 5, VECTORS["entries"][-1]["hash"]).decode() == VECTORS["signed_text"]

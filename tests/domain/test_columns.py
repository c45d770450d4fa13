"""The list in columns: nothing is lost or changed on the way, whatever the texts and figures are."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from portal.domain import columns
from tests.soa_columns import table, unpack

DATES = st.dates().map(lambda day: day.isoformat())
TEXTS = st.text(alphabet=st.one_of(st.sampled_from("INV0012-ñé₱😀"), st.characters(exclude_categories=["Cs"])), max_size=12)
CENTAVOS = st.integers(0, 10**12)
INVOICES = st.fixed_dictionaries(
    {
        **dict.fromkeys(("id", "invoice_number", "description"), TEXTS),
        "invoice_date": DATES,
        "due_date": DATES,
        **dict.fromkeys(("amount", "balance", "penalty", "vat_amount"), CENTAVOS),
        "vat_type": st.sampled_from(["vatable", "exempt", "zero_rated"]),
    }
)
SOAS = st.fixed_dictionaries(
    {
        "id": TEXTS,
        **{name: TEXTS for name in columns.SOA_TEXTS if name != "collector_code"},
        "collector_code": st.none() | TEXTS,
        "issued_on": DATES,
        "due_date": DATES,
        "amount_due": CENTAVOS,
        "penalty": CENTAVOS,
        "invoices": st.lists(INVOICES, max_size=4),
    }
)


@given(st.lists(SOAS, max_size=8))
def test_what_is_packed_comes_out_the_same(soas: list[dict[str, object]]) -> None:
    assert unpack(json.loads(json.dumps(columns.pack(table(soas))))) == soas


def test_the_vectors_are_what_is_packed() -> None:
    for case in json.loads((Path(__file__).parents[1] / "vectors/columns.json").read_text(encoding="utf-8")):
        assert columns.pack(table(case["soas"])) == case["columns"] and unpack(case["columns"]) == case["soas"]


def test_only_what_texts_have_in_common_is_left_out_and_only_of_ascii() -> None:
    assert columns.shortened(["INV1-1", "INV1-2", "INV1-2", "", "Ñ1", "Ñ2", "N"]) == [
        [0, 5, 6, 0, 0, 0, 0],
        ["INV1-1", "2", "", "", "Ñ1", "Ñ2", "N"],
    ]

"""Records to SOAs and payments to records: exact, strict, and never a guess."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.soa import Soa
from portal.pscloud import answers, mapping
from portal.pscloud.mapping import MappingError, PaymentToPost
from portal.pscloud.profile import load
from tests.pscloud.server import invoice, record

PROFILE = load()


def read(fields: dict[str, Any]) -> Soa:
    return mapping.to_soa(json.dumps(fields).encode(), PROFILE)


def refused(fields: dict[str, Any]) -> MappingError:
    with pytest.raises(MappingError) as caught:
        read(fields)
    return caught.value


def test_a_record_of_the_contract_becomes_an_soa() -> None:
    soa = read(record(7, invoices=[invoice(2, due_date="2026-12-01"), invoice(1)]))
    assert (soa.id, soa.customer_name, soa.account_number, soa.collector_code) == ("S0007", "Customer 7", "HP-00007", "COL-01")
    assert (soa.amount_due, soa.penalty, soa.due_date) == (Decimal("1010.00"), Decimal("10.00"), date(2026, 10, 15))
    assert soa.updated_at == datetime(2026, 11, 19, 0, 0, tzinfo=UTC)
    assert [one.id for one in soa.invoices] == ["I1", "I2"], "invoices come in allocation order"
    assert soa.address == "" and soa.tin == ""


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [("1010.00", "1010.00"), ("1010", "1010.00"), ("1010.5", "1010.50"), (1010, "1010.00"), (1010.5, "1010.50"), (0, "0.00")],
)
def test_money_may_be_text_or_number(sent: object, read_as: str) -> None:
    assert str(read(record(amount_due=sent, penalty="0.00")).amount_due) == read_as


@given(st.integers(min_value=0, max_value=10**12), st.booleans())
def test_every_amount_of_centavos_is_read_exactly(centavos: int, as_text: bool) -> None:
    text = f"{centavos // 100}.{centavos % 100:02d}"
    value = f'"{text}"' if as_text else text
    raw = json.dumps(record(penalty=0)).replace('"amount_due": "1010.00"', f'"amount_due": {value}').encode()
    assert mapping.to_soa(raw, PROFILE).amount_due == Decimal(centavos).scaleb(-2)


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "1,250.00",
            "PHP 1000",
            "1_000",
            "",
            " ",
            "NaN",
            "Infinity",
            "1e3",
            "12.345",
            "１２３",
            "-5.00",
            "-0.01",
            "1010.00 ",
            "+5",
            "0x10",
        ),
        *(None, 12.345, 1e20, -5, True, False, [], {}, ["1.00"], 10**30),
    ],
)
def test_what_is_no_amount_is_refused(wrong: object) -> None:
    error = refused(record(amount_due=wrong))
    assert error.field == "amount_due" and error.reason and error.pscloud_id == "S0001"
    assert "Customer 1" in error.label


def test_numbers_too_large_for_a_decimal_place_are_refused() -> None:
    for literal in ("1e400", "1E+5", "9" * 400, "0.001", "1.000000000000000000001"):
        raw = json.dumps(record(penalty=0)).replace('"amount_due": "1010.00"', f'"amount_due": {literal}').encode()
        if literal == "1E+5":
            assert mapping.to_soa(raw, PROFILE).amount_due == Decimal("100000.00")
            continue
        with pytest.raises(MappingError):
            mapping.to_soa(raw, PROFILE)


@pytest.mark.parametrize(
    "wrong",
    [
        *("0000-00-00", "", "2026-02-31", "0001-01-01", "9999-12-31", "1899-12-31", "2200-01-01", "02/01/2026", "2026-1-5", "20261120"),
        *("2026-W01-1", "2026-11-20T00:00:00", "２０２６-11-20", None, 20261120, [], True),
    ],
)
def test_what_is_no_date_is_refused(wrong: object) -> None:
    assert refused(record(due_date=wrong)).field == "due_date"
    assert refused(record(invoices=[invoice(due_date=wrong)])).field == "invoices[0].due_date"


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2199, 12, 31)))
def test_every_date_in_range_is_read(day: date) -> None:
    assert read(record(due_date=day.isoformat())).due_date == day


@pytest.mark.parametrize(
    "wrong", ["2026-11-20T08:00:00", "2026-11-20", "yesterday", "9999-12-31T23:59:59-12:00", "2026-13-01T00:00:00Z", 5]
)
def test_what_is_no_moment_is_refused(wrong: object) -> None:
    assert refused(record(updated_at=wrong)).field == "updated_at"


@pytest.mark.parametrize("sent", ["2026-11-20T08:00:00Z", "2026-11-20T08:00:00.123456+08:00", "2026-11-20T08:00:00.123456789+0800"])
def test_moments_need_an_offset_and_nothing_else(sent: str) -> None:
    assert read(record(updated_at=sent)).updated_at.utcoffset() is not None


@pytest.mark.parametrize(
    "path", ["id", "soa_number", "customer", "issued_on", "due_date", "amount_due", "penalty", "status", "updated_at", "invoices"]
)
def test_a_missing_part_is_named(path: str) -> None:
    fields = record()
    del fields[path]
    assert refused(fields).field.startswith(path)


def test_names_of_every_script_are_kept_and_broken_ones_refused() -> None:
    for name in ("Peña, José 🌸", "\u202eevil", "<script>alert(1)</script>", "=cmd|'/c calc'!A0", "{{7*7}}", 'O"Brien\nJr.', "x" * 300):
        assert read(record(customer={"name": name})).customer_name == name
    for wrong in ("", "   ", "\x00", "a\x00b", "x" * 301, None, 5, ["x"], {"first": "x"}, True):
        assert refused(record(customer={"name": wrong})).field == "customer.name"


def test_half_a_character_is_refused_alone() -> None:
    good, bad = json.dumps(record(1)), json.dumps(record(2, customer={"name": "x\ud800"}))
    body = f'{{"data": [{good}, {bad}, {{"\\\\ud800": "\\ud83d\\ude00"}}]}}'.encode()
    part = answers.part_at(body, "data")
    assert part is not None
    first, second, third = answers.split_list(part)
    assert mapping.to_soa(first, PROFILE).id == "S0001"
    with pytest.raises(MappingError):
        mapping.to_soa(second, PROFILE)
    assert answers.read_json(third) == {"\\ud800": "😀"}


@pytest.mark.parametrize("raw", [b"[]", b"5", b'"x"', b"null", b"{", b"", b"[" * 100_000, b'{"a":NaN}', b'{"id":"\xff"}'])
def test_what_is_no_record_is_refused_without_an_id(raw: bytes) -> None:
    with pytest.raises(MappingError) as caught:
        mapping.to_soa(raw, PROFILE)
    assert caught.value.pscloud_id is None


def test_unknown_words_are_refused_and_missing_ones_follow_the_contract() -> None:
    assert refused(record(status="on_hold")).field == "status"
    assert refused(record(invoices=[invoice(vat_type="VATABLE")])).field == "invoices[0].vat_type"
    soa = read(
        record(status="settled", collector_code="", invoices=[{k: v for k, v in invoice().items() if k not in {"vat_type", "penalty"}}])
    )
    assert (soa.status, soa.collector_code, soa.invoices[0].vat_type, soa.invoices[0].penalty) == ("closed", None, "vatable", Decimal(0))


def test_impossible_figures_are_refused() -> None:
    assert refused(record(penalty="1010.01")).field == "penalty"
    assert refused(record(invoices=[invoice(balance="-1.00")])).field == "invoices[0].balance"
    assert refused(record(invoices=[invoice(vat_amount="1120.01")])).field == "invoices[0].vat_amount"
    assert refused(record(invoices=[invoice(1), invoice(1)])).field == "invoices"
    assert refused(record(invoices={"0": invoice()})).field == "invoices"
    assert refused(record(invoices=["x"])).field == "invoices[0]"


def test_amount_due_is_pscloud_s_word_even_where_the_invoices_add_up_to_something_else() -> None:
    assert read(record(amount_due="5000.00")).amount_due == Decimal("5000.00")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*record(), "customer.name", "customer.id", "invoices.0.balance", "invoices.0.id"]), JSON_VALUES)
def test_whatever_stands_in_a_field_the_answer_is_an_soa_or_a_named_refusal(path: str, value: Any) -> None:
    fields: Any = record()
    target = fields
    *way, last = path.split(".")
    for step in way:
        target = target[int(step)] if isinstance(target, list) else target[step]
    target[last] = value
    try:
        soa = read(fields)
    except MappingError as error:
        assert error.reason
    else:
        assert soa.amount_due >= soa.penalty >= 0 and "\x00" not in soa.customer_name


PAYMENT = PaymentToPost(
    reference="4f5b7f0e-3f0a-4c43-9c5e-6c8f5cf3a0a1",
    receipt_number="T07-00000123",
    soa_id="S0001",
    amount=Decimal("1010.00"),
    tender="e_wallet",
    tender_reference="GC-1",
    collected_at=datetime(2026, 11, 20, 1, 0, tzinfo=UTC),
    collector_code="COL-01",
    allocations=[("I1", "penalty", Decimal("10.00")), ("I1", "principal", Decimal("900.00")), (None, "advance", Decimal("100.00"))],
)


def test_a_payment_leaves_with_exact_text_amounts() -> None:
    sent = mapping.to_payment(PAYMENT, PROFILE)
    assert sent["amount"] == "1010.00" and sent["method"] == "e_wallet" and sent["method_reference"] == "GC-1"
    assert sent["collected_at"] == "2026-11-20T01:00:00+00:00"
    assert sent["allocations"][2] == {"invoice_id": None, "kind": "advance", "amount": "100.00"}


def test_a_payment_that_does_not_add_up_never_leaves() -> None:
    with pytest.raises(ValueError, match="add up"):
        mapping.to_payment(
            PaymentToPost(**{**{name: getattr(PAYMENT, name) for name in PAYMENT.__slots__}, "amount": Decimal("1.00")}), PROFILE
        )


def test_results_are_read_by_the_profile() -> None:
    raw = b'{"reference": "r", "status": "rejected", "error": {"code": "soa_closed", "message": "The SOA is closed."}}'
    result = mapping.to_result(raw, PROFILE)
    assert (result.status, result.pscloud_id, result.error_code, result.error_message) == (
        "rejected",
        None,
        "soa_closed",
        "The SOA is closed.",
    )
    assert json.loads(result.raw)["reference"] == "r"
    with pytest.raises(MappingError):
        mapping.to_result(b'{"reference": "r", "status": "maybe"}', PROFILE)

"""What a payment at the door carries besides: checks, OR entries, the place, photos, very large advances. On both databases."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from portal.domain import jpeg
from portal.domain.allocation import Allocation
from portal.domain.errors import Conflict, InvalidInput, NotFound
from portal.domain.payments import is_large_advance, or_key
from portal.extensions import db
from portal.services import journal, photos
from portal.services.journal import Policy, Uploader
from portal.store import door, ledger
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, store_soas

AUTOMATIC = Policy("automatic", 7)
ADVANCE = {"invoice": None, "invoice_number": None, "kind": "advance"}
NO_VAT = {"vatable": 0, "vat_amount": 0, "vat_exempt": 0, "zero_rated": 0}


@pytest.fixture
def phone(any_app: Flask) -> Phone:
    make_user("nena", "collector", codes=["A1"])
    make_user("jun", "collector", codes=["A1"])
    store_soas(make_soa(), make_soa("S2"))
    made = make_phone("nena")
    made.start()
    return made


def send(phone: Phone) -> list[tuple[str, str | None]]:
    body = phone.upload_body()
    answer = journal.receive(phone.code, body["entries"], body["signature"], Uploader(phone.terminal.user_id, "nena"), AUTOMATIC, NOW)
    return [(verdict["status"], verdict["reason"]) for verdict in answer.verdicts]


def detail_of(entry: Any) -> ledger.PaymentDetail:
    found = ledger.get(entry.payload["payment"])
    assert found
    return found


def test_a_check_and_its_place_are_kept_and_hold_nothing_up(phone: Phone) -> None:
    place = {"latitude": 14843210, "longitude": -120811234, "accuracy": 12}
    check: dict[str, Any] = {"tender": "check", "channel": "BDO", "reference": "0012", "branch": "Malolos", "check_date": "2026-12-24"}
    paid, plain = phone.pay(make_soa(), 5000, **check, place=place), phone.pay(make_soa("S2"), 100)
    assert {status for status, _ in send(phone)} == {"stored"}
    kept = door.besides(paid.payload["payment"])
    assert kept and (kept.branch, kept.check_date, kept.latitude, kept.longitude, kept.accuracy) == (
        "Malolos", date(2026, 12, 24), "14.843210", "-120.811234", 12,
    )  # fmt: skip
    assert detail_of(paid).row.status == "approved" and door.besides(plain.payload["payment"]) is None


@pytest.mark.parametrize(
    "place", [5, {}, {"latitude": 91_000_000, "longitude": 0, "accuracy": 1}, {"latitude": "1", "longitude": 1, "accuracy": 1}]
)
def test_no_wrong_coordinate_keeps_money_out_of_the_books(phone: Phone, place: Any) -> None:
    paid = phone.pay(make_soa(), 5000, place=place)
    assert send(phone)[-1][0] == "stored" and detail_of(paid).row.status == "approved"
    assert door.besides(paid.payload["payment"]) is None


def test_an_or_entry_waits_for_a_person_and_its_number_is_there_once(phone: Phone) -> None:
    first = phone.pay(make_soa(), 5000, or_number="OR 00451", or_date="2026-11-19")
    again = phone.pay(make_soa("S2"), 700, or_number="or-451", or_date="2026-11-19")
    same = phone.pay(make_soa("S2"), 800, or_number="OR-00451", or_date="2026-11-19")
    assert {status for status, _ in send(phone)} == {"stored"}
    assert [detail_of(one).row.flags for one in (first, again, same)] == [("or_entry",), ("or_entry",), ("or_entry", "or_number_taken")]
    assert {detail_of(one).row.status for one in (first, again, same)} == {"pending"}
    assert "OR 00451 of 19 Nov 2026" in detail_of(first).flags[0].detail
    with pytest.raises(DatabaseError):
        db.session.execute(text("UPDATE payment_extras SET or_key = 'OR00451'"))
    db.session.rollback()


def test_an_or_entry_on_an_account_that_was_not_in_the_list_finds_its_soa(phone: Phone) -> None:
    away = {"soa": "account:ACC-S2", "soa_number": "ACC-S2", "account_number": "ACC-S2", "customer_name": "Cruz", "soa_version": "-"}
    given: dict[str, Any] = {"or_number": "7", "or_date": "2026-11-19", "allocations": [{**ADVANCE, "amount": 5000}], "vat": NO_VAT}
    known = phone.append("payment", phone.payload(make_soa("S2"), 5000) | away | given)
    nowhere = {**away, "soa": "account:XX", "account_number": "XX"}
    unknown = phone.append("payment", phone.payload(make_soa("S9"), 5000) | nowhere | given | {"or_number": "8"})
    assert {status for status, _ in send(phone)} == {"stored"}
    found = detail_of(known)
    assert found.row.soa_id == "S2" and "or_entry" in found.row.flags and "unassigned_account" not in found.row.flags
    assert [(part.invoice_number, part.amount) for part in found.allocations if part.current] == [("SI-0001", Decimal("50.00"))]
    lost = detail_of(unknown)
    assert (
        lost.row.soa_id == "account:XX" and {"or_entry", "unassigned_account"} <= set(lost.row.flags) and lost.advance == Decimal("50.00")
    )
    assert "no open SOA of account XX" in next(flag.detail for flag in lost.flags if flag.flag == "unassigned_account")


def test_what_is_no_or_entry_is_set_aside_with_its_reason(phone: Phone) -> None:
    phone.append("payment", phone.payload(make_soa(), 100) | {"soa": "account:ACC-S1"})
    phone.pay(make_soa(), 100, or_number="7")
    verdicts = send(phone)
    assert verdicts[-2][0] == verdicts[-1][0] == "quarantined"
    assert "Only an OR entry" in str(verdicts[-2][1]) and "or_date" in str(verdicts[-1][1])


def test_a_very_large_advance_is_looked_at(phone: Phone) -> None:
    much, fair = phone.pay(make_soa(), 224000 + 2_300_000), phone.pay(make_soa("S2"), 224000 + 100_000)
    send(phone)
    assert "large_advance" in detail_of(much).row.flags and "large_advance" not in detail_of(fair).row.flags


@pytest.mark.parametrize(
    ("paid", "advance", "large"), [(0, 2_000_000, True), (0, 1_999_999, False), (2_000_000, 2_000_000, False), (1_999_999, 2_000_000, True)]
)
def test_an_advance_is_very_large_from_twenty_thousand_pesos_and_more_than_the_rest(paid: int, advance: int, large: bool) -> None:
    parts = [Allocation(None, None, "advance", advance)] + ([Allocation("I1", "1", "principal", paid)] if paid else [])
    assert is_large_advance(parts) is large


def test_booklet_numbers_are_compared_as_on_the_phone() -> None:
    for one, other in (("00123", "123"), ("a-00 1", "A001"), ("000", "0")):
        assert or_key(one) == or_key(other)
    assert or_key("A1") != or_key("A10")


def photo(width: int = 640, height: int = 480, filling: bytes = b"picture") -> bytes:
    """A JPEG as far as its headers say: a comment, a frame, and what stands for the picture."""
    frame = b"\xff\xc0\x00\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x03\x01\x11\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8\xff\xfe\x00\x06abcd" + frame + b"\xff\xda\x00\x04\x00\x00" + filling + b"\xff\xd9"


def keep(payment: str, raw: bytes, who: str = "nena") -> bool:
    return photos.keep(payment, hashlib.sha256(raw).hexdigest(), raw, who, NOW)


def test_a_photo_is_kept_once_after_its_payment_and_only_its_collectors(phone: Phone) -> None:
    paid = phone.pay(make_soa(), 5000, tender="check", reference="12")
    payment, raw = paid.payload["payment"], photo()
    with pytest.raises(NotFound, match="Upload the payment first"):
        keep(payment, raw)
    send(phone)
    with pytest.raises(NotFound):
        keep(payment, raw, "jun")
    assert (keep(payment, raw), keep(payment, raw)) == (True, False)
    (kept,) = door.photos(payment)
    assert (kept.width, kept.height, kept.size) == (640, 480, len(raw)) and door.image(payment, kept.id) == raw
    assert door.image("00000000-0000-4000-8000-000000000000", kept.id) is None
    for number in (1, 2):
        keep(payment, photo(filling=bytes([number])))
    with pytest.raises(Conflict, match="3 photos already"):
        keep(payment, photo(filling=b"4"))
    with pytest.raises(InvalidInput, match="damaged on the way"):
        photos.keep(payment, "0" * 64, raw, "nena", NOW)
    assert detail_of(paid).row.status == "approved"


GOOD = photo()
BAD = {
    "empty": b"",
    "text": b"<svg onload=alert(1)>",
    "png": b"\x89PNG\r\n\x1a\n" + b"0" * 40,
    "cut": GOOD[:-2],
    "no frame": b"\xff\xd8\xff\xda\x00\x02\xff\xd9",
    "page behind": GOOD + b"<script>",
    "huge": photo(60000, 60000),
    "no width": photo(0, 10),
    "length beyond": b"\xff\xd8\xff\xe0\xff\xff\xff\xd9",
    "length of one": b"\xff\xd8\xff\xe0\x00\x01\xff\xd9",
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_what_is_no_jpeg_is_told_by_its_bytes(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        jpeg.size(raw)


def test_a_photo_of_more_than_two_hundred_kilobytes_is_refused() -> None:
    with pytest.raises(InvalidInput, match="200 kB"):
        jpeg.size(photo(filling=b"0" * 200_000))
    assert jpeg.size(photo(filling=b"0" * 100_000)) == (640, 480)

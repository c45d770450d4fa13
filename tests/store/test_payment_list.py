"""The payment list over both databases: pages by keyset, filters, a text, and totals that are kept and never counted."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import text

from portal.domain.errors import Conflict
from portal.extensions import db
from portal.services import journal, payments, voids
from portal.services.journal import Policy, Uploader
from portal.store import ledger, payment_frame, payment_totals
from portal.store import voids as void_store
from portal.store.payment_list import PaymentFilter, PaymentRow, list_page, totals, totals_of_page
from tests.factories import NOW, Phone, make_phone, make_soa, make_user, raw, store_soas
from tests.store.test_plans import walks

TODAY = date(2026, 11, 20)
TENDERS = (("cash", None), ("check", "BDO"), ("e_wallet", "GCash"), ("cash", None), ("bank_transfer", "BPI"))


def send(phone: Phone, sent: int = 0) -> None:
    entries = phone.entries[sent:]
    uploader = Uploader(phone.terminal.user_id, phone.user_name)
    journal.receive(phone.code, [raw(entry) for entry in entries], phone.sign(entries), uploader, Policy("manual", 7), NOW)


def fill() -> list[PaymentRow]:
    """Payments of two collectors over several days, some flagged, voided, being voided, approved, posted or refused; all of them."""
    make_user("carla", "office")
    make_user("ramon", "supervisor")
    soas = [make_soa(f"S{number}", customer_name=name) for number, name in enumerate(("Reyes, Ana", "Peña, Jose", "Dela Cruz, Mia"))]
    store_soas(*soas)
    for name, code in (("nena", "A1"), ("jun", "B2")):  # whose payments are of SOAs that are not theirs: flagged
        make_user(name, "collector", codes=[code])
        phone = make_phone(name)
        phone.start()
        for number in range(24):
            if number % 8 == 7:
                phone.z_reading()
                phone.close()
                phone.open(business_date=(TODAY + timedelta(days=number // 8 + 1)).isoformat())
            tender, channel = TENDERS[number % 5]
            reference = None if tender == "cash" else f"{name}-{number:04}"
            soa = soas[number % 3] if number != 20 else make_soa("unknown", customer_name="Nobody Knows")
            paid = phone.pay(soa, 100 + number, tender=tender, channel=channel, reference=reference)
            if number in (3, 9, 17):
                phone.ask_void(paid)
        send(phone)
    rows = list(ledger.iterate(PaymentFilter()))
    for row in rows:
        if row.void == "requested" and row.receipt_number.endswith(("4", "0")):
            (void,) = void_store.of_payment(row.id)
            voids.approve(void.id, "ramon", "Typed twice", NOW)
    free = [row.id for row in rows if not row.void]
    payments.approve(free[:12], "ramon", True, NOW)
    for status, some in (("processing", free[:9]), ("completed", free[:5]), ("failed", free[5:7])):
        for one in some:
            was = "approved" if status == "processing" else "processing"
            assert ledger.set_status(one, was, status, "", NOW)
    db.session.commit()
    return list(ledger.iterate(PaymentFilter()))


def order(row: PaymentRow) -> tuple[object, ...]:
    return row.business_date, row.received_at, row.receipt_number, row.id


def holds(row: PaymentRow, wanted: PaymentFilter) -> bool:
    """The filter as a person would put it."""
    return (
        (not wanted.date_from or row.business_date >= wanted.date_from)
        and (not wanted.date_to or row.business_date <= wanted.date_to)
        and wanted.collector in ("", row.collector_name)
        and wanted.tender in ("", row.tender)
        and (
            wanted.status in ("", row.status) or (wanted.status == "unposted" and row.status in ledger.UNPOSTED and row.void != "approved")
        )
        and (wanted.flag in ("", *row.flags) or (wanted.flag == "any" and bool(row.flags)) or (wanted.flag == "none" and not row.flags))
        and (wanted.void in ("", row.void) or (wanted.void == "none" and not row.void))
    )


FILTERS = [
    PaymentFilter(),
    *(PaymentFilter(status=status) for status in ("pending", "approved", "processing", "completed", "failed", "unposted")),
    *(PaymentFilter(flag=flag) for flag in ("any", "none", "unassigned_account", "late")),
    *(PaymentFilter(void=void) for void in ("none", "requested", "approved")),
    *(PaymentFilter(tender=tender) for tender in ("cash", "check")),
    PaymentFilter(collector="nena"),
    PaymentFilter(collector="nobody"),
    PaymentFilter(date_from=TODAY, date_to=TODAY),
    PaymentFilter(date_from=TODAY - timedelta(days=400), date_to=TODAY + timedelta(days=1)),
    PaymentFilter(date_to=TODAY, collector="jun", flag="any", void="none", status="pending"),
    PaymentFilter(collector="nena", tender="check", status="completed"),
    PaymentFilter(collector="jun", tender="cash", status="unposted"),
]


def test_each_filter_pages_through_exactly_what_it_means_and_adds_up_to_it(any_app: Flask) -> None:
    everything = fill()
    assert payment_totals.wrong() == [] and len(everything) == 48
    for wanted in FILTERS:
        expected = sorted((row for row in everything if holds(row, wanted)), key=order, reverse=True)
        pages, mark = [], None
        while True:
            page = list_page(wanted, after=mark, limit=7)
            pages.append(page)
            mark = page.next
            if mark is None:
                break
        assert list(itertools.chain(*(page.rows for page in pages))) == expected, wanted
        back = pages[-1]
        for earlier in reversed(pages[:-1]):
            back = list_page(wanted, before=back.previous, limit=7)
            assert back.rows == earlier.rows, wanted
        found = totals(wanted)
        assert found.count == len(expected), wanted
        assert found.active_collection == pesos(row for row in expected if row.void != "approved")
        assert found.synced_payments == pesos(row for row in expected if row.void != "approved" and row.status == "completed")
        assert found.voided == pesos(row for row in expected if row.void == "approved")
        assert found.held == sum(row.status == "pending" and bool(row.flags) and row.void != "approved" for row in expected)
        others = PaymentFilter(**{name: getattr(wanted, name) for name in wanted.__slots__ if name != "status"})
        for status, count in found.statuses.items():
            assert count == sum(holds(row, others) and row.status == status for row in everything), (wanted, status)


def pesos(rows: Iterable[PaymentRow]) -> Decimal:
    return sum((row.amount for row in rows), Decimal(0))


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("reyes", 16), ("PENA jose", 16), ("dela cruz", 14), ("nobody knows", 2), ("acc-s1", 16), ("nena-0002", 1), ("NENA-", 14),
        ("T01-00000003", 1), ("t01-3", 1), ("00000003", 2), ("3", 2), ("zzz", 0), ("%", 0), ("reyes nobody", 0), ("\x00", 0),
    ],
)  # fmt: skip
def test_a_text_is_looked_for_in_customers_numbers_and_references(any_app: Flask, typed: str, count: int) -> None:
    everything = {row.id: row for row in fill()}
    page = list_page(PaymentFilter(q=typed), limit=60)
    if typed == "3":  # one digit is in every account number too
        assert {"T01-00000003", "T02-00000003"} <= {row.receipt_number for row in page.rows}
        return
    assert len(page.rows) == count == totals(PaymentFilter(q=typed)).count, [row.receipt_number for row in page.rows]
    assert page.rows == sorted(page.rows, key=order, reverse=True) and all(everything[row.id] == row for row in page.rows)
    assert totals_of_page(PaymentFilter(q=typed), page) == totals(PaymentFilter(q=typed))
    short = list_page(PaymentFilter(q=typed), limit=5)
    assert short.rows == page.rows[:5] and (totals_of_page(PaymentFilter(q=typed), short) is None) == (count > 5)


def test_what_stands_around_the_list_is_what_each_part_of_it_says(any_app: Flask) -> None:
    fill()
    for wanted in FILTERS:
        frame = payment_frame.read(wanted, whole=True)
        assert frame.totals == (None if wanted.q else totals(wanted)), wanted
        assert list(frame.collectors) == ledger.collectors() and frame.voids_waiting == void_store.count_waiting()
        named = dict(frame.collectors).get(wanted.collector)
        assert (frame.collector[1] if frame.collector else None) == named
        part = payment_frame.read(wanted, whole=False)
        assert (part.totals, part.collector, part.collectors) == (frame.totals, frame.collector, ())


def test_no_page_and_no_total_walks_the_payments(any_app: Flask) -> None:
    fill()
    tables = ("payments", "payment_flags", "voids", "payment_totals")
    mark = list_page(PaymentFilter(), limit=5).next
    for wanted in FILTERS:
        assert walks(functools.partial(list_page, wanted), tables) == [], wanted
        assert walks(functools.partial(list_page, wanted, mark), tables) == [], wanted
        assert walks(functools.partial(totals, wanted), ("payments", "payment_flags", "voids"), whole_index=True) == [], wanted
    for typed in ("nena-0002", "T01-00000003"):
        assert walks(functools.partial(list_page, PaymentFilter(q=typed)), ("payments", "soas")) == [], typed
    assert walks(ledger.collectors, ("payments",), whole_index=True) == []


def test_totals_follow_what_a_person_does_and_what_goes_wrong_is_mended(any_app: Flask) -> None:
    rows = [row for row in fill() if row.status == "pending" and not row.void and row.collector_name == "nena"]
    payments.approve([rows[0].id], "ramon", True, NOW)
    payments.hold(rows[0].id, "carla", "The name is not legible", NOW)
    with pytest.raises(Conflict):
        payments.retry(rows[0].id, "carla", NOW)
    db.session.rollback()
    assert payment_totals.wrong() == []
    right = totals(PaymentFilter())
    db.session.execute(text("UPDATE payment_totals SET count = count + 1 WHERE status = 'pending'"))
    db.session.commit()
    assert payment_totals.wrong() and totals(PaymentFilter()) != right
    payment_totals.rebuild()
    db.session.commit()
    assert payment_totals.wrong() == [] and totals(PaymentFilter()) == right

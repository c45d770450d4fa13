"""What downloads changed on an SOA is told field by field, the latest first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from flask import Flask

from portal.store import soa_changes
from portal.store.soa_changes import FieldChange
from tests.factories import NOW, make_invoice, make_soa, store_soas


def test_the_latest_change_comes_first_field_by_field_with_who_asked(any_app: Flask) -> None:
    soa = make_soa("S1", invoices=[make_invoice(1), make_invoice(2)])
    first = store_soas(soa, make_soa("S2"))
    paid = make_invoice(1, balance=Decimal("120.00"), penalty=Decimal("2.50"))
    later = replace(soa, address="14 Rizal St.", amount_due=Decimal("122.50"), penalty=Decimal("2.50"), invoices=(paid, make_invoice(3)))
    second = store_soas(later, now=NOW + timedelta(days=1))
    latest, oldest = soa_changes.of_soa("S1")
    assert (oldest.kind, oldest.run_id, oldest.fields, oldest.at) == ("added", first, [], NOW)
    assert (latest.kind, latest.run_id, latest.at) == ("changed", second, NOW + timedelta(days=1))
    assert (latest.trigger, latest.started_by) == ("manual", "test")
    assert latest.fields == [
        FieldChange("address", "Address", "12 Mabini St., Malolos City, Bulacan", "14 Rizal St."),
        FieldChange("amount_due", "Amount due", "2240.00", "122.50"),
        FieldChange("penalty", "Penalty", "0.00", "2.50"),
        FieldChange("invoice SI-0001: balance", "Invoice SI-0001: balance", "1120.00", "120.00"),
        FieldChange("invoice SI-0001: penalty", "Invoice SI-0001: penalty", "0.00", "2.50"),
        FieldChange("invoice SI-0002", "Invoice SI-0002", "balance 1120.00, penalty 0.00, due 2026-10-02", ""),
        FieldChange("invoice SI-0003", "Invoice SI-0003", "", "balance 1120.00, penalty 0.00, due 2026-10-03"),
    ]
    assert soa_changes.of_soa("S1", limit=1) == [latest]
    assert soa_changes.of_soa("none") == soa_changes.of_soa("\x00") == []


def test_closing_and_opening_again_are_events(any_app: Flask) -> None:
    soa = make_soa("S1")
    for one in (soa, replace(soa, status="closed"), soa):
        store_soas(one)
    reopened, closed, added = soa_changes.of_soa("S1")
    assert (reopened.kind, closed.kind, added.kind) == ("reopened", "closed", "added")
    assert closed.fields == [FieldChange("status", "Status", "active", "closed")]

"""Collection and Payments: what came in, who may approve what, and where each payment stands on its way to PSCloud."""

from __future__ import annotations

import csv
import io
import re

import pytest

from portal.extensions import db
from portal.store import ledger
from portal.store.ledger import PaymentFilter
from tests.blueprints.office_site import TRICKY, Site, attributes, element, text_of
from tests.factories import NOW


def payment(site: Site, **wanted: str) -> ledger.PaymentRow:
    with site.app.app_context():
        return ledger.list_page(PaymentFilter(**wanted)).rows[0]  # type: ignore[arg-type]


def status(site: Site, payment_id: str) -> str:
    with site.app.app_context():
        found = ledger.get(payment_id)
        assert found
        return found.row.status


def waiting(site: Site) -> ledger.PaymentRow:
    return payment(site, tender="check")


def held(site: Site) -> ledger.PaymentRow:
    return payment(site, flag="any")


def test_the_list_counts_by_status_and_totals_what_is_filtered(site: Site) -> None:
    page = site.page("carla", "/payments")
    assert (element(page, "payment-count"), element(page, "payment-total")) == ("3", "₱600.00")
    assert len(attributes(page, "data-payment")) == 3 and sorted(attributes(page, "data-status")) == ["approved", "pending", "pending"]
    assert "Pending 2" in text_of(page) and "All 3" in text_of(page) and "Held by a flag 1" in text_of(page)
    links = re.findall(
        r'<a href="([^"]*)">(?:VAT amount )?<strong[^>]* id="payment-(total|vat|voided|posted)"',
        site.page("carla", "/payments?tender=cash"),
    )
    assert links == [("/payments?tender=cash", "total"), ("/payments?tender=cash", "vat")]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("status=pending", 2), ("status=completed", 0), ("tender=cash", 1), ("collector=nena", 3), ("flag=unassigned_account", 1),
        ("flag=any", 1), ("q=000123", 1), ("q=T01-00000002", 1), ("from=2026-11-20&to=2026-11-20", 3), ("to=2026-11-19", 0),
        ("from=2026-11-21", 0),
    ],
)  # fmt: skip
def test_each_filter_narrows_the_list(site: Site, query: str, count: int) -> None:
    page = site.page("carla", f"/payments?{query}", HX_Request="true")
    assert element(page, "payment-count") == str(count) and len(attributes(page, "data-payment")) == count
    if count == 0:
        assert "No payment matches" in page


def test_bad_filters_are_named_and_left_out(site: Site) -> None:
    page = site.page("carla", "/payments?from=yesterday&tender=gold&collector=nobody&status=pending")
    assert element(page, "payment-count") == "2"
    assert "is not a date" in element(page, "problem-from") and text_of(page).count("is not one of the choices") == 2


def test_the_office_approves_what_carries_no_flag(site: Site) -> None:
    row = waiting(site)
    answer = site.post("carla", "/payments/approve", {"payment": [row.id], "back": "/payments?status=pending"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/payments?status=pending")
    assert status(site, row.id) == "approved"
    assert "1 payment was approved" in site.page("carla", "/payments")
    assert site.post("carla", "/payments/approve", {"payment": [row.id]}).status_code == 409


def test_a_flagged_payment_is_approved_by_a_supervisor_only_and_all_or_none(site: Site) -> None:
    row, flagged = waiting(site), held(site)
    refused = site.post("carla", "/payments/approve", {"payment": [row.id, flagged.id]})
    assert refused.status_code == 403 and "supervisor" in refused.text
    assert (status(site, row.id), status(site, flagged.id)) == ("pending", "pending")
    assert f'value="{flagged.id}"' not in site.page("carla", "/payments") and f'value="{row.id}"' in site.page("carla", "/payments")
    assert site.post("ramon", "/payments/approve", {"payment": [row.id, flagged.id]}).status_code == 303
    assert (status(site, row.id), status(site, flagged.id)) == ("approved", "approved")


@pytest.mark.parametrize(("chosen", "expected"), [([], 422), (["no-such-payment"], 404), (["x"] * 3 + [str(n) for n in range(300)], 422)])
def test_approving_nothing_something_unknown_or_too_much_is_refused(site: Site, chosen: list[str], expected: int) -> None:
    assert site.post("ramon", "/payments/approve", {"payment": chosen}).status_code == expected


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/payments/../users", "/users", "/paymentsx", "javascript:1"])
def test_the_way_back_leads_to_the_list_only(site: Site, back: str) -> None:
    answer = site.post("ramon", "/payments/approve", {"payment": [waiting(site).id], "back": back})
    assert answer.headers["Location"] == "/payments"


def test_admins_see_payments_and_handle_none(site: Site) -> None:
    row = waiting(site)
    page = site.page("ada", "/payments")
    assert row.receipt_number in page and "Approve selected" not in page
    assert "Approve" not in site.page("ada", f"/payments/{row.id}")
    for action in ("approve", f"{row.id}/hold", f"{row.id}/retry"):
        assert site.post("ada", f"/payments/{action}", {"payment": row.id, "reason": "because"}).status_code == 403
    assert site.get("nena", f"/payments/{row.id}").status_code == 403


def test_an_approved_payment_is_held_with_a_reason(site: Site) -> None:
    row = payment(site, tender="cash")
    assert site.post("carla", f"/payments/{row.id}/hold", {"reason": " "}).status_code == 422
    assert site.post("carla", f"/payments/{row.id}/hold", {"reason": "The receipt is not legible"}).status_code == 303
    assert status(site, row.id) == "pending" and "The receipt is not legible" in site.page("carla", f"/payments/{row.id}")


def test_a_failed_payment_shows_the_reason_and_is_retried(site: Site) -> None:
    row = payment(site, tender="cash")
    assert site.post("carla", f"/payments/{row.id}/retry").status_code == 409
    with site.app.app_context():
        ledger.set_status(row.id, "approved", "failed", "The SOA is settled.", NOW)
        db.session.commit()
    page = site.page("carla", f"/payments/{row.id}")
    assert "The SOA is settled." in page and "Retry" in page
    assert site.post("carla", f"/payments/{row.id}/retry").status_code == 303
    assert status(site, row.id) == "approved"


def test_the_detail_shows_allocation_flags_and_the_way_to_pscloud(site: Site) -> None:
    flagged = text_of(site.page("ramon", f"/payments/{held(site).id}").replace("<script", "<s"))
    for words in (
        "Not assigned",
        "SI-0001",
        "Penalty 10.50",
        "289.50",
        "₱300.00",
        "GCash",
        "=1+1",
        TRICKY,
        "Saved on the phone",
        "Uploaded to the portal",
    ):
        assert words in flagged, words
    assert "Posted to PSCloud" not in flagged
    check = text_of(site.page("ramon", f"/payments/{waiting(site).id}"))
    assert "Subject to clearing" in check and "VATable" in check
    assert site.get("ramon", "/payments/00000000-0000-4000-8000-000000000000").status_code == 404
    assert site.get("ramon", "/payments/no-uuid").status_code == 404


def test_the_csv_guards_references_and_names(site: Site) -> None:
    answer = site.get("carla", "/payments.csv?tender=e_wallet")
    head, row = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    cells = dict(zip(head, row, strict=True))
    assert cells["Reference"] == "'=1+1" and cells["Amount"] == "300.00" and cells["Flags"] == "Not assigned"

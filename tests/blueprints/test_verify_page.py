"""`/verify/<code>`: what anybody who holds a receipt is told, and what nobody is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from config import TestConfig
from portal import create_app
from portal.extensions import limiter
from portal.services import terminals, voids
from portal.store import voids as void_store
from tests.blueprints.office_site import Site, upload
from tests.factories import NOW, Phone, make_phone, make_soa

SOA = make_soa("S050", customer_name="Bituin, Berto", account_number="HP-777", address="12 Mabini St.")


@pytest.fixture
def printed(site: Site) -> tuple[Site, Phone, str]:
    """A site, a phone with one payment that is not uploaded yet, and the code on its receipt."""
    with site.app.app_context():
        phone = make_phone("jun")
        phone.start()
        return site, phone, phone.receipt_code(phone.pay(SOA, 123450))


def seen(site: Site, code: str) -> tuple[int, str]:
    answer = site.app.test_client().get(f"/verify/{code}")
    return answer.status_code, re.sub(r'<meta name="csrf-token"[^>]*>', "", answer.get_data(as_text=True))


def test_a_stranger_sees_what_the_paper_says_and_what_became_of_it(printed: tuple[Site, Phone, str]) -> None:
    site, phone, code = printed
    status, page = seen(site, code)
    assert status == 200 and "This receipt is genuine" in page and "not received the payment yet" in page
    paid = phone.entries[-1]
    for fact in (paid.payload["receipt_number"], "₱1,234.50", "Cash", "20 Nov 2026, 08:04", SOA.soa_number, phone.code, paid.hash[:8]):
        assert fact in page, fact
    with site.app.app_context():
        upload(phone, "automatic")
    page = seen(site, code)[1]
    assert "the office has received this payment" in page
    for secret in (
        paid.payload["payment"],
        paid.hash[:32],
        "Bituin",
        "HP-777",
        "Mabini",
        "jun",
        "Jun",
        "Pending",
        "Approved",
        "unassigned",
    ):
        assert secret not in page, secret
    with site.app.app_context():
        asked = phone.ask_void(paid)
        upload(phone, "automatic")
        void = void_store.by_number(asked.payload["void_number"])
        assert void
    assert "the office has received this payment" in seen(site, code)[1], "a request is nobody's business yet"
    with site.app.app_context():
        voids.approve(void.id, "ramon", "secret reason", NOW)
    page = seen(site, code)[1]
    assert "was voided" in page and "secret reason" not in page and "genuine" not in page


def test_a_phone_that_may_not_collect_any_more_and_facts_that_differ_lead_to_the_office(printed: tuple[Site, Phone, str]) -> None:
    site, phone, code = printed
    with site.app.app_context():
        terminals.revoke(phone.code, "ada", NOW)
    page = seen(site, code)[1]
    assert "Ask the office about this receipt" in page and "may not collect any more" in page and "genuine" not in page
    with site.app.app_context():
        upload(phone, "automatic")
        other = phone.receipt_code(phone.entries[-1], amount=999900)
    page = seen(site, other)[1]
    assert "Ask the office about this receipt" in page and "does not agree" in page and "genuine" not in page


def test_whatever_proves_nothing_is_answered_in_the_same_words(printed: tuple[Site, Phone, str]) -> None:
    site, phone, code = printed
    with site.app.app_context():
        stranger = make_phone("jun")
        stranger.code = phone.code
        forged = stranger.receipt_code(phone.entries[-1])
    pages = {seen(site, wrong) for wrong in (forged, code[:-1], code[:30], f"{code}=", "x", "A" * 3000)}
    ((status, page),) = pages
    assert status == 404 and "This code proves nothing" in page and "show the receipt to the office" in page
    assert seen(site, "%00")[0] == 404 and seen(site, "")[0] == 404


def test_a_name_in_a_code_arrives_as_text(printed: tuple[Site, Phone, str]) -> None:
    site, phone, _ = printed
    with site.app.app_context():
        code = phone.receipt_code(phone.entries[-1], soa_number='<script>alert("1")</script>')
    page = seen(site, code)[1]
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_one_address_cannot_ask_without_end(tmp_path: Path, sqlite_url: str) -> None:
    app: Flask = create_app(TestConfig(tmp_path, DATABASE_URL=sqlite_url, LOGIN_ATTEMPTS="3 per minute"))
    limiter.reset()
    client = app.test_client()
    answers = [client.get("/verify/x").status_code for _ in range(61)]
    assert answers == [404] * 60 + [429]
    assert client.get("/verify/x", environ_base={"REMOTE_ADDR": "192.0.2.9"}).status_code == 404
    limiter.reset()

"""A new version of the app in mid-day, with a form open and payments unsent (F48)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from portal.blueprints.mpos import build_shell
from tests.browser.phone_portal import CUSTOMERS, PhonePortal
from tests.browser.pin import unlock
from tests.browser.test_phone_lock import start_day
from tests.browser.test_whole_day import collect

pytestmark = pytest.mark.timeout(300)
VERSION = "document.querySelector('meta[name=mpos-version]').content"


@pytest.fixture
def newer(phone_portal: PhonePortal) -> Iterator[PhonePortal]:
    """The portal goes back to the version it began with."""
    yield phone_portal
    phone_portal.app.extensions.pop("mpos_shell", None)


def test_an_update_waits_for_the_collector_and_loses_neither_the_form_nor_what_is_unsent(newer: PhonePortal, phone: BrowserContext) -> None:
    page = phone.new_page()
    start_day(page, newer)
    page.reload()  # from now on the app's files come from its worker
    unlock(page)
    page.route("**/api/v1/journal", lambda route: route.abort())  # nothing gets through: it stays unsent
    receipt = collect(page, CUSTOMERS[0], Decimal("100.00"))
    page.get_by_role("button", name="Done").click()
    page.get_by_label("Search").fill(CUSTOMERS[1])
    page.get_by_role("button", name=re.compile("^" + re.escape(CUSTOMERS[1]))).first.click()
    page.get_by_role("button", name="Collect payment").click()
    page.get_by_label("Amount", exact=True).fill("77.00")
    before = page.evaluate(VERSION)

    # --- the portal now serves another version; the phone hears of it
    with newer.app.test_request_context():
        newer.app.extensions["mpos_shell"] = build_shell(Path(newer.app.static_folder or ""), demo=True)
    page.evaluate("navigator.serviceWorker.getRegistration('/mpos/').then((registration) => registration.update())")
    expect(page.locator("#tab-settings.has-news")).to_have_count(1, timeout=60_000)
    expect(page.get_by_label("Amount", exact=True)).to_have_value("77.00")
    assert page.evaluate(VERSION) == before
    page.get_by_role("button", name="Confirm payment").click()
    expect(page.locator("#receipt-number")).to_have_text(re.compile("00000002$"))
    page.get_by_role("button", name="Done").click()
    unsent = page.locator("#unsent").inner_text()

    # --- it is taken when the collector says so: the same records, the same numbers, the same unsent entries
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("button", name="Update now").click()
    page.wait_for_function("(before) => document.querySelector('meta[name=mpos-version]')?.content !== before", arg=before)
    unlock(page)
    expect(page.locator("#unsent")).to_have_text(unsent)
    page.unroute("**/api/v1/journal")
    page.get_by_role("link", name="Readings", exact=True).click()
    page.get_by_role("button", name="Upload Payments").click()
    expect(page.locator("#unsent")).to_have_text("0", timeout=30_000)
    assert newer.payments(receipt.partition("-")[0]) == [(receipt, 10000), (receipt[:-1] + "2", 7700)]

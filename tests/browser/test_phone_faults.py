"""What a phone goes through, in a real Chromium against the real portal: killed, full, erased, two tabs at once (F40, F41, F42, F43)."""

from __future__ import annotations

import os
import re
import shutil
import signal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from tests.browser.conftest import FLAGS, PHONE
from tests.browser.phone_portal import CUSTOMERS, PASSWORD, PhonePortal
from tests.browser.pin import log_in, unlock
from tests.browser.test_phone_lock import start_day
from tests.browser.test_whole_day import collect, until

pytestmark = pytest.mark.timeout(300)


def chromium_of(profile: Path) -> list[int]:
    """The processes that work with this profile, all of them started by the test."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue  # ended meanwhile
            if f"--user-data-dir={profile}".encode() in command:
                found.append(int(process.name))
    return found


def open_phone(chromium: Browser, profile: Path) -> BrowserContext:
    """A browser of its own, whose storage is on disk."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    settings: dict[str, Any] = {"executable_path": path, "args": FLAGS, **PHONE}
    return chromium.browser_type.launch_persistent_context(str(profile), **settings)


FULL = """() => {
  const real = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (...args) {
    if (["heads", "meta"].includes(this.name)) throw new DOMException("no space left", "QuotaExceededError");
    return real.apply(this, args);
  };
  window.roomAgain = () => { IDBObjectStore.prototype.put = real; };
}"""
"""No room on the phone: Chromium asks its quota too seldom to be filled up in a test, so its refusal is put in its place."""


def pay_form(page: Page, name: str, amount: str) -> None:
    page.get_by_label("Search").fill(name)
    page.get_by_role("button", name=re.compile("^" + re.escape(name))).first.click()
    page.get_by_role("button", name="Collect payment").click()
    page.get_by_label("Amount", exact=True).fill(amount)
    expect(page.get_by_role("region", name="Allocation")).to_contain_text("SI-")


def terminal_of(page: Page) -> str:
    return page.locator("#strip-terminal").inner_text()


def upload(page: Page) -> None:
    page.get_by_role("link", name="Readings", exact=True).click()
    page.get_by_role("button", name="Upload Payments").click()
    expect(page.locator("#unsent")).to_have_text("0", timeout=30_000)


def test_a_browser_killed_right_after_the_receipt_keeps_the_payment_and_the_next_number(
    chromium: Browser, phone_portal: PhonePortal, tmp_path: Path
) -> None:
    """F40, F41: every process of the browser dies by SIGKILL while the receipt number has just been shown."""
    profile = tmp_path / "profile"
    phone = open_phone(chromium, profile)
    page = phone.pages[0]
    start_day(page, phone_portal)
    receipt = collect(page, CUSTOMERS[0], Decimal("250.00"))
    victims = chromium_of(profile)
    assert victims
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue  # died with its parent
    until(lambda: not chromium_of(profile))
    try:
        phone.close()
    except Error:
        pass  # there is nobody left to close

    phone = open_phone(chromium, profile)
    try:
        page = phone.pages[0]
        page.goto(f"{phone_portal.url}/mpos/")
        unlock(page)
        page.get_by_role("link", name="Transactions", exact=True).click()
        expect(page.get_by_text(receipt)).to_be_visible()
        page.get_by_role("link", name="Collection", exact=True).click()
        after = collect(page, CUSTOMERS[1], Decimal("100.00"))
        assert int(after.rpartition("-")[2]) == int(receipt.rpartition("-")[2]) + 1
        page.get_by_role("button", name="Done").click()
        page.evaluate("location.hash = '#/log-in'")  # the browser died before it had kept the cookie of the log-in
        log_in(page, "nena", PASSWORD)
        expect(page.get_by_label("Search")).to_be_visible()
        upload(page)
        assert phone_portal.payments(terminal_of(page)) == [(receipt, 25000), (after, 10000)]
    finally:
        phone.close()


def test_a_full_phone_never_says_saved_and_uses_no_number(phone_portal: PhonePortal, phone: BrowserContext) -> None:
    """F42: the browser's quota is used up between two payments."""
    page = phone.new_page()
    start_day(page, phone_portal)
    first = collect(page, CUSTOMERS[0], Decimal("100.00"))
    page.get_by_role("button", name="Done").click()
    pay_form(page, CUSTOMERS[1], "150.00")
    page.evaluate(FULL)
    page.get_by_role("button", name="Confirm payment").click()
    expect(page.get_by_role("alert").filter(has_text="storage is full")).to_be_visible()
    expect(page.locator("#receipt-number")).to_have_count(0)
    page.evaluate("window.roomAgain()")
    page.get_by_role("button", name="Confirm payment").click()
    expect(page.locator("#receipt-number")).to_have_text(re.compile(r"-\d{8}$"))
    second = page.locator("#receipt-number").inner_text()
    assert int(second.rpartition("-")[2]) == int(first.rpartition("-")[2]) + 1


def test_a_full_phone_opens_no_registry(phone_portal: PhonePortal, phone: BrowserContext) -> None:
    """F42: said before the first customer, with what to do."""
    page = phone.new_page()
    page.goto(f"{phone_portal.url}/mpos/")
    log_in(page, "nena", PASSWORD)
    page.get_by_role("button", name="Enroll this phone").click()
    page.get_by_label("Change fund").fill("0")
    page.evaluate(FULL)
    page.get_by_role("button", name="Open Registry").click()
    expect(page.get_by_role("alert").filter(has_text="Free space")).to_be_visible()
    page.evaluate("window.roomAgain()")
    page.get_by_role("button", name="Check again").first.click()
    expect(page.get_by_role("alert").filter(has_text="Free space")).to_have_count(0)
    page.get_by_role("button", name="Open Registry").click()
    expect(page.get_by_role("button", name="Download SOA").first).to_be_visible()


def test_an_erased_phone_says_so_and_never_gives_a_number_again(phone_portal: PhonePortal, phone: BrowserContext) -> None:
    """F42: the browser evicts the records; what it keeps beside them remembers the terminal."""
    page = phone.new_page()
    start_day(page, phone_portal)
    receipt = collect(page, CUSTOMERS[0], Decimal("100.00"))
    page.get_by_role("button", name="Done").click()
    upload(page)
    before = terminal_of(page)
    page.goto("about:blank")
    devtools = phone.new_cdp_session(page)
    devtools.send("Storage.clearDataForOrigin", {"origin": phone_portal.url, "storageTypes": "indexeddb,cache_storage,service_workers"})
    page.goto(f"{phone_portal.url}/mpos/")
    expect(page.get_by_role("alert").filter(has_text=f"erased the records of terminal {before}")).to_be_visible()
    start_day(page, phone_portal)
    expect(page.get_by_text("erased the records")).to_have_count(0)
    assert terminal_of(page) != before
    after = collect(page, CUSTOMERS[1], Decimal("100.00"))
    page.get_by_role("button", name="Done").click()
    upload(page)
    assert phone_portal.payments(before) == [(receipt, 10000)]
    assert phone_portal.payments(terminal_of(page)) == [(after, 10000)]


def test_two_tabs_that_confirm_at_once_give_two_numbers_and_upload_each_payment_once(
    phone_portal: PhonePortal, phone: BrowserContext
) -> None:
    """F43, F46."""
    one = phone.new_page()
    start_day(one, phone_portal)
    two = phone.new_page()
    two.goto(f"{phone_portal.url}/mpos/")
    unlock(two)
    phone.set_offline(True)
    pay_form(one, CUSTOMERS[0], "110.00")
    pay_form(two, CUSTOMERS[1], "120.00")
    press = "() => { [...document.querySelectorAll('button')].find((one) => one.textContent === 'Confirm payment').click(); }"
    for page in (one, two):
        page.evaluate(press)
    numbers = []
    for page in (one, two):
        expect(page.locator("#receipt-number")).to_have_text(re.compile(r"-\d{8}$"))
        numbers.append(page.locator("#receipt-number").inner_text())
    assert sorted(int(number.rpartition("-")[2]) for number in numbers) == [1, 2]
    phone.set_offline(False)
    for page in (one, two):
        page.get_by_role("button", name="Done").click()
        page.get_by_role("link", name="Readings", exact=True).click()
    for page in (one, two):
        page.get_by_role("button", name="Upload Payments").click()
    for page in (one, two):
        expect(page.locator("#unsent")).to_have_text("0", timeout=30_000)
    assert sorted(phone_portal.payments(terminal_of(one))) == sorted(zip(numbers, [11000, 12000], strict=True))

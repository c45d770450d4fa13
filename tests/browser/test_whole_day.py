"""The whole day in a real browser against every real process: PSCloud -> portal -> phone -> payment -> PSCloud."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demo.logins import LOGINS
from tests.browser.conftest import Product
from tests.browser.pin import PIN, choose_pin, unlock

PASSWORDS = {login.name: login.password for login in LOGINS}


STORED_CODES = """async (pin) => {
  const { openPhone } = await import("/static/mpos/phone.mjs");
  const phone = await openPhone({ automatic: false, serviceWorker: undefined });
  if (phone.state.locked) await phone.unlock(pin);
  const codes = {};
  for (const { payment, receipt_number } of await phone.transactions()) codes[receipt_number] = (await phone.receipt(payment)).code;
  await phone.close();
  return codes;
}"""
"""Receipt number -> the code its QR carries, as stored on the phone; read by a second copy of the app's core, which has to know the PIN."""


def office(chromium: Browser, product: Product, name: str) -> Page:
    page = chromium.new_context(viewport={"width": 1366, "height": 768}, timezone_id="Asia/Manila").new_page()
    page.goto(f"{product.url}/login")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORDS[name])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{product.url}/")
    return page


@pytest.fixture
def phone_context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, timezone_id="Asia/Manila")
    yield context
    context.close()


def until(check: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds:g} s"
        time.sleep(0.2)
    return found


def pesos(text: str) -> Decimal:
    found = re.search(r"[\d,]+\.\d\d", text)
    assert found, text
    return Decimal(found[0].replace(",", ""))


def collect(page: Page, name: str, amount: Decimal, *, over: bool = False) -> str:
    """Find the customer, take the money in cash, and return the receipt number."""
    page.get_by_label("Search").fill(name)
    page.get_by_role("button", name=re.compile("^" + re.escape(name))).first.click()
    page.get_by_role("button", name="Collect payment").click()
    page.get_by_label("Amount", exact=True).fill(str(amount))
    allocation = page.get_by_role("region", name="Allocation")
    expect(allocation).to_contain_text("Advance" if over else "SI-")
    page.get_by_role("button", name="Confirm payment").click()
    if over:
        expect(page.get_by_text("kept as an advance")).to_be_visible()
        confirm = page.get_by_role("button", name="Confirm payment")
        expect(confirm).not_to_have_attribute("aria-disabled", "true")
        confirm.click()
    number = page.locator("#receipt-number")
    expect(number).to_have_text(re.compile(r"^T\d\d-\d{8}$"))
    return number.inner_text()


def test_the_whole_day(chromium: Browser, product: Product, phone_context: BrowserContext) -> None:
    # --- the office downloads the SOAs
    cashier = office(chromium, product, "carla")
    cashier.goto(f"{product.url}/syncs")
    expect(cashier.locator("tr[data-sync]").first).to_have_attribute("data-status", "completed", timeout=60_000)
    cashier.get_by_role("button", name="Sync now").click()
    expect(cashier.locator("tr[data-sync]")).to_have_count(2)
    expect(cashier.locator("tr[data-sync]").first).to_have_attribute("data-status", "completed", timeout=60_000)
    assert int(cashier.locator("tr[data-sync] .failed").first.inner_text()) == 8, "the demo's records that are wrong on purpose"

    # --- the collector gets ready
    page = phone_context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None)
    page.goto(f"{product.url}/mpos/")
    page.get_by_label("Username").fill("nena")
    page.get_by_label("Password", exact=True).fill(PASSWORDS["nena"])
    page.get_by_role("button", name="Log in").click()
    choose_pin(page)
    page.get_by_role("button", name="Enroll this phone").click()
    page.get_by_label("Change fund").fill("500")
    page.get_by_role("button", name="Open Registry").click()
    page.get_by_role("button", name="Download SOA").first.click()
    expect(page.get_by_text(re.compile(r"Downloaded [\d,]+ SOAs"))).to_be_visible(timeout=30_000)
    until(lambda: page.evaluate("navigator.serviceWorker.getRegistration('/mpos/').then((r) => Boolean(r && r.active))"))

    # --- offline, after a reload, three payments: exact, partial, over
    customers = chosen_customers(product)
    phone_context.set_offline(True)
    page.reload()
    unlock(page)
    expect(page.locator("#offline")).to_be_visible()
    receipts: list[str] = []
    amounts = [customers[0][2], Decimal("100.55"), customers[2][2] + Decimal("50.00")]
    for (_, name, _), amount, over in zip(customers, amounts, (False, False, True), strict=True):
        receipts.append(collect(page, name, amount, over=over))
        if len(receipts) == 1:
            check_print(page, receipts[0], amount)
        page.get_by_role("button", name="Done").click()
    assert [int(number.rpartition("-")[2]) for number in receipts] == [1, 2, 3], "receipt numbers are dense from 1"
    page.reload()
    unlock(page)
    # Three payments and a print; what was noted before going offline may have been uploaded by itself already.
    expect(page.locator("#unsent")).to_have_text(re.compile(r"^[4-9]$"))
    assert product.pscloud_get("/payments")["payments"] == []

    # --- a stranger scans the receipts: each was signed without a signal
    codes = page.evaluate(STORED_CODES, PIN)
    stranger = chromium.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False).new_page()
    for number, amount in zip(receipts, amounts, strict=True):
        stranger.goto(f"{product.url}/verify/{codes[number]}")
        expect(stranger.get_by_role("heading", name="This receipt is genuine")).to_be_visible()
        expect(stranger.locator("main")).to_contain_text(re.compile(f"has not received.*{number}.*₱{amount:,.2f}", re.S))

    # --- back online: upload twice
    phone_context.set_offline(False)
    page.get_by_role("link", name="Readings").or_(page.get_by_role("button", name="Readings")).first.click()
    for _ in range(2):
        page.get_by_role("button", name="Upload Payments").click()
        expect(page.locator("#unsent")).to_have_text("0", timeout=20_000)

    for code in codes.values():
        stranger.goto(f"{product.url}/verify/{code}")
        expect(stranger.locator("main")).to_contain_text("the office has received this payment")

    # --- count, X, Z, close
    cash = sum(amounts, Decimal("500.00"))
    page.get_by_role("button", name="Count cash").click()
    rest = int(cash * 100)
    for value in ("1000", "500", "200", "100", "50", "20", "10", "5", "1", "0.25", "0.10", "0.05", "0.01"):
        size = int(Decimal(value) * 100)
        page.get_by_label(value, exact=True).fill(str(rest // size))
        rest %= size
    page.get_by_role("button", name="Save count").click()
    expect(page.get_by_text("Count saved")).to_be_visible()
    page.get_by_role("button", name="Back to Readings").click()
    page.get_by_role("button", name="X-Reading").click()
    total = sum(amounts, Decimal(0))
    expect(page.get_by_text(f"{total:,.2f}").first).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Collection Report").click()
    for number in receipts:
        expect(page.get_by_text(number).first).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Z-Reading").click()
    page.get_by_role("button", name="Confirm Z-Reading").click()
    expect(page.get_by_text("Z counter").first).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Close Registry").click()
    expect(page.get_by_text(re.compile("The registry of .* is closed"))).to_be_visible()
    expect(page.locator("#unsent")).to_have_text("0", timeout=20_000)

    # --- the office sees them Completed, PSCloud holds exactly three, and the balances there
    def completed() -> bool:
        cashier.goto(f"{product.url}/payments")
        rows = cashier.locator("tr[data-payment]")
        return rows.count() == 3 and all(row.get_attribute("data-status") == "completed" for row in rows.all())

    until(completed, 60)
    held = product.pscloud_get("/payments")["payments"]
    assert {payment["receipt_number"] for payment in held} == set(receipts) and len(held) == 3
    assert {Decimal(payment["amount"]) for payment in held} == set(amounts)
    ledger = {row.get_attribute("data-payment") for row in cashier.locator("tr[data-payment]").all()}
    assert {payment["reference"] for payment in held} == ledger
    for (soa_id, _, due), amount in zip(customers, amounts, strict=True):
        assert Decimal(product.pscloud_get(f"/soas/{soa_id}")["amount_due"]) == max(due - amount, Decimal("0.00"))

    # --- and the readings agree with the ledger to the centavo
    cashier.goto(f"{product.url}/readings")
    expect(cashier.get_by_text("T01").first).to_be_visible()
    with sqlite3.connect(f"file:{product.data}/demo/portal.sqlite3?mode=ro", uri=True) as database:
        assert database.execute("SELECT kind, differences FROM readings ORDER BY id").fetchall() == [("X", "[]"), ("Z", "[]")]
        assert database.execute("SELECT count(*) FROM incidents").fetchone() == (0,)
        assert database.execute("SELECT closed_seq IS NOT NULL FROM registries").fetchall() == [(1,)]
    assert problems == []


def chosen_customers(product: Product) -> list[tuple[str, str, Decimal]]:
    """Three of nena's SOAs with names of their own: (PSCloud id, customer, amount due)."""
    with sqlite3.connect(f"file:{product.data}/demo/portal.sqlite3?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT id, customer_name, amount_due FROM soas WHERE status = 'active' AND due_date < date('now') AND amount_due > 200000 "
            "AND collector_code IN (SELECT code FROM code_holdings WHERE user_id = (SELECT id FROM users WHERE name = 'nena')) "
            "AND customer_name IN (SELECT customer_name FROM soas GROUP BY customer_name HAVING count(*) = 1) ORDER BY id LIMIT 3"
        ).fetchall()
    return [(soa_id, name, Decimal(due).scaleb(-2)) for soa_id, name, due in rows]


def check_print(page: Page, number: str, amount: Decimal) -> None:
    """What would come out of the printer: the receipt alone, with its number and total, on narrow paper."""
    page.evaluate("() => { window.print = () => { window.printed = (window.printed || 0) + 1; }; }")
    page.get_by_role("button", name="Print receipt").click()
    until(lambda: page.evaluate("window.printed || 0") == 1)
    page.emulate_media(media="print")
    text = page.locator("body").inner_text()
    assert number in text and f"{amount:,.2f}" in text and "COLLECTION RECEIPT" in text
    assert "NOT VALID FOR CLAIM OF INPUT TAX" in text.replace("\n", " ")
    assert not page.get_by_role("button", name="Done").is_visible()
    page.emulate_media(media="screen")

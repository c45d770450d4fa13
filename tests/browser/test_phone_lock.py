"""The phone's lock against the real portal and a real IndexedDB: the PIN, what is sealed, a forgotten PIN, a second user (F49, F51)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.phone_portal import CUSTOMERS, DUE, PASSWORD, PhonePortal
from tests.browser.pin import PIN, choose_pin, log_in, unlock
from tests.browser.test_whole_day import collect, until

EVERYTHING = """async () => {
  const bytes = [];
  const walk = (value) => {
    if (value instanceof CryptoKey) return `key ${value.type} ${value.extractable}`;
    if (ArrayBuffer.isView(value)) { bytes.push(...value.subarray(0, 4000)); return "bytes"; }
    if (Array.isArray(value)) return value.map(walk);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item)]));
    return value;
  };
  const found = {};
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((resolve, reject) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    for (const store of db.objectStoreNames) {
      const objects = db.transaction(store).objectStore(store);
      const ask = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
      const [keys, values] = [await ask(objects.getAllKeys()), await ask(objects.getAll())];
      found[`${name} ${store}`] = keys.map((key, index) => [key, walk(values[index])]);
    }
    db.close();
  }
  const text = new TextDecoder("utf-8", { fatal: false }).decode(new Uint8Array(bytes));
  return { found, text, beside: { ...localStorage }, history: JSON.stringify(walk(history.state)), session: { ...sessionStorage } };
}"""
"""All that this browser keeps of the app, as somebody with the unlocked hardware in hand would read it."""


def worker_ready(page: Page) -> None:
    until(lambda: page.evaluate("navigator.serviceWorker.getRegistration('/mpos/').then((r) => Boolean(r && r.active))"))


def start_day(page: Page, portal: PhonePortal, name: str = "nena") -> None:
    """Log in, PIN, enroll, open, download."""
    page.goto(f"{portal.url}/mpos/")
    log_in(page, name, PASSWORD)
    choose_pin(page)
    page.get_by_role("button", name="Enroll this phone").click()
    page.get_by_label("Change fund").fill("500")
    page.get_by_role("button", name="Open Registry").click()
    page.get_by_role("button", name="Download SOA").first.click()
    expect(page.get_by_text(re.compile(r"Downloaded [\d,]+ SOAs"))).to_be_visible(timeout=30_000)
    worker_ready(page)


def stored(page: Page) -> Any:
    return page.evaluate(EVERYTHING)


@pytest.mark.timeout(300)
def test_a_locked_phone_says_nothing_of_customers_or_money_and_loses_nothing(phone_portal: PhonePortal, phone: BrowserContext) -> None:
    page = phone.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    start_day(page, phone_portal)
    phone.set_offline(True)

    # --- a reload without a line: nothing but the PIN opens the day, and a form that was open is still there
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Locked"))
    unlock(page)
    receipt = collect(page, CUSTOMERS[0], DUE)
    page.get_by_role("button", name="Done").click()
    page.get_by_label("Search").fill(CUSTOMERS[1])
    page.get_by_role("button", name=re.compile("^" + re.escape(CUSTOMERS[1]))).first.click()
    page.get_by_role("button", name="Collect payment").click()
    page.get_by_label("Amount", exact=True).fill("123.45")
    until(lambda: page.evaluate("Boolean(history.state.draft)"))

    # --- what lies on the disk
    kept = stored(page)
    everything = str(kept["found"]) + kept["text"] + str(kept["beside"]) + kept["history"] + str(kept["session"])
    for name in CUSTOMERS:
        assert name not in everything and name.lower() not in everything
    assert f"{DUE:.2f}" not in everything and "432100" not in str(kept["found"]) and "Mabini" not in everything
    assert receipt not in everything and "12345" not in everything and "123.45" not in everything
    assert PASSWORD not in everything and PIN not in everything
    [payment] = kept["found"]["mpos-nena payments"]
    assert set(payment[1]) == {"payment", "terminal", "seq", "sealed"}
    assert all(
        set(one) - {"unsent"} == {"terminal", "seq", "hash", "at", "status", "sealed"} for _, one in kept["found"]["mpos-nena entries"]
    )
    assert {key for key, value in kept["found"]["mpos-nena meta"] if "sealed" not in str(value)} == {"terminal", "vault"}
    vault = dict(kept["found"]["mpos-nena meta"])["vault"]
    assert vault["device"] == "key secret false" and vault["work"] >= 600_000
    assert set(kept["beside"]) <= {"mpos-canary:nena", "mpos-paper", "mpos-printer"}

    # --- locked by hand: gone from the screen and from memory; a wrong PIN is counted, across a reload as well
    page.evaluate("location.hash = '#/settings'")
    page.get_by_role("button", name="Lock now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Locked"))
    assert CUSTOMERS[1] not in page.locator("body").inner_text()
    expect(page.locator("#unsent")).not_to_have_text("0")
    page.get_by_label("PIN", exact=True).fill("998877")
    page.get_by_role("button", name="Unlock", exact=True).click()
    expect(page.get_by_text("9 tries are left")).to_be_visible()
    page.reload()
    page.get_by_label("PIN", exact=True).fill("998878")
    page.get_by_role("button", name="Unlock", exact=True).click()
    expect(page.get_by_text("8 tries are left")).to_be_visible()
    unlock(page)
    page.go_back()
    expect(page.get_by_label("Amount", exact=True)).to_have_value("123.45")
    page.get_by_role("button", name="Confirm payment").click()
    expect(page.locator("#receipt-number")).to_have_text(re.compile("00000002$"))

    # --- another user on the same phone sees and sends nothing of it (F51); what nena left waits for her (F49)
    page.evaluate("location.hash = '#/settings'")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Log out anyway").click()
    phone.set_offline(False)
    log_in(page, "jun", PASSWORD)
    expect(page.get_by_role("button", name="Enroll this phone")).to_be_visible()
    expect(page.locator("#unsent")).to_have_text("0")
    assert not any(name in page.locator("body").inner_text() for name in CUSTOMERS)
    page.evaluate("location.hash = '#/settings'")
    page.get_by_role("button", name="Log out").click()
    phone.set_offline(True)

    # --- without a line the PIN logs in, with what was left; with a line everything arrives once
    page.get_by_label("Username").fill("Nena")
    page.get_by_label("Password", exact=True).fill(PIN)
    page.get_by_role("button", name="Use my PIN").click()
    page.get_by_role("link", name="Transactions", exact=True).click()
    expect(page.get_by_text(receipt)).to_be_visible()

    # --- ten wrong PINs: the password alone helps, needs a line, and loses nothing
    page.evaluate("location.hash = '#/settings'")
    page.get_by_role("button", name="Lock now").click()
    page.evaluate(WRONG, {"name": "nena", "tries": 9})
    page.reload()
    page.get_by_label("PIN", exact=True).fill("135790")
    page.get_by_role("button", name="Unlock", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Try again in 5 minutes")
    page.evaluate(WRONG, {"name": "nena", "tries": 10})
    page.reload()
    expect(page.get_by_text("only your password opens this phone now")).to_be_visible()
    phone.set_offline(False)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose a new PIN")
    choose_pin(page, "314159")
    page.get_by_role("link", name="Readings", exact=True).click()
    page.get_by_role("button", name="Upload Payments").click()
    expect(page.locator("#unsent")).to_have_text("0", timeout=20_000)
    page.reload()
    unlock(page, "314159")
    amounts = [amount for _, amount in phone_portal.payments(receipt.partition("-")[0])]
    assert amounts == [int(DUE * 100), int(Decimal("123.45") * 100)]
    assert errors == []


WRONG = """async ({ name, tries }) => {
  const db = await new Promise((resolve, reject) => {
    const request = indexedDB.open(`mpos-${name}`);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  await new Promise((resolve) => {
    const transaction = db.transaction("meta", "readwrite");
    transaction.objectStore("meta").put(tries, "tries");
    transaction.oncomplete = resolve;
  });
  db.close();
}"""
"""As many wrong PINs as said, without the minutes it takes to type them."""

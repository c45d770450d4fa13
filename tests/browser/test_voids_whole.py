"""Voids from a real phone to the real portal and back: asked for offline, decided in the office, counted alike on both sides."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from config import TestConfig
from portal import create_app
from portal.services import voids
from tests.browser.conftest import Product
from tests.browser.pin import choose_pin, unlock
from tests.browser.test_whole_day import PASSWORDS, chosen_customers, collect, office, until


def query(product: Product, sql: str, *values: str) -> list[Any]:
    with sqlite3.connect(f"file:{product.data}/demo/portal.sqlite3?mode=ro", uri=True) as database:
        return database.execute(sql, values).fetchall()


def decide(product: Product, tmp_path: Path, number: str, approved: bool) -> None:
    """What the office's page calls, in the database the product works with."""
    app = create_app(TestConfig(tmp_path, DATABASE_URL=f"sqlite:///{product.data}/demo/portal.sqlite3"))
    [(void_id,)] = query(product, "SELECT id FROM voids WHERE void_number = ?", number)
    with app.app_context():
        if approved:
            voids.approve(void_id, "ramon", "", datetime.now(UTC))
        else:
            voids.refuse(void_id, "ramon", "The customer says it is right", datetime.now(UTC))


def ask(page: Page, receipt: str, reason: str) -> None:
    page.get_by_role("link", name="Transactions", exact=True).click()
    page.locator(".transaction", has_text=receipt).get_by_role("button", name="Void", exact=True).click()
    page.get_by_role("button", name=reason, exact=True).click()
    page.get_by_role("button", name="Ask for the void").click()
    page.get_by_role("button", name="Confirm void request").click()
    expect(page.get_by_role("status").filter(has_text="void asked for")).to_be_visible()


def upload(page: Page) -> None:
    page.get_by_role("link", name="Readings", exact=True).click()
    page.get_by_role("button", name="Upload Payments").click()
    expect(page.locator("#unsent")).to_have_text("0", timeout=20_000)


def test_voids_are_asked_for_offline_decided_in_the_office_and_counted_alike(chromium: Browser, product: Product, tmp_path: Path) -> None:
    cashier = office(chromium, product, "carla")
    cashier.goto(f"{product.url}/syncs")
    expect(cashier.locator("tr[data-sync]").first).to_have_attribute("data-status", "completed", timeout=60_000)
    context = chromium.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True, timezone_id="Asia/Manila")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
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

    # --- offline: two payments, a void of each, everything still there after a reload
    customers = chosen_customers(product)[:2]
    context.set_offline(True)
    receipts = []
    for _, name, due in customers:
        receipts.append(collect(page, name, due))
        page.get_by_role("button", name="Done").click()
    ask(page, receipts[0], "Wrong amount")
    ask(page, receipts[1], "Wrong customer")
    page.reload()
    unlock(page)
    page.get_by_role("link", name="Transactions", exact=True).click()
    expect(page.locator(".transaction", has_text="void asked for")).to_have_count(2)

    # --- online: the requests reach the office, which approves one and refuses one; the phone hears of it and writes it down
    context.set_offline(False)
    upload(page)
    asked = query(product, "SELECT void_number, reason, state FROM voids ORDER BY id")
    numbers = [number for number, _, _ in asked]
    assert [(reason, state) for _, reason, state in asked] == [("Wrong amount", "requested"), ("Wrong customer", "requested")]
    assert [number[-8:] for number in numbers] == ["-V000001", "-V000002"]
    decide(product, tmp_path, numbers[0], approved=True)
    decide(product, tmp_path, numbers[1], approved=False)
    upload(page)
    page.get_by_role("link", name="Transactions", exact=True).click()
    expect(page.locator(".transaction", has_text=receipts[0])).to_contain_text(f"voided ({numbers[0]})", timeout=20_000)
    expect(page.locator(".transaction", has_text=receipts[1])).to_contain_text("refused by ramon: The customer says it is right")
    upload(page)
    assert query(product, "SELECT count(*) FROM voids WHERE counted_seq IS NULL") == [(0,)], "the journal holds both decisions"
    page.get_by_role("link", name="Collection", exact=True).click()
    page.get_by_label("Search").fill(customers[0][1])
    expect(page.get_by_role("button", name=re.compile("^" + re.escape(customers[0][1])))).to_contain_text(f"{customers[0][2]:,.2f}")

    # --- X, count, Z, close: the portal works out the same figures from its ledger
    page.get_by_role("link", name="Readings", exact=True).click()
    page.get_by_role("button", name="X-Reading").click()
    expect(page.get_by_text(f"Less void {customers[0][2]:,.2f}")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Count cash").click()
    page.get_by_role("button", name="Save count").click()
    page.get_by_role("button", name="Back to Readings").click()
    page.get_by_role("button", name="Z-Reading").click()
    page.get_by_role("button", name="Confirm Z-Reading").click()
    expect(page.get_by_text("Z counter").first).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Close Registry").click()
    expect(page.get_by_text(re.compile("The registry of .* is closed"))).to_be_visible()
    expect(page.locator("#unsent")).to_have_text("0", timeout=20_000)
    assert query(product, "SELECT kind, differences FROM readings ORDER BY id") == [("X", "[]"), ("Z", "[]")]
    assert query(product, "SELECT count(*) FROM incidents") == [(0,)]

    # --- and only the payment whose void was refused reaches PSCloud
    held = until(lambda: product.pscloud_get("/payments")["payments"], 60)
    assert [payment["receipt_number"] for payment in held] == [receipts[1]]
    assert problems == []
    context.close()

"""At the door, over a stand-in for the core: few taps, what is asked twice, OR Entry, the route of the day, photos and the place."""

from __future__ import annotations

import base64
import re

from playwright.sync_api import Page, expect

from tests.browser.test_phone_screens import address, check_screen, page, press

__all__ = ["address", "page"]
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def open_soa(page: Page, account: str) -> None:
    page.get_by_role("searchbox", name="Search").fill(account)
    page.locator(".soa").first.click()


def test_from_the_list_to_the_stored_receipt_in_four_taps(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    expect(page.locator(".as-of")).to_be_in_viewport()
    page.locator(".soa").first.click()
    press(page, "Collect payment")
    page.get_by_role("button", name=re.compile("^Full amount")).click()
    press(page, "Confirm payment")
    expect(page.locator("#receipt-number")).to_have_text(re.compile("^T07-"))


def test_a_reference_used_before_is_asked_again_and_a_check_says_when_it_can_be_cashed(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    for account in ("100002", "100005"):
        open_soa(page, account)
        press(page, "Collect payment")
        page.get_by_label("Amount", exact=True).fill("500")
        page.get_by_role("radio", name="Check", exact=True).check()
        page.get_by_label("Bank", exact=True).fill("BDO")
        page.get_by_label("Reference number").fill("0012345")
        page.get_by_label("Branch").fill("Malolos")
        page.get_by_label("Date on the check").fill("2099-12-31")
        expect(page.get_by_text("Post-dated: the check can be cashed from")).to_be_visible()
        check_screen(page, "[A-Z]")
        press(page, "Confirm payment")
        if account == "100002":
            expect(page.locator("#receipt-number")).to_be_visible()
            press(page, "Done")
    expect(page.get_by_text("Reference 0012345 is on T07-00000123 already.")).to_be_visible()
    expect(page.locator("#receipt-number")).to_have_count(0)
    expect(page.get_by_role("button", name="Confirm payment")).not_to_have_attribute("aria-disabled", "true")
    press(page, "Confirm payment")
    expect(page.locator("#receipt-number")).to_have_text("T07-00000124")


def test_an_official_receipt_is_entered_from_its_paper_and_once(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    press(page, "OR Entry")
    check_screen(page, "OR Entry")
    press(page, "Next: the payment")
    expect(page.get_by_text("Type the number printed on the official receipt.")).to_be_visible()
    page.get_by_label("Number of the official receipt").fill("00451")
    page.get_by_label("Account number").fill("nowhere")
    expect(page.get_by_label("Customer")).to_be_visible()
    account = page.evaluate("document.querySelector('input') && 1")
    assert account == 1
    page.get_by_label("Account number").fill("100002")
    if page.get_by_label("Customer").is_visible():
        page.get_by_label("Customer").fill("Reyes, Ana")
    check_screen(page, "OR Entry")


def drag_row(page: Page, place: int, over: int, let_go: str | None) -> None:
    """Drag a row's handle by the distance to another row's handle, then lift the finger, or press a key first."""
    start, goal = (page.locator(".route .handle").nth(one).bounding_box() for one in (place, over))
    assert start and goal and start["width"] >= 44 and start["height"] >= 44
    x = start["x"] + start["width"] / 2
    page.mouse.move(x, start["y"] + 22)
    page.mouse.down()
    page.mouse.move(x, goal["y"] + 22, steps=4)
    if let_go:
        page.keyboard.press(let_go)
        expect(page.locator(".route .held")).to_have_count(0)
    page.mouse.up()


def test_the_route_is_made_by_address_and_changed_by_buttons_and_by_dragging(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=40&start=open")
    page.get_by_label("Order").select_option("address")
    press(page, "My route")
    check_screen(page, "My route")
    press(page, "Start with those due, by address")
    rows = page.locator(".route .soa-name")
    expect(rows.first).to_have_text(re.compile("^1\\. "))
    first, second = (text.split(". ", 1)[1] for text in rows.all_text_contents()[:2])
    page.get_by_role("button", name=f"Later: {first}").first.click()
    expect(rows.first).to_have_text(f"1. {second}")
    page.get_by_role("button", name=f"Earlier: {first}").first.click()
    expect(rows.first).to_have_text(f"1. {first}")
    for let_go in ("Escape", None):
        drag_row(page, 0, 1, let_go)
        expect(rows.first).to_have_text(f"1. {second if let_go is None else first}")
        heard = f"{first} is number 2 now." if let_go is None else "Nothing was moved."
        expect(page.locator("[role=status]", has_text=heard)).to_have_count(1)
    drag_row(page, 1, 0, None)
    expect(rows.first).to_have_text(f"1. {first}")
    count = rows.count()
    page.get_by_role("button", name=f"Take off the route: {first}").first.click()
    expect(rows).to_have_count(count - 1)
    check_screen(page, "My route")
    link = page.get_by_role("link", name=re.compile("^Map"))
    assert (link.first.get_attribute("href") or "").startswith(("geo:0,0?q=", "https://www.openstreetmap.org/search?query="))


def test_a_photo_is_made_small_after_the_payment_is_stored(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    open_soa(page, "100002")
    press(page, "Collect payment")
    page.get_by_label("Amount", exact=True).fill("500")
    page.get_by_role("radio", name="Check", exact=True).check()
    page.get_by_label("Reference number").fill("77")
    press(page, "Confirm payment")
    expect(page.locator("#receipt-number")).to_be_visible()
    check_screen(page, "Payment received")
    page.get_by_label("Photo of the check").set_input_files({"name": "check.png", "mimeType": "image/png", "buffer": PIXEL})
    expect(page.get_by_text("1 photo saved on this phone; sent after the payments.")).to_be_visible()
    page.get_by_label("Photo of the check").set_input_files({"name": "note.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    expect(page.get_by_text("This file is not a picture the phone can read.")).to_be_visible()


def test_the_place_is_asked_for_once_with_its_reason(page: Page, address: str) -> None:
    page.context.grant_permissions(["geolocation"])
    page.context.set_geolocation({"latitude": 14.84, "longitude": 120.81, "accuracy": 9})
    page.goto(f"{address}?start=open")
    open_soa(page, "100002")
    press(page, "Collect payment")
    expect(page.get_by_text("May each payment note where it was taken?")).to_be_visible()
    press(page, "No")
    page.go_back()
    press(page, "Collect payment")
    expect(page.get_by_label("Amount", exact=True)).to_be_visible()
    expect(page.get_by_text("May each payment note where it was taken?")).to_have_count(0)

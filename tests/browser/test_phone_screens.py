"""The phone app's screens over a stand-in for its core: what a finger can do wrong, what stands on paper, who can read it."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask, Response, render_template, send_from_directory
from playwright.sync_api import Browser, Page, expect
from werkzeug.serving import make_server

from portal.security import security_headers

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "portal" / "static"
MM = 72 / 25.4


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The shell and the screens as the portal serves them, with fake_phone.mjs in place of the core."""
    app = Flask("screens", static_folder=None, template_folder=str(ROOT / "portal" / "templates"))
    # Templates that another test's portal compiled ask for what this plain app has not.
    app.jinja_options = {**app.jinja_options, "bytecode_cache": None}

    @app.get("/mpos/")
    def shell() -> str:
        return render_template("mpos/shell.html", version="test", demo=True)

    @app.get("/static/<path:filename>", endpoint="static")
    def static(filename: str) -> Response:
        if filename == "mpos/phone.mjs":
            return send_from_directory(ROOT / "tests" / "browser", "fake_phone.mjs", mimetype="text/javascript")
        return send_from_directory(STATIC, filename, mimetype="text/javascript" if filename.endswith(".mjs") else None)

    @app.after_request
    def policy(response: Response) -> Response:
        response.headers.update(security_headers({"HTMX_SOURCE": "local"}))
        return response

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/mpos/"
    server.shutdown()
    thread.join()


@pytest.fixture(params=[(360, "light"), (320, "dark")], ids=lambda value: f"{value[0]}-{value[1]}")
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Page]:
    width, scheme = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 740},
        color_scheme=scheme,
        reduced_motion="reduce",
        is_mobile=True,
        has_touch=True,
        timezone_id="Asia/Manila",
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert problems == []


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def check_screen(page: Page, title: str) -> None:
    """The screen came, its heading has the focus, nothing is wider than the phone, axe finds nothing."""
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text(re.compile(title))
    expect(heading).to_have_count(1)
    assert page.evaluate("document.getElementById('screen').scrollWidth <= document.getElementById('screen').clientWidth"), (
        f"{title} is too wide"
    )
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["target"]) for one in found] == [], title


def pay(page: Page, account: str, amount: str) -> None:
    page.get_by_role("searchbox", name="Search").fill(account)
    page.locator(".soa").first.click()
    press(page, "Collect payment")
    page.get_by_label("Amount", exact=True).fill(amount)


def test_every_screen_of_a_day_is_readable_and_reachable(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=1200&update=1")
    check_screen(page, "Mobile Collection")
    page.get_by_label("Username").fill("nena")
    page.get_by_label("Password").fill("wrong")
    press(page, "Log in")
    expect(page.get_by_role("alert").filter(has_text="password is wrong")).to_be_visible()
    page.get_by_label("Password").fill("secret")
    press(page, "Log in")
    check_screen(page, "This phone is new here")
    press(page, "Enroll this phone")
    check_screen(page, "Start the day")
    page.get_by_label("Change fund").fill("1,000")
    press(page, "Open Registry")
    check_screen(page, "Collection")
    press(page, "Download SOA")
    expect(page.get_by_text("Downloaded 1,200 SOAs.")).to_be_visible()
    expect(page.locator(".soa")).to_have_count(50)
    page.get_by_role("searchbox", name="Search").fill("nobody of this name")
    press(page, "Clear search")
    page.get_by_role("searchbox", name="Search").fill("jose ocampo")
    expect(page.get_by_role("button", name=re.compile("^Ocampo, José")).first).to_be_visible()
    check_screen(page, "Collection")

    pay(page, "100002", "4000")
    page.get_by_label("Cash tendered", exact=True).fill("5000")
    expect(page.get_by_role("region", name="Allocation")).to_contain_text("principal")
    press(page, "Choose invoices")
    page.get_by_role("checkbox").nth(1).check()
    expect(page.get_by_role("region", name="Allocation")).to_contain_text("Advance")
    page.get_by_role("checkbox").nth(1).uncheck()
    for tender in ("Check", "Bank transfer", "E-wallet"):
        page.get_by_role("radio", name=tender, exact=True).check()
        check_screen(page, "Reyes, Ana")
    press(page, "Confirm payment")
    expect(page.get_by_text("Type the reference number.")).to_be_visible()
    page.get_by_role("radio", name="Cash", exact=True).check()
    press(page, "Confirm payment")
    expect(page.locator("#receipt-number")).to_have_text("T07-00000123")
    expect(page.get_by_text("Saved on this phone")).to_be_visible()
    check_screen(page, "Payment received")
    press(page, "Done")

    page.get_by_role("link", name="Transactions").click()
    expect(page.get_by_text("issued, print unconfirmed")).to_be_visible()
    check_screen(page, "Transactions")
    page.get_by_role("link", name="Readings").click()
    check_screen(page, "Readings")
    press(page, "Z-Reading")
    check_screen(page, "needs a count")
    press(page, "Count cash")
    page.get_by_label("1000", exact=True).fill("1.5")
    press(page, "Save count")
    expect(page.get_by_text("is not a number of pieces")).to_be_in_viewport()
    page.get_by_label("1000", exact=True).fill("5")
    expect(page.get_by_text("is not a number of pieces")).to_be_hidden()
    page.get_by_label("20 coin", exact=True).fill("1")
    expect(page.locator("#bar output")).to_have_text("₱5,020.00")
    expect(page.get_by_text("Expected cash")).to_have_count(0)
    press(page, "Save count")
    expect(page.get_by_text("Expected cash")).to_be_visible()
    check_screen(page, "Count the cash")
    page.get_by_role("link", name="Readings", exact=True).click()
    press(page, "Upload Payments")
    expect(page.locator("#unsent")).to_have_text("0")
    for name, title in (("X-Reading", "X-Reading"), ("Collection Report", "Collection Report")):
        press(page, name)
        check_screen(page, title)
        page.go_back()
    press(page, "Z-Reading")
    check_screen(page, "Close the day")
    press(page, "Confirm Z-Reading")
    check_screen(page, "Z-Reading 1")
    page.go_back()
    press(page, "Close Registry")
    expect(page.get_by_text("is closed. Hand over the cash")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("was closed by its Z-Reading. The next one can be opened tomorrow.")
    page.get_by_role("link", name="Collection", exact=True).click()
    check_screen(page, "The day is closed")
    expect(
        page.get_by_text(re.compile(r"The registry of \d+ \w+ \d{4} was closed by its Z-Reading. The next one can be opened tomorrow."))
    ).to_be_visible()
    expect(page.get_by_role("button", name="Open Registry")).to_have_count(0)
    page.get_by_role("link", name="Settings").click()
    check_screen(page, "Settings")
    press(page, "Log out")
    expect(page.get_by_role("alert").filter(has_text="not uploaded")).to_be_visible()
    press(page, "Log out anyway")
    check_screen(page, "Mobile Collection")


def test_a_double_tap_takes_one_payment_and_back_never_takes_another(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    pay(page, "100002", "150.00")
    page.get_by_role("button", name="Confirm payment").dblclick()
    expect(page.locator("#receipt-number")).to_have_text("T07-00000123")
    page.go_back()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("100002")
    page.go_forward()
    page.go_forward()
    expect(page.locator("#receipt-number")).to_have_text("T07-00000123")
    page.get_by_role("link", name="Transactions").click()
    expect(page.locator(".transaction")).to_have_count(1)


def test_more_than_due_asks_again_and_a_double_tap_is_no_answer(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    pay(page, "100002", "99999")
    confirm = page.get_by_role("button", name="Confirm payment")
    confirm.click(trial=True)  # the screen came just now, and takes no taps on its button yet
    confirm.dblclick(force=True)
    expect(page.get_by_text("kept as an advance")).to_be_visible()
    expect(page.locator("#receipt-number")).to_have_count(0)
    page.get_by_label("Amount", exact=True).fill("99998")
    expect(page.get_by_text("kept as an advance")).to_have_count(0)
    confirm.click()
    expect(page.get_by_text("kept as an advance")).to_be_visible()
    confirm.click()
    expect(page.locator("#receipt-number")).to_have_text("T07-00000123")


def test_an_unfinished_payment_survives_a_reload(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    pay(page, "100002", "777.70")
    page.get_by_role("radio", name="Check", exact=True).check()
    page.get_by_label("Reference number").fill("000123")
    page.reload()
    expect(page.get_by_label("Amount", exact=True)).to_have_value("777.70")
    expect(page.get_by_role("radio", name="Check", exact=True)).to_be_checked()
    expect(page.get_by_label("Reference number")).to_have_value("000123")


def test_fingers_get_number_keys_and_the_tap_beside_them_lands(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    pay(page, "100002", "1")
    page.get_by_label("Amount", exact=True).tap()
    for key in ("4", "5", "00"):
        page.get_by_role("group", name="Number keys").get_by_role("button", name=key, exact=True).tap()
    page.get_by_role("radio", name="Check", exact=True).tap()
    expect(page.get_by_role("radio", name="Check", exact=True)).to_be_checked()
    expect(page.get_by_role("group", name="Number keys")).to_be_hidden()
    expect(page.get_by_label("Amount", exact=True)).to_have_value("4,500.00")


@pytest.mark.parametrize("width", [58, 80])
def test_a_receipt_prints_as_one_strip_and_again_as_a_reprint(chromium: Browser, address: str, width: int) -> None:
    page = chromium.new_context(viewport={"width": 360, "height": 740}, timezone_id="Asia/Manila").new_page()
    page.add_init_script("window.prints = 0; window.print = () => { window.prints += 1; };")
    page.goto(f"{address}?soas=300&start=open")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("radio", name=f"{width} mm").check()
    page.get_by_role("link", name="Collection", exact=True).click()
    pay(page, "100002", "4,000.50")
    press(page, "Confirm payment")

    def printed(button: str, mark: str) -> str:
        press(page, button)
        expect(page.locator("#sheet")).to_contain_text(mark)
        pdf = page.pdf(prefer_css_page_size=True)
        boxes = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)", pdf)
        assert len(boxes) == 1, "one strip, one page"
        assert abs(float(boxes[0][0]) - width * MM) < 2
        code = page.locator("#sheet svg.qr")
        drawn, strip = code.bounding_box(), page.locator("#sheet .paper").bounding_box()
        assert drawn and strip
        modules = int((code.get_attribute("viewBox") or "").split()[2])
        assert drawn["width"] == pytest.approx(modules * 0.5 * 96 / 25.4, abs=0.5), "half a millimetre for each module"
        assert drawn["width"] == drawn["height"] and strip["x"] <= drawn["x"] and drawn["x"] + drawn["width"] <= strip["x"] + strip["width"]
        page.emulate_media(media="print")
        text = page.locator("body").inner_text()
        page.emulate_media(media="screen")
        return text

    first = printed("Print receipt", "T07-00000123")
    assert "Check this receipt" in first and "same number, amount and verification" in first
    assert "4,000.50" in first and "DEMO" in first and "REPRINT" not in first and "Confirm" not in first and "Done" not in first
    assert "REPRINT 1" in printed("Print receipt", "REPRINT 1")
    assert "COLLECTOR" in printed("Collector's copy", "COLLECTOR'S COPY")
    assert page.evaluate("window.prints") == 3
    press(page, "Done")
    expect(page.locator("#sheet")).to_be_empty()
    page.context.close()


def test_a_log_in_without_a_connection_keeps_what_was_typed(page: Page, address: str) -> None:
    page.goto(f"{address}?offline=1")
    page.get_by_label("Username").fill("nena")
    page.get_by_label("Password").fill("secret")
    press(page, "Log in")
    expect(page.locator(".notice.person").filter(has_text="no connection")).to_be_visible()
    expect(page.get_by_label("Password")).to_have_value("secret")


def test_the_number_keys_never_hide_what_a_payment_pays(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    pay(page, "100002", "1")
    words = page.locator(".in-short")
    expect(words).to_be_hidden()
    page.get_by_label("Amount", exact=True).tap()
    expect(words).to_be_visible()
    for key in ("1", "00"):
        page.get_by_role("button", name=key, exact=True).tap()
    expect(words).to_have_text(re.compile(r"^Pays INV-\d+-1, remaining ₱[\d,]+\.\d\d$"))
    place = page.get_by_role("button", name="Confirm payment").bounding_box()
    page.get_by_role("button", name="Done", exact=True).tap()
    expect(words).to_be_hidden()
    assert page.get_by_role("button", name="Confirm payment").bounding_box() == place


def test_readings_of_a_phone_that_never_opened_a_registry_offer_none(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Username").fill("nena")
    page.get_by_label("Password").fill("secret")
    press(page, "Log in")
    press(page, "Enroll this phone")
    page.get_by_role("link", name="Readings").click()
    expect(page.get_by_text("No registry was opened on this phone yet.")).to_be_visible()
    expect(page.get_by_role("button", name="Collection Report")).to_have_count(0)


def test_entries_another_user_left_on_the_phone_are_told_and_never_called_uploaded(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    pay(page, "100002", "100")
    press(page, "Confirm payment")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("link", name="Settings").click()
    press(page, "Log out")
    press(page, "Log out anyway")
    words = page.get_by_role("status").filter(has_text="4 entries of nena are still on this phone. Log in as nena to upload them.")
    expect(words).to_be_visible()
    expect(page.locator("#unsent")).to_have_text("4")
    check_screen(page, "Mobile Collection")
    page.get_by_label("Username").fill("ben")
    page.get_by_label("Password").fill("secret")
    press(page, "Log in")
    expect(page.locator("#unsent")).to_have_text("0")
    page.get_by_role("link", name="Readings").click()
    expect(words).to_be_visible()
    expect(page.get_by_text("All of yours uploaded")).to_be_visible()
    press(page, "Upload Payments")
    expect(page.get_by_text("Nothing to upload: the portal has everything of yours.")).to_be_visible()
    check_screen(page, "Readings")
    page.get_by_role("link", name="Settings").click()
    expect(words).to_be_visible()
    check_screen(page, "Settings")


def test_a_registry_left_open_overnight_says_so_before_anything_is_typed(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open&opened=-1")
    words = page.locator(".notice.person").filter(
        has_text=re.compile("is still open and today is .* Close Registry; then open today's registry")
    )
    expect(words).to_be_visible()
    check_screen(page, "Collection")
    page.get_by_role("searchbox", name="Search").fill("100002")
    page.locator(".soa").first.click()
    expect(words).to_be_visible()
    expect(page.get_by_role("button", name="Collect payment")).to_have_count(0)
    page.evaluate("location.hash = location.hash.replace('soa', 'pay')")
    page.reload()
    expect(words).to_be_visible()
    expect(page.get_by_role("textbox")).to_have_count(0)
    check_screen(page, "Reyes, Ana")
    press(page, "Readings")
    check_screen(page, "Readings")
    press(page, "Count cash")
    press(page, "Save count")
    press(page, "Back to Readings")
    press(page, "X-Reading")
    check_screen(page, "X-Reading")
    page.go_back()
    press(page, "Z-Reading")
    press(page, "Confirm Z-Reading")
    page.go_back()
    press(page, "Close Registry")
    expect(page.get_by_text("Then open today's registry under Collection.")).to_be_visible()
    page.get_by_role("link", name="Collection", exact=True).click()
    check_screen(page, "Start the day")


def test_a_count_before_the_last_cash_is_shown_as_outdated(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    page.get_by_role("link", name="Readings").click()
    press(page, "Count cash")
    press(page, "Save count")
    press(page, "Back to Readings")
    expect(page.locator(".pill.safe", has_text="Counted ₱0.00")).to_be_visible()
    page.get_by_role("link", name="Collection", exact=True).click()
    pay(page, "100002", "100")
    press(page, "Confirm payment")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("link", name="Readings").click()
    expect(page.locator(".pill.person", has_text="Outdated")).to_be_visible()
    expect(page.locator(".pill.safe", has_text="Counted")).to_have_count(0)
    check_screen(page, "Readings")
    press(page, "Z-Reading")
    check_screen(page, "The count is outdated")
    press(page, "Count cash")
    expect(page.get_by_text("Cash was collected or voided after it.")).to_be_visible()


def test_an_expense_waits_for_the_office_and_a_cash_drop_counts_at_once(page: Page, address: str) -> None:
    page.goto(f"{address}?start=open")
    page.get_by_role("link", name="Readings").click()
    press(page, "Expenses and cash drops")
    check_screen(page, "Expenses and cash drops")
    press(page, "Expense")
    check_screen(page, "Expense")
    press(page, "Save expense")
    expect(page.get_by_text("Type an amount above zero.")).to_be_visible()
    page.get_by_label("Amount", exact=True).fill("45")
    press(page, "Save expense")
    expect(page.get_by_role("alert").filter(has_text="Choose what the money was spent on")).to_be_visible()
    press(page, "Fuel")
    page.get_by_label("Note", exact=True).fill("To Malolos and back")
    page.get_by_role("button", name="Save expense").dblclick()
    expect(page.get_by_role("status").filter(has_text="waits for the office")).to_be_visible()
    check_screen(page, "Expense")
    assert page.evaluate("phone.state.expenses_waiting") == 1
    expect(page.locator(".paper")).to_contain_text("NOT YET APPROVED")
    page.evaluate("phone.decideExpense('refused', 'There is no paper')")
    expect(page.get_by_text("There is no paper")).to_be_visible()
    press(page, "Done")
    press(page, "Cash drop")
    check_screen(page, "Cash drop")
    page.get_by_label("Amount", exact=True).fill("1000")
    press(page, "Save cash drop")
    expect(page.get_by_text("Say to whom, or where")).to_be_visible()
    page.get_by_label("Given to").fill("Branch safe")
    press(page, "Save cash drop")
    expect(page.locator(".paper")).to_contain_text("CASH DROP")
    press(page, "Done")
    check_screen(page, "Expenses and cash drops")
    expect(page.locator(".line")).to_have_count(2)


def test_a_visit_without_money_is_noted_once_and_told_on_the_account(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    page.get_by_role("searchbox", name="Search").fill("100002")
    page.locator(".soa").first.click()
    press(page, "History")
    expect(page.get_by_text("Nothing was collected or noted on this account")).to_be_visible()
    check_screen(page, "History")
    page.get_by_role("link", name="Back to").click()
    press(page, "Cannot collect")
    check_screen(page, "Cannot collect")
    press(page, "Save visit")
    expect(page.get_by_text("Say why nothing was collected")).to_be_visible()
    press(page, "Other")
    expect(page.get_by_label("Reason", exact=True)).to_be_focused()
    press(page, "Nobody home")
    expect(page.get_by_role("button", name="Nobody home")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Note").fill("Gate closed")
    page.reload()
    expect(page.get_by_label("Note")).to_have_value("Gate closed")
    check_screen(page, "Cannot collect")
    page.get_by_role("button", name="Save visit").dblclick()
    page.get_by_role("searchbox", name="Search").fill("100002")
    expect(page.locator(".soa").first).to_contain_text("Nobody home")
    expect(page.locator("#unsent")).to_have_text("4")
    check_screen(page, "Collection")

    page.locator(".soa").first.click()
    expect(page.get_by_text("Gate closed")).to_be_visible()
    press(page, "Promise to pay")
    press(page, "Save promise")
    expect(page.get_by_text("Choose the day the customer promised to pay.")).to_be_visible()
    page.get_by_label("Amount promised").fill("12x")
    press(page, "In a week")
    press(page, "Save promise")
    expect(page.get_by_label("Amount promised")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Amount promised").fill("1,500")
    check_screen(page, "Promise to pay")
    press(page, "Save promise")
    expect(page.locator(".soa").first).to_contain_text("Promised ₱1,500.00 for")
    page.locator(".soa").first.click()
    check_screen(page, "Reyes, Ana")
    press(page, "History")
    expect(page.locator("li.line")).to_have_count(2)
    check_screen(page, "History")


def test_the_second_tap_of_a_double_tap_opens_nothing_on_the_screen_that_comes(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    page.get_by_role("searchbox", name="Search").fill("10")
    page.locator(".soa").first.click()
    press(page, "Cannot collect")
    press(page, "Nobody home")
    check_screen(page, "Cannot collect")
    place = page.get_by_role("button", name="Save visit").bounding_box()
    assert place
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.evaluate(
        """([x, y]) => new MutationObserver((_, seen) => {
            if (document.querySelector("h1")?.textContent !== "Collection" || !document.querySelector(".soa")) return;
            seen.disconnect();
            window.underFinger = document.elementFromPoint(x, y).className;
            window.elsewhere = document.elementFromPoint(x, y - 120).closest(".soa") !== null;
        }).observe(document.getElementById("screen"), { childList: true, subtree: true })""",
        [x, y],
    )
    page.mouse.click(x, y)
    page.wait_for_function("window.underFinger !== undefined")
    assert page.evaluate("[underFinger, elsewhere]") == ["shield", True]
    page.wait_for_function("([x, y]) => document.elementFromPoint(x, y).closest('.soa')", arg=[x, y])
    page.mouse.click(x, y)
    expect(page.get_by_role("button", name="Collect payment")).to_be_visible()


def test_a_payment_is_voided_after_a_second_look_and_says_what_the_office_decided(page: Page, address: str) -> None:
    page.add_init_script("window.print = () => {};")
    page.goto(f"{address}?start=open")
    for account in ("100002", "100005"):
        pay(page, account, "4000")
        press(page, "Confirm payment")
        page.get_by_role("button", name="Done").click()
    page.get_by_role("link", name="Transactions").click()
    page.get_by_role("button", name="Void", exact=True).last.click()
    check_screen(page, "Void this payment")
    press(page, "Ask for the void")
    expect(page.get_by_text("Say why: choose a reason or type one.")).to_be_visible()
    check_screen(page, "Void this payment")
    press(page, "Wrong amount")
    expect(page.get_by_label("Reason", exact=True)).to_have_value("Wrong amount")
    check_screen(page, "Void this payment")
    press(page, "Other")
    expect(page.get_by_label("Reason", exact=True)).to_be_focused()
    page.keyboard.type("Paid for the neighbour")
    page.get_by_role("button", name="Ask for the void").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ask the office to void this?")
    assert page.evaluate("phone.state.voids_waiting") == 0, "a double tap is no answer to the second look"
    check_screen(page, "Ask the office to void this")
    page.reload()
    expect(page.get_by_text("Paid for the neighbour")).to_be_visible()
    press(page, "Change")
    press(page, "Wrong customer")
    press(page, "Ask for the void")
    press(page, "Confirm void request")
    expect(page.get_by_role("status").filter(has_text="void asked for")).to_be_visible()
    check_screen(page, "Void T07-V000001")
    for part in ("VOID SLIP", "T07-00000123", "Reyes, Ana", "4,000.00", "Wrong customer", "NOT YET APPROVED", "Customer's signature"):
        expect(page.locator(".preview")).to_contain_text(part)
    press(page, "Print void slip")
    expect(page.locator("#sheet")).to_contain_text("T07-V000001")
    press(page, "Done")
    check_screen(page, "Transactions")
    row = page.locator(".transaction").last
    expect(row).to_contain_text("Void T07-V000001 waits for the office. Reason: Wrong customer.")
    expect(row.get_by_role("button", name="Void", exact=True)).to_have_count(0)

    page.evaluate("phone.decide('T07-V000001', 'refused', 'She is the customer.')")
    expect(row).to_contain_text("void refused")
    expect(row).to_contain_text("Void T07-V000001 refused by sol: She is the customer.")
    row.get_by_role("button", name="Void", exact=True).click()
    expect(page.get_by_text("It can be asked for again.")).to_be_visible()
    check_screen(page, "Void this payment")
    press(page, "Wrong amount")
    press(page, "Ask for the void")
    press(page, "Confirm void request")
    expect(page.get_by_role("heading", level=1)).to_have_text("Void T07-V000002")
    page.get_by_role("link", name="Readings").click()
    press(page, "X-Reading")
    expect(page.get_by_text("1 void waits for the office and is not in this reading.")).to_be_visible()
    check_screen(page, "X-Reading")
    page.get_by_role("link", name="Transactions").click()
    page.evaluate("phone.decide('T07-V000002', 'approved', null)")
    expect(row).to_contain_text("voided (T07-V000002)")
    expect(page.locator(".facts")).to_contain_text("2 payments, ₱8,000.00, ₱4,000.00 of it voided")
    row.get_by_role("button", name="Void slip").click()
    expect(page.get_by_text("This payment counts no more. ₱4,000.00 less cash is expected.")).to_be_visible()
    check_screen(page, "Void T07-V000002")
    press(page, "Receipt")
    expect(page.locator(".preview")).to_contain_text("VOID T07-V000002")
    check_screen(page, "Receipt")
    page.get_by_role("link", name="Collection", exact=True).click()
    page.get_by_role("searchbox", name="Search").fill("100002")
    expect(page.locator(".soa .paid")).to_have_count(0)
    page.locator(".soa").first.click()
    expect(page.get_by_text("voided (T07-V000002)")).to_be_visible()
    check_screen(page, "Reyes, Ana")
    page.get_by_role("link", name="Readings").click()
    press(page, "Collection Report")
    expect(page.get_by_text("2 payments, ₱8,000.00, less void ₱4,000.00")).to_be_visible()
    check_screen(page, "Collection Report")


def test_the_pin_the_lock_and_the_look_at_the_storage_are_readable_and_reachable(page: Page, address: str) -> None:
    page.goto(f"{address}?weak=1&lost=1")
    expect(page.get_by_role("alert").filter(has_text="erased the records of terminal T03")).to_be_visible()
    check_screen(page, "Mobile Collection")
    page.get_by_label("Username").fill("nena")
    page.get_by_label("Password").fill("secret")
    press(page, "Log in")
    check_screen(page, "This phone is new here")
    page.get_by_label("New PIN", exact=True).fill("123456")
    page.get_by_label("New PIN again").fill("123456")
    press(page, "Set PIN")
    expect(page.get_by_text("one of the first that anybody would try")).to_be_visible()
    page.get_by_label("New PIN", exact=True).fill("271828")
    press(page, "Set PIN")
    expect(page.get_by_text("This is not the same PIN")).to_be_visible()
    page.get_by_label("New PIN again").fill("271828")
    press(page, "Set PIN")
    expect(page.get_by_label("New PIN", exact=True)).to_have_count(0)
    press(page, "Enroll this phone")
    page.get_by_text("This phone could lose payments").click()
    expect(page.get_by_text("Install the app on the home screen")).to_be_visible()
    check_screen(page, "Start the day")
    page.get_by_label("Change fund").fill("0")
    press(page, "Open Registry")
    page.get_by_role("link", name="Settings", exact=True).click()
    press(page, "Change PIN")
    check_screen(page, "Change PIN")
    page.get_by_role("link", name="Back to Settings").click()
    press(page, "Lock now")
    check_screen(page, "Locked: Nena Salazar")
    expect(page.locator("#tabs")).to_be_hidden()
    page.get_by_label("PIN", exact=True).fill("999000")
    press(page, "Unlock")
    expect(page.get_by_role("alert")).to_contain_text("That is not the PIN")
    press(page, "Forgotten PIN")
    check_screen(page, "Locked: Nena Salazar")
    page.get_by_label("Password", exact=True).fill("secret")
    press(page, "Log in")
    check_screen(page, "Choose a new PIN")
    page.get_by_label("New PIN", exact=True).fill("314159")
    page.get_by_label("New PIN again").fill("314159")
    press(page, "Set PIN")
    check_screen(page, "Collection")


def test_a_full_phone_is_told_before_the_registry_is_opened(page: Page, address: str) -> None:
    page.goto(f"{address}?full=1")
    page.get_by_label("Username").fill("nena")
    page.get_by_label("Password").fill("secret")
    press(page, "Log in")
    press(page, "Enroll this phone")
    expect(page.get_by_role("alert").filter(has_text="Delete photos or videos")).to_be_visible()
    check_screen(page, "Start the day")


#: What is cut off, or wider than its place: texts of buttons and of choices, tabs, headings.
CLIPPED = """() => {
  const places = "button, .segment span, .tabs a span, h1, h2, .pill, .strip-unsent, label, legend, select, .count-line label";
  const wide = (one) => one.clientWidth > 1 && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline";
  const out = (one) => one.getBoundingClientRect().right > innerWidth + 1;
  const seen = [...document.querySelectorAll(places)].filter((one) => one.offsetParent && !one.closest(".quiet, .sheet"));
  return seen.filter((one) => wide(one) || out(one)).map((one) => one.textContent);
}"""
#: Words of the English catalogue that stand on the screen although another language is spoken; paper is English.
LEFT = """async () => {
  const [en, fil] = await Promise.all(["en", "fil"].map(async (name) => (await import(`/static/mpos/words/${name}.mjs`)).default));
  const said = new Set(Object.values(fil).map((words) => words.trim()));
  const english = new Set(Object.values(en).map((words) => words.trim()).filter((words) => words && !said.has(words)));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const { parentElement: place, data } = walker.currentNode;
    if (!place.closest(".paper, noscript, [hidden]")) found.push(data);
  }
  for (const one of document.querySelectorAll("[aria-label], [placeholder]")) {
    if (!one.closest(".paper")) found.push(one.getAttribute("aria-label") ?? "", one.getAttribute("placeholder") ?? "");
  }
  return found.filter((words) => english.has(words.trim()));
}"""


def check_filipino(page: Page, title: str) -> None:
    check_screen(page, title)
    assert page.evaluate(CLIPPED) == [], title
    assert page.evaluate(LEFT) == [], title


def test_every_screen_speaks_filipino_and_fits(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=60&update=1&weak=1")
    page.get_by_role("radio", name="Filipino").check()
    expect(page.locator("html")).to_have_attribute("lang", "fil")
    expect(page.get_by_role("radio", name="Filipino")).to_be_focused()
    page.reload()
    expect(page.get_by_role("button", name="Mag-log in")).to_be_visible()
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name.split('/words/')[1]).filter(Boolean)")
    assert loaded == ["fil.mjs"], "one catalogue is loaded, not both"
    check_filipino(page, "Mobile Collection")
    page.get_by_label("Username").fill("nena")
    page.get_by_label("Password").fill("secret")
    press(page, "Mag-log in")
    check_filipino(page, "Bago rito")
    press(page, "I-enroll ang teleponong ito")
    check_filipino(page, "Simulan ang araw")
    page.get_by_label("Change fund").fill("1,000")
    press(page, "Buksan ang Registry")
    press(page, "Download SOA")
    expect(page.get_by_text("Na-download ang 60 SOA.")).to_be_visible()
    check_filipino(page, "Koleksyon")
    page.get_by_role("searchbox", name="Hanapin").fill("100002")
    page.locator(".soa").first.click()
    check_filipino(page, "Reyes, Ana")
    for button, title in (("Hindi nakasingil", "Hindi nakasingil"), ("Nangakong magbayad", "Nangakong magbayad"), ("History", "History")):
        press(page, button)
        check_filipino(page, title)
        page.go_back()
    press(page, "Maningil")
    page.get_by_label("Halaga", exact=True).fill("9000000")
    for tender in ("Tseke", "E-wallet", "Bank transfer", "Cash"):
        page.get_by_role("radio", name=tender, exact=True).check()
        check_filipino(page, "Reyes, Ana")
    press(page, "Kumpirmahin ang bayad")
    expect(page.locator(".over")).to_contain_text("May sobrang")
    check_filipino(page, "Reyes, Ana")
    page.get_by_label("Halaga", exact=True).fill("100")
    press(page, "Kumpirmahin ang bayad")
    expect(page.locator("#receipt-number")).to_have_text("T07-00000123")
    expect(page.locator(".paper")).to_contain_text("COLLECTION RECEIPT")
    expect(page.locator(".paper")).to_contain_text("Remaining balance")
    check_filipino(page, "Natanggap ang bayad")
    press(page, "Tapos")
    page.locator("#tab-transactions").click()
    check_filipino(page, "Transaksyon")
    press(page, "Void")
    check_filipino(page, "I-void ang bayad")
    page.get_by_label("Dahilan").fill("Mali")
    press(page, "Hilingin ang void")
    check_filipino(page, "Hilingin sa opisina")
    press(page, "Kumpirmahin ang hiling na void")
    check_filipino(page, "Void T07-V000001")
    page.locator("#tab-readings").click()
    check_filipino(page, "Readings")
    press(page, "Bilangin ang cash")
    page.get_by_label("1000", exact=True).fill("1")
    press(page, "I-save ang bilang")
    check_filipino(page, "Bilangin ang cash")
    for name, title in (("or-entry", "OR Entry"), ("route", "Ruta ko"), ("pin", "PIN")):
        page.evaluate(f"location.hash = '#/{name}'")
        check_filipino(page, title)
    page.locator("#tab-settings").click()
    check_filipino(page, "Settings")
    page.evaluate("phone.setPin('271828').then(() => phone.lock())")
    check_filipino(page, "Naka-lock: Nena Salazar")
    page.get_by_role("radio", name="English").check()
    expect(page.get_by_role("heading", level=1)).to_have_text("Locked: Nena Salazar")
    assert page.locator("html").get_attribute("lang") == "en"

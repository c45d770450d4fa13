"""Paper on the phone: receipt printers of the browser's doors, A4, half-printed receipts, sharing without a printer."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_phone_screens import MM, address, check_screen, page, pay, press

__all__ = ["address", "page"]
ROOT = Path(__file__).resolve().parents[2]

#: One port, one device: `window.printer` says how it behaves and holds every byte it took.
DEVICES = """
window.printer = { bytes: [], paper: 0x12, breakAt: Infinity, asked: 0, answers: true };
(() => {
  const { printer } = window;
  let push = () => undefined;
  const take = (bytes) => {
    const text = [...bytes].join(" ");
    if (printer.bytes.length + bytes.length > printer.breakAt) throw new DOMException("The device has been lost.", "NetworkError");
    printer.bytes.push(...bytes);
    if (printer.answers && text === "16 4 4") push(Uint8Array.of(printer.paper));
    if (printer.answers && text === "29 114 1") push(Uint8Array.of(0));
  };
  const port = {
    readable: null, writable: null, addEventListener() {}, removeEventListener() {},
    async open() {
      port.readable = new ReadableStream({ start: (controller) => void (push = (bytes) => controller.enqueue(bytes)) });
      port.writable = new WritableStream({ write: take });
    },
    async close() { port.readable = null; port.writable = null; },
  };
  let chosen = false;
  const serial = { async requestPort() { printer.asked += 1; chosen = true; return port; },
    async getPorts() { return chosen ? [port] : []; } };
  const out = { properties: { write: true }, writeValueWithResponse: async (bytes) => take(bytes) };
  const server = { connected: true, disconnect() {}, getPrimaryServices: async () => [{ getCharacteristics: async () => [out] }] };
  const device = { name: "MTP-II", addEventListener() {}, removeEventListener() {}, gatt: { connect: async () => server } };
  const bluetooth = { requestDevice: async () => { printer.asked += 1; return device; } };
  for (const [name, value] of Object.entries({ serial, bluetooth })) Object.defineProperty(navigator, name, { value, configurable: true });
})();
window.print = () => { window.prints = (window.prints ?? 0) + 1; };
"""

READ = """
import { FakePrinter } from "./tests/js/fake_escpos.mjs";
const printer = new FakePrinter(Number(process.argv[1]));
let input = "";
for await (const part of process.stdin) input += part;
printer.take(Uint8Array.from(JSON.parse(input)));
const { text, codes, cuts } = printer;
console.log(JSON.stringify({ text, codes, cuts, pictures: printer.pictures.length, rest: printer.pending.length }));
"""


def read_bytes(page: Page, width: int = 58) -> dict:
    """What a strict printer makes of the bytes sent since the last time."""
    sent = page.evaluate("window.printer.bytes.splice(0)")
    command = ["node", "--input-type=module", "-e", READ, str(width)]
    run = subprocess.run(command, input=json.dumps(sent), capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def use(page: Page, way: str) -> None:
    """Choose a printer in Settings."""
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("radio", name=way, exact=True).check()
    press(page, "Choose printer")
    expect(page.get_by_role("button", name="Choose another printer")).to_be_visible()


def collect(page: Page) -> None:
    page.get_by_role("link", name="Collection", exact=True).click()
    pay(page, "100007", "4,000.50")
    press(page, "Confirm payment")
    expect(page.locator("#receipt-number")).to_have_text("T07-00000123")


def printed_count(page: Page) -> int:
    """Entries of the stand-in besides the five of opening the day and paying."""
    return int(page.locator("#unsent").inner_text())


def test_a_serial_printer_gets_the_receipt_and_says_that_it_came_out(page: Page, address: str) -> None:
    page.add_init_script(DEVICES)
    page.goto(f"{address}?soas=300&start=open")
    use(page, "Serial port")
    check_screen(page, "Settings")
    press(page, "Test print")
    expect(page.get_by_text("The printer says that everything came out.")).to_be_visible()
    test = read_bytes(page)
    assert (
        "Señor Niño Peña" in test["text"] and test["codes"][0]["text"].endswith("/verify/test") and (test["cuts"], test["rest"]) == (1, 0)
    )
    press(page, "No code came")
    expect(page.get_by_role("radio", name="As a picture")).to_be_checked()
    check_screen(page, "Settings")
    collect(page)
    press(page, "Print receipt")
    expect(page.get_by_text("Printed. The next print is marked REPRINT 1.")).to_be_visible()
    expect(page.get_by_text("Did the paper come out?")).to_have_count(0)
    receipt = read_bytes(page)
    assert "T07-00000123" in receipt["text"] and "P4,000.50" in receipt["text"] and "Torres, Niño Emmanuel" in receipt["text"]
    assert (receipt["pictures"], receipt["cuts"], receipt["rest"]) == (1, 1, 0) and "REPRINT" not in receipt["text"]
    press(page, "Print receipt")
    expect(page.get_by_text("reprinted 1 time")).to_be_visible()
    assert "* REPRINT 1 *" in read_bytes(page)["text"]
    assert page.evaluate("window.printer.asked") == 1, "the printer was chosen once"
    assert page.evaluate("window.prints ?? 0") == 0

    before = printed_count(page)
    page.evaluate("window.printer.paper = 0x72")
    press(page, "Print receipt")
    expect(page.get_by_role("alert").filter(has_text="has no paper, so nothing was printed")).to_be_visible()
    assert printed_count(page) == before, "nothing was noted as printed"
    check_screen(page, "Payment received")
    page.evaluate("window.printer.paper = 0x12")
    press(page, "Print again")
    expect(page.get_by_text("reprinted 2 times")).to_be_visible()
    assert "* REPRINT 2 *" in read_bytes(page)["text"]
    press(page, "Collector's copy")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.wait_for_function("window.printer.bytes.slice(-3).join() === '29,114,1'")
    assert "COLLECTOR'S COPY" in read_bytes(page)["text"]


def test_half_a_receipt_is_asked_about_and_printed_again_as_a_reprint(page: Page, address: str) -> None:
    page.add_init_script(DEVICES)
    page.goto(f"{address}?soas=300&start=open")
    use(page, "Bluetooth")
    page.get_by_role("radio", name="80 mm").check()
    collect(page)
    page.evaluate("window.printer.breakAt = 700")
    press(page, "Print receipt")
    question = page.locator(".notice.person", has_text="broke off in the middle")
    expect(question).to_contain_text("Did the paper come out?")
    check_screen(page, "Payment received")
    press(page, "No")
    expect(page.get_by_text("The next print is marked REPRINT 1, so that nobody takes two papers for two payments.")).to_be_visible()
    page.evaluate("window.printer.breakAt = Infinity; window.printer.bytes.length = 0")
    press(page, "Print again")
    expect(page.locator(".notice", has_text="Did the paper come out?")).to_be_visible()
    receipt = read_bytes(page, 80)
    assert (
        "* REPRINT 1 *" in receipt["text"]
        and receipt["cuts"] == 1
        and receipt["codes"][0]["text"].startswith(address.removesuffix("mpos/"))
    )
    page.get_by_role("link", name="Transactions").click()
    expect(page.get_by_text("paper not confirmed")).to_be_visible()
    expect(page.locator(".transaction")).to_have_count(1)
    press(page, "Reprint")
    press(page, "Yes")
    expect(page.get_by_text("paper not confirmed")).to_have_count(0)
    expect(page.locator(".notice", has_text="Did the paper")).to_have_count(0)
    assert "* REPRINT 2 *" in read_bytes(page, 80)["text"]


def test_a_printer_the_browser_forgot_is_chosen_again_on_the_spot(page: Page, address: str) -> None:
    page.add_init_script(DEVICES)
    page.goto(f"{address}?soas=300&start=open")
    use(page, "Bluetooth")
    collect(page)
    page.reload()
    press(page, "Print receipt")
    expect(page.get_by_role("alert").filter(has_text="No printer is chosen in this browser")).to_be_visible()
    press(page, "Choose printer")
    expect(page.locator(".notice", has_text="Did the paper come out?")).to_be_visible()
    assert "REPRINT" not in read_bytes(page)["text"], "the first print is no reprint"


@pytest.fixture
def desk(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 360, "height": 740}, timezone_id="Asia/Manila", accept_downloads=True)
    page = context.new_page()
    yield page
    context.close()


def test_a4_prints_as_sheets(desk: Page, address: str) -> None:
    page = desk
    page.add_init_script("window.print = () => undefined;")
    page.goto(f"{address}?soas=300&start=open")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("radio", name="A4").check()
    collect(page)
    check_screen(page, "Payment received")
    press(page, "Print receipt")
    expect(page.locator("#sheet")).to_contain_text("T07-00000123")
    pdf = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)", pdf)
    assert [(round(float(width) / MM), round(float(height) / MM)) for width, height in boxes] == [(210, 297)]
    press(page, "Yes")
    expect(page.get_by_text("Printed. The next print is marked REPRINT 1.")).to_be_visible()


SHARE = """
window.shared = [];
navigator.canShare = (data) => (data.files ?? []).every((file) => /pdf|png/.test(file.type));
navigator.share = async (data) => {
  const files = await Promise.all((data.files ?? []).map(async (file) => {
    const bytes = new Uint8Array(await file.arrayBuffer());
    return { name: file.name, type: file.type, content: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")) };
  }));
  window.shared.push({ ...data, files });
};
"""


def test_a_receipt_is_shared_as_pdf_image_and_text_without_a_connection(desk: Page, address: str) -> None:
    page = desk
    page.add_init_script(SHARE)
    page.goto(f"{address}?soas=300&start=open")
    collect(page)
    page.context.set_offline(True)
    for form in ("PDF", "image", "text"):
        press(page, f"Share as {form}")
        expect(page.get_by_text("Handed over: what it holds is exactly what the paper says.")).to_be_visible()
        page.wait_for_function("(count) => window.shared.length === count", arg=["PDF", "image", "text"].index(form) + 1)
    pdf, image, text = page.evaluate("window.shared")
    assert (pdf["files"][0]["name"], pdf["files"][0]["type"]) == ("T07-00000123.pdf", "application/pdf")
    content = base64.b64decode(pdf["files"][0]["content"])
    assert (
        content.startswith(b"%PDF-1.4")
        and b"(          T07-00000123" not in content
        and b"T07-00000123" in content
        and b"REPRINT" not in content
    )
    picture = base64.b64decode(image["files"][0]["content"])
    assert picture.startswith(b"\x89PNG") and int.from_bytes(picture[16:20]) > 500, "as wide as it can be read"
    assert "₱4,000.50" in text["text"] and "REPRINT 2" in text["text"] and "/verify/" in text["text"], (
        "each copy that leaves the phone is counted"
    )
    check_screen(page, "Payment received")


def test_where_nothing_can_be_shared_it_is_saved(desk: Page, address: str) -> None:
    page = desk
    page.add_init_script("navigator.canShare = undefined; navigator.share = undefined;")
    page.goto(f"{address}?soas=300&start=open")
    collect(page)
    for form, name, start in (("PDF", "pdf", b"%PDF"), ("image", "png", b"\x89PNG"), ("text", "txt", b"* DEMO")):
        with page.expect_download() as waiting:
            press(page, f"Share as {form}")
        assert waiting.value.suggested_filename == f"T07-00000123.{name}"
        assert Path(waiting.value.path()).read_bytes().lstrip().startswith(start)
    expect(page.get_by_text("Saved among this phone's downloads")).to_be_visible()


def test_a_supervisor_who_is_near_approves_a_void_by_code(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    collect(page)
    press(page, "Void this payment")
    near = page.get_by_role("region", name="When a supervisor is near")
    expect(near).to_contain_text("T07-V000001")
    expect(near).to_contain_text("₱4,000.50")
    check_screen(page, "Void this payment")
    challenge = re.search(r"Challenge([0-9A-Z]{4}-[0-9A-Z]{4})", near.inner_text().replace("\n", ""))
    assert challenge
    code = page.evaluate(
        """async (asked) => {
            const { plausible } = await import("/static/mpos/domain/void_codes.mjs");
            return Array.from({ length: 10 }, (_, last) => `7654321${last}`).find((code) => plausible(code, asked));
        }""",
        challenge[1].replace("-", ""),
    )
    press(page, "Wrong amount")
    page.get_by_label("Supervisor code").fill(f"{(int(code) + 1) % 10**8:08d}")
    press(page, "Ask for the void")
    expect(page.get_by_text("This is not the code for this void.")).to_be_visible()
    page.get_by_label("Supervisor code").fill(f"{code[:4]} {code[4:]}")
    page.reload()
    expect(page.get_by_label("Supervisor code")).to_have_value(code)
    press(page, "Ask for the void")
    check_screen(page, "Void this by the supervisor’s code")
    expect(page.get_by_text(code)).to_be_visible()
    press(page, "Confirm void request")
    expect(page.get_by_text("void approved by code, to be confirmed at upload").first).to_be_visible()
    expect(page.locator(".preview")).to_contain_text("APPROVED BY CODE, TO BE CONFIRMED AT UPLOAD")
    check_screen(page, "Void T07-V000001")


def test_after_five_codes_that_do_not_fit_the_office_decides(page: Page, address: str) -> None:
    page.goto(f"{address}?soas=300&start=open")
    collect(page)
    press(page, "Void this payment")
    press(page, "Wrong amount")
    field = page.get_by_label("Supervisor code")
    for _ in range(5):
        field.fill("123")
        press(page, "Ask for the void")
    expect(page.get_by_text("No code fitted. Go on without one: the office decides.")).to_be_visible()
    expect(field).to_be_disabled()
    press(page, "Ask for the void")
    check_screen(page, "Ask the office to void this")

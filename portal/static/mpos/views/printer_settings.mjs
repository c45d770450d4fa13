// @ts-check
/** Settings: which printer, how wide its paper, how it draws a code, and a test print. */
import { button, fill, h, notice, radios } from "./dom.mjs";
import { wordsFor } from "./errors.mjs";
import { dayTime } from "./format.mjs";
import { choosePrinter, leavePrinter, paperWidth, print, printerSettings, readyToPrint, setPaperWidth, setPrinterSettings, waysHere } from "../printer.mjs";

/** @typedef {import("../printer.mjs").WayName} WayName */

/** @type {Record<WayName, string>} */
const WAYS = { browser: "Browser", bluetooth: "Bluetooth", usb: "USB", serial: "Serial port" };
const SPEEDS = [9600, 19200, 38400, 115200];

/** The printer's part of Settings. @param {import("../app.mjs").Context} ctx @returns {HTMLElement} */
export function printerSection(ctx) {
  const node = h("section", { class: "printer-settings" });
  const says = h("div", { class: "messages" });

  function draw() {
    const settings = printerSettings();
    const own = settings.way !== "browser";
    const ways = /** @type {WayName[]} */ (["browser", ...waysHere()]);
    const widths = [{ value: "58", text: "58 mm" }, { value: "80", text: "80 mm" }, ...(own ? [] : [{ value: "210", text: "A4" }])];
    fill(node,
      h("h2", {}, "Printer"),
      ways.length > 1
        ? radios("Print through", ways.map((value) => ({ value, text: WAYS[value] })), settings.way, (value) => change({ way: /** @type {WayName} */ (value) }), "wrapping")
        : h("p", { class: "hint" }, "This browser prints through its own print dialog only. Chrome on Android also reaches receipt printers by Bluetooth and USB."),
      own && h("p", {}, settings.name ? h("strong", {}, settings.name) : "No printer chosen yet.", " ", button(settings.name ? "Choose another printer" : "Choose printer", () => choose(settings.way), { class: "button small" })),
      radios("Paper width", widths, String(paperWidth()), (value) => setPaperWidth(Number(value))),
      own && radios("QR code", [{ value: "own", text: "By the printer" }, { value: "dots", text: "As a picture" }], settings.qr, (value) => change({ qr: /** @type {any} */ (value) })),
      own && radios("Letters", [{ value: "pc437", text: "ñ (PC437)" }, { value: "wpc1252", text: "ñ (1252)" }, { value: "plain", text: "n only" }], settings.letters, (value) => change({ letters: /** @type {any} */ (value) })),
      settings.way === "serial" && radios("Speed", SPEEDS.map((speed) => ({ value: String(speed), text: String(speed) })), String(settings.speed), (value) => change({ speed: Number(value) }), "wrapping"),
      button("Test print", test, { icon: "printer", class: "button" }),
      says);
  }

  /** @param {Partial<import("../printer.mjs").PrinterSettings>} more */
  async function change(more) {
    const { way } = printerSettings();
    const other = more.way !== undefined && more.way !== way;
    setPrinterSettings(other ? { ...more, name: "" } : more);
    if (other || more.speed !== undefined) await leavePrinter();
    fill(says);
    const held = /** @type {HTMLElement | null} */ (document.activeElement)?.closest?.("fieldset")?.querySelector("legend")?.textContent;
    draw();
    // The choices were drawn anew: the finger, or the key, stays where it was.
    for (const set of node.querySelectorAll("fieldset")) {
      if (set.querySelector("legend")?.textContent === held) /** @type {HTMLElement | null} */ (set.querySelector("input:checked"))?.focus();
    }
  }

  /** @param {WayName} way */
  async function choose(way) {
    fill(says);
    try {
      if (await choosePrinter(way)) draw();
    } catch (error) {
      fill(says, notice("danger", wordsFor(error)));
    }
  }

  async function test() {
    fill(says);
    try {
      await readyToPrint();
      const { sure } = await print(testPaper(new Date()));
      const { way, qr } = printerSettings();
      if (way === "browser") return;
      fill(says, notice(sure ? "safe" : "info", `${sure ? "The printer says that everything came out." : "The test was sent. This printer does not tell whether paper came out, so each receipt asks you."} Is the code on it whole, and the ñ right?`,
        qr === "own" && button("No code came", async () => {
          await change({ qr: "dots" });
          fill(says, notice("info", "From now on the code is sent as a picture. Print a test again."));
        }, { class: "button small" }),
        button("Yes", () => fill(says), { class: "button small" })));
    } catch (error) {
      const code = /** @type {any} */ (error)?.code;
      fill(says, notice("danger", wordsFor(error), code === "printer_not_chosen" && button("Choose printer", () => choose(printerSettings().way), { class: "button small" })));
    }
  }

  draw();
  return node;
}

/** What a test print holds: everything a receipt has that a printer can get wrong. @param {Date} now @returns {import("../paper.mjs").PaperDocument} */
export function testPaper(now) {
  return {
    title: "Test print",
    blocks: [
      { kind: "text", text: "TEST PRINT", align: "center", look: "large" },
      { kind: "mark", text: "Not a receipt" },
      { kind: "row", left: "Date", right: dayTime(now.toISOString()) },
      { kind: "rule" },
      { kind: "text", text: "Señor Niño Peña, Parañaque" },
      { kind: "row", left: "TOTAL", right: "₱1,234.50", look: "large" },
      { kind: "row", left: "Left edge", right: "right edge" },
      { kind: "qr", address: `${location.origin}/verify/test`, title: "A code to look at", text: "Any phone's camera reads it as a test." },
    ],
  };
}

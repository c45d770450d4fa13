// @ts-check
/** Settings: which printer, how wide its paper, how it draws a code, and a test print. */
import { button, fill, h, notice, radios } from "./dom.mjs";
import { wordsFor } from "./errors.mjs";
import { dayTime } from "./format.mjs";
import { choosePrinter, leavePrinter, paperWidth, print, printerSettings, readyToPrint, setPaperWidth, setPrinterSettings, waysHere } from "../printer.mjs";
import { say } from "../words.mjs";

/** @typedef {import("../printer.mjs").WayName} WayName */

/** @type {Record<WayName, () => string>} */
const WAYS = { browser: () => say("browser"), bluetooth: () => "Bluetooth", usb: () => "USB", serial: () => say("serial_port") };
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
      h("h2", {}, say("printer")),
      ways.length > 1
        ? radios(say("print_through"), ways.map((value) => ({ value, text: WAYS[value]() })), settings.way, (value) => change({ way: /** @type {WayName} */ (value) }), "wrapping")
        : h("p", { class: "hint" }, say("browser_only")),
      own && h("p", {}, settings.name ? h("strong", {}, settings.name) : say("no_printer"), " ", button(settings.name ? say("choose_another") : say("choose_printer"), () => choose(settings.way), { class: "button small" })),
      radios(say("paper_width"), widths, String(paperWidth()), (value) => setPaperWidth(Number(value))),
      own && radios(say("qr_code"), [{ value: "own", text: say("qr_own") }, { value: "dots", text: say("qr_dots") }], settings.qr, (value) => change({ qr: /** @type {any} */ (value) })),
      own && radios(say("letters"), [{ value: "pc437", text: "ñ (PC437)" }, { value: "wpc1252", text: "ñ (1252)" }, { value: "plain", text: say("n_only") }], settings.letters, (value) => change({ letters: /** @type {any} */ (value) })),
      settings.way === "serial" && radios(say("speed"), SPEEDS.map((speed) => ({ value: String(speed), text: String(speed) })), String(settings.speed), (value) => change({ speed: Number(value) }), "wrapping"),
      button(say("test_print"), test, { icon: "printer", class: "button" }),
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
      fill(says, notice(sure ? "safe" : "info", say(sure ? "test_came_out" : "test_sent"),
        qr === "own" && button(say("no_code_came"), async () => {
          await change({ qr: "dots" });
          fill(says, notice("info", say("qr_now_dots")));
        }, { class: "button small" }),
        button(say("yes"), () => fill(says), { class: "button small" })));
    } catch (error) {
      const code = /** @type {any} */ (error)?.code;
      fill(says, notice("danger", wordsFor(error), code === "printer_not_chosen" && button(say("choose_printer"), () => choose(printerSettings().way), { class: "button small" })));
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

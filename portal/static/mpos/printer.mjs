// @ts-check
/**
 * The one seam to paper: readyToPrint(), then print(document). Two ways lead there: the browser's own print, which cannot tell whether paper came out, and a
 * receipt printer (ESC/POS) over Web Serial, Web Bluetooth or WebUSB.
 */
import { qr, svgPath } from "./domain/qr.mjs";
import { escpos } from "./escpos.mjs";
import { bluetoothWay } from "./printers/bluetooth.mjs";
import { Device } from "./printers/device.mjs";
import { serialWay } from "./printers/serial.mjs";
import { usbWay } from "./printers/usb.mjs";
import { h } from "./views/dom.mjs";
import { say } from "./words.mjs";

/** @typedef {import("./paper.mjs").PaperDocument} PaperDocument */
/** @typedef {import("./paper.mjs").Block} Block */
/** @typedef {"browser" | "bluetooth" | "usb" | "serial"} WayName */
/** What Settings hold of the printer: a taste, not data, so it lives in localStorage. @typedef {{way: WayName, name: string, speed: number, qr: "own" | "dots", letters: "pc437" | "wpc1252" | "plain"}} PrinterSettings */

/** 210 is a sheet of A4. */
const WIDTHS = [58, 80, 210];
const PREFERENCE = "mpos-paper";
const PRINTER = "mpos-printer";
const MM_PER_PIXEL = 25.4 / 96;
/** Half a millimetre is four dots of a thermal printer (203 dpi), so that each module is drawn exactly. */
const MM_PER_MODULE = 0.5;
/** What the narrowest paper has room for, in millimetres. */
const WIDEST_QR = 48;
const A4 = 210;
/** @type {PrinterSettings} */
const AS_NEW = { way: "browser", name: "", speed: 9600, qr: "own", letters: "pc437" };

/** The doors to receipt printers that this browser has. @returns {WayName[]} */
export function waysHere() {
  const doors = /** @type {any} */ (navigator);
  return [...(doors.bluetooth ? /** @type {WayName[]} */ (["bluetooth"]) : []), ...(doors.usb ? /** @type {WayName[]} */ (["usb"]) : []), ...(doors.serial ? /** @type {WayName[]} */ (["serial"]) : [])];
}

/** @returns {PrinterSettings} */
export function printerSettings() {
  const kept = JSON.parse(localStorage.getItem(PRINTER) ?? "null") ?? {};
  const settings = { ...AS_NEW, ...kept };
  return settings.way === "browser" || waysHere().includes(settings.way) ? settings : { ...settings, way: "browser" };
}

/** @param {Partial<PrinterSettings>} more */
export function setPrinterSettings(more) {
  localStorage.setItem(PRINTER, JSON.stringify({ ...printerSettings(), ...more }));
}

/** @type {Partial<Record<WayName, Device>>} */
const devices = {};

/** @param {WayName} way @returns {Device} */
function deviceOf(way) {
  const doors = /** @type {any} */ (navigator);
  return (devices[way] ??= new Device(
    way === "bluetooth" ? bluetoothWay(doors.bluetooth) : way === "usb" ? usbWay(doors.usb) : serialWay(doors.serial),
    () => ({ speed: printerSettings().speed }),
  ));
}

/** Lets the user choose a receipt printer and keeps it; answers whether one was chosen. Call it from a tap. Throws PhoneError. @param {WayName} way */
export async function choosePrinter(way) {
  const name = await deviceOf(way).choose();
  if (name === null) return false;
  setPrinterSettings({ way, name });
  return true;
}

/** Closes the connection to the chosen printer: its settings changed, or it is used no more. */
export async function leavePrinter() {
  for (const device of Object.values(devices)) await device.close();
}

/** Paper width in millimetres: 58, 80, or 210 for A4, which only the browser's own print has. @returns {number} */
export function paperWidth() {
  const width = Number(localStorage.getItem(PREFERENCE));
  if (width === A4 && printerSettings().way !== "browser") return 80;
  return WIDTHS.includes(width) ? width : 58;
}

/** @param {number} width 58, 80 or 210 */
export function setPaperWidth(width) {
  localStorage.setItem(PREFERENCE, String(width));
}

/** Reaches the printer and looks for its paper, so that nothing is noted as printed that cannot be. Throws PhoneError. */
export async function readyToPrint() {
  const { way } = printerSettings();
  if (way !== "browser") await deviceOf(way).ready();
}

/** The document as it will stand on paper, for the screen and for the printer. @param {PaperDocument} document @returns {HTMLElement} */
export function drawPaper(document) {
  return h("div", { class: `paper paper-${paperWidth()}`, lang: "en" }, document.blocks.map(drawBlock));
}

/** @param {Block} block */
function drawBlock(block) {
  if (block.kind === "rule") return h("div", { class: "paper-rule" });
  if (block.kind === "gap") return h("div", { class: "paper-gap" });
  if (block.kind === "mark") return h("p", { class: "paper-mark" }, block.text);
  if (block.kind === "qr") return h("div", { class: "paper-qr" }, drawQr(block.address), h("p", {}, h("strong", {}, block.title), " ", h("span", {}, block.text)));
  if (block.kind === "sign") return h("p", { class: "paper-sign" }, block.text);
  if (block.kind === "text") return h("p", { class: `paper-text ${block.align ?? ""} ${block.look ?? ""}` }, block.text);
  return h("p", { class: `paper-row ${block.look ?? ""}` }, h("span", {}, block.left), " ", h("span", {}, block.right));
}

/** The last code drawn: a receipt is drawn again at each upload, and its code stays the same. */
let lastQr = { address: "", path: "", size: 0 };

/** @param {string} address @returns {SVGElement} */
function drawQr(address) {
  if (lastQr.address !== address) {
    const modules = qr(new TextEncoder().encode(address));
    lastQr = { address, path: svgPath(modules), size: modules.length + 8 };
  }
  const { path, size } = lastQr;
  const width = `${Math.min(size * MM_PER_MODULE, WIDEST_QR)}mm`;
  const drawing = svg("svg", { class: "qr", width, height: width, viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges", role: "img", "aria-label": say("qr_label") });
  drawing.append(svg("path", { d: path }));
  return drawing;
}

/** @param {string} tag @param {Record<string, string>} attributes @returns {SVGElement} */
function svg(tag, attributes) {
  const element = window.document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return /** @type {SVGElement} */ (element);
}

/**
 * Prints. Answers whether the printer itself said that everything came out (`sure`) and whether its paper is nearly at its end. Throws PhoneError when it
 * broke off; what came out may be half a page then.
 * @param {PaperDocument} document @returns {Promise<import("./printers/device.mjs").Printed>}
 */
export async function print(document) {
  const { way, qr: code, letters } = printerSettings();
  if (way !== "browser") return deviceOf(way).print(escpos(document, { width: paperWidth() === 58 ? 58 : 80, qr: code, letters }));
  printByBrowser(document);
  return { sure: false, low: false };
}

/**
 * The browser's own print: one strip of paper, as wide as Settings say and as long as the text, or sheets of A4.
 * The sheet stays in place until the next screen: Android draws it only after this call has returned.
 * @param {PaperDocument} document
 */
function printByBrowser(document) {
  const sheet = takeSheet();
  const drawn = drawPaper(document);
  sheet.replaceChildren(drawn);
  sheet.hidden = false;
  if (paperWidth() === A4) setPageRule("size: A4; margin: 12mm 0;");
  else {
    // Measured at its printed width; five millimetres more let the tear-off edge clear the last line.
    const length = Math.ceil(drawn.getBoundingClientRect().height * MM_PER_PIXEL) + 5;
    setPageRule(`size: ${paperWidth()}mm ${Math.max(length, paperWidth() + 1)}mm; margin: 0;`);
  }
  const before = window.document.title;
  window.document.title = document.title;
  window.print();
  window.document.title = before;
}

/** Takes the printed sheet away, so that the browser's own print command cannot repeat it unmarked. */
export function clearPrinter() {
  const sheet = takeSheet();
  sheet.replaceChildren();
  sheet.hidden = true;
}

/** @returns {HTMLElement} */
function takeSheet() {
  const sheet = window.document.getElementById("sheet");
  if (!sheet) throw new Error("The page has no place for paper.");
  return sheet;
}

/** A stylesheet cannot read a setting, so the page rule is written through the CSSOM. @param {string} rule */
function setPageRule(rule) {
  for (const sheet of window.document.styleSheets) {
    if (!sheet.href?.includes("print.css")) continue;
    for (let index = sheet.cssRules.length - 1; index >= 0; index -= 1) {
      if (sheet.cssRules[index] instanceof CSSPageRule) sheet.deleteRule(index);
    }
    sheet.insertRule(`@page { ${rule} }`, sheet.cssRules.length);
    return;
  }
}

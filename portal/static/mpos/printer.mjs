// @ts-check
/** The one seam to the printer: print(document) puts blocks on paper, today through the browser's own print. */
import { qr, svgPath } from "./domain/qr.mjs";
import { h } from "./views/dom.mjs";

/** @typedef {import("./paper.mjs").PaperDocument} PaperDocument */
/** @typedef {import("./paper.mjs").Block} Block */

const WIDTHS = [58, 80];
const PREFERENCE = "mpos-paper";
const MM_PER_PIXEL = 25.4 / 96;
/** Half a millimetre is four dots of a thermal printer (203 dpi), so that each module is drawn exactly. */
const MM_PER_MODULE = 0.5;
/** What the narrowest paper has room for, in millimetres. */
const WIDEST_QR = 48;

/** Paper width in millimetres; a taste, not data, so it lives in localStorage. @returns {number} */
export function paperWidth() {
  const width = Number(localStorage.getItem(PREFERENCE));
  return WIDTHS.includes(width) ? width : 58;
}

/** @param {number} width 58 or 80 */
export function setPaperWidth(width) {
  localStorage.setItem(PREFERENCE, String(width));
}

/** The document as it will stand on paper, for the screen and for the printer. @param {PaperDocument} document @returns {HTMLElement} */
export function drawPaper(document) {
  return h("div", { class: `paper paper-${paperWidth()}` }, document.blocks.map(drawBlock));
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
  const drawing = svg("svg", { class: "qr", width, height: width, viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges", role: "img", "aria-label": "QR code with the address that checks this receipt" });
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
 * Prints: one strip of paper, as wide as Settings say and as long as the text.
 * The sheet stays in place until the next screen: Android draws it only after this call has returned.
 * @param {PaperDocument} document
 */
export function print(document) {
  const sheet = takeSheet();
  const drawn = drawPaper(document);
  sheet.replaceChildren(drawn);
  sheet.hidden = false;
  // Measured at its printed width; five millimetres more let the tear-off edge clear the last line.
  const length = Math.ceil(drawn.getBoundingClientRect().height * MM_PER_PIXEL) + 5;
  setPageSize(paperWidth(), Math.max(length, paperWidth() + 1));
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

/** A stylesheet cannot read a setting, so the page rule is written through the CSSOM. @param {number} width @param {number} length both mm */
function setPageSize(width, length) {
  for (const sheet of window.document.styleSheets) {
    if (!sheet.href?.includes("print.css")) continue;
    for (let index = sheet.cssRules.length - 1; index >= 0; index -= 1) {
      if (sheet.cssRules[index] instanceof CSSPageRule) sheet.deleteRule(index);
    }
    sheet.insertRule(`@page { size: ${width}mm ${length}mm; margin: 0; }`, sheet.cssRules.length);
    return;
  }
}

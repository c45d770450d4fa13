// @ts-check
/** Hands a paper document to another app as PDF, image or text when there is no printer; all three hold the receipt's lines, made without a network. */
import { qr } from "./domain/qr.mjs";
import { PhoneError } from "./errors.mjs";
import { COLUMNS, paperLines, paperText } from "./paper_lines.mjs";
import { paperPdf } from "./pdf.mjs";
import { paperWidth } from "./printer.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./paper.mjs").PaperDocument} PaperDocument */
/** @typedef {"pdf" | "image" | "text"} ShareForm */

const LETTER = 24;
const LEADING = 29;
const MARGIN = 40;
/** What every browser can still draw. */
const LONGEST_IMAGE = 16_000;
const FONT = "ui-monospace, 'Roboto Mono', 'Noto Sans Mono', monospace";

/**
 * Shares a document, or saves it among the downloads where the browser cannot share files. Throws PhoneError.
 * @param {PaperDocument} document @param {ShareForm} form @returns {Promise<"shared" | "saved" | "cancelled">}
 */
export async function share(document, form) {
  const { title } = document;
  const name = title.replace(/[^\w-]+/g, "-");
  const width = paperWidth();
  if (form === "text") {
    const text = paperText(document, COLUMNS[width]);
    if (typeof navigator.share === "function") return hand({ title, text });
    return save(new File([text], `${name}.txt`, { type: "text/plain" }));
  }
  const file = form === "pdf"
    ? new File([/** @type {BlobPart} */ (paperPdf(document, width))], `${name}.pdf`, { type: "application/pdf" })
    : new File([await paperImage(document, COLUMNS[width])], `${name}.png`, { type: "image/png" });
  const data = { title, files: [file] };
  return navigator.canShare?.(data) ? hand(data) : save(file);
}

/** @param {ShareData} data @returns {Promise<"shared" | "cancelled">} */
async function hand(data) {
  try {
    await navigator.share(data);
    return "shared";
  } catch (error) {
    if (/** @type {any} */ (error)?.name === "AbortError") return "cancelled";
    throw new PhoneError("not_shared", told("not_shared"), { cause: error });
  }
}

/** @param {File} file @returns {"saved"} */
function save(file) {
  const link = window.document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return "saved";
}

/** The lines drawn letter by letter, so that columns stay columns in any font. @param {PaperDocument} document @param {number} columns @returns {Promise<Blob>} PNG */
export async function paperImage(document, columns) {
  const lines = paperLines(document, columns);
  const cell = LETTER * 0.6;
  const width = Math.ceil(columns * cell + 2 * MARGIN);
  const codes = new Map(lines.filter((line) => line.qr).map(({ qr: address }) => [address, qr(new TextEncoder().encode(address))]));
  const heightOf = (/** @type {import("./paper_lines.mjs").Line} */ line) => (line.qr ? side(codes.get(line.qr)?.length ?? 0, width) : line.tall ? LEADING * 2 : LEADING);
  const height = lines.reduce((sum, line) => sum + heightOf(line), 2 * MARGIN);
  if (height > LONGEST_IMAGE) throw new PhoneError("too_long", told("too_long_image"));
  const canvas = window.document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const draw = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  draw.fillStyle = "#fff";
  draw.fillRect(0, 0, width, height);
  draw.fillStyle = "#000";
  draw.textBaseline = "top";
  let top = MARGIN;
  for (const line of lines) {
    if (line.qr) drawCode(draw, /** @type {Uint8Array[]} */ (codes.get(line.qr)), width, top);
    else {
      draw.save();
      draw.translate(MARGIN, top + (line.tall ? 6 : 3));
      draw.scale(line.wide ? 2 : 1, line.tall ? 2 : 1);
      draw.font = `${line.bold ? 700 : 400} ${LETTER}px ${FONT}`;
      [...line.text].forEach((letter, index) => draw.fillText(letter, index * cell, 0, cell));
      draw.restore();
    }
    top += heightOf(line);
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new PhoneError("not_drawn", told("no_memory")))), "image/png");
  });
}

/** Dots for each module, whole ones, as many as the width has room for. @param {number} modules @param {number} width */
const dots = (modules, width) => Math.max(1, Math.min(6, Math.floor(width / (modules + 8))));
/** @param {number} modules @param {number} width */
const side = (modules, width) => (modules + 8) * dots(modules, width);

/** @param {CanvasRenderingContext2D} draw @param {Uint8Array[]} modules @param {number} width @param {number} top */
function drawCode(draw, modules, width, top) {
  const dot = dots(modules.length, width);
  const left = Math.floor((width - side(modules.length, width)) / 2);
  modules.forEach((row, y) => row.forEach((dark, x) => dark && draw.fillRect(left + (x + 4) * dot, top + (y + 4) * dot, dot, dot)));
}

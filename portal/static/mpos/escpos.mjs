// @ts-check
/** Paper as ESC/POS, the command language of receipt printers: bytes of a document, and what a printer's status bytes say. Pure, no device. */
import { qr } from "./domain/qr.mjs";
import { COLUMNS, paperLines } from "./paper_lines.mjs";

/** @typedef {import("./paper.mjs").PaperDocument} PaperDocument */
/**
 * How a printer wants its bytes. `qr`: drawn by the printer's own command or dot by dot; `letters`: which table its letters beyond ASCII come from.
 * @typedef {{width: 58 | 80, qr: "own" | "dots", letters: "pc437" | "wpc1252" | "plain"}} PrinterForm
 */

const [ESC, GS, FS, DLE] = [0x1b, 0x1d, 0x1c, 0x10];
/** Dots across the printable part of the paper, at 203 dots an inch. @type {Record<number, number>} */
const DOTS = { 58: 384, 80: 576 };
/** Four dots are half a millimetre: what a cheap camera still reads, and what the browser's own print draws. */
const DOTS_PER_MODULE = 4;
/** Small printers hold few kilobytes: a drawing goes to them in bands of this many rows of dots. */
const BAND = 48;
/** Blank lines that bring the last one past the tear-off edge. */
const FEED = 4;

/** Letters 128 to 255 of the tables nearly every printer holds, with the number that chooses each. @type {Record<string, {number: number, upper: string}>} */
const TABLES = {
  pc437: {
    number: 0,
    upper:
      "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0",
  },
  wpc1252: {
    number: 16,
    upper:
      "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ" + Array.from({ length: 96 }, (_, index) => String.fromCharCode(160 + index)).join(""),
  },
};
/** What stands for a sign that no table of a receipt printer holds: the peso sign above all. @type {Record<string, string>} */
const PLAIN = { "₱": "P", "’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "•": "*", "×": "x", "€": "EUR", "\u00a0": " ", "ß": "ss", "Ø": "O", "ø": "o", "Æ": "AE", "æ": "ae" };

/**
 * The text in letters that a table holds: accents it lacks are left off (Niño stays Niño where there is an n with tilde, else it is Nino), the peso sign
 * becomes P, and what is left of other scripts a question mark, so that a printer never hangs on an unknown byte.
 * @param {string} text @param {string} table `pc437`, `wpc1252`, or any other word for ASCII alone
 */
export function inLetters(text, table) {
  const upper = TABLES[table]?.upper ?? "";
  const fits = (/** @type {string} */ letter) => (letter >= " " && letter <= "~") || (letter > "\u009f" && upper.includes(letter));
  return [...text.normalize("NFC")].map((letter) => {
    if (fits(letter)) return letter;
    if (PLAIN[letter] !== undefined) return PLAIN[letter];
    if (/\s/.test(letter)) return " ";
    const bare = letter.normalize("NFD").replace(/\p{M}/gu, "");
    return [...bare].map((part) => (fits(part) ? part : "?")).join("");
  }).join("");
}

/** @param {string} text which inLetters() answered @param {string} table @returns {number[]} */
function bytesOf(text, table) {
  const upper = TABLES[table]?.upper ?? "";
  return [...text].map((letter) => (letter <= "~" ? letter.charCodeAt(0) : 128 + upper.indexOf(letter)));
}

/**
 * A document as a receipt printer takes it: set up, lines, codes, feed and cut.
 * @param {PaperDocument} document @param {PrinterForm} form @returns {Uint8Array}
 */
export function escpos(document, form) {
  const table = TABLES[form.letters] ? form.letters : "plain";
  /** @type {number[]} */
  const out = [ESC, 0x40, FS, 0x2e]; // as new; letters of one byte, for printers that come set to Chinese
  out.push(ESC, 0x74, TABLES[table]?.number ?? 0);
  let look = "";
  for (const line of paperLines(document, COLUMNS[form.width], (text) => inLetters(text, table))) {
    if (line.qr) {
      out.push(ESC, 0x61, 1, ...(form.qr === "own" ? ownQr(line.qr, form.width) : drawnQr(line.qr, form.width)), ESC, 0x61, 0);
      continue;
    }
    const size = (line.wide ? 0x10 : 0) | (line.tall ? 0x01 : 0);
    const wanted = `${line.bold ? 1 : 0} ${size}`;
    if (wanted !== look) out.push(ESC, 0x45, line.bold ? 1 : 0, GS, 0x21, size);
    look = wanted;
    out.push(...bytesOf(line.text.trimEnd(), table), 0x0a);
  }
  out.push(ESC, 0x45, 0, GS, 0x21, 0, ESC, 0x64, FEED, GS, 0x56, 0x42, 0);
  return Uint8Array.from(out);
}

/** Dots for each module, so that the code with its quiet zone fits the paper. @param {number} modules @param {number} width */
const scale = (modules, width) => Math.max(1, Math.min(DOTS_PER_MODULE, Math.floor(DOTS[width] / (modules + 8))));

/** @param {string} address @param {number} width @returns {number[]} */
function ownQr(address, width) {
  const data = new TextEncoder().encode(address);
  const length = data.length + 3;
  const command = (/** @type {number[]} */ ...rest) => [GS, 0x28, 0x6b, ...rest];
  return [
    ...command(4, 0, 0x31, 0x41, 0x32, 0), // model 2
    ...command(3, 0, 0x31, 0x43, scale(qr(data).length, width)),
    ...command(3, 0, 0x31, 0x45, 0x31), // error correction M
    ...command(length & 255, length >> 8, 0x31, 0x50, 0x30, ...data),
    ...command(3, 0, 0x31, 0x51, 0x30),
  ];
}

/** @param {string} address @param {number} width @returns {number[]} */
function drawnQr(address, width) {
  const modules = qr(new TextEncoder().encode(address));
  const dots = scale(modules.length, width);
  const across = Math.ceil((modules.length * dots) / 8);
  /** @type {number[]} */
  const out = [ESC, 0x64, 1];
  const rows = modules.length * dots;
  for (let from = 0; from < rows; from += BAND) {
    const height = Math.min(BAND, rows - from);
    out.push(GS, 0x76, 0x30, 0, across & 255, across >> 8, height & 255, height >> 8);
    for (let row = from; row < from + height; row += 1) {
      const cells = modules[Math.floor(row / dots)];
      for (let byte = 0; byte < across; byte += 1) {
        let value = 0;
        for (let bit = 0; bit < 8; bit += 1) value = value * 2 + (cells[Math.floor((byte * 8 + bit) / dots)] ?? 0);
        out.push(value);
      }
    }
  }
  out.push(ESC, 0x64, 1);
  return out;
}

/** Asks a printer at once, also in the middle of a job: 1 how it is, 4 its paper. @param {1 | 2 | 4} what */
export const ask = (what) => Uint8Array.of(DLE, 0x04, what);
/** Asks a printer for its paper in turn: the answer comes when everything sent before was printed. */
export const ASK_WHEN_DONE = Uint8Array.of(GS, 0x72, 1);

/**
 * What a status byte says of the paper; null when it is no answer to `ask(4)`.
 * @param {number} byte @returns {"out" | "low" | "enough" | null}
 */
export function paperState(byte) {
  if ((byte & 0x93) !== 0x12) return null;
  if (byte & 0x60) return "out";
  return byte & 0x0c ? "low" : "enough";
}

/**
 * What the answer to ASK_WHEN_DONE says of the paper; null when it is none.
 * @param {number} byte @returns {"out" | "low" | "enough" | null}
 */
export function paperWhenDone(byte) {
  if (byte & 0x90) return null;
  if (byte & 0x0c) return "out";
  return byte & 0x03 ? "low" : "enough";
}

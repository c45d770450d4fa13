// @ts-check
/** A paper document as PDF, made on the phone: lines of Courier in the standard Latin table and codes as filled squares. Pure, no DOM. */
import { qr } from "./domain/qr.mjs";
import { inLetters } from "./escpos.mjs";
import { COLUMNS, paperLines } from "./paper_lines.mjs";

/** @typedef {import("./paper.mjs").PaperDocument} PaperDocument */

const POINTS_PER_MM = 72 / 25.4;
const A4 = { width: 595.28, height: 841.89, margin: 42 };
const STRIP_MARGIN = 4 * POINTS_PER_MM;
/** What a page may measure at most in this format, with something to spare. */
const LONGEST_STRIP = 14_000;
/** A letter of Courier is six tenths of its size wide. */
const LETTER = 0.6;
const LEADING = 1.22;
/** Half a millimetre a module, as on paper. */
const MODULE = 0.5 * POINTS_PER_MM;
const TABLE = "wpc1252";

/**
 * The document as the bytes of a PDF: exactly the lines the receipt printer gets, on a strip as wide as the paper, or on A4.
 * @param {PaperDocument} document @param {number} width 58, 80 or 210 (A4), in millimetres @returns {Uint8Array}
 */
export function paperPdf(document, width) {
  const columns = COLUMNS[width];
  const sheet = width === 210;
  const pageWidth = sheet ? A4.width : width * POINTS_PER_MM;
  const margin = sheet ? A4.margin : STRIP_MARGIN;
  const size = sheet ? 10 : (pageWidth - 2 * margin) / columns / LETTER;
  const left = (pageWidth - columns * size * LETTER) / 2;
  const most = (sheet ? A4.height : LONGEST_STRIP) - 2 * margin;
  /** @type {{used: number, draw: ((top: number) => string)[]}[]} */
  const pages = [{ used: 0, draw: [] }];
  for (const line of paperLines(document, columns, (text) => inLetters(text, TABLE))) {
    const drawn = line.qr ? drawCode(line.qr, pageWidth) : drawLine(line, left, size);
    let page = pages[pages.length - 1];
    if (page.used > 0 && page.used + drawn.height > most) pages.push((page = { used: 0, draw: [] }));
    const from = page.used;
    page.draw.push((top) => drawn.at(top - from));
    page.used += drawn.height;
  }
  return file(document.title, pages.map((page) => {
    const height = sheet ? A4.height : page.used + 2 * margin;
    return { width: pageWidth, height, content: page.draw.map((draw) => draw(height - margin)).join("") };
  }));
}

/** @param {import("./paper_lines.mjs").Line} line @param {number} left @param {number} size */
function drawLine(line, left, size) {
  const letters = line.tall ? size * 2 : size;
  const text = line.text.trimEnd();
  const squeezed = line.tall && !line.wide ? 50 : 100;
  return {
    height: letters * LEADING,
    at: (/** @type {number} */ top) => (text === "" ? "" : `BT /${line.bold ? "B" : "R"} ${number(letters)} Tf ${squeezed} Tz 1 0 0 1 ${number(left)} ${number(top - letters)} Tm (${escaped(text)}) Tj ET\n`),
  };
}

/** @param {string} address @param {number} pageWidth */
function drawCode(address, pageWidth) {
  const modules = qr(new TextEncoder().encode(address));
  const side = modules.length + 8;
  const step = Math.min(MODULE, (pageWidth - 6) / side);
  const left = (pageWidth - side * step) / 2;
  return {
    height: side * step,
    at(/** @type {number} */ top) {
      let squares = "";
      modules.forEach((row, y) => {
        for (let x = 0; x < row.length; x += 1) {
          if (!row[x]) continue;
          let end = x;
          while (row[end + 1]) end += 1;
          squares += `${number(left + (x + 4) * step)} ${number(top - (y + 5) * step)} ${number((end - x + 1) * step)} ${number(step)} re\n`;
          x = end;
        }
      });
      return `${squares}f\n`;
    },
  };
}

/** @param {number} value */
const number = (value) => String(Math.round(value * 1000) / 1000);

/** A text between brackets: its bytes in the standard Latin table, those beyond ASCII as octal numbers. @param {string} text */
function escaped(text) {
  return [...text].map((letter) => {
    if ("()\\".includes(letter)) return `\\${letter}`;
    if (letter <= "~") return letter;
    return `\\${byteOf(letter).toString(8).padStart(3, "0")}`;
  }).join("");
}

/** The signs that the table holds between 128 and 159. */
const HIGH = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ";

/** @param {string} letter */
function byteOf(letter) {
  const code = letter.charCodeAt(0);
  return code >= 160 && code <= 255 ? code : 128 + HIGH.indexOf(letter);
}

/** @param {string} title @param {{width: number, height: number, content: string}[]} pages @returns {Uint8Array} */
function file(title, pages) {
  const font = (/** @type {string} */ name) => `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`;
  const first = 6;
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, index) => `${first + index * 2} 0 R`).join(" ")}] >>`,
    font("Courier"),
    font("Courier-Bold"),
    `<< /Title (${escaped(inLetters(title, TABLE))}) >>`,
    ...pages.flatMap(({ width, height, content }, index) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${number(width)} ${number(height)}] /Resources << /Font << /R 3 0 R /B 4 0 R >> >> /Contents ${first + index * 2 + 1} 0 R >>`,
      `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    ]),
  ];
  let out = "%PDF-1.4\n";
  const places = objects.map((object, index) => {
    const place = out.length;
    out += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return place;
  });
  const table = out.length;
  out += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${places.map((place) => `${String(place).padStart(10, "0")} 00000 n \n`).join("")}`;
  out += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info 5 0 R >>\nstartxref\n${table}\n%%EOF\n`;
  return new TextEncoder().encode(out); // every letter is ASCII by now, so places count bytes
}

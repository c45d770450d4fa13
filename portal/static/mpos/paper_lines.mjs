// @ts-check
/** A paper document as lines of a fixed number of columns: what a receipt printer, a PDF, an image and a text message hold alike. Pure, no DOM. */

/** @typedef {import("./paper.mjs").PaperDocument} PaperDocument */
/** @typedef {import("./paper.mjs").Block} Block */
/**
 * One line. `wide` and `tall`: letters twice as wide, twice as high; a wide line has half the columns. `qr`: a code in the line's place, its text empty.
 * @typedef {{text: string, bold?: boolean, wide?: boolean, tall?: boolean, qr?: string}} Line
 */

/** How many letters fit on a line, by paper width in millimetres. @type {Record<number, number>} */
export const COLUMNS = { 58: 32, 80: 48, 210: 48 };
const INNER = "  ";
/** Empty lines to sign on. */
const ROOM_TO_SIGN = 2;

/**
 * The lines of a document, in order; no line is longer than its columns.
 * @param {PaperDocument} document
 * @param {number} columns of plain letters
 * @param {(text: string) => string} [letters] puts what the paper cannot show in other letters; asked before anything is measured
 * @returns {Line[]}
 */
export function paperLines(document, columns, letters = (text) => text) {
  return document.blocks.flatMap((block) => blockLines(block, columns, letters));
}

/** The lines as plain text, for a message: a code is left out, its address stands in its place. @param {PaperDocument} document @param {number} columns */
export function paperText(document, columns) {
  return paperLines(document, columns).map((line) => (line.qr ?? line.text).trimEnd()).join("\n");
}

/** @param {Block} block @param {number} columns @param {(text: string) => string} letters @returns {Line[]} */
function blockLines(block, columns, letters) {
  if (block.kind === "rule") return [{ text: "-".repeat(columns) }];
  if (block.kind === "gap") return [{ text: "" }];
  if (block.kind === "qr") {
    const words = wrap(letters(block.text), columns).map((text) => ({ text: centre(text, columns) }));
    return [{ text: "", qr: block.address }, ...wrap(letters(block.title), columns).map((text) => ({ text: centre(text, columns), bold: true })), ...words];
  }
  if (block.kind === "sign") {
    const empty = Array.from({ length: ROOM_TO_SIGN }, () => ({ text: "" }));
    return [...empty, { text: "_".repeat(columns) }, ...wrap(letters(block.text), columns).map((text) => ({ text: centre(text, columns) }))];
  }
  if (block.kind === "mark") {
    const framed = wrap(letters(block.text).toUpperCase(), columns - 4).map((text) => `* ${text} *`);
    return framed.map((text) => ({ text: centre(text, columns), bold: true }));
  }
  if (block.kind === "row") return rowLines(block, columns, letters);
  const large = block.look === "large";
  const bold = large || block.look === "strong";
  const room = large ? Math.floor(columns / 2) : columns;
  return wrap(letters(block.text), room).map((text) => styled(block.align === "center" ? centre(text, room) : text, { bold, wide: large, tall: large }));
}

/**
 * A name on the left, a value on the right: on one line when both fit, else the value on lines of its own. Amounts are never broken: one too long for
 * wide letters is only made taller.
 * @param {import("./paper.mjs").RowBlock} row @param {number} columns @param {(text: string) => string} letters @returns {Line[]}
 */
function rowLines(row, columns, letters) {
  const large = row.look === "large";
  const bold = large || row.look === "strong";
  const [left, right] = [letters(row.left), letters(row.right)];
  const wide = large && [left, right].every((text) => count(text) <= Math.floor(columns / 2));
  const room = wide ? Math.floor(columns / 2) : columns;
  const indent = row.look === "inner" ? INNER : "";
  const style = { bold, wide, tall: large };
  const space = room - count(indent) - count(left) - count(right);
  if (space >= 1) return [styled(`${indent}${left}${" ".repeat(space)}${right}`, style)];
  const rights = wrap(right, room - count(indent));
  return [
    ...wrap(left, room - count(indent)).map((text) => styled(indent + text, style)),
    ...rights.map((text) => styled(" ".repeat(room - count(text)) + text, style)),
  ];
}

/** @param {string} text @param {{bold: boolean, wide: boolean, tall: boolean}} style @returns {Line} */
function styled(text, { bold, wide, tall }) {
  return { text, ...(bold && { bold }), ...(wide && { wide }), ...(tall && { tall }) };
}

/** Letters, as a printer counts them. @param {string} text */
const count = (text) => [...text].length;

/** @param {string} text @param {number} columns */
function centre(text, columns) {
  return " ".repeat(Math.max(Math.floor((columns - count(text)) / 2), 0)) + text;
}

/** Words on lines of at most `columns` letters; a longer word is cut. Spaces inside a line stay as they are. @param {string} text @param {number} columns @returns {string[]} */
export function wrap(text, columns) {
  /** @type {string[]} */
  const lines = [];
  let line = "";
  for (const part of text.replace(/[\r\n\t]+/g, " ").split(/( +)/)) {
    if (part === "") continue;
    const letters = [...part];
    if (count(line) + letters.length <= columns) {
      line += part;
      continue;
    }
    if (part.trim() === "") {
      lines.push(line.trimEnd());
      line = "";
      continue;
    }
    if (line.trim() !== "") {
      lines.push(line.trimEnd());
      line = "";
    }
    let rest = letters;
    while (rest.length > columns) {
      lines.push(rest.slice(0, columns).join(""));
      rest = rest.slice(columns);
    }
    line = rest.join("");
  }
  if (line.trim() !== "" || lines.length === 0) lines.push(line.trimEnd());
  return lines;
}

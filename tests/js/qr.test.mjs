/** QR codes: the same modules as another encoder's, read back by a reader of our own, and drawn without loss. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import test from "node:test";

import { qr, svgPath } from "../../portal/static/mpos/domain/qr.mjs";

const VECTORS = JSON.parse(readFileSync(new URL("../vectors/qr.json", import.meta.url), "utf8"));
const text = (modules) => modules.map((row) => row.join("")).join("\n");
const bytes = (length, seed = 0) => Uint8Array.from({ length }, (_, i) => (i * i * 31 + length * 7 + i + seed) & 255);

test("all forty versions and all eight masks are those of another encoder", () => {
  assert.equal(new Set(VECTORS.cases.map(({ version }) => version)).size, 40);
  assert.equal(new Set(VECTORS.cases.map(({ mask }) => mask)).size, 8);
  for (const { version, bytes: length, mask, sha256 } of VECTORS.cases) {
    const modules = qr(bytes(length), mask);
    assert.equal(modules.length, version * 4 + 17);
    assert.equal(createHash("sha256").update(text(modules)).digest("hex"), sha256, `version ${version} mask ${mask}`);
  }
});

test("one byte more takes the next version, and what no version holds is refused", () => {
  for (const { version, bytes: length } of VECTORS.cases) {
    if (version < 40) assert.equal(qr(new Uint8Array(length + 1), 0).length, version * 4 + 21);
  }
  assert.throws(() => qr(new Uint8Array(2332)), RangeError);
});

/** The standard's masks, written anew: i is the row, j the column. */
const FLIPS = [
  (i, j) => (i + j) % 2, (i) => i % 2, (i, j) => j % 3, (i, j) => (i + j) % 3, (i, j) => (Math.floor(i / 2) + Math.floor(j / 3)) % 2,
  (i, j) => ((i * j) % 2) + ((i * j) % 3), (i, j) => (((i * j) % 2) + ((i * j) % 3)) % 2, (i, j) => (((i + j) % 2) + ((i * j) % 3)) % 2,
];
/** Version -> data codewords of its blocks at level M, and where its alignment patterns have their centres (ISO/IEC 18004, tables 9 and E.1). */
const SHAPES = new Map([
  [1, { blocks: [16], centres: [] }],
  [5, { blocks: [43, 43], centres: [6, 30] }],
  [9, { blocks: [36, 36, 36, 37, 37], centres: [6, 26, 46] }],
  [10, { blocks: [43, 43, 43, 43, 44], centres: [6, 28, 50] }],
  [11, { blocks: [50, 51, 51, 51, 51], centres: [6, 30, 54] }],
]);

/** What a code says, read as a scanner does once it has found the modules; also the mask it names. */
function read(modules) {
  const size = modules.length;
  const version = (size - 17) / 4;
  const { blocks, centres } = SHAPES.get(version);
  const format = [0, 1, 2, 3, 4, 5, 7, 8].map((column) => modules[8][column]); // the highest bit first
  const level = (format[0] ^ 1) * 2 + (format[1] ^ 0);
  assert.equal(level, 0, "level M");
  const mask = (format[2] ^ 1) * 4 + (format[3] ^ 0) * 2 + (format[4] ^ 1);
  const taken = (i, j) => {
    if (i === 6 || j === 6 || (i < 9 && j < 9) || (i < 9 && j >= size - 8) || (i >= size - 8 && j < 9)) return true;
    if (version >= 7 && ((i < 6 && j >= size - 11) || (j < 6 && i >= size - 11))) return true;
    const last = centres.at(-1);
    return centres.some((y) => centres.some((x) => {
      const finder = (x === 6 && y === 6) || (x === 6 && y === last) || (x === last && y === 6);
      return !finder && Math.abs(i - y) <= 2 && Math.abs(j - x) <= 2;
    }));
  };
  const bits = [];
  const pairs = Array.from({ length: (size - 1) / 2 }, (_, index) => size - 1 - 2 * index).map((right) => (right <= 6 ? right - 1 : right));
  pairs.forEach((right, index) => {
    for (let step = 0; step < size; step += 1) {
      const i = index % 2 ? step : size - 1 - step;
      for (const j of [right, right - 1]) if (!taken(i, j)) bits.push(modules[i][j] ^ (FLIPS[mask](i, j) === 0 ? 1 : 0));
    }
  });
  const words = bits.join("").match(/.{8}/g).map((word) => Number.parseInt(word, 2));
  const sorted = blocks.map(() => []);
  let at = 0;
  for (let index = 0; index < Math.max(...blocks); index += 1) blocks.forEach((length, block) => index < length && sorted[block].push(words[at++]));
  const stream = sorted.flat().map((word) => word.toString(2).padStart(8, "0")).join("");
  assert.equal(stream.slice(0, 4), "0100", "bytes");
  const from = version < 10 ? 12 : 20;
  const length = Number.parseInt(stream.slice(4, from), 2);
  const rest = stream.slice(from + 8 * length);
  assert.match(rest, /^0{0,4}0*((11101100)(00010001))*(11101100)?$/, "the terminator, then 236 and 17 in turn");
  return { mask, said: stream.slice(from, from + 8 * length).match(/.{8}/g).map((word) => Number.parseInt(word, 2)) };
}

test("what is written is read again, with every length and whatever mask was chosen", () => {
  const masks = new Set();
  for (const [from, to] of [[1, 14], [63, 84], [153, 180], [181, 213], [214, 251]]) {
    for (let length = from; length <= to; length += 1) {
      const { said, mask } = read(qr(bytes(length, 5)));
      assert.deepEqual(said, [...bytes(length, 5)]);
      masks.add(mask);
    }
  }
  assert.ok(masks.size >= 6, `only masks ${[...masks]}`);
});

test("the mask that was chosen costs least: no plain surface where another mask avoids it", () => {
  const runs = (modules) => text(modules).match(/(0{6,}|1{6,})/g)?.join("").length ?? 0;
  const data = new Uint8Array(100);
  const chosen = qr(data);
  const all = [0, 1, 2, 3, 4, 5, 6, 7].map((mask) => qr(data, mask));
  assert.ok(all.some((modules) => text(modules) === text(chosen)));
  assert.ok(runs(chosen) <= Math.max(...all.map(runs)) / 2);
});

test("the drawing holds each dark module once, within a quiet zone of four", () => {
  const modules = qr(bytes(204));
  const drawn = modules.map((row) => new Uint8Array(row.length));
  for (const [, x, y, run, back] of svgPath(modules).matchAll(/M(\d+) (\d+)h(\d+)v1h-(\d+)z/g)) {
    assert.equal(run, back);
    for (let step = 0; step < Number(run); step += 1) drawn[y - 4][x - 4 + step] += 1;
  }
  assert.equal(text(drawn), text(modules));
});

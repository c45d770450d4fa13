/** The downloaded list in memory: searched by one walk through one text, in the order it is shown. Pure. */

import { dayNumber, SoaTable } from "./domain/columns.mjs";

/** @typedef {import("./domain/columns.mjs").Columns} Columns */
/** @typedef {{order: Int32Array, keys: string}} Prepared `order`: the rows by due date then name; `keys`: what is looked in of each, in that order. */

/** Stands between the keys of two SOAs; no word that is searched for holds it. */
const BETWEEN = "\0";

/**
 * Lower case, accents off: `Peña` and `PENA` are the same word.
 * @param {string} text
 */
export function plain(text) {
  return text
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase();
}

/**
 * What a search needs, made once at the download and kept.
 * @param {SoaTable} table
 * @returns {Prepared}
 */
export function prepare(table) {
  const texts = Array.from({ length: table.count }, (_, row) => {
    const found = table.texts(row);
    const phone = found[found.length - 1];
    return [...found, phone.replace(/[^0-9]/g, "")].join("\n").replaceAll(BETWEEN, " ");
  });
  const keys = table.count ? plain(texts.join(BETWEEN)).split(BETWEEN) : []; // all at once: a call for each takes many times as long
  const order = Int32Array.from(keys.keys()).sort((a, b) => table.due(a) - table.due(b) || (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b));
  return { order, keys: Array.from(order, (row) => keys[row] + BETWEEN).join("") };
}

/** The list of SOAs with what a search needs. Its places are those of `order`: by due date, then name. */
export class SoaList {
  /** @param {Columns} columns without a flaw @param {Prepared} [prepared] */
  constructor(columns, prepared) {
    this.table = new SoaTable(columns);
    const { order, keys } = prepared ?? prepare(this.table);
    this.order = order;
    this._keys = keys;
    /** Where the key of each place begins; one more for the end. */
    this._starts = new Int32Array(order.length + 1);
    for (let place = 0, from = 0; place < order.length; place += 1) this._starts[place + 1] = from = keys.indexOf(BETWEEN, from) + 1;
    this._everyone = Int32Array.from(order.keys());
  }

  /** What is kept so that the next start need not make it. @returns {Prepared} */
  get prepared() {
    return { order: this.order, keys: this._keys };
  }

  /** Which of `a` to `z` and `0` to `9` each key holds, a bit for each: a single letter stands in nearly every key, and calls cost more than bits. */
  _makeMasks() {
    const { _keys: keys, _starts: starts } = this;
    const letters = new Int32Array(this.order.length);
    const digits = new Int32Array(this.order.length);
    for (let place = 0; place < letters.length; place += 1) {
      for (let at = starts[place]; at < starts[place + 1]; at += 1) {
        const code = keys.charCodeAt(at);
        if (code >= 97 && code <= 122) letters[place] |= 1 << (code - 97);
        else if (code >= 48 && code <= 57) digits[place] |= 1 << (code - 48);
      }
    }
    return { letters, digits };
  }

  /** The places whose key holds one letter or digit. @param {string} sign */
  _findSign(sign) {
    this._masks ??= this._makeMasks();
    const code = sign.charCodeAt(0);
    const masks = code >= 97 ? this._masks.letters : this._masks.digits;
    const bit = 1 << (code >= 97 ? code - 97 : code - 48);
    const found = new Int32Array(masks.length);
    let count = 0;
    for (let place = 0; place < masks.length; place += 1) if (masks[place] & bit) found[count++] = place;
    return found.subarray(0, count);
  }

  /**
   * The places, in order, of the SOAs in which every word of `text` occurs somewhere; all of them when there is no word.
   * @param {string} text
   * @returns {Int32Array}
   */
  find(text) {
    const words = plain(text.replaceAll(BETWEEN, " ")).split(/\s+/).filter(Boolean).sort((a, b) => b.length - a.length);
    if (!words.length) return this._everyone;
    const [first, ...rest] = words;
    if (/^[a-z0-9]$/.test(first) && !rest.length) return this._findSign(first);
    const { _keys: keys, _starts: starts } = this;
    const found = new Int32Array(this.order.length);
    let count = 0;
    let place = 0;
    for (let at = keys.indexOf(first); at !== -1; at = keys.indexOf(first, starts[place])) {
      while (starts[place + 1] <= at) place += 1;
      const key = rest.length ? keys.substring(starts[place], starts[place + 1]) : "";
      if (rest.every((word) => key.includes(word))) {
        found[count] = place;
        count += 1;
      }
      place += 1;
      if (place === this.order.length) break;
    }
    return found.subarray(0, count);
  }

  /**
   * These places in the order of their customers' addresses, then by due date: one street after the other. Numbers count as numbers.
   * @param {Int32Array} places in order
   * @returns {Int32Array}
   */
  byAddress(places) {
    this._addresses ??= this._sortAddresses();
    const wanted = new Uint8Array(this.order.length);
    for (const place of places) wanted[place] = 1;
    return this._addresses.filter((place) => wanted[place] === 1);
  }

  /** All places by address; made when it is first asked for. */
  _sortAddresses() {
    const keys = Array.from(this.order, (row) => plain(this.table.address(row)).replace(/\d+/g, (digits) => digits.padStart(6, "0")));
    return Int32Array.from(keys.keys()).sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b));
  }

  /**
   * How many of `places` are due by a date: the list is ordered by due date, so they are its first ones.
   * @param {Int32Array} places
   * @param {string} date
   */
  dueBy(places, date) {
    const today = dayNumber(date);
    let low = 0;
    let high = places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.table.due(this.order[places[middle]]) <= today) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

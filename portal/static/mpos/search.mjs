/** Search over the downloaded list, in memory. Pure. */

import { compareTexts } from "./domain/allocation.mjs";

/** @typedef {import("./records.mjs").Soa} Soa */

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
 * The list made ready for searching, by due date then name.
 * @param {Soa[]} soas
 * @returns {{soa: Soa, key: string}[]}
 */
export function makeIndex(soas) {
  return soas
    .map((soa) => ({
      soa,
      name: plain(soa.customer_name),
      key: plain([soa.customer_name, soa.account_number, soa.soa_number, soa.address, soa.contact_number].map((part) => part ?? "").join("\n")),
    }))
    .sort((a, b) => compareTexts(a.soa.due_date, b.soa.due_date) || (a.name < b.name ? -1 : a.name > b.name ? 1 : compareTexts(a.soa.id, b.soa.id)))
    .map(({ soa, key }) => ({ soa, key }));
}

/**
 * The SOAs in which every word of `text` occurs somewhere; all of them when there is no word. `dueBy` leaves out those due later.
 * @param {{soa: Soa, key: string}[]} index
 * @param {string} text
 * @param {string|null} dueBy a date
 */
export function find(index, text, dueBy = null) {
  const words = plain(text).split(/\s+/).filter(Boolean);
  return index
    .filter(({ soa, key }) => (dueBy === null || soa.due_date <= dueBy) && words.every((word) => key.includes(word)))
    .map(({ soa }) => soa);
}

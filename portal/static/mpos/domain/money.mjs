/** Exact pesos as integer centavos. Twin: portal/domain/money.py; both are held to tests/vectors/money.json. */

import { PhoneError } from "../errors.mjs";
import { told } from "../words.mjs";

/** Largest amount the books hold, in centavos; the same as LARGEST in the Python twin. */
export const LARGEST = 999999999999999;

const TYPED = /^(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]{1,2})?|[0-9]{1,13}(?:\.[0-9]{0,2})?|\.[0-9]{1,2})$/;

/**
 * Centavos of an amount as a person types it: `1234.5`, `1,234.50`, `₱ 1,234`. Throws PhoneError invalid_amount; never guesses, never negative.
 * @param {string} text
 * @returns {number}
 */
export function parse(text) {
  const cleaned = String(text).trim().replace(/^₱/, "").replace(/^PHP/, "").replace(/^P/, "").trim();
  if (!TYPED.test(cleaned)) throw invalid(text);
  const [whole, part = ""] = cleaned.replaceAll(",", "").split(".");
  const value = Number(whole || "0") * 100 + Number(part.padEnd(2, "0"));
  if (value > LARGEST) throw invalid(text);
  return value;
}

/** @param {unknown} text */
function invalid(text) {
  return new PhoneError("invalid_amount", told("not_amount", { text: String(text).slice(0, 40) }));
}

/**
 * Whether a value is a whole number of centavos, from 0 to LARGEST.
 * @param {unknown} value
 */
export function isCentavos(value) {
  return Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0 && /** @type {number} */ (value) <= LARGEST;
}

/**
 * Whole number nearest to numerator / denominator (denominator above 0), halves away from zero.
 * @param {bigint} numerator
 * @param {bigint} denominator
 * @returns {bigint}
 */
export function halfUp(numerator, denominator) {
  const magnitude = numerator < 0n ? -numerator : numerator;
  const whole = (magnitude * 2n + denominator) / (denominator * 2n);
  return numerator < 0n ? -whole : whole;
}

/**
 * Split centavos in proportion to `weights` (none negative, sum above 0); the parts add up to `total` exactly, largest remainder first.
 * @param {number} total
 * @param {number[]} weights
 * @returns {number[]}
 */
export function split(total, weights) {
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  if (whole <= 0 || weights.some((weight) => weight < 0)) throw new RangeError("split needs weights of at least 0 with a sum above 0");
  const products = weights.map((weight) => BigInt(total) * BigInt(weight));
  const parts = products.map((product) => Number(product / BigInt(whole)));
  const left = total - parts.reduce((sum, part) => sum + part, 0);
  products
    .map((product, index) => ({ index, rest: product % BigInt(whole) }))
    .sort((a, b) => (a.rest === b.rest ? a.index - b.index : a.rest > b.rest ? -1 : 1))
    .slice(0, left)
    .forEach(({ index }) => (parts[index] += 1));
  return parts;
}

/**
 * `1,234.50`, the way every table writes money; a minus stands in front.
 * @param {number} centavos
 */
export function show(centavos) {
  const digits = String(Math.abs(centavos)).padStart(3, "0");
  const pesos = digits.slice(0, -2).replace(/\B(?=(?:[0-9]{3})+$)/g, ",");
  return `${centavos < 0 ? "-" : ""}${pesos}.${digits.slice(-2)}`;
}

/**
 * `₱1,234.50`, for totals and headings; a minus stands before the sign.
 * @param {number} centavos
 */
export function showPesos(centavos) {
  return centavos < 0 ? `-₱${show(-centavos)}` : `₱${show(centavos)}`;
}

const ONES =
  "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(" ");
const TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split(" ");

/** @param {number} number */
function belowThousand(number) {
  const words = [];
  if (number >= 100) words.push(`${ONES[Math.floor(number / 100)]} hundred`);
  const rest = number % 100;
  if (rest >= 20) words.push(TENS[Math.floor(rest / 10)] + (rest % 10 ? `-${ONES[rest % 10]}` : ""));
  else if (rest || !words.length) words.push(ONES[rest]);
  return words.join(" ");
}

/**
 * Amount in words for a receipt, from centavos: `One thousand two hundred thirty-four pesos and 50/100`. Throws PhoneError below zero.
 * @param {number} centavos
 */
export function inWords(centavos) {
  if (centavos < 0) throw new PhoneError("invalid_amount", told("receipts_amount"));
  const cents = centavos % 100;
  const pesos = (centavos - cents) / 100;
  const groups = [];
  let rest = pesos;
  for (const name of ["", " thousand", " million", " billion", " trillion"]) {
    const group = rest % 1000;
    rest = (rest - group) / 1000;
    if (group) groups.unshift(belowThousand(group) + name);
  }
  const words = groups.join(" ") || "zero";
  const unit = pesos === 1 ? "peso" : "pesos";
  const end = cents ? ` and ${String(cents).padStart(2, "0")}/100` : " only";
  return `${words[0].toUpperCase()}${words.slice(1)} ${unit}${end}`;
}

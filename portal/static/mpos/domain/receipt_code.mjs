/** The code in a receipt's QR: a payment in few bytes, signed by its terminal (docs/journal.md 7). Twin: portal/domain/receipt_code.py, tests/vectors/receipt_code.json. */

import { base64url, SIGNATURE } from "./journal.mjs";

/** Their place is what the code says; new ones are added at the end. */
const TENDERS = ["cash", "check", "e_wallet", "bank_transfer"];
const VERSION = 1;
const PREFIX = "mpos-receipt-1 ";

/** @typedef {{terminal: string, number: number, seq: number, amount: number, tender: string, at: number, payment: string, hash_start: string, soa_number: string}} ReceiptFacts `amount` in centavos, `at` in milliseconds since 1970 UTC, `hash_start` the first half of the entry's hash in hex */

/**
 * The bytes before the signature. Throws RangeError for what has no place in them.
 * @param {ReceiptFacts} facts
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function body(facts) {
  const terminal = /^T([0-9]{2,6})$/.exec(facts.terminal);
  const tender = TENDERS.indexOf(facts.tender);
  const identity = unhex(facts.payment.replaceAll("-", ""));
  const start = unhex(facts.hash_start);
  if (!terminal || tender === -1 || identity.length !== 16 || start.length !== 16) throw new RangeError("This payment cannot be written as a code.");
  const numbers = [Number(terminal[1]), facts.number, facts.seq, facts.amount, facts.at];
  return Uint8Array.from([VERSION * 16 + tender, ...numbers.flatMap(sevens), ...identity, ...start, ...new TextEncoder().encode(facts.soa_number)]);
}

/**
 * What the terminal signs for one receipt.
 * @param {Uint8Array} bytes the body
 */
export function signedBytes(bytes) {
  return Uint8Array.from([...new TextEncoder().encode(PREFIX), ...bytes]);
}

/**
 * The facts of a stored payment.
 * @param {{terminal: string, seq: number, at: string, hash: string, payload: Record<string, any>}} stored its entry or its record
 * @returns {ReceiptFacts}
 */
export function factsOf({ terminal, seq, at, hash, payload }) {
  const { receipt_number, amount, tender, payment, soa_number } = payload;
  return { terminal, number: Number(receipt_number.slice(terminal.length + 1)), seq, amount, tender, at: Date.parse(at), payment, hash_start: hash.slice(0, 32), soa_number };
}

/**
 * The text in the address: body and signature, base64url. Each signing gives another; the first is kept.
 * @param {CryptoKey} key
 * @param {ReceiptFacts} facts
 * @param {SubtleCrypto} subtle
 */
export async function signReceipt(key, facts, subtle) {
  const bytes = body(facts);
  const signature = new Uint8Array(await subtle.sign(SIGNATURE, key, signedBytes(bytes)));
  return base64url(Uint8Array.from([...bytes, ...signature]));
}

/** Seven bits to a byte, the lowest first; the high bit says that more follow. @param {number} number @returns {number[]} */
function sevens(number) {
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError("This payment cannot be written as a code.");
  return number < 128 ? [number] : [128 + (number % 128), ...sevens(Math.floor(number / 128))];
}

/** @param {string} text */
function unhex(text) {
  return /^(?:[0-9a-f]{2})*$/.test(text) ? Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)) : [];
}

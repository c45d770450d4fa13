/** Which invoice a payment pays. Twin: portal/domain/allocation.py; both are held to tests/vectors/allocation.json. Money is integer centavos. */

import { PhoneError } from "../errors.mjs";
import { halfUp } from "./money.mjs";
import { told } from "../words.mjs";

/** @typedef {import("../records.mjs").Invoice} Invoice */
/** @typedef {import("../records.mjs").Allocation} Allocation */
/** @typedef {import("../records.mjs").Vat} Vat */

/**
 * Compare by code point, as Python compares texts (JavaScript's own order is by UTF-16 unit).
 * @param {string} a
 * @param {string} b
 */
export function compareTexts(a, b) {
  if (a === b) return 0;
  const left = Array.from(a);
  const right = Array.from(b);
  for (let i = 0; i < left.length && i < right.length; i += 1) {
    if (left[i] !== right[i]) return /** @type {number} */ (left[i].codePointAt(0)) - /** @type {number} */ (right[i].codePointAt(0));
  }
  return left.length - right.length;
}

/**
 * Allocate `amount` centavos (above 0): invoices by due date then number, on each penalty then principal, the rest an advance.
 * `directed` pays the chosen invoices first, in the order chosen, and only what they leave becomes an advance. The parts are above zero and
 * add up to `amount`. Throws PhoneError for an amount of zero or less or an unknown chosen invoice.
 * @param {number} amount
 * @param {Invoice[]} invoices
 * @param {"oldest_first"|"directed"} [mode]
 * @param {string[]} [directed]
 * @returns {Allocation[]}
 */
export function allocate(amount, invoices, mode = "oldest_first", directed = []) {
  if (!Number.isSafeInteger(amount) || amount <= 0) throw new PhoneError("invalid", told("payment_must"));
  const byId = new Map(invoices.map((invoice) => [invoice.id, invoice]));
  let order;
  if (mode === "directed") {
    if (!directed.length || directed.some((id) => !byId.has(id))) {
      throw new PhoneError("invalid", told("choose_one"));
    }
    order = [...new Set(directed)].map((id) => /** @type {Invoice} */ (byId.get(id)));
  } else {
    order = [...invoices].sort(
      (a, b) => compareTexts(a.due_date, b.due_date) || compareTexts(a.invoice_number, b.invoice_number) || compareTexts(a.id, b.id),
    );
  }
  /** @type {Allocation[]} */
  const parts = [];
  let left = amount;
  for (const invoice of order) {
    for (const [kind, open] of /** @type {[Allocation["kind"], number][]} */ ([["penalty", invoice.penalty], ["principal", invoice.balance]])) {
      const part = Math.min(left, Math.max(open, 0));
      if (part > 0) {
        parts.push({ invoice: invoice.id, invoice_number: invoice.invoice_number, kind, amount: part });
        left -= part;
      }
    }
  }
  if (left > 0) parts.push({ invoice: null, invoice_number: null, kind: "advance", amount: left });
  return parts;
}

/**
 * Split a payment's principal pro rata by each invoice's own VAT figures, rounded half-up once for the whole payment. The four add up to the principal.
 * @param {Allocation[]} allocations
 * @param {Invoice[]} invoices
 * @returns {Vat}
 */
export function splitVat(allocations, invoices) {
  const byId = new Map(invoices.map((invoice) => [invoice.id, invoice]));
  let vatable = 0;
  let exempt = 0;
  let zeroRated = 0;
  let numerator = 0n; // the VAT so far as one fraction: products of centavos pass 2^53
  let denominator = 1n;
  for (const part of allocations) {
    if (part.kind !== "principal" || part.invoice === null) continue;
    const invoice = /** @type {Invoice} */ (byId.get(part.invoice));
    if (invoice.vat_type === "exempt") exempt += part.amount;
    else if (invoice.vat_type === "zero_rated") zeroRated += part.amount;
    else {
      vatable += part.amount;
      if (invoice.amount > 0) {
        numerator = numerator * BigInt(invoice.amount) + BigInt(part.amount) * BigInt(invoice.vat_amount) * denominator;
        denominator *= BigInt(invoice.amount);
      }
    }
  }
  const vatAmount = Math.min(Number(halfUp(numerator, denominator)), vatable);
  return { vatable: vatable - vatAmount, vat_amount: vatAmount, vat_exempt: exempt, zero_rated: zeroRated };
}

/**
 * The invoices with `paid` taken off, never below zero: a snapshot less the payments it does not hold yet. Advances reduce nothing here.
 * @template {Invoice} T
 * @param {T[]} invoices
 * @param {Allocation[]} paid
 * @returns {T[]}
 */
export function lessPayments(invoices, paid) {
  /** @type {Map<string, {penalty: number, principal: number}>} */
  const taken = new Map();
  for (const part of paid) {
    if (part.invoice === null || part.kind === "advance") continue;
    const sums = taken.get(part.invoice) ?? { penalty: 0, principal: 0 };
    sums[part.kind] += part.amount;
    taken.set(part.invoice, sums);
  }
  return invoices.map((invoice) => {
    const sums = taken.get(invoice.id) ?? { penalty: 0, principal: 0 };
    return {
      ...invoice,
      balance: Math.max(invoice.balance - sums.principal, 0),
      penalty: Math.max(invoice.penalty - sums.penalty, 0),
    };
  });
}

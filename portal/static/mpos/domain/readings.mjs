/** X- and Z-readings and the one sum of expected cash. Twin: portal/domain/readings.py, tests/vectors/readings.json. Money is integer centavos. */

import { compareTexts } from "./allocation.mjs";

/** @typedef {import("../records.mjs").Entry} Entry */
/** @typedef {import("../records.mjs").Taken} Taken */
/** @typedef {import("../records.mjs").Period} Period */
/** @typedef {import("../records.mjs").Denomination} Denomination */

/** The order of tenders in readings. */
export const TENDER_ORDER = Object.freeze(["cash", "check", "e_wallet", "bank_transfer"]);

/** Bills and coins in the order they are counted; values in centavos. */
export const DENOMINATIONS = /** @type {readonly {value: number, kind: string}[]} */ (Object.freeze(
  [
    ...[100000, 50000, 20000, 10000, 5000, 2000].map((value) => ({ value, kind: "bill" })),
    ...[2000, 1000, 500, 100, 25, 10, 5, 1].map((value) => ({ value, kind: "coin" })),
  ].map((line) => Object.freeze(line)),
));

/**
 * THE sum: change fund + cash collected (net of change) - voided cash - cash drops - approved expenses.
 * @param {number} changeFund
 * @param {number} cashCollected
 * @param {number} voidedCash
 * @param {number} drops
 * @param {number} expenses
 */
export function expectedCash(changeFund, cashCollected, voidedCash, drops, expenses) {
  return changeFund + cashCollected - voidedCash - drops - expenses;
}

/**
 * Centavos of a denomination count.
 * @param {Denomination[]} denominations
 */
export function countTotal(denominations) {
  return sum(denominations, (line) => line.value * line.count);
}

/**
 * @template T
 * @param {T[]} items
 * @param {(item: T) => number} figure
 */
function sum(items, figure) {
  return items.reduce((total, item) => total + figure(item), 0);
}

/**
 * An X-reading (docs/journal.md, reading): interim, repeatable, moves nothing.
 * @param {Period} period
 * @param {string} periodEnd
 * @param {string} headHash
 * @param {number} unsent
 */
export function xReading(period, periodEnd, headHash, unsent) {
  const cashCollected = sum(period.payments.filter((payment) => payment.tender === "cash"), (payment) => payment.amount);
  const voidedCash = sum(period.voids.filter((item) => item.cash), (item) => item.amount);
  const drops = sum(period.drops, (amount) => amount);
  const expenses = sum(period.expenses, (amount) => amount);
  const expected = expectedCash(period.change_fund, cashCollected, voidedCash, drops, expenses);
  const gross = sum(period.payments, (payment) => payment.amount);
  const lessVoid = sum(period.voids, (item) => item.amount);
  const countedCash = period.counted === null ? null : countTotal(period.counted);
  const numbers = period.payments.map((payment) => payment.receipt_number).filter((number) => number);
  return {
    registry: period.registry,
    business_date: period.business_date,
    terminal: period.terminal,
    collector: period.collector,
    period_start: period.period_start,
    period_end: periodEnd,
    first_receipt: numbers[0] ?? null,
    last_receipt: numbers.at(-1) ?? null,
    first_void: period.void_numbers[0] ?? null,
    last_void: period.void_numbers.at(-1) ?? null,
    transaction_count: period.payments.length,
    vatable: sum(period.payments, (payment) => payment.vat.vatable),
    vat_amount: sum(period.payments, (payment) => payment.vat.vat_amount),
    vat_exempt: sum(period.payments, (payment) => payment.vat.vat_exempt),
    zero_rated: sum(period.payments, (payment) => payment.vat.zero_rated),
    penalty: sum(period.payments, (payment) => payment.penalty),
    advance: sum(period.payments, (payment) => payment.advance),
    gross,
    less_void: lessVoid,
    net: gross - lessVoid,
    tenders: byTender(period.payments),
    change_fund: period.change_fund,
    cash_collected: cashCollected,
    less_voided_cash: voidedCash,
    less_drops: drops,
    less_expenses: expenses,
    expected_cash: expected,
    counted: period.counted === null ? null : period.counted.map((line) => ({ ...line })),
    counted_cash: countedCash,
    short_over: countedCash === null ? null : countedCash - expected,
    head_hash: headHash,
    unsent,
  };
}

/**
 * A Z-reading: the X's body, the Z counter one up, present accumulated = previous accumulated + gross (never less a void).
 * @param {Period} period
 * @param {{z_counter: number, accumulated: number, reset_counter: number}} previous
 * @param {string} periodEnd
 * @param {string} headHash
 * @param {number} unsent
 */
export function zReading(period, previous, periodEnd, headHash, unsent) {
  const reading = xReading(period, periodEnd, headHash, unsent);
  return {
    ...reading,
    z_counter: previous.z_counter + 1,
    reset_counter: previous.reset_counter,
    previous_accumulated: previous.accumulated,
    present_accumulated: previous.accumulated + reading.gross,
  };
}

/**
 * Count and amount per tender and channel, in the order docs/journal.md gives.
 * @param {{tender: string, channel: string|null, amount: number}[]} payments
 * @returns {{tender: string, channel: string|null, count: number, amount: number}[]}
 */
export function byTender(payments) {
  /** @type {Map<string, {tender: string, channel: string|null, count: number, amount: number}>} */
  const groups = new Map();
  for (const { tender, channel, amount } of payments) {
    const key = JSON.stringify([tender, channel]);
    const line = groups.get(key) ?? { tender, channel, count: 0, amount: 0 };
    line.count += 1;
    line.amount += amount;
    groups.set(key, line);
  }
  return [...groups.values()].sort(
    (a, b) =>
      TENDER_ORDER.indexOf(a.tender) - TENDER_ORDER.indexOf(b.tender) ||
      Number(a.channel !== null) - Number(b.channel !== null) ||
      compareTexts(a.channel ?? "", b.channel ?? ""),
  );
}

/**
 * Penalty, principal and advance of one payment's allocations.
 * @param {{kind: string, amount: number}[]} allocations
 */
export function parts(allocations) {
  const of = (/** @type {string} */ kind) => sum(allocations.filter((part) => part.kind === kind), (part) => part.amount);
  return { penalty: of("penalty"), principal: of("principal"), advance: of("advance") };
}

/**
 * The period of the registry opened by `entries[0]`, from its entries in journal order. A void number counts where it was asked for, an approved void where
 * the decision was written down, whichever registry the payment was of; so does an approved expense. A cash drop counts at once.
 * @param {Entry[]} entries
 * @returns {Period}
 */
export function periodOf(entries) {
  const opened = entries[0];
  /** @type {Period} */
  const period = {
    registry: opened.payload.registry,
    business_date: opened.payload.business_date,
    terminal: opened.terminal,
    collector: opened.payload.collector,
    period_start: opened.at,
    change_fund: opened.payload.change_fund,
    payments: [],
    voids: [],
    void_numbers: [],
    drops: [],
    expenses: [],
    counted: null,
  };
  for (const { kind, payload } of entries) {
    if (payload.registry !== period.registry) continue;
    if (kind === "payment") {
      const { penalty, advance } = parts(payload.allocations);
      const { receipt_number, amount, tender, channel, vat } = payload;
      period.payments.push({ receipt_number, amount, tender, channel, penalty, advance, vat });
    } else if (kind === "void_requested") period.void_numbers.push(payload.void_number);
    else if (kind === "void_decided" && payload.decision === "approved") {
      period.voids.push({ void_number: payload.void_number, amount: payload.amount, cash: payload.tender === "cash" });
    } else if (kind === "cash_drop") period.drops.push(payload.amount);
    else if (kind === "expense_decided" && payload.decision === "approved") period.expenses.push(payload.amount);
    else if (kind === "count") period.counted = payload.denominations;
  }
  return period;
}

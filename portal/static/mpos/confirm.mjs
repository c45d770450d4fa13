/**
 * Writes journal entries, payments above all. One writer at a time (Web Lock); the head is read, the entry hashed outside any transaction, and
 * stored with everything that belongs to it in one transaction that refuses when the head has moved.
 */

import { allocate, lessPayments, splitVat } from "./domain/allocation.mjs";
import { append, wellFormed } from "./domain/journal.mjs";
import { isCentavos, show } from "./domain/money.mjs";
import { receiptNumber } from "./domain/receipts.mjs";
import { isVoided } from "./domain/voids.mjs";
import { HeadMoved, IntentTaken, PhoneError, registryOverdue } from "./errors.mjs";
import { say, told } from "./words.mjs";

/** @typedef {import("./records.mjs").Allocation} Allocation */
/** @typedef {import("./records.mjs").Draft} Draft */
/** @typedef {import("./records.mjs").Entry} Entry */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").Invoice} Invoice */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").Snapshot} Snapshot */
/** @typedef {import("./records.mjs").Soa} Soa */
/** @typedef {import("./records.mjs").VisitRecord} VisitRecord */

/** One payment above a hundred million pesos is a typing error, not a collection (centavos). */
export const LARGEST_PAYMENT = 10_000_000_000;
const ATTEMPTS = 6;
const TENDERS = ["cash", "check", "e_wallet", "bank_transfer"];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * What a writer needs.
 * @typedef {{store: import("./db.mjs").Store, clock: import("./clock.mjs").Clock, subtle: SubtleCrypto, lock: <T>(body: () => Promise<T>) => Promise<T>,
 *   terminal: string}} Writing
 */

/**
 * What is to be written: made anew for each attempt from the head as it stands.
 * @typedef {{kind: string, payload: Record<string, any>, payment?: (entry: Entry) => PaymentRecord|Promise<PaymentRecord>, update?: PaymentRecord, snapshot?: Snapshot, visit?: VisitRecord,
 *   head?: Partial<Head>, registry?: Record<string, any>}} Step
 *   `head` and `registry`: what changes in the head and in its open registry, besides the place in the chain
 */

/**
 * Append what `plan` makes of the present head: one entry, stored durably when it resolves. A `plan` that throws writes nothing.
 * A clock jump seen since the last look is journaled first.
 * @template {{head: Head}} Seen
 * @param {Writing} writing
 * @param {(head: Head, at: string, seen: Seen) => Step|Promise<Step>} plan `at`: the instant the entry will carry
 * @param {() => Promise<Seen>} [look] reads the head, and what else the plan has to see beside it, anew for each attempt
 * @returns {Promise<{entry: Entry, head: Head, payment: PaymentRecord|undefined}>}
 */
export function write(writing, plan, look) {
  return writing.lock(async () => {
    await noteJump(writing, writing.clock.look());
    return writeLocked(writing, plan, look);
  });
}

/**
 * Journal a clock jump, when there was one. The caller holds the lock.
 * @param {Writing} writing
 * @param {number|null} seconds
 */
async function noteJump(writing, seconds) {
  if (seconds === null || (await writing.store.head(writing.terminal)).seq === 0) return;
  await writeLocked(writing, () => ({ kind: "clock_jump", payload: { seconds } }));
}

/**
 * Look at the clock and journal a jump: `seconds` when it is known from elsewhere, else what the clock itself saw.
 * @param {Writing} writing
 * @param {number|null} [seconds]
 */
export async function watchClock(writing, seconds = null) {
  const jump = seconds ?? writing.clock.look();
  if (jump === null) return false;
  await writing.lock(() => noteJump(writing, jump));
  return true;
}

/**
 * @template {{head: Head}} Seen
 * @param {Writing} writing
 * @param {(head: Head, at: string, seen: Seen) => Step|Promise<Step>} plan
 * @param {() => Promise<Seen>} [look]
 */
async function writeLocked({ store, clock, subtle, terminal }, plan, look) {
  for (let attempt = 1; ; attempt += 1) {
    const seen = look ? await look() : /** @type {Seen} */ ({ head: await store.head(terminal) });
    const { head } = seen;
    const at = clock.at();
    const step = await plan(head, at, seen);
    const content = { terminal, seq: head.seq + 1, kind: step.kind, at, at_trusted: clock.trusted(), payload: step.payload, prev: head.hash };
    const entry = await append(content, subtle);
    const after = nextHead(head, entry, step);
    try {
      const payment = await step.payment?.(entry);
      await store.append({ entry, head: after, payment, update: step.update, snapshot: step.snapshot, visit: step.visit });
      return { entry, head: after, payment };
    } catch (error) {
      if (!(error instanceof HeadMoved)) throw error;
      if (attempt === ATTEMPTS) {
        throw new PhoneError("busy_tabs", told("busy_tabs"));
      }
    }
  }
}

/**
 * @param {Head} head
 * @param {Entry} entry
 * @param {Step} step
 * @returns {Head}
 */
function nextHead(head, entry, step) {
  const changed = { ...head, ...step.head, seq: entry.seq, hash: entry.hash, at: entry.at };
  if (step.registry && changed.registry) changed.registry = { ...changed.registry, ...step.registry };
  return changed;
}

/**
 * The invoices and the amount due of an SOA less `payments`, as the phone shows them.
 * @param {Soa} soa
 * @param {PaymentRecord[]} taken those on this SOA that its figures do not hold yet; a voided one takes nothing off
 */
export function lessLocal(soa, taken) {
  const payments = taken.filter((payment) => !isVoided(payment));
  /** @type {Allocation[]} */
  const paid = payments.flatMap((payment) => payment.payload.allocations);
  const penalty = paid.filter((part) => part.kind === "penalty").reduce((sum, part) => sum + part.amount, 0);
  return {
    invoices: lessPayments(soa.invoices, paid),
    // Advances come off too: the amount due may hold charges that belong to no invoice, and the portal reckons the same way.
    amount_due: Math.max(soa.amount_due - payments.reduce((sum, payment) => sum + payment.payload.amount, 0), 0),
    penalty: Math.max(soa.penalty - penalty, 0),
  };
}

/**
 * What a draft would become, and what is wrong with it. Pure; never throws.
 * @param {Draft} draft
 * @param {{invoices: Invoice[], amount_due: number}|null} soa less the phone's own payments
 * @param {string} [today] in Manila
 */
export function preview(draft, soa, today = "9999-12-31") {
  /** @type {{field: string, message: string}[]} */
  const problems = [];
  const problem = (/** @type {string} */ field, /** @type {string} */ message) => problems.push({ field, message });
  const { amount, tender } = draft;
  const cash = tender === "cash";
  const mode = draft.mode === "directed" ? "directed" : "oldest_first";
  const directed = mode === "directed" ? [...new Set(draft.directed ?? [])] : [];
  if (!soa) problem("soa", say("soa_unknown"));
  const amountGood = isCentavos(amount) && amount > 0 && amount <= LARGEST_PAYMENT;
  if (!isCentavos(amount) || amount <= 0) problem("amount", say("type_amount"));
  else if (amount > LARGEST_PAYMENT) problem("amount", say("payment_most", { most: show(LARGEST_PAYMENT) }));
  if (!TENDERS.includes(tender)) problem("tender", say("choose_cash"));
  const tendered = cash ? (draft.tendered ?? amount) : null;
  let change = null;
  if (cash && amountGood) {
    if (!isCentavos(tendered) || /** @type {number} */ (tendered) > LARGEST_PAYMENT) problem("tendered", say("tendered_bad"));
    else if (/** @type {number} */ (tendered) < amount) {
      problem("tendered", say("tendered_less", { amount: show(amount - /** @type {number} */ (tendered)) }));
    } else change = /** @type {number} */ (tendered) - amount;
  }
  const reference = cash ? null : text(draft.reference);
  const channel = cash ? null : text(draft.channel);
  if (!cash && TENDERS.includes(tender)) {
    if (reference === null) problem("reference", tender === "check" ? say("type_check_no") : say("type_reference"));
    else if (reference.length > 60 || reference.includes("\0")) problem("reference", say("reference_long"));
    if (channel !== null && (channel.length > 60 || channel.includes("\0"))) problem("channel", say("bank_long"));
  }
  const check = tender === "check";
  const branch = check ? text(draft.branch) : null;
  if (branch !== null && (branch.length > 60 || branch.includes("\0"))) problem("branch", say("branch_long"));
  const check_date = check ? text(draft.check_date) : null;
  if (check_date !== null && !isDate(check_date)) problem("check_date", say("check_date_bad"));
  const { or_number, or_date } = readBooklet(draft, today, problem);
  const invoices = soa?.invoices ?? [];
  let chosen = true;
  if (soa && mode === "directed") {
    chosen = directed.length > 0 && directed.every((id) => invoices.some((invoice) => invoice.id === id));
    if (!chosen) problem("directed", say("choose_one"));
  }
  const allocations = amountGood && soa && chosen ? allocate(amount, invoices, mode, directed) : [];
  const over = allocations.filter((part) => part.kind === "advance").reduce((sum, part) => sum + part.amount, 0);
  const paid = allocations.reduce((sum, part) => sum + part.amount, 0);
  return {
    allocations,
    vat: splitVat(allocations, invoices),
    tendered,
    change,
    reference,
    channel,
    branch,
    check_date,
    or_number,
    or_date,
    mode,
    directed,
    over,
    balance_after: Math.max((soa?.amount_due ?? 0) - paid, 0),
    problems,
  };
}

/**
 * The number and the date of the official receipt that was written by hand; both null when the draft is no OR entry.
 * @param {Draft} draft @param {string} today @param {(field: string, message: string) => unknown} problem
 */
function readBooklet(draft, today, problem) {
  if (!draft.or) return { or_number: null, or_date: null };
  const or_number = text(draft.or.number);
  const or_date = text(draft.or.date);
  if (or_number === null || !/[0-9A-Za-z]/.test(or_number)) problem("or_number", say("type_or"));
  else if (or_number.length > 30 || or_number.includes("\0")) problem("or_number", say("or_long"));
  if (or_date === null || !isDate(or_date)) problem("or_date", say("choose_or_date"));
  else if (or_date > today) problem("or_date", say("or_date_future"));
  return { or_number, or_date };
}

/** Whether a text such as `2026-11-20` names a day that exists. @param {string|null|undefined} text */
export function isDate(text) {
  const moment = /^\d{4}-\d\d-\d\d$/.test(text ?? "") ? new Date(`${text}T00:00:00Z`) : null;
  return moment !== null && !Number.isNaN(moment.getTime()) && moment.toISOString().slice(0, 10) === text;
}

/** Begins the `soa` of an OR entry on an account that is not in the list. */
const UNLISTED = "account:";

/** A booklet number as it is compared: capitals, no spaces and hyphens, no zeros before it. @param {string} number */
export function orKey(number) {
  return number.replace(/[\s-]/g, "").toUpperCase().replace(/^0+/, "") || "0";
}

/**
 * The account of an OR entry that the downloaded list does not hold, as far as the collector knows it: no invoices, so the money is an advance.
 * @param {Draft} draft
 * @returns {Soa|null}
 */
export function unlistedSoa({ soa, or }) {
  const account = text(or?.account);
  const name = text(or?.customer);
  if (!or || account === null || name === null || account.length > 80 || name.length > 200 || soa !== `${UNLISTED}${account}`) return null;
  const nothing = { address: "", contact_number: "", tin: "", collector_code: null, issued_on: or.date, due_date: or.date, amount_due: 0, penalty: 0, invoices: [] };
  return { ...nothing, id: soa, soa_number: account, account_number: account, customer_name: name, version: "-" };
}

/** The `soa` of an account that is not in the list. @param {string} account */
export function unlistedId(account) {
  return `${UNLISTED}${account.trim()}`;
}

/** @param {string|null|undefined} value */
function text(value) {
  const cleaned = wellFormed(String(value ?? "")).trim();
  return cleaned === "" ? null : cleaned;
}

/**
 * Why no payment can be taken in this registry today, or null. A registry left open overnight is closed first, with its own date (DOMAIN 11.14); on a
 * phone whose date is earlier than the registry's the clock was set back: the registry's date stands.
 * @param {Head} head
 * @param {string} today the phone's date in Manila, `2026-11-20`
 */
export function closedForPayments(head, today) {
  if (!head.registry) return new PhoneError("no_registry", told("open_first"));
  if (head.registry.z_done) {
    return new PhoneError("z_done", told("z_no_payments"));
  }
  if (today > head.registry.business_date) return new PhoneError("registry_overdue", registryOverdue(head.registry.business_date, today));
  return null;
}

/**
 * Confirm a draft: payment, receipt number and journal entry stored together, durably, when it resolves. The same intent again answers the first
 * payment. Throws PhoneError (with `fields`) and then nothing was stored and no number used.
 * @param {Writing} writing
 * @param {Draft} draft `intent` is the payment's UUID
 * @param {{find: (id: string) => Soa|null, includedSeq: number, shown: (soa: Soa) => Record<string, any>, code: (entry: Entry) => Promise<string|null>}} known
 *   `find` looks into the downloaded list, whose figures hold this terminal's payments up to `includedSeq`; `shown` is kept for the receipt;
 *   `code` makes what the receipt's QR carries, null when it cannot: the payment is stored all the same
 * @returns {Promise<{record: PaymentRecord, head: Head|null}>} `head` as it is after the payment; null when it was stored before
 */
export async function confirm(writing, draft, known) {
  const { store, terminal } = writing;
  const intent = draft.intent;
  if (!UUID.test(String(intent))) throw new PhoneError("invalid", told("form_no_identity"));
  try {
    const { payment, head: after } = await write(writing, async (head, at, { stored, payments }) => {
      // Another tab, the first of two taps, or a form of before the phone was killed.
      if (stored) throw new IntentTaken();
      const closed = closedForPayments(head, at.slice(0, 10));
      if (closed || !head.registry) throw closed;
      const soa = known.find(draft.soa) ?? unlistedSoa(draft);
      const own = soa ? payments.filter((payment) => payment.payload.soa === soa.id) : [];
      const view = soa && lessLocal(soa, own);
      const { problems, tendered, change, reference, channel, mode, directed, allocations, vat, balance_after, branch, check_date, or_number, or_date } = preview(draft, view, at.slice(0, 10));
      if (problems.length || !soa) throw new PhoneError("invalid", problems.map(({ message }) => message).join(" "), { fields: problems });
      if (or_number !== null) {
        const taken = (await store.payments(terminal, 1)).find(({ payload }) => payload.or_number && orKey(payload.or_number) === orKey(or_number));
        if (taken) {
          const message = say("or_used", { number: or_number, receipt: taken.payload.receipt_number });
          throw new PhoneError("invalid", message, { fields: [{ field: "or_number", message }] });
        }
      }
      const number = head.receipt + 1;
      const payload = {
        payment: intent,
        registry: head.registry.id,
        receipt_number: receiptNumber(terminal, number),
        soa: soa.id,
        soa_number: wellFormed(soa.soa_number),
        account_number: wellFormed(soa.account_number),
        customer_name: wellFormed(soa.customer_name),
        soa_version: soa.version,
        amount: draft.amount,
        tender: draft.tender,
        channel,
        reference,
        tendered,
        change,
        mode,
        directed,
        allocations,
        vat,
        balance_after,
        ...(branch === null ? {} : { branch }),
        ...(check_date === null ? {} : { check_date }),
        ...(or_number === null ? {} : { or_number, or_date }),
        ...(draft.place ? { place: draft.place } : {}),
      };
      const shown = known.shown(soa);
      return {
        kind: "payment",
        payload,
        payment: async (entry) => ({ payment: intent, terminal, seq: entry.seq, at, hash: entry.hash, payload, shown, prints: { customer: 0, collector: 0 }, code: await known.code(entry) }),
        head: { receipt: number },
        registry: draft.tender === "cash" ? { last_cash_seq: head.seq + 1 } : {},
      };
    }, () => store.beforePayment(terminal, intent, known.includedSeq + 1));
    return { record: /** @type {PaymentRecord} */ (payment), head: after };
  } catch (error) {
    // The connection may have died after the commit: what is on disk decides, not what we heard of it.
    const stored = error instanceof PhoneError && error.code !== "storage_failed" ? null : await store.payment(intent);
    if (stored) return { record: stored, head: null };
    throw error;
  }
}

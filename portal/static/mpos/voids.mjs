/** Writes void requests and what the office decided of them: each with its mark on the payment in one transaction, so that both or neither exist. */

import { IntentTaken, PhoneError } from "./errors.mjs";
import { write } from "./confirm.mjs";
import { wellFormed } from "./domain/journal.mjs";
import { voidNumber } from "./domain/receipts.mjs";
import { challenge, plausible } from "./domain/void_codes.mjs";
import { closedForVoids, lastVoid, LONGEST_REASON } from "./domain/voids.mjs";
import { say, told } from "./words.mjs";

/** @typedef {import("./confirm.mjs").Writing} Writing */
/** @typedef {import("./records.mjs").Decision} Decision */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").VoidRecord} VoidRecord */

/** @param {PaymentRecord} record @param {string} terminal */
function closedPayment(record, terminal) {
  const number = record.payload.receipt_number;
  const before = lastVoid(record);
  if (record.terminal !== terminal) {
    return new PhoneError("other_terminal", told("other_terminal", { number, theirs: record.terminal, terminal: terminal }));
  }
  if (before?.state === "requested") {
    return new PhoneError("void_waits", told("void_waits", { void: before.void_number, number }));
  }
  return before?.state === "approved" ? new PhoneError("voided", told("voided_already", { number, void: before.void_number })) : null;
}

/**
 * Ask the office to void a payment: the next void number, the journal entry and the mark on the payment are stored together, durably, when it resolves.
 * The same intent again answers the first request. Throws PhoneError, and then nothing was stored and no number used.
 * @param {Writing} writing
 * @param {string} payment
 * @param {string} reason
 * @param {string} intent the request's identity on this phone: one form gives one request
 * @param {{code: string, void_number: string}|null} [given] a supervisor's code, and the void number it was given for
 * @returns {Promise<VoidRecord>}
 */
export async function requestVoid(writing, payment, reason, intent, given = null) {
  const { store, terminal } = writing;
  const asked = async () => (await store.payment(payment))?.voids?.find((item) => item.intent === intent) ?? null;
  const text = wellFormed(String(reason ?? "")).trim();
  const before = await asked();
  if (before) return before;
  const wrong = !text ? say("say_why") : text.length > LONGEST_REASON || text.includes("\0") ? say("reason_long", { most: LONGEST_REASON }) : "";
  if (wrong) throw new PhoneError("invalid", wrong, { fields: [{ field: "reason", message: wrong }] });
  try {
    await write(writing, async (head, at) => {
      const record = await store.payment(payment);
      if (!record) throw new PhoneError("not_found", told("payment_unknown"));
      // Another tab, or the first of two taps, may have stored it while this one waited for the lock.
      if (record.voids?.some((item) => item.intent === intent)) throw new IntentTaken();
      const closed = closedForVoids(head) ?? closedPayment(record, terminal);
      if (closed || !head.registry) throw closed;
      const number = head.void + 1;
      const { receipt_number, amount } = record.payload;
      const facts = { registry: head.registry.id, void_number: voidNumber(terminal, number), reason: text };
      if (given) await checkCode(writing, { payment, void_number: facts.void_number, amount }, given);
      /** @type {VoidRecord} */
      const item = { ...facts, intent, seq: head.seq + 1, at, state: "requested", decided_by: null, decided_at: null, decision_reason: null, counted_registry: null, counted_seq: null, ...(given && { by_code: true }) };
      return {
        kind: "void_requested",
        payload: { ...facts, payment, receipt_number, amount, supervisor_code: given?.code ?? null },
        update: { ...record, voids: [...(record.voids ?? []), item] },
        head: { void: number, voids_waiting: [...(head.voids_waiting ?? []), payment] },
      };
    });
  } catch (error) {
    // The connection may have died after the commit: what is on disk decides, not what we heard of it.
    const stored = error instanceof PhoneError && error.code !== "storage_failed" ? null : await asked();
    if (stored) return stored;
    throw error;
  }
  const stored = await asked();
  if (!stored) throw new PhoneError("storage_failed", told("void_unread"));
  return stored;
}

/**
 * What a supervisor needs to give a code for the next void: its number, and the challenge bound to terminal, payment, number and amount.
 * @param {Writing} writing
 * @param {string} payment
 * @returns {Promise<{void_number: string, amount: number, challenge: string}|null>} null when this phone does not hold the payment
 */
export async function codeFacts({ store, terminal, subtle }, payment) {
  const record = await store.payment(payment);
  if (!record) return null;
  const void_number = voidNumber(terminal, (await store.head(terminal)).void + 1);
  const { amount } = record.payload;
  return { void_number, amount, challenge: await challenge({ terminal, payment, void_number, amount }, subtle) };
}

/**
 * Throws PhoneError when a code was mistyped or is for another number; whether it is the supervisor's only the portal can tell.
 * @param {Writing} writing
 * @param {{payment: string, void_number: string, amount: number}} facts
 * @param {{code: string, void_number: string}} given
 */
async function checkCode({ terminal, subtle }, facts, given) {
  const refuse = (/** @type {string} */ message) => {
    throw new PhoneError("invalid", message, { fields: [{ field: "supervisor_code", message }] });
  };
  if (given.void_number !== facts.void_number) {
    refuse(say("code_moved", { old: given.void_number, number: facts.void_number }));
  }
  if (!plausible(given.code, await challenge({ terminal, ...facts }, subtle))) {
    refuse(say("code_wrong"));
  }
}

/**
 * Write down one decision of the office, once, in an open registry before its Z-Reading; answers whether an entry was written.
 * @param {Writing} writing
 * @param {Decision} decision
 * @param {number} includedSeq up to where the downloaded list's figures hold this terminal's payments
 * @returns {Promise<boolean>}
 */
export async function writeDecision(writing, decision, includedSeq) {
  const { store, terminal } = writing;
  const nothing = new Error("nothing to write");
  const waits = async (/** @type {Head} */ head) => {
    const record = await store.payment(decision.payment);
    const item = record && lastVoid(record);
    const fits = record?.terminal === terminal && item?.state === "requested" && item.void_number === decision.void_number;
    return fits && !closedForVoids(head) ? { record, item } : null;
  };
  if (!(await waits(await store.head(terminal)))) return false;
  try {
    await write(writing, async (head) => {
      const found = await waits(head);
      if (!found || !head.registry) throw nothing;
      const { record, item } = found;
      const { payment, payload } = record;
      const { void_number, decision: state, decided_by, decided_at, reason } = decision;
      const approved = state === "approved";
      /** @type {VoidRecord} */
      const decided = { ...item, state, decided_by, decided_at, decision_reason: reason, counted_registry: head.registry.id, counted_seq: head.seq + 1 };
      return {
        kind: "void_decided",
        payload: { registry: head.registry.id, void_number, payment, amount: payload.amount, tender: payload.tender, decision: state, decided_by, decided_at },
        update: { ...record, voids: [...(record.voids ?? []).slice(0, -1), decided] },
        head: {
          voids_waiting: (head.voids_waiting ?? []).filter((id) => id !== payment),
          // The list's figures are less this payment still: only a new download gives the SOA its balance back.
          ...(approved && record.seq <= includedSeq ? { outdated_soas: [...(head.outdated_soas ?? []), payload.soa] } : {}),
        },
        // Cash went back to the customer: what was counted before is no longer in the bag.
        registry: approved && payload.tender === "cash" ? { last_cash_seq: head.seq + 1 } : {},
      };
    });
  } catch (error) {
    if (error !== nothing) throw error;
    return false;
  }
  return true;
}

/** What a payment's voids say: at most one waits or is approved, a refused one stands before the next. Pure. */

import { PhoneError } from "../errors.mjs";
import { wellFormed } from "./journal.mjs";
import { told } from "../words.mjs";

/** @typedef {import("../records.mjs").VoidRecord} VoidRecord */
/** @typedef {import("../records.mjs").Decision} Decision */

/** Most characters of a reason. */
export const LONGEST_REASON = 200;

/**
 * Why no void can be asked for now, or null.
 * @param {{registry: {z_done: boolean}|null}} head
 */
export function closedForVoids({ registry }) {
  if (!registry) return new PhoneError("no_registry", told("void_open_first"));
  if (!registry.z_done) return null;
  return new PhoneError("z_done", told("z_no_voids"));
}

/**
 * The void asked for last; null when there never was one.
 * @param {{voids?: VoidRecord[]}} payment
 */
export function lastVoid(payment) {
  return payment.voids?.at(-1) ?? null;
}

/**
 * Whether the office approved a void of this payment, so that it counts on its SOA no more. One that is only asked for still counts.
 * @param {{voids?: VoidRecord[]}} payment
 */
export function isVoided(payment) {
  return lastVoid(payment)?.state === "approved";
}

/**
 * The decisions in an answer's `voids` (docs/journal.md, Voids), those that can be used; null when the answer has no such list. Never throws: an
 * upload counts whatever else the answer holds.
 * @param {unknown} list
 * @returns {Decision[]|null}
 */
export function readDecisions(list) {
  if (!Array.isArray(list)) return null;
  return list.filter(isDecision).map(({ void_number, payment, decision, decided_by, decided_at, reason }) => ({
    void_number,
    payment,
    decision,
    decided_by: wellFormed(decided_by),
    decided_at,
    reason: typeof reason === "string" && reason ? reason : null,
  }));
}

/** @param {any} item @returns {item is Decision} */
function isDecision(item) {
  const texts = ["void_number", "payment", "decided_by", "decided_at"].every((name) => typeof item?.[name] === "string");
  return texts && ["approved", "refused"].includes(item.decision) && Number.isFinite(Date.parse(item.decided_at));
}

/** Visits without money: why nothing could be collected, or what was promised for which day. Each is one journal entry and one record. */

import { IntentTaken, PhoneError } from "./errors.mjs";
import { isDate, write } from "./confirm.mjs";
import { wellFormed } from "./domain/journal.mjs";
import { isCentavos } from "./domain/money.mjs";
import { say, told } from "./words.mjs";

/** @typedef {import("./records.mjs").VisitRecord} VisitRecord */
/** @typedef {{visit: string, kind: "no_collection"|"promise", soa: string, reason?: string, promised_on?: string, amount?: number|null, note?: string|null}} VisitDraft `visit` is the identity of the form */

/** Most characters of a reason and of a note. */
export const LONGEST = Object.freeze({ reason: 200, note: 500 });

/**
 * What is wrong with a draft; empty when nothing is. Pure.
 * @param {VisitDraft} draft
 * @param {string} today in Manila, `2026-11-20`
 * @returns {{field: string, message: string}[]}
 */
export function problemsOf(draft, today) {
  const problems = [];
  const promise = draft.kind === "promise";
  const reason = cleaned(draft.reason);
  if (!promise && !reason) problems.push({ field: "reason", message: say("say_why_none") });
  if (reason && reason.length > LONGEST.reason) problems.push({ field: "reason", message: say("reason_long", { most: LONGEST.reason }) });
  if (promise && !isDate(draft.promised_on)) problems.push({ field: "promised_on", message: say("choose_day") });
  else if (promise && /** @type {string} */ (draft.promised_on) < today) problems.push({ field: "promised_on", message: say("day_past") });
  const { amount } = draft;
  if (promise && amount !== null && amount !== undefined && (!isCentavos(amount) || amount === 0)) problems.push({ field: "amount", message: say("amount_or_none") });
  if ((cleaned(draft.note) ?? "").length > LONGEST.note) problems.push({ field: "note", message: say("note_long", { most: LONGEST.note }) });
  return problems;
}

/** @param {string|null|undefined} text */
function cleaned(text) {
  return wellFormed(String(text ?? "")).replaceAll("\0", "").trim() || null;
}

/**
 * Store a visit durably. The same `visit` again answers the first one. Throws PhoneError (with `fields`) and then nothing was stored.
 * @param {import("./confirm.mjs").Writing} writing
 * @param {VisitDraft} draft
 * @returns {Promise<VisitRecord>}
 */
export async function noteVisit(writing, draft) {
  const { store, terminal } = writing;
  const { visit, kind, soa } = draft;
  try {
    await write(writing, async (head, at) => {
      if (await store.visit(visit)) throw new IntentTaken();
      const problems = problemsOf(draft, at.slice(0, 10));
      if (problems.length) throw new PhoneError("invalid", problems.map(({ message }) => message).join(" "), { fields: problems });
      const note = cleaned(draft.note);
      const payload = kind === "promise" ? { visit, soa, promised_on: draft.promised_on, amount: draft.amount ?? null, note } : { visit, soa, reason: cleaned(draft.reason), note };
      return { kind, payload, visit: { visit, terminal, seq: head.seq + 1, at, kind, soa, payload }, head: { visit_seq: head.seq + 1 } };
    });
  } catch (error) {
    // The connection may have died after the commit: what is on disk decides, not what we heard of it.
    const stored = error instanceof PhoneError && error.code !== "storage_failed" ? null : await store.visit(visit);
    if (stored) return stored;
    throw error;
  }
  const stored = await store.visit(visit);
  if (!stored) throw new PhoneError("storage_failed", told("visit_unread"));
  return stored;
}

// @ts-check
/** How figures, dates and statuses are written on the phone: pesos from centavos, times in Asia/Manila. */
import { businessDate, day } from "../clock.mjs";
import { registryDone, registryOverdue } from "../errors.mjs";
import { inWords, parse, show, showPesos } from "../domain/money.mjs";
import { say, text } from "../words.mjs";

export { day, inWords, parse, show, showPesos };

const ZONE = "Asia/Manila";
const TIME = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const ISO_DAY = new Intl.DateTimeFormat("en-CA", { timeZone: ZONE, year: "numeric", month: "2-digit", day: "2-digit" });

/** `08:15` in Manila. @param {string | null | undefined} value */
export function time(value) {
  if (!value) return "";
  const moment = new Date(value);
  return Number.isNaN(moment.getTime()) ? value : TIME.format(moment);
}

/** `20 Nov 2026, 08:15`. @param {string | null | undefined} value */
export function dayTime(value) {
  return value ? `${day(value)}, ${time(value)}` : "";
}

/** `08:15`, with its day before it when that is not `date`. @param {string | null | undefined} value @param {string | null | undefined} date `2026-11-20` */
export function timeOn(value, date) {
  const moment = new Date(value ?? "");
  return date && !Number.isNaN(moment.getTime()) && businessDate(moment.getTime()) !== date ? dayTime(value) : time(value);
}

/** Why a registry left open takes no payment today; null when it does. @param {any} state */
export function overdueWords(state) {
  const { registry, today: date } = state;
  return registry && !registry.z_done && registry.business_date < date ? text(registryOverdue(registry.business_date, date)) : null;
}

/** What to say when the registry of today is closed already; null when it is not. @param {any} state */
export function doneWords(state) {
  const { registry, last_registry: last, today: date } = state;
  return !registry && last && last.business_date === date ? text(registryDone(date)) : null;
}

/** Today's date in Manila, `2026-11-20`. @param {Date} now */
export function today(now) {
  return ISO_DAY.format(now);
}

/** How long ago, in the largest unit that fits: `4 min`, `2 h`, `3 d`. @param {string} instant @param {Date} now */
export function age(instant, now) {
  const minutes = Math.max(0, Math.floor((now.getTime() - new Date(instant).getTime()) / 60000));
  if (minutes < 60) return say("n_min", { n: minutes < 1 ? "<1" : minutes });
  return minutes < 48 * 60 ? say("n_h", { n: Math.floor(minutes / 60) }) : say("n_d", { n: Math.floor(minutes / 1440) });
}

/** What other users left unsent on this phone and how it leaves: names and numbers only. Empty when there is nothing. @param {{name: string, count: number}[]} others */
export function othersWords(others) {
  return others.map(({ name, count }) => say("others_left", { name, count })).join(" ");
}

/** Centavos a person typed, null when empty; `problem` says what is wrong with it. @param {string} text @returns {{value: number | null, problem: string}} */
export function typedAmount(text) {
  if (!text.trim()) return { value: null, problem: "" };
  try {
    return { value: parse(text), problem: "" };
  } catch (error) {
    return { value: null, problem: error instanceof Error ? error.message : String(error) };
  }
}

/** @type {import("../words.mjs").Key[]} */
export const TENDERS = ["cash", "check", "e_wallet", "bank_transfer"];

/** `E-wallet GCash`. @param {string} tender @param {string | null} [channel] */
export function tenderName(tender, channel) {
  const name = TENDERS.includes(/** @type {any} */ (tender)) ? say(/** @type {any} */ (tender)) : tender;
  return channel ? `${name} ${channel}` : name;
}

/** @type {Record<string, "plain" | "safe" | "person" | "danger">} */
const STATES = { saved: "plain", uploaded: "safe", quarantined: "person", conflict: "person" };

/** The word and colour of a payment's place. @param {string} status @returns {{text: string, tone: "plain" | "safe" | "person" | "danger"}} */
export function stateWord(status) {
  return STATES[status] ? { text: say(/** @type {any} */ (status)), tone: STATES[status] } : { text: status, tone: "plain" };
}

/**
 * The word and colour of a void (what `phone.receipt()` has as `void`): `voided (T07-V000004)`.
 * @param {any} item @returns {{text: string, tone: "plain" | "safe" | "person" | "danger"}}
 */
export function voidWord({ void_number, state, status, heard, by_code }) {
  if (state === "approved") return { text: say("voided", { number: void_number }), tone: "danger" };
  if (state === "refused") return { text: say("void_refused"), tone: "plain" };
  if (heard) return { text: say(heard.decision === "approved" ? "void_approved_noted" : "void_refused_noted"), tone: "person" };
  if (STATES[status] === "person") return { text: say("void_check"), tone: "person" };
  if (by_code && status === "saved") return { text: say("void_by_code"), tone: "person" };
  return { text: by_code ? say("void_code_lost") : say("void_asked"), tone: "person" };
}

/** Everything that is known of a void, as sentences. @param {any} item */
export function voidWords(item) {
  const { decision, decided_by: by, reason: why } = item.heard ?? { decision: item.state, decided_by: item.decided_by, reason: item.decision_reason };
  if (decision === "refused") return sentence(say("void_refused_by", { number: item.void_number, by, why: why ? `: ${why}` : "" }));
  const open = !item.by_code ? say("waits_office") : item.status === "saved" ? say("by_code") : say("waits_code_lost");
  const asked = say("void_words", { number: item.void_number, state: decision === "approved" ? say("approved_by", { by }) : open, reason: item.reason });
  return `${sentence(asked)}${item.status_reason ? ` ${sentence(item.status_reason)}` : ""}`;
}

/** How many voids a reading leaves out; empty when none waits. @param {number} count */
export function waitingVoids(count) {
  return count ? say("voids_wait", { count }) : "";
}

/** @param {string} text */
function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** What a visit without money came to: `Promised ₱500.00 for 30 Nov 2026`, `Nobody home`. @param {{kind: string, payload: Record<string, any>}} visit */
export function visitWords({ kind, payload }) {
  if (kind !== "promise") return payload.reason;
  return say(payload.amount ? "promised_amount" : "promised", { amount: showPesos(payload.amount ?? 0), date: day(payload.promised_on) });
}

/** True when money is late, not only a date past. @param {{days_overdue: number, amount_due: number}} soa */
export function isLate(soa) {
  return soa.days_overdue > 0 && soa.amount_due > 0;
}

/** When a SOA falls due, in words. @param {{due_date: string, days_overdue: number, amount_due: number}} soa @param {string} date today in Manila */
export function dueWords(soa, date) {
  if (soa.amount_due === 0) return say("nothing_left");
  if (soa.days_overdue > 0) return say("days_overdue", { count: soa.days_overdue });
  return soa.due_date === date ? say("due_today") : say("due", { when: day(soa.due_date) });
}

// @ts-check
/** How figures, dates and statuses are written on the phone: pesos from centavos, times in Asia/Manila. */
import { businessDate, day } from "../clock.mjs";
import { registryDone, registryOverdue } from "../errors.mjs";
import { inWords, parse, show, showPesos } from "../domain/money.mjs";

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
  return registry && !registry.z_done && registry.business_date < date ? registryOverdue(registry.business_date, date) : null;
}

/** What to say when the registry of today is closed already; null when it is not. @param {any} state */
export function doneWords(state) {
  const { registry, last_registry: last, today: date } = state;
  return !registry && last && last.business_date === date ? registryDone(date) : null;
}

/** Today's date in Manila, `2026-11-20`. @param {Date} now */
export function today(now) {
  return ISO_DAY.format(now);
}

/** How long ago, in the largest unit that fits: `4 min`, `2 h`, `3 d`. @param {string} instant @param {Date} now */
export function age(instant, now) {
  const minutes = Math.max(0, Math.floor((now.getTime() - new Date(instant).getTime()) / 60000));
  if (minutes < 1) return "<1 min";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h`;
  return `${Math.floor(minutes / 1440)} d`;
}

/** `1 payment`, `3 payments`. @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** What other users left unsent on this phone and how it leaves: names and numbers only. Empty when there is nothing. @param {{name: string, count: number}[]} others */
export function othersWords(others) {
  return others.map(({ name, count }) => `${counted(count, "entry", "entries")} of ${name} ${count === 1 ? "is" : "are"} still on this phone. Log in as ${name} to upload ${count === 1 ? "it" : "them"}.`).join(" ");
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

/** @type {Record<string, string>} */
const TENDERS = { cash: "Cash", check: "Check", e_wallet: "E-wallet", bank_transfer: "Bank transfer" };

/** `E-wallet GCash`. @param {string} tender @param {string | null} [channel] */
export function tenderName(tender, channel) {
  return channel ? `${TENDERS[tender] ?? tender} ${channel}` : (TENDERS[tender] ?? tender);
}

/** @type {Record<string, {text: string, tone: "plain" | "safe" | "person" | "danger"}>} */
const STATES = {
  saved: { text: "Saved on this phone", tone: "plain" },
  uploaded: { text: "Uploaded", tone: "safe" },
  quarantined: { text: "Uploaded, office must check", tone: "person" },
  conflict: { text: "Uploaded, held for the office", tone: "person" },
};

/** The word and colour of a payment's place. @param {string} status */
export function stateWord(status) {
  return STATES[status] ?? { text: status, tone: "plain" };
}

/**
 * The word and colour of a void (what `phone.receipt()` has as `void`): `voided (T07-V000004)`.
 * @param {any} item @returns {{text: string, tone: "plain" | "safe" | "person" | "danger"}}
 */
export function voidWord({ void_number, state, status, heard, by_code }) {
  if (state === "approved") return { text: `voided (${void_number})`, tone: "danger" };
  if (state === "refused") return { text: "void refused", tone: "plain" };
  if (heard) return { text: `void ${heard.decision}, noted in the next registry`, tone: "person" };
  if (STATES[status]?.tone === "person") return { text: "void asked for, office must check", tone: "person" };
  if (by_code && status === "saved") return { text: "void approved by code, to be confirmed at upload", tone: "person" };
  return { text: by_code ? "void asked for, code not taken" : "void asked for", tone: "person" };
}

/** Everything that is known of a void, as sentences. @param {any} item */
export function voidWords(item) {
  const { decision, decided_by: by, reason: why } = item.heard ?? { decision: item.state, decided_by: item.decided_by, reason: item.decision_reason };
  if (decision === "refused") return sentence(`Void ${item.void_number} refused by ${by}${why ? `: ${why}` : ""}`);
  const open = !item.by_code ? "waits for the office" : item.status === "saved" ? "approved by a supervisor's code, to be confirmed at upload" : "waits for the office: its code was not taken";
  const asked = `Void ${item.void_number} ${decision === "approved" ? `approved by ${by}` : open}. Reason: ${item.reason}`;
  return `${sentence(asked)}${item.status_reason ? ` ${sentence(item.status_reason)}` : ""}`;
}

/** How many voids a reading leaves out; empty when none waits. @param {number} count */
export function waitingVoids(count) {
  if (!count) return "";
  return count === 1 ? "1 void waits for the office and is not in this reading." : `${count} voids wait for the office and are not in this reading.`;
}

/** @param {string} text */
function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** What a visit without money came to: `Promised ₱500.00 for 30 Nov 2026`, `Nobody home`. @param {{kind: string, payload: Record<string, any>}} visit */
export function visitWords({ kind, payload }) {
  if (kind !== "promise") return payload.reason;
  return `Promised${payload.amount ? ` ${showPesos(payload.amount)}` : ""} for ${day(payload.promised_on)}`;
}

/** True when money is late, not only a date past. @param {{days_overdue: number, amount_due: number}} soa */
export function isLate(soa) {
  return soa.days_overdue > 0 && soa.amount_due > 0;
}

/** When a SOA falls due, in words. @param {{due_date: string, days_overdue: number, amount_due: number}} soa @param {string} date today in Manila */
export function dueWords(soa, date) {
  if (soa.amount_due === 0) return "Nothing left to pay";
  if (soa.days_overdue > 0) return `${counted(soa.days_overdue, "day")} overdue`;
  return soa.due_date === date ? "Due today" : `Due ${day(soa.due_date)}`;
}

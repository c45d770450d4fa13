/**
 * How well this browser keeps what is stored: what is looked at before each day's opening, and what follows from it. Something refuses only when
 * the next payment could not be kept, or its number could have been used before; all else warns, for a collector who stays at home collects nothing.
 */

import { say } from "./words.mjs";

/** @typedef {import("./session.mjs").From} From */
/** @typedef {import("./words.mjs").Key} Key */
/** @typedef {{terminal: string, seq: number, date: string}} Canary what each opening of a registry leaves in the records and, again, beside them */
/** @typedef {"new"|"intact"|"older"|"gone"|"alone"} CanaryState `older`: the records are an old copy; `gone`: they were erased; `alone`: only its twin beside the records was */
/**
 * @typedef {{persisted: boolean|null, installed: boolean|null, worker: boolean, quota: number|null, usage: number|null, needed: number, writes: string|null,
 *   canary: CanaryState, before: Canary|null, pin: boolean, opened_before: boolean, online: boolean}} Facts
 *   `writes`: why a test record could not be written and read back, or null; `opened_before`: a registry was opened here already
 */
/** @typedef {{name: string, level: "good"|"warning"|"refused", words: string}} Finding */

const MEGA = 1_000_000;
/** Less free than this holds no day's work. */
export const LEAST_FREE = 5 * MEGA;
/** Room for a day beside the list of SOAs: entries, receipts, what the browser itself needs to write. */
const DAY_ROOM = 20 * MEGA;
/** Browsers give a window that forgets a share of the memory; a phone's own storage is larger. */
const SMALL_QUOTA = 1_000 * MEGA;
/** Begins the key, beside the records, of the last opening by each user. */
export const CANARY = "mpos-canary:";
const PROBE_BYTES = 200_000;

/** @param {number} bytes */
const megabytes = (bytes) => `${Math.max(Math.floor(bytes / MEGA), 0).toLocaleString("en-US")} MB`;

/**
 * What the facts mean, in the order they are shown. Pure.
 * @param {Facts} facts
 * @returns {Finding[]}
 */
export function judge(facts) {
  /** @type {Finding[]} */
  const found = [];
  const find = (/** @type {Key} */ key, /** @type {Finding["level"]} */ level, /** @type {string} */ words) => found.push({ name: say(key), level, words });
  const { before } = facts;

  if (facts.canary === "older") {
    find("yesterday", "refused", say("canary_older", { terminal: before?.terminal, date: before?.date }));
  } else if (facts.canary === "gone") {
    find("yesterday", "warning", say("canary_gone", { terminal: before?.terminal, date: before?.date }));
  } else if (facts.canary === "alone") {
    find("yesterday", "warning", say("canary_alone"));
  } else {
    find("yesterday", "good", facts.canary === "new" ? say("canary_new") : say("canary_good", { date: before?.date }));
  }

  const free = facts.quota === null || facts.usage === null ? null : facts.quota - facts.usage;
  if (facts.writes !== null) {
    find("free_space", "refused", say("test_failed", { why: facts.writes }));
  } else if (free !== null && free < LEAST_FREE) {
    find("free_space", "refused", say("space_none", { free: megabytes(free), needed: megabytes(facts.needed) }));
  } else if (free !== null && free < facts.needed) {
    find("free_space", "warning", say("space_little", { free: megabytes(free), needed: megabytes(facts.needed) }));
  } else {
    find("free_space", "good", free === null ? say("test_good") : say("space_good", { free: megabytes(free), needed: megabytes(facts.needed) }));
  }

  if (!facts.worker || (facts.quota !== null && facts.quota < SMALL_QUOTA)) {
    find("ordinary_window", "warning", say("private"));
  } else {
    find("ordinary_window", "good", say("not_private"));
  }

  if (facts.persisted === false) {
    find("protected", "warning", say("not_promised"));
  } else {
    find("protected", "good", facts.persisted ? say("promised_kept") : say("promise_unknown"));
  }

  if (facts.installed === false) {
    find("home_screen", "warning", say("not_installed"));
  } else if (facts.installed) {
    find("home_screen", "good", say("installed"));
  }

  if (facts.pin) {
    find("pin", "good", say("pin_good"));
  } else if (facts.opened_before && facts.online) {
    find("pin", "refused", say("pin_needed"));
  } else {
    find("pin", "warning", say("pin_missing"));
  }
  return found;
}

/**
 * How the last opening that is remembered beside the records stands to the records. Pure.
 * @param {Canary|null} beside
 * @param {Canary|null} kept in the records
 * @param {string[]} codes the terminals that have records
 * @param {import("./records.mjs").Head|null} head of the present terminal
 * @returns {CanaryState}
 */
export function canaryState(beside, kept, codes, head) {
  if (!beside) return kept ? "alone" : "new";
  if (!codes.includes(beside.terminal)) return "gone";
  if (head?.terminal !== beside.terminal) return "intact"; // an earlier terminal's; the present one was never opened
  return head.seq < beside.seq ? "older" : "intact";
}

/**
 * What the browser says of itself, asked before an opening. Never throws.
 * @param {From} from
 * @param {import("./db.mjs").Store} store
 * @param {number} listBytes of the downloaded list
 * @returns {Promise<Pick<Facts, "persisted"|"installed"|"worker"|"quota"|"usage"|"needed"|"writes">>}
 */
export async function askBrowser(from, store, listBytes) {
  const { storage } = from;
  const silent = () => null;
  const persisted = (await storage?.persist?.().catch(silent)) ?? null;
  const estimate = (await storage?.estimate?.().catch(silent)) ?? null;
  return {
    persisted,
    installed: from.installed(),
    worker: from.serviceWorker !== undefined || storage === undefined,
    quota: estimate?.quota ?? null,
    usage: estimate?.usage ?? null,
    needed: DAY_ROOM + 3 * listBytes,
    writes: await probe(from, store),
  };
}

/**
 * Write a test record where the payments go and read it back; why it did not work, or null.
 * @param {From} from
 * @param {import("./db.mjs").Store} store
 */
async function probe(from, store) {
  const piece = from.crypto.getRandomValues(new Uint8Array(50_000));
  const test = new Uint8Array(PROBE_BYTES).map((_, index) => piece[index % piece.length]);
  try {
    await store.setMeta("probe", { test });
    const read = (await store.meta("probe"))?.test;
    await store.setMeta("probe", undefined);
    return read instanceof Uint8Array && read.every((byte, index) => byte === test[index]) ? null : say("test_changed");
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

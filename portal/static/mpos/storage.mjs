/**
 * How well this browser keeps what is stored: what is looked at before each day's opening, and what follows from it. Something refuses only when
 * the next payment could not be kept, or its number could have been used before; all else warns, for a collector who stays at home collects nothing.
 */

/** @typedef {import("./session.mjs").From} From */
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
  const say = (/** @type {string} */ name, /** @type {Finding["level"]} */ level, /** @type {string} */ words) => found.push({ name, level, words });
  const { before } = facts;

  if (facts.canary === "older") {
    say("Yesterday's records", "refused", `The phone's records of terminal ${before?.terminal} are older than its opening of ${before?.date}: an old copy was put back. Its receipt numbers may be in use already, so it must not go on. See the office: they revoke ${before?.terminal}, then enroll this phone as a new terminal.`);
  } else if (facts.canary === "gone") {
    say("Yesterday's records", "warning", `This browser erased the phone's records of terminal ${before?.terminal}, last opened on ${before?.date}. What was not uploaded from it is lost here. Tell the office now, before you collect: they look for it and revoke ${before?.terminal}.`);
  } else if (facts.canary === "alone") {
    say("Yesterday's records", "warning", "The records are there, but this browser erased the mark beside them: somebody cleared its data in part, or it forgets. Upload often, and install the app.");
  } else {
    say("Yesterday's records", "good", facts.canary === "new" ? "This is the first opening on this phone." : `All there since the opening of ${before?.date}.`);
  }

  const free = facts.quota === null || facts.usage === null ? null : facts.quota - facts.usage;
  if (facts.writes !== null) {
    say("Free space", "refused", `A test record could not be stored: ${facts.writes}`);
  } else if (free !== null && free < LEAST_FREE) {
    say("Free space", "refused", `Only ${megabytes(free)} are free for this app, and a day's payments need ${megabytes(facts.needed)}. Delete photos or videos on this phone, then check again.`);
  } else if (free !== null && free < facts.needed) {
    say("Free space", "warning", `${megabytes(free)} are free for this app; ${megabytes(facts.needed)} are better. Delete photos or videos on this phone soon, and upload often.`);
  } else {
    say("Free space", "good", free === null ? "A test record was stored and read back." : `${megabytes(free)} are free; a day needs ${megabytes(facts.needed)}.`);
  }

  if (!facts.worker || (facts.quota !== null && facts.quota < SMALL_QUOTA)) {
    say("Ordinary window", "warning", "This looks like a private (incognito) window, which erases all payments when it is closed. If it is one, open the app in an ordinary window or from the home screen instead.");
  } else {
    say("Ordinary window", "good", "This is not a private window, as far as the browser tells.");
  }

  if (facts.persisted === false) {
    say("Protected storage", "warning", "The browser has not promised to keep the payments when the phone's space runs short. Install the app on the home screen, keep space free, and upload often.");
  } else {
    say("Protected storage", "good", facts.persisted ? "The browser keeps the payments, even when space runs short." : "This browser does not tell whether it protects the payments.");
  }

  if (facts.installed === false) {
    say("On the home screen", "warning", "The app is not installed, so it is easier to lose: in the browser's menu choose Install app or Add to Home screen, and open it from there.");
  } else if (facts.installed) {
    say("On the home screen", "good", "The app is installed.");
  }

  if (facts.pin) {
    say("PIN", "good", "What this phone keeps is sealed; only your PIN or your password opens it.");
  } else if (facts.opened_before && facts.online) {
    say("PIN", "refused", "This phone has no PIN yet, so whoever finds it can read your customers and payments. Log in with your password and choose one; it takes a minute.");
  } else {
    say("PIN", "warning", "This phone has no PIN yet, so whoever finds it can read your customers and payments. Choose one as soon as there is a connection.");
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
    return read instanceof Uint8Array && read.every((byte, index) => byte === test[index]) ? null : "it came back changed. Restart the phone; if this stays, use another phone.";
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

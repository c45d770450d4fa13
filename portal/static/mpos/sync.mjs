/**
 * Download of the SOA list and upload of the journal. Nothing here deletes anything: a download replaces only the list, an upload only marks
 * entries, and only those an answer of the portal names.
 */

import { PortalError } from "./api.mjs";
import { write } from "./confirm.mjs";
import { flaw, pack, SoaTable } from "./domain/columns.mjs";
import { isCentavos } from "./domain/money.mjs";
import { signUpload } from "./domain/journal.mjs";
import { PhoneError } from "./errors.mjs";
import { SoaList } from "./search.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./records.mjs").Snapshot} Snapshot */
/** @typedef {import("./records.mjs").StoredEntry} StoredEntry */
/** @typedef {import("./records.mjs").Terminal} Terminal */
/** @typedef {import("./records.mjs").Problem} Problem */

/** Most entries in one request, as docs/journal.md sets it. */
export const BATCH = 500;
/** Bytes of entries in one request: below the portal's 2 MB with room for the rest. */
const BATCH_BYTES = 1_500_000;
const STATUSES = ["stored", "repeat", "quarantined", "conflict", "held"];

/**
 * The downloaded list when all of it is right, and what is kept of it. Throws PhoneError bad_snapshot naming what is wrong; then the old list stays.
 * @param {{body: Uint8Array, answer: Record<string, any>, etag: string|null}} downloaded
 * @returns {{snapshot: Snapshot, columns: import("./domain/columns.mjs").Columns}}
 */
export function checkSnapshot({ body, answer, etag }) {
  const wrong = (/** @type {any} */ what) =>
    new PhoneError("bad_snapshot", told("bad_list", { what }));
  const { columns, ...head } = answer;
  const found = flaw(columns, answer.count);
  if (found) throw wrong(found);
  if (typeof answer.as_of !== "string" || typeof answer.business !== "object" || !answer.business) throw wrong(told("list_no_date"));
  const included = answer.included ?? {};
  if (!Object.values(included).every((seq) => Number.isSafeInteger(seq))) throw wrong(told("list_included"));
  const { ids, amounts } = new SoaTable(columns);
  if (new Set(ids).size !== ids.length) throw wrong(told("list_twice"));
  if (!amounts.every(isCentavos)) throw wrong(told("list_amount"));
  if (amounts.reduce((sum, amount) => sum + amount, 0) !== answer.amount_due) throw wrong(told("list_total"));
  return { snapshot: /** @type {Snapshot} */ ({ ...head, included, etag, body }), columns };
}

/**
 * The list of a stored snapshot. One that an older version of the app stored holds its SOAs one by one.
 * @param {Snapshot} snapshot
 * @param {import("./search.mjs").Prepared} [prepared] what was made ready for searching it
 */
export function listOf({ body, soas }, prepared) {
  return new SoaList(body ? JSON.parse(new TextDecoder().decode(body)).columns : pack(soas ?? []), prepared);
}

/**
 * Download the list of SOAs; checked as a whole before it replaces the old one, in the transaction that journals it.
 * @param {import("./confirm.mjs").Writing} writing
 * @param {import("./api.mjs").Api} api
 * @param {Snapshot|null} old
 * @param {(progress: {received: number, total: number|null, stage: string}) => void} onProgress stage: asking, receiving, checking, saving, done
 * @returns {Promise<{snapshot: Snapshot, list: SoaList, seq: number}|null>} `seq`: its place in the journal; null when nothing is new
 */
export async function download(writing, api, old, onProgress) {
  let last = { received: 0, total: /** @type {number|null} */ (null) };
  const stage = (/** @type {string} */ name) => onProgress({ ...last, stage: name });
  stage("asking");
  const downloaded = await api.soas(old?.etag ?? null, (progress) => {
    last = progress;
    stage("receiving");
  });
  if (downloaded === null) {
    stage("done");
    return null;
  }
  stage("checking");
  const { snapshot, columns } = checkSnapshot(downloaded);
  stage("saving");
  const { snapshot: id, as_of, count, amount_due } = snapshot;
  const payload = { snapshot: id, as_of, count, amount_due };
  const { head } = await write(writing, (before) => ({ kind: "soa_downloaded", payload, snapshot, head: { list_seq: before.seq + 1, outdated_soas: [] } }));
  stage("done");
  return { snapshot, list: new SoaList(columns), seq: head.list_seq };
}

/**
 * Send what is unsent of one terminal, batch after batch, until nothing is left or something stands in the way. The caller holds the upload lock.
 * Answers what was marked; `problem` says why it stopped early, `wait` (milliseconds) what the portal asked for, `again` whether a later try can help.
 * @param {{store: import("./db.mjs").Store, api: import("./api.mjs").Api, subtle: SubtleCrypto, signedIn?: boolean, onVoids?: (voids: unknown, expenses: unknown) => Promise<void>, onBatch?: () => void|Promise<void>}} tools
 *   `onVoids` hears the `voids` and `expenses` of each answer; what it writes to the journal is sent as well
 * @param {Terminal} terminal
 * @returns {Promise<{sent: number, acknowledged: number, problem: Problem|null, again: boolean, wait: number|null}>}
 */
export async function drain({ store, api, subtle, signedIn = true, onVoids, onBatch }, terminal) {
  let limit = BATCH;
  let sent = 0;
  let acknowledged = terminal.acknowledged_seq;
  /** @type {number|null} after a `held`: where the portal wants to go on from */
  let from = null;
  /** @type {number|null} */
  let heldAt = null;
  const stop = (/** @type {Problem} */ problem, again = false, wait = /** @type {number|null} */ (null)) => ({ sent, acknowledged, problem, again, wait });
  for (;;) {
    const waiting = from === null ? await store.unsent(terminal.code, limit) : await store.entries(terminal.code, from, from + limit - 1);
    if (!waiting.length) return { sent, acknowledged, problem: null, again: false, wait: null };
    const batch = fitting(waiting);
    const last = batch[batch.length - 1].entry;
    let answer;
    try {
      const signature = await signUpload(terminal.private_key, terminal.code, last.seq, last.hash, subtle);
      answer = await api.journal(terminal.code, batch.map(({ entry }) => entry), signature, signedIn);
    } catch (error) {
      if (!(error instanceof PortalError)) throw error;
      const tooMuch = error.status === 413 || error.code === "timeout";
      if (tooMuch && batch.length > 1) {
        limit = Math.max(1, Math.min(Math.floor(batch.length / 2), error.limit ?? BATCH));
        if (error.code !== "timeout") continue;
      }
      return stop({ code: error.code, message: error.words }, error.again, error.retryAfter);
    }
    const hashes = new Map(batch.map(({ seq, entry }) => [seq, entry.hash]));
    const named = answer.verdicts.filter((verdict) => hashes.has(verdict.seq) && STATUSES.includes(verdict.status));
    const held = named.some((verdict) => verdict.status === "held");
    const verdicts = named
      .filter((verdict) => verdict.status !== "held")
      .map(({ seq, status, reason }) => ({ seq, status, reason: typeof reason === "string" ? reason : null, hash: hashes.get(seq) ?? "" }));
    acknowledged = answer.acknowledged_seq;
    const marked = await store.mark(terminal.code, verdicts, acknowledged);
    sent += marked;
    await onVoids?.(answer.voids, answer.expenses);
    await onBatch?.();
    if (held) {
      if (heldAt !== null && acknowledged <= heldAt) {
        return stop({
          code: "gap",
          message: told("journal_gap", { seq: String(acknowledged + 1), terminal: terminal.code }),
        }, true);
      }
      heldAt = acknowledged;
      from = acknowledged + 1;
    } else if (from !== null) {
      from = last.seq + 1;
      if (!(await store.entries(terminal.code, from, from)).length) from = null;
    } else if (marked === 0) {
      return stop({
        code: "strange_answer",
        message: told("answered_other"),
      }, true);
    }
  }
}

/**
 * The first entries that fit into one request.
 * @param {StoredEntry[]} waiting at least one
 */
function fitting(waiting) {
  let bytes = 0;
  let count = 0;
  for (const { entry } of waiting) {
    bytes += JSON.stringify(entry).length * 1.1; // texts outside ASCII take more bytes than characters
    if (count > 0 && bytes > BATCH_BYTES) break;
    count += 1;
  }
  return waiting.slice(0, count);
}

/**
 * Compare what the portal holds of a terminal with this phone's journal. Answers why this terminal must not write any more (or null), and up to
 * where the portal really has everything when it has less than this phone believed (or null).
 * @param {import("./db.mjs").Store} store
 * @param {string} terminal
 * @param {{acknowledged_seq: number, head_hash?: string|null}} theirs
 * @returns {Promise<{stopped: Problem|null, resendAfter: number|null}>}
 */
export async function compare(store, terminal, theirs) {
  const head = await store.head(terminal);
  const seq = theirs.acknowledged_seq;
  if (seq > head.seq) {
    return {
      stopped: {
        code: "records_lost",
        message: told("records_lost", { seq: String(seq), terminal, own: String(head.seq) }),
      },
      resendAfter: null,
    };
  }
  if (seq === 0) return { stopped: null, resendAfter: (await marksAfter(store, terminal, 0)) ? 0 : null };
  const [mine] = await store.entries(terminal, seq, seq);
  if (theirs.head_hash && mine?.entry.hash !== theirs.head_hash) {
    return {
      stopped: {
        code: "records_differ",
        message: told("records_differ", { seq: String(seq), terminal }),
      },
      resendAfter: null,
    };
  }
  return { stopped: null, resendAfter: (await marksAfter(store, terminal, seq)) ? seq : null };
}

/** @param {import("./db.mjs").Store} store @param {string} terminal @param {number} seq */
async function marksAfter(store, terminal, seq) {
  const [next] = await store.entries(terminal, seq + 1, seq + 1);
  return Boolean(next && !next.unsent);
}

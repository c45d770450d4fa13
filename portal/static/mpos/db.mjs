/**
 * The phone's records in IndexedDB, one database per user. Money is written by `append` alone: all of it in one strict transaction, or nothing.
 * tests/js/memory_store.mjs has the same methods. Upgrades only add: a phone with unsent payments may skip many releases.
 */

import { FIRST_PREV } from "./domain/journal.mjs";
import { HeadMoved, IntentTaken, PhoneError, storageError } from "./errors.mjs";

/** @typedef {import("./records.mjs").Entry} Entry */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").StoredEntry} StoredEntry */
/** @typedef {import("./records.mjs").Snapshot} Snapshot */
/** @typedef {import("./records.mjs").Terminal} Terminal */
/** @typedef {import("./records.mjs").VisitRecord} VisitRecord */

const VERSION = 2;
const STRICT = /** @type {IDBTransactionOptions} */ ({ durability: "strict" });

/** Verdicts that a person has to look at. */
export const TROUBLES = Object.freeze(["quarantined", "conflict"]);

/**
 * A journal without entries.
 * @param {string} terminal
 * @returns {Head}
 */
export function emptyHead(terminal) {
  return {
    terminal,
    seq: 0,
    hash: FIRST_PREV,
    at: null,
    receipt: 0,
    void: 0,
    z_counter: 0,
    accumulated: 0,
    reset_counter: 0,
    list_seq: 0,
    registry: null,
    last_registry: null,
  };
}

/**
 * A stored entry as it is after a verdict. What a person should see (quarantined, conflict) is not covered up by a later `repeat`.
 * @param {StoredEntry} stored
 * @param {{status: string, reason: string|null}} verdict
 * @returns {StoredEntry}
 */
export function marked(stored, verdict) {
  const { unsent: _sent, ...rest } = stored;
  if (verdict.status === "repeat" && stored.status !== null) return rest;
  const trouble = TROUBLES.includes(verdict.status) ? { problem: /** @type {1} */ (1) } : {};
  return { ...rest, ...trouble, status: verdict.status, reason: verdict.reason };
}

/** @param {IDBDatabase} db @param {number} oldVersion */
function upgrade(db, oldVersion) {
  if (oldVersion < 1) {
    db.createObjectStore("meta");
    db.createObjectStore("terminals", { keyPath: "code" });
    db.createObjectStore("heads", { keyPath: "terminal" });
    const entries = db.createObjectStore("entries", { keyPath: ["terminal", "seq"] });
    entries.createIndex("unsent", ["terminal", "unsent", "seq"]); // only entries that have the mark are in it
    entries.createIndex("problem", ["terminal", "problem", "seq"]);
    const payments = db.createObjectStore("payments", { keyPath: "payment" });
    payments.createIndex("place", ["terminal", "seq"]);
    db.createObjectStore("snapshot");
  }
  if (oldVersion < 2) {
    const visits = db.createObjectStore("visits", { keyPath: "visit" });
    visits.createIndex("place", ["terminal", "seq"]);
  }
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** One IndexedDB database; opens itself when needed and again whenever the browser closed it (iOS does so in the background). */
export class Store {
  /**
   * @param {string} name
   * @param {{indexedDB: IDBFactory, keyRange: typeof IDBKeyRange}} browser
   */
  constructor(name, browser) {
    this.name = name;
    this._browser = browser;
    /** @type {Promise<IDBDatabase>|null} */
    this._opening = null;
  }

  /** @returns {Promise<IDBDatabase>} */
  _open() {
    this._opening ??= new Promise((resolve, reject) => {
      const request = this._browser.indexedDB.open(this.name, VERSION);
      request.onupgradeneeded = (event) => upgrade(request.result, event.oldVersion);
      request.onblocked = () =>
        reject(new PhoneError("blocked", "An older version of this app is open in another tab. Close the other tabs, then open the app again."));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const db = request.result;
        const forget = () => {
          this._opening = null;
        };
        db.onclose = forget;
        db.onversionchange = () => {
          forget();
          db.close(); // finishes what is running, then lets the newer version of the app upgrade
        };
        resolve(db);
      };
    });
    this._opening.catch(() => {
      this._opening = null;
    });
    return this._opening;
  }

  /**
   * Run `body` in one transaction; resolves with its answer only when the transaction is complete on disk.
   * @template T
   * @param {string[]} stores
   * @param {IDBTransactionMode} mode
   * @param {(transaction: IDBTransaction) => Promise<T>} body may await nothing but requests of this transaction
   * @returns {Promise<T>}
   */
  async _run(stores, mode, body) {
    try {
      const transaction = await this._begin(stores, mode);
      const done = new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onabort = () => reject(transaction.error ?? new DOMException("The transaction was given up.", "AbortError"));
      });
      done.catch(() => undefined); // told to the caller below, unless `body` failed first and says why
      let result;
      try {
        result = await body(transaction);
      } catch (error) {
        try {
          transaction.abort();
        } catch {
          // it had ended by itself, by the same error
        }
        await done.catch(() => undefined);
        throw error;
      }
      await done;
      return result;
    } catch (error) {
      throw storageError(error);
    }
  }

  /** @param {string[]} stores @param {IDBTransactionMode} mode */
  async _begin(stores, mode) {
    const db = await this._open();
    try {
      return db.transaction(stores, mode, mode === "readwrite" ? STRICT : {});
    } catch (error) {
      // The connection was closed under us; nothing has been written yet, so opening again is safe.
      if (/** @type {DOMException} */ (error).name !== "InvalidStateError") throw error;
      this._opening = null;
      return (await this._open()).transaction(stores, mode, mode === "readwrite" ? STRICT : {});
    }
  }

  /** Open the database now, so that a failure shows before anything is typed. */
  async ready() {
    await this._run(["meta"], "readonly", async () => undefined);
  }

  /** Close the connection; the next call opens it again. */
  async close() {
    const opening = this._opening;
    this._opening = null;
    if (opening) (await opening.catch(() => null))?.close();
  }

  /**
   * A small setting.
   * @param {string} key
   * @returns {Promise<any>} undefined when there is none
   */
  meta(key) {
    return this._run(["meta"], "readonly", (transaction) => answer(transaction.objectStore("meta").get(key)));
  }

  /**
   * @param {string} key
   * @param {unknown} value undefined removes the setting
   */
  async setMeta(key, value) {
    await this._run(["meta"], "readwrite", async (transaction) => {
      const store = transaction.objectStore("meta");
      await answer(/** @type {IDBRequest<any>} */ (value === undefined ? store.delete(key) : store.put(value, key)));
    });
  }

  /**
   * The small settings whose key begins with `prefix`, as [rest of the key, value].
   * @param {string} prefix
   * @returns {Promise<[string, any][]>}
   */
  metaLike(prefix) {
    const range = this._browser.keyRange.bound(prefix, `${prefix}\uffff`);
    return this._run(["meta"], "readonly", async (transaction) => {
      const store = transaction.objectStore("meta");
      const [keys, values] = await Promise.all([answer(store.getAllKeys(range)), answer(store.getAll(range))]);
      return keys.map((key, index) => [String(key).slice(prefix.length), values[index]]);
    });
  }

  /** @returns {Promise<Terminal[]>} every terminal this user ever enrolled in this browser */
  terminals() {
    return this._run(["terminals"], "readonly", (transaction) => answer(transaction.objectStore("terminals").getAll()));
  }

  /**
   * Change some fields of a terminal's record, or make it.
   * @param {string} code
   * @param {Partial<Terminal>} fields
   */
  async updateTerminal(code, fields) {
    await this._run(["terminals"], "readwrite", async (transaction) => {
      const store = transaction.objectStore("terminals");
      await answer(store.put({ ...(await answer(store.get(code))), ...fields, code }));
    });
  }

  /**
   * Where a terminal's journal stands; an empty one when it has no entry.
   * @param {string} terminal
   * @returns {Promise<Head>}
   */
  async head(terminal) {
    return (await this._run(["heads"], "readonly", (transaction) => answer(transaction.objectStore("heads").get(terminal)))) ?? emptyHead(terminal);
  }

  /**
   * Append one journal entry with everything that belongs to it, all or nothing, on disk when it resolves. The only way money is written.
   * Throws HeadMoved when the journal's head is no longer the entry's `prev`, IntentTaken when the new payment or visit exists, PhoneError disk_full.
   * @param {{entry: Entry, head: Head, payment?: PaymentRecord, update?: PaymentRecord, snapshot?: Snapshot, visit?: VisitRecord}} what
   *   `head` as it is after the entry; `payment` and `visit` new ones; `update` an existing payment changed; `snapshot` the new list of SOAs
   */
  async append({ entry, head, payment, update, snapshot, visit }) {
    const stores = ["heads", "entries", ...(payment || update ? ["payments"] : []), ...(snapshot ? ["snapshot"] : []), ...(visit ? ["visits"] : [])];
    await this._run(stores, "readwrite", async (transaction) => {
      const heads = transaction.objectStore("heads");
      const current = (await answer(heads.get(entry.terminal))) ?? emptyHead(entry.terminal);
      if (current.seq !== entry.seq - 1 || current.hash !== entry.prev) throw new HeadMoved();
      const writes = [];
      if (payment) {
        const payments = transaction.objectStore("payments");
        if ((await answer(payments.count(payment.payment))) > 0) throw new IntentTaken();
        writes.push(answer(payments.add(payment)));
      }
      if (update) writes.push(answer(transaction.objectStore("payments").put(update)));
      if (visit) {
        const visits = transaction.objectStore("visits");
        if ((await answer(visits.count(visit.visit))) > 0) throw new IntentTaken();
        writes.push(answer(visits.add(visit)));
      }
      /** @type {StoredEntry} */
      const stored = { terminal: entry.terminal, seq: entry.seq, entry, unsent: 1, status: null, reason: null };
      writes.push(answer(transaction.objectStore("entries").add(stored)));
      writes.push(answer(heads.put(head)));
      if (snapshot) writes.push(answer(transaction.objectStore("snapshot").put(snapshot, "current")));
      await Promise.all(writes);
    });
  }

  /**
   * Stored entries of a terminal from `from` to `to`, in order.
   * @param {string} terminal
   * @param {number} from
   * @param {number} [to]
   * @returns {Promise<StoredEntry[]>}
   */
  entries(terminal, from, to = Infinity) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, to]);
    return this._run(["entries"], "readonly", (transaction) => answer(transaction.objectStore("entries").getAll(range)));
  }

  /**
   * Entries not yet marked, in order.
   * @param {string} terminal
   * @param {number} [limit]
   * @returns {Promise<StoredEntry[]>}
   */
  unsent(terminal, limit) {
    return this._run(["entries"], "readonly", (transaction) =>
      answer(transaction.objectStore("entries").index("unsent").getAll(this._marked(terminal), limit)),
    );
  }

  /**
   * @param {string} terminal
   * @returns {Promise<{count: number, oldest_at: string|null}>}
   */
  async unsentSummary(terminal) {
    return this._run(["entries"], "readonly", async (transaction) => {
      const index = transaction.objectStore("entries").index("unsent");
      const counting = answer(index.count(this._marked(terminal)));
      const [first] = await answer(index.getAll(this._marked(terminal), 1));
      return { count: await counting, oldest_at: first ? first.entry.at : null };
    });
  }

  /**
   * Entries the office has to look at (quarantined or in conflict).
   * @param {string} terminal
   * @returns {Promise<StoredEntry[]>}
   */
  troubles(terminal) {
    return this._run(["entries"], "readonly", (transaction) =>
      answer(transaction.objectStore("entries").index("problem").getAll(this._marked(terminal))),
    );
  }

  /** @param {string} terminal */
  _marked(terminal) {
    return this._browser.keyRange.bound([terminal, 1, 0], [terminal, 1, Infinity]);
  }

  /**
   * Mark entries by the portal's verdicts; one whose hash is not the one that was sent stays as it is. Answers how many were marked.
   * @param {string} terminal
   * @param {{seq: number, hash: string, status: string, reason: string|null}[]} verdicts
   * @param {number} acknowledgedSeq
   * @returns {Promise<number>}
   */
  mark(terminal, verdicts, acknowledgedSeq) {
    return this._run(["entries", "terminals"], "readwrite", async (transaction) => {
      const entries = transaction.objectStore("entries");
      let count = 0;
      for (const verdict of verdicts) {
        const stored = await answer(entries.get([terminal, verdict.seq]));
        if (!stored || stored.entry.hash !== verdict.hash) continue;
        if (stored.unsent) count += 1;
        await answer(entries.put(marked(stored, verdict)));
      }
      const terminals = transaction.objectStore("terminals");
      const record = await answer(terminals.get(terminal));
      if (record) await answer(terminals.put({ ...record, acknowledged_seq: acknowledgedSeq }));
      return count;
    });
  }

  /**
   * The portal lost what it had after `acknowledgedSeq` (it was restored from a backup): those entries are unsent again.
   * @param {string} terminal
   * @param {number} acknowledgedSeq
   */
  async unmark(terminal, acknowledgedSeq) {
    const range = this._browser.keyRange.bound([terminal, acknowledgedSeq + 1], [terminal, Infinity]);
    await this._run(["entries"], "readwrite", async (transaction) => {
      const entries = transaction.objectStore("entries");
      for (const stored of await answer(entries.getAll(range))) await answer(entries.put({ ...stored, unsent: 1 }));
    });
  }

  /**
   * @param {string} id
   * @returns {Promise<PaymentRecord|null>}
   */
  async payment(id) {
    return (await this._run(["payments"], "readonly", (transaction) => answer(transaction.objectStore("payments").get(id)))) ?? null;
  }

  /**
   * Payments of a terminal from journal place `from` on, in order.
   * @param {string} terminal
   * @param {number} from
   * @returns {Promise<PaymentRecord[]>}
   */
  payments(terminal, from) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, Infinity]);
    return this._run(["payments"], "readonly", (transaction) => answer(transaction.objectStore("payments").index("place").getAll(range)));
  }

  /**
   * @param {string} id
   * @returns {Promise<VisitRecord|null>}
   */
  async visit(id) {
    return (await this._run(["visits"], "readonly", (transaction) => answer(transaction.objectStore("visits").get(id)))) ?? null;
  }

  /**
   * Visits of a terminal from journal place `from` on, in order.
   * @param {string} terminal
   * @param {number} from
   * @returns {Promise<VisitRecord[]>}
   */
  visits(terminal, from) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, Infinity]);
    return this._run(["visits"], "readonly", (transaction) => answer(transaction.objectStore("visits").index("place").getAll(range)));
  }

  /** @returns {Promise<Snapshot|null>} the downloaded list of SOAs */
  async snapshot() {
    return (await this._run(["snapshot"], "readonly", (transaction) => answer(transaction.objectStore("snapshot").get("current")))) ?? null;
  }
}

/** The little database all users of this browser share: who was logged in last, and how many unsent entries each one's own database holds. */
export class SharedStore {
  /** @param {{indexedDB: IDBFactory, keyRange: typeof IDBKeyRange}} browser */
  constructor(browser) {
    this._store = new Store("mpos", browser);
  }

  /** @param {string} key */
  get(key) {
    return this._store.meta(key);
  }

  /** @param {string} key @param {unknown} value */
  set(key, value) {
    return this._store.setMeta(key, value);
  }

  /** @param {string} prefix */
  like(prefix) {
    return this._store.metaLike(prefix);
  }

  close() {
    return this._store.close();
  }
}

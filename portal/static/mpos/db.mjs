/**
 * The phone's records in IndexedDB, one database per user. Money is written by `append` alone: all of it in one strict transaction, or nothing.
 * Once there is a PIN, everything but what `OPEN` names is sealed before its transaction begins (vault.mjs) and opened after it is over.
 * tests/js/memory_store.mjs has the same methods. Upgrades only add: a phone with unsent payments may skip many releases.
 */

import { FIRST_PREV } from "./domain/journal.mjs";
import { HeadMoved, IntentTaken, PhoneError, storageError } from "./errors.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./records.mjs").Entry} Entry */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").StoredEntry} StoredEntry */
/** @typedef {import("./records.mjs").Snapshot} Snapshot */
/** @typedef {import("./records.mjs").Terminal} Terminal */
/** @typedef {import("./records.mjs").VisitRecord} VisitRecord */
/** @typedef {import("./vault.mjs").Cipher} Cipher */
/** @typedef {import("./vault.mjs").VaultRecord} VaultRecord */

/** 3: records may be sealed; an older app that cannot read them is not let in. */
const VERSION = 3;
const STRICT = /** @type {IDBTransactionOptions} */ ({ durability: "strict" });

/** Verdicts that a person has to look at. */
export const TROUBLES = Object.freeze(["quarantined", "conflict"]);

/**
 * What of each record stays readable while the phone is locked, the first fields being its place; all the rest is sealed (docs/security.md). A store
 * that is not here keeps no more than its key readable.
 * @type {Record<string, {place: string[], more: string[]}>}
 */
const OPEN = Object.freeze({
  terminals: { place: ["code"], more: ["state", "private_key", "public_key", "acknowledged_seq"] },
  heads: { place: ["terminal", "seq", "hash"], more: [] },
  entries: { place: ["terminal", "seq", "hash"], more: ["at", "unsent", "problem", "status", "why"] },
  payments: { place: ["payment", "terminal", "seq"], more: [] },
  visits: { place: ["visit", "terminal", "seq"], more: [] },
});
/** Settings that stay readable: they are needed to unlock, or hold keys, which no record can carry. */
const OPEN_SETTINGS = Object.freeze(["vault", "tries", "lock_after", "terminal", "new_keys"]);
/** Stores whose records have their key inside. */
const KEYED = Object.freeze(Object.keys(OPEN));
/** Stores of values under a key. */
const VALUES = Object.freeze(["snapshot", "meta"]);

/**
 * Where a record stands, as its seal says it.
 * @param {string} store
 * @param {Record<string, any>} record
 */
const placeOf = (store, record) => [store, ...OPEN[store].place.map((name) => record[name])].join(" ");

/** @param {Record<string, any>} record @param {string[]} names */
function split(record, names) {
  /** @type {Record<string, any>} */ const open = {};
  /** @type {Record<string, any>} */ const rest = {};
  for (const [name, value] of Object.entries(record)) (names.includes(name) ? open : rest)[name] = value;
  return { open, rest };
}

/** @param {Uint8Array|undefined} a @param {Uint8Array|undefined} b */
const sameBytes = (a, b) => a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((byte, index) => byte === b[index]));

const LOCKED = told("phone_locked");

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

/**
 * Like `marked`, of a sealed entry: its reason is sealed apart, so that a verdict opens nothing.
 * @param {any} stored
 * @param {{status: string, reason: string|null}} verdict
 * @param {Uint8Array|undefined} why
 */
function markedSealed(stored, verdict, why) {
  if (verdict.status === "repeat" && stored.status !== null) return marked(stored, verdict);
  const { why: _before, ...bare } = stored;
  const { reason: _sealed, ...after } = /** @type {any} */ (marked(bare, verdict));
  return why ? { ...after, why } : after;
}

/**
 * All records of a database, by store, as [key, record].
 * @param {IDBTransaction} transaction
 * @returns {Promise<Record<string, [any, any][]>>}
 */
async function everything(transaction) {
  const found = await Promise.all(
    [...KEYED, ...VALUES].map(async (name) => {
      const store = transaction.objectStore(name);
      const [keys, records] = await Promise.all([answer(store.getAllKeys()), answer(store.getAll())]);
      return [name, keys.map((key, index) => [key, records[index]])];
    }),
  );
  return Object.fromEntries(found);
}

/** Whether nothing changed that can change while nobody writes or uploads: the list of SOAs and what belongs to it cannot. @param {Record<string, [any, any][]>} a @param {Record<string, [any, any][]>} b */
function alike(a, b) {
  const print = (/** @type {Record<string, [any, any][]>} */ all) => JSON.stringify([KEYED.map((store) => all[store]), all.meta.map(([key]) => key)]);
  return print(a) === print(b);
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
    /** @type {Cipher|null} */
    this._cipher = null;
  }

  /**
   * Seal and open records with this key from now on; null forgets it.
   * @param {Cipher|null} cipher
   */
  use(cipher) {
    this._cipher = cipher;
  }

  /** What seals and opens these records; null while they are locked, or without a PIN. */
  get cipher() {
    return this._cipher;
  }

  /** @param {string} store @param {any} record @returns {Promise<any>} the record as it is stored */
  async _sealed(store, record) {
    if (!this._cipher) return record;
    const whole = store === "entries" ? { ...record, at: record.entry.at, hash: record.entry.hash } : record;
    const { open, rest } = split(whole, [...OPEN[store].place, ...OPEN[store].more]);
    return { ...open, sealed: await this._cipher.seal(placeOf(store, open), rest) };
  }

  /** @param {string} store @param {any} record @returns {Promise<any>} what was given to `_sealed` */
  async _opened(store, record) {
    if (!record?.sealed) return record;
    if (!this._cipher) throw new PhoneError("locked", LOCKED);
    const place = placeOf(store, record);
    const { sealed, why, ...open } = record;
    const whole = { ...open, ...(await this._cipher.open(place, sealed)) };
    if (store !== "entries") return whole;
    const { at: _at, hash: _hash, ...stored } = whole;
    return why ? { ...stored, reason: await this._cipher.open(`${place} why`, why) } : stored;
  }

  /** @param {string} store @param {any[]} records @returns {Promise<any[]>} */
  _openedAll(store, records) {
    return Promise.all(records.map((record) => this._opened(store, record)));
  }

  /** @param {string} place @param {unknown} value */
  async _sealedValue(place, value) {
    return this._cipher && value !== undefined ? { sealed: await this._cipher.seal(place, value) } : value;
  }

  /** @param {string} place @param {any} value @returns {Promise<any>} */
  async _openedValue(place, value) {
    if (!(value?.sealed instanceof Uint8Array)) return value;
    if (!this._cipher) throw new PhoneError("locked", LOCKED);
    return this._cipher.open(place, value.sealed);
  }

  /**
   * Like `_run` for a change; refuses when another tab has put these records under a PIN meanwhile, or under another lock.
   * @template T
   * @param {string[]} stores
   * @param {(transaction: IDBTransaction) => Promise<T>} body
   * @returns {Promise<T>}
   */
  _change(stores, body) {
    return this._run([...new Set([...stores, "meta"])], "readwrite", async (transaction) => {
      const vault = await answer(transaction.objectStore("meta").get("vault"));
      if (vault?.id !== this._cipher?.vault) throw new PhoneError("locked", LOCKED);
      return body(transaction);
    });
  }

  /**
   * The lock of these records; null when there is none.
   * @returns {Promise<VaultRecord|null>}
   */
  async vault() {
    return (await this.meta("vault")) ?? null;
  }

  /**
   * Seal everything that is stored under a new lock, in one transaction: all of it, or nothing changes. The caller holds the locks for writing and
   * uploading. Afterwards this store uses the key.
   * @param {VaultRecord} vault
   * @param {Cipher} cipher
   */
  async sealAll(vault, cipher) {
    const sealing = new Store(this.name, this._browser);
    sealing.use(cipher);
    for (;;) {
      const before = await this._run([...KEYED, ...VALUES], "readonly", everything);
      if (before.meta.some(([key]) => key === "vault")) throw new PhoneError("locked", LOCKED);
      const records = await Promise.all(KEYED.map(async (store) => Promise.all(before[store].map(([, record]) => sealing._sealed(store, record)))));
      const values = await Promise.all(
        VALUES.map((store) =>
          Promise.all(before[store].filter(([key]) => store !== "meta" || !OPEN_SETTINGS.includes(key)).map(async ([key, value]) => [key, await sealing._sealedValue(`${store} ${key}`, value)])),
        ),
      );
      const done = await this._change([...KEYED, ...VALUES], async (transaction) => {
        const now = await everything(transaction);
        if (!alike(now, before)) return false; // a terminal's record or a mark changed meanwhile: seal what is there now
        const writes = KEYED.flatMap((store, index) => records[index].map((record) => answer(transaction.objectStore(store).put(record))));
        VALUES.forEach((store, index) => {
          for (const [key, value] of values[index]) writes.push(answer(transaction.objectStore(store).put(value, key)));
        });
        writes.push(answer(transaction.objectStore("meta").put(vault, "vault")));
        await Promise.all(writes);
        return true;
      });
      if (done) return this.use(cipher);
    }
  }

  /** @returns {Promise<IDBDatabase>} */
  _open() {
    this._opening ??= new Promise((resolve, reject) => {
      const request = this._browser.indexedDB.open(this.name, VERSION);
      request.onupgradeneeded = (event) => upgrade(request.result, event.oldVersion);
      request.onblocked = () =>
        reject(new PhoneError("blocked", told("older_version")));
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
  async meta(key) {
    return this._openedValue(`meta ${key}`, await this._run(["meta"], "readonly", (transaction) => answer(transaction.objectStore("meta").get(key))));
  }

  /**
   * @param {string} key
   * @param {unknown} value undefined removes the setting
   */
  async setMeta(key, value) {
    const kept = OPEN_SETTINGS.includes(key) ? value : await this._sealedValue(`meta ${key}`, value);
    const body = async (/** @type {IDBTransaction} */ transaction) => {
      const store = transaction.objectStore("meta");
      await answer(/** @type {IDBRequest<any>} */ (kept === undefined ? store.delete(key) : store.put(kept, key)));
    };
    // Wrong PINs are counted while the records are locked.
    await (OPEN_SETTINGS.includes(key) ? this._run(["meta"], "readwrite", body) : this._change(["meta"], body));
  }

  /**
   * The small settings whose key begins with `prefix`, as [rest of the key, value]; for settings that are not sealed.
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
  async terminals() {
    return this._openedAll("terminals", await this._run(["terminals"], "readonly", (transaction) => answer(transaction.objectStore("terminals").getAll())));
  }

  /** @returns {Promise<string[]>} the codes of those terminals, locked or not */
  async codes() {
    return (await this._run(["terminals"], "readonly", (transaction) => answer(transaction.objectStore("terminals").getAllKeys()))).map(String);
  }

  /**
   * Change some fields of a terminal's record, or make it.
   * @param {string} code
   * @param {Partial<Terminal>} fields
   */
  async updateTerminal(code, fields) {
    for (;;) {
      const before = await this._run(["terminals"], "readonly", (transaction) => answer(transaction.objectStore("terminals").get(code)));
      const after = await this._sealed("terminals", { ...(await this._opened("terminals", before)), ...fields, code });
      const { open } = split(fields, OPEN.terminals.more);
      const done = await this._change(["terminals"], async (transaction) => {
        const store = transaction.objectStore("terminals");
        const now = await answer(store.get(code));
        if (!sameBytes(now?.sealed, before?.sealed)) return false; // changed in another tab meanwhile: its change counts as well
        // What is readable is written by `mark` too, and as it stands now.
        await answer(store.put(this._cipher ? { ...after, ...split(now ?? {}, OPEN.terminals.more).open, ...open } : { ...now, ...fields, code }));
        return true;
      });
      if (done) return;
    }
  }

  /**
   * Where a terminal's journal stands; an empty one when it has no entry.
   * @param {string} terminal
   * @returns {Promise<Head>}
   */
  async head(terminal) {
    const stored = await this._run(["heads"], "readonly", (transaction) => answer(transaction.objectStore("heads").get(terminal)));
    return (await this._opened("heads", stored)) ?? emptyHead(terminal);
  }

  /**
   * What a payment has to know, as of one moment: where the journal stands, the payment of this intent if it is stored already, and the payments of
   * the terminal from journal place `from` on.
   * @param {string} terminal
   * @param {string} intent
   * @param {number} from
   * @returns {Promise<{head: Head, stored: boolean, payments: PaymentRecord[]}>}
   */
  async beforePayment(terminal, intent, from) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, Infinity]);
    const [head, count, payments] = await this._run(["heads", "payments"], "readonly", (transaction) => {
      const store = transaction.objectStore("payments");
      return Promise.all([answer(transaction.objectStore("heads").get(terminal)), answer(store.count(intent)), answer(store.index("place").getAll(range))]);
    });
    const [opened, openedPayments] = await Promise.all([this._opened("heads", head), this._openedAll("payments", payments)]);
    return { head: opened ?? emptyHead(terminal), stored: count > 0, payments: openedPayments };
  }

  /**
   * Append one journal entry with everything that belongs to it, all or nothing, on disk when it resolves. The only way money is written.
   * Throws HeadMoved when the journal's head is no longer the entry's `prev`, IntentTaken when the new payment or visit exists, PhoneError disk_full.
   * @param {{entry: Entry, head: Head, payment?: PaymentRecord, update?: PaymentRecord, snapshot?: Snapshot, visit?: VisitRecord}} what
   *   `head` as it is after the entry; `payment` and `visit` new ones; `update` an existing payment changed; `snapshot` the new list of SOAs
   */
  async append({ entry, head, payment, update, snapshot, visit }) {
    const stores = ["heads", "entries", ...(payment || update ? ["payments"] : []), ...(snapshot ? ["snapshot"] : []), ...(visit ? ["visits"] : [])];
    /** @type {StoredEntry} */
    const stored = { terminal: entry.terminal, seq: entry.seq, entry, unsent: 1, status: null, reason: null };
    // Sealed first: a transaction does not outlive a wait for anything but its own requests.
    const [entryKept, headKept, paymentKept, updateKept, snapshotKept, visitKept] = await Promise.all([
      this._sealed("entries", stored),
      this._sealed("heads", head),
      payment && this._sealed("payments", payment),
      update && this._sealed("payments", update),
      snapshot && this._sealedValue("snapshot current", snapshot),
      visit && this._sealed("visits", visit),
    ]);
    await this._change(stores, async (transaction) => {
      const heads = transaction.objectStore("heads");
      const current = (await answer(heads.get(entry.terminal))) ?? emptyHead(entry.terminal);
      if (current.seq !== entry.seq - 1 || current.hash !== entry.prev) throw new HeadMoved();
      const writes = [];
      if (payment) {
        const payments = transaction.objectStore("payments");
        if ((await answer(payments.count(payment.payment))) > 0) throw new IntentTaken();
        writes.push(answer(payments.add(paymentKept)));
      }
      if (update) writes.push(answer(transaction.objectStore("payments").put(updateKept)));
      if (visit) {
        const visits = transaction.objectStore("visits");
        if ((await answer(visits.count(visit.visit))) > 0) throw new IntentTaken();
        writes.push(answer(visits.add(visitKept)));
      }
      writes.push(answer(transaction.objectStore("entries").add(entryKept)));
      writes.push(answer(heads.put(headKept)));
      if (snapshot) writes.push(answer(transaction.objectStore("snapshot").put(snapshotKept, "current")));
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
  async entries(terminal, from, to = Infinity) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, to]);
    return this._openedAll("entries", await this._run(["entries"], "readonly", (transaction) => answer(transaction.objectStore("entries").getAll(range))));
  }

  /**
   * Where each entry from `from` on is (`unsent`, `status`, `reason`), without what it says: much faster than `entries`.
   * @param {string} terminal
   * @param {number} from
   * @param {number} [to]
   * @returns {Promise<Omit<StoredEntry, "entry">[]>}
   */
  async places(terminal, from, to = Infinity) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, to]);
    const stored = await this._run(["entries"], "readonly", (transaction) => answer(transaction.objectStore("entries").getAll(range)));
    return Promise.all(stored.map((record) => (record.why ? this._opened("entries", record) : { ...record, reason: record.reason ?? null })));
  }

  /**
   * Entries not yet marked, in order.
   * @param {string} terminal
   * @param {number} [limit]
   * @returns {Promise<StoredEntry[]>}
   */
  async unsent(terminal, limit) {
    const stored = await this._run(["entries"], "readonly", (transaction) =>
      answer(transaction.objectStore("entries").index("unsent").getAll(this._marked(terminal), limit)),
    );
    return this._openedAll("entries", stored);
  }

  /**
   * How many entries wait and since when; also while the phone is locked.
   * @param {string} terminal
   * @returns {Promise<{count: number, oldest_at: string|null}>}
   */
  async unsentSummary(terminal) {
    return this._run(["entries"], "readonly", async (transaction) => {
      const index = transaction.objectStore("entries").index("unsent");
      const counting = answer(index.count(this._marked(terminal)));
      const [first] = await answer(index.getAll(this._marked(terminal), 1));
      return { count: await counting, oldest_at: first ? (first.at ?? first.entry.at) : null };
    });
  }

  /**
   * Entries the office has to look at (quarantined or in conflict).
   * @param {string} terminal
   * @returns {Promise<StoredEntry[]>}
   */
  async troubles(terminal) {
    const stored = await this._run(["entries"], "readonly", (transaction) =>
      answer(transaction.objectStore("entries").index("problem").getAll(this._marked(terminal))),
    );
    return this._openedAll("entries", stored);
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
  async mark(terminal, verdicts, acknowledgedSeq) {
    /** @type {Map<number, Uint8Array>} the portal's reasons: they may name people */
    const reasons = new Map();
    for (const { seq, hash, reason } of verdicts) {
      if (this._cipher && reason !== null) reasons.set(seq, await this._cipher.seal(`${placeOf("entries", { terminal, seq, hash })} why`, reason));
    }
    return this._change(["entries", "terminals"], async (transaction) => {
      const entries = transaction.objectStore("entries");
      let count = 0;
      for (const verdict of verdicts) {
        const stored = await answer(entries.get([terminal, verdict.seq]));
        if (!stored || (stored.hash ?? stored.entry.hash) !== verdict.hash) continue;
        if (stored.unsent) count += 1;
        await answer(entries.put(stored.sealed ? markedSealed(stored, verdict, reasons.get(verdict.seq)) : marked(stored, verdict)));
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
    await this._change(["entries"], async (transaction) => {
      const entries = transaction.objectStore("entries");
      for (const stored of await answer(entries.getAll(range))) await answer(entries.put({ ...stored, unsent: 1 }));
    });
  }

  /**
   * @param {string} id
   * @returns {Promise<PaymentRecord|null>}
   */
  async payment(id) {
    return (await this._opened("payments", await this._run(["payments"], "readonly", (transaction) => answer(transaction.objectStore("payments").get(id))))) ?? null;
  }

  /**
   * Payments of a terminal from journal place `from` on, in order.
   * @param {string} terminal
   * @param {number} from
   * @returns {Promise<PaymentRecord[]>}
   */
  async payments(terminal, from) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, Infinity]);
    const stored = await this._run(["payments"], "readonly", (transaction) => answer(transaction.objectStore("payments").index("place").getAll(range)));
    return this._openedAll("payments", stored);
  }

  /**
   * @param {string} id
   * @returns {Promise<VisitRecord|null>}
   */
  async visit(id) {
    return (await this._opened("visits", await this._run(["visits"], "readonly", (transaction) => answer(transaction.objectStore("visits").get(id))))) ?? null;
  }

  /**
   * Visits of a terminal from journal place `from` on, in order.
   * @param {string} terminal
   * @param {number} from
   * @returns {Promise<VisitRecord[]>}
   */
  async visits(terminal, from) {
    const range = this._browser.keyRange.bound([terminal, from], [terminal, Infinity]);
    const stored = await this._run(["visits"], "readonly", (transaction) => answer(transaction.objectStore("visits").index("place").getAll(range)));
    return this._openedAll("visits", stored);
  }

  /** @returns {Promise<Snapshot|null>} the downloaded list of SOAs */
  async snapshot() {
    const stored = await this._run(["snapshot"], "readonly", (transaction) => answer(transaction.objectStore("snapshot").get("current")));
    return (await this._openedValue("snapshot current", stored)) ?? null;
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

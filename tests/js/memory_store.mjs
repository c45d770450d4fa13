/**
 * The methods of db.mjs over Maps. Several stores on one `Disk` are several tabs of one phone; a disk outlives its stores as a phone's does.
 * `disk.fail` makes the next writes fail: "full" (no space), "before" (killed before the commit), "after" (killed just after it).
 */

import { emptyHead, marked } from "../../portal/static/mpos/db.mjs";
import { HeadMoved, IntentTaken, PhoneError, storageError } from "../../portal/static/mpos/errors.mjs";

/** Settings that can be read and written while the records are under a PIN. */
const OPEN_SETTINGS = ["vault", "tries", "lock_after", "terminal", "new_keys"];

/** A copy that shares nothing but keys, which IndexedDB copies for itself and node does not. */
function copy(value) {
  if (Array.isArray(value)) return value.map(copy);
  if (value && Object.getPrototypeOf(value) === Object.prototype) return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, copy(v)]));
  return value;
}

export class Disk {
  constructor() {
    this.meta = new Map();
    this.terminals = new Map();
    this.heads = new Map();
    this.entries = new Map();
    this.payments = new Map();
    this.snapshot = null;
    this.visits = new Map();
    /** @type {null|"full"|"before"|"after"} */
    this.fail = null;
    this.beforeAppend = null;
  }
}

/** The app was killed: whoever waits hears nothing more. */
export class Killed extends Error {}

export class MemoryStore {
  constructor(disk, onAccess = () => undefined) {
    this.disk = disk;
    this.onAccess = onAccess;
    this.cipher = null;
  }

  /** Nothing is sealed here, but records under a PIN are handed out to its key alone; test_db_smoke.py looks at the sealed bytes. */
  use(cipher) {
    this.cipher = cipher;
  }

  async vault() {
    return (await this.meta("vault")) ?? null;
  }

  async sealAll(vault, cipher) {
    await this._turn();
    this.disk.meta.set("vault", copy(vault));
    this.use(cipher);
  }

  async _turn() {
    this.onAccess();
    await new Promise((resolve) => setImmediate(resolve)); // as in a browser, every access lets others run
    if (this.disk.meta.get("vault")?.id !== this.cipher?.vault) throw new PhoneError("locked", "This phone is locked.");
  }

  async _open() {
    this.onAccess();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async ready() {
    await this._open();
  }

  async close() {}

  async meta(key) {
    await (OPEN_SETTINGS.includes(key) ? this._open() : this._turn());
    return copy(this.disk.meta.get(key));
  }

  async setMeta(key, value) {
    await (OPEN_SETTINGS.includes(key) ? this._open() : this._turn());
    if (value === undefined) this.disk.meta.delete(key);
    else this.disk.meta.set(key, copy(value));
  }

  async terminals() {
    await this._turn();
    return [...this.disk.terminals.values()].map(copy);
  }

  async codes() {
    await this._open();
    return [...this.disk.terminals.keys()];
  }

  async updateTerminal(code, fields) {
    await this._turn();
    this.disk.terminals.set(code, copy({ ...this.disk.terminals.get(code), ...fields, code }));
  }

  async head(terminal) {
    await this._turn();
    return copy(this.disk.heads.get(terminal)) ?? emptyHead(terminal);
  }

  async append({ entry, head, payment, update, snapshot, visit }) {
    await this._turn();
    const { disk } = this;
    await disk.beforeAppend?.(entry);
    if (disk.fail === "before") throw new Killed();
    if (disk.fail === "full") throw storageError(new DOMException("no space", "QuotaExceededError"));
    const current = disk.heads.get(entry.terminal) ?? emptyHead(entry.terminal);
    if (current.seq !== entry.seq - 1 || current.hash !== entry.prev) throw new HeadMoved();
    if (payment && disk.payments.has(payment.payment)) throw new IntentTaken();
    if (visit && disk.visits.has(visit.visit)) throw new IntentTaken();
    if (payment) disk.payments.set(payment.payment, copy(payment));
    if (visit) disk.visits.set(visit.visit, copy(visit));
    if (update) disk.payments.set(update.payment, copy(update));
    disk.entries.set(`${entry.terminal} ${entry.seq}`, { terminal: entry.terminal, seq: entry.seq, entry: copy(entry), unsent: 1, status: null, reason: null });
    disk.heads.set(entry.terminal, copy(head));
    if (snapshot) disk.snapshot = copy(snapshot);
    if (disk.fail === "after") throw new Killed();
  }

  _all(terminal) {
    return [...this.disk.entries.values()].filter((stored) => stored.terminal === terminal).sort((a, b) => a.seq - b.seq);
  }

  async entries(terminal, from, to = Infinity) {
    await this._turn();
    return this._all(terminal).filter(({ seq }) => seq >= from && seq <= to).map(copy);
  }

  async unsent(terminal, limit = Infinity) {
    await this._turn();
    return this._all(terminal).filter(({ unsent }) => unsent).slice(0, limit).map(copy);
  }

  async places(terminal, from, to = Infinity) {
    return (await this.entries(terminal, from, to)).map(({ entry: _entry, ...rest }) => rest);
  }

  async unsentSummary(terminal) {
    await this._open();
    const unsent = this._all(terminal).filter(({ unsent: mark }) => mark);
    return { count: unsent.length, oldest_at: unsent[0]?.entry.at ?? null };
  }

  async troubles(terminal) {
    await this._turn();
    return this._all(terminal).filter(({ problem }) => problem).map(copy);
  }

  async mark(terminal, verdicts, acknowledgedSeq) {
    await this._turn();
    let count = 0;
    for (const verdict of verdicts) {
      const stored = this.disk.entries.get(`${terminal} ${verdict.seq}`);
      if (!stored || stored.entry.hash !== verdict.hash) continue;
      if (stored.unsent) count += 1;
      this.disk.entries.set(`${terminal} ${verdict.seq}`, marked(stored, verdict));
    }
    const record = this.disk.terminals.get(terminal);
    if (record) this.disk.terminals.set(terminal, { ...record, acknowledged_seq: acknowledgedSeq });
    return count;
  }

  async unmark(terminal, acknowledgedSeq) {
    await this._turn();
    for (const stored of this._all(terminal)) if (stored.seq > acknowledgedSeq) stored.unsent = 1;
  }

  async payment(id) {
    await this._turn();
    return copy(this.disk.payments.get(id)) ?? null;
  }

  async beforePayment(terminal, intent, from) {
    await this._turn();
    const of = (item) => item.terminal === terminal && item.seq >= from;
    const payments = [...this.disk.payments.values()].filter(of).sort((a, b) => a.seq - b.seq).map(copy);
    return { head: copy(this.disk.heads.get(terminal)) ?? emptyHead(terminal), stored: this.disk.payments.has(intent), payments };
  }

  async payments(terminal, from) {
    await this._turn();
    return [...this.disk.payments.values()].filter((item) => item.terminal === terminal && item.seq >= from).sort((a, b) => a.seq - b.seq).map(copy);
  }

  async visit(id) {
    await this._turn();
    return copy(this.disk.visits.get(id)) ?? null;
  }

  async visits(terminal, from) {
    await this._turn();
    return [...this.disk.visits.values()].filter((item) => item.terminal === terminal && item.seq >= from).sort((a, b) => a.seq - b.seq).map(copy);
  }

  async snapshot() {
    await this._turn();
    return copy(this.disk.snapshot);
  }
}

/** All databases of one browser. */
export class Browser {
  constructor() {
    /** @type {Map<string, Disk>} */
    this.disks = new Map();
    this.shared = new Map();
    this.accesses = 0;
  }

  disk(name) {
    if (!this.disks.has(name)) this.disks.set(name, new Disk());
    return this.disks.get(name);
  }

  openStore(name) {
    return new MemoryStore(this.disk(name), () => (this.accesses += 1));
  }

  openShared() {
    const { shared } = this;
    return {
      get: async (key) => copy(shared.get(key)),
      set: async (key, value) => void (value === undefined ? shared.delete(key) : shared.set(key, copy(value))),
      like: async (prefix) => [...shared].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), copy(value)]),
      close: async () => undefined,
    };
  }
}

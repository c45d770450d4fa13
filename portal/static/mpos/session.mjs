/** Who is logged in on this phone, what is stored of theirs, and the state that screens read. The ground that line, till and phone stand on. */

import { Api } from "./api.mjs";
import { Clock } from "./clock.mjs";
import { lessLocal, watchClock } from "./confirm.mjs";
import { PhoneError } from "./errors.mjs";
import { CANARY } from "./storage.mjs";
import { listOf } from "./sync.mjs";
import { text, told } from "./words.mjs";

/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").Problem} Problem */
/** @typedef {import("./records.mjs").Snapshot} Snapshot */
/** @typedef {import("./search.mjs").SoaList} SoaList */
/** @typedef {import("./records.mjs").SoaView} SoaView */
/** @typedef {import("./records.mjs").Terminal} Terminal */
/** @typedef {import("./records.mjs").VisitRecord} VisitRecord */
/** @typedef {ReturnType<typeof import("./phone.mjs").browser>} From What is taken from the browser. */
/** @typedef {import("./storage.mjs").Canary} Canary */
/** @typedef {{name: string, display_name: string}} User */

/**
 * Everything that belongs to the user who is logged in on this phone. Replaced as a whole, so that nothing of one user reaches the next.
 * @typedef {{user: User, hasPin: boolean, lockAfter: number, store: import("./db.mjs").Store, signedIn: boolean, terminals: Terminal[], terminal: Terminal|null, head: Head|null,
 *   snapshot: Snapshot|null, list: SoaList|null, owed: Float64Array, payments: PaymentRecord[], paidBySoa: Map<string, PaymentRecord[]>,
 *   visits: Map<string, VisitRecord>, visitsOf: string, views: Map<number, SoaView>, viewsOf: string, unsent: {count: number, oldest_at: string|null}, problems: {seq: number, status: string, reason: string|null}[],
 *   problem: Problem|null, listOf: string, listBytes: number, failures: number, lastFailure: string, quietUntil: number, enrollAgainAt: number, checked: boolean}} Session */

/** Begins the name of each user's database. */
export const OWN = "mpos-";
/** Begins the key, in the shared database, of how many unsent entries a user's own database holds. A hint for people: the truth is the user's own database. */
const UNSENT = "unsent:";

/** Names the setting that holds what was made ready for searching the list; without it, it is made anew. */
export const PREPARED = "prepared";

/** How many journal entries back the list of SOAs tells of visits. */
const VISITS = 2000;

/** @typedef {{count: number, oldest_at: string|null}} Unsent */

/**
 * The unsent entries of all terminals in one user's database, and the instant of the oldest; locked or not.
 * @param {import("./db.mjs").Store} store
 * @param {string[]} codes
 * @returns {Promise<Unsent>}
 */
async function unsentOf(store, codes) {
  const found = [];
  for (const code of codes) found.push(await store.unsentSummary(code));
  return sum(found);
}

/** @param {Unsent[]} parts @returns {Unsent} */
function sum(parts) {
  const oldest = parts.flatMap(({ oldest_at }) => oldest_at ?? []).sort();
  return { count: parts.reduce((total, { count }) => total + count, 0), oldest_at: oldest[0] ?? null };
}

/** Tells one downloaded list from another. @param {string|undefined} code @param {number|undefined} seq its place in the journal */
export function nameOfList(code, seq) {
  return `list ${code} ${seq}`;
}

/**
 * What is due of each SOA less the phone's own payments, by row.
 * @param {SoaList} list
 * @param {Map<string, PaymentRecord[]>} paidBySoa
 */
function owed({ table }, paidBySoa) {
  const amounts = Float64Array.from(table.amounts);
  for (const [id, payments] of paidBySoa) {
    const row = table.rowOf(id);
    if (row !== -1) amounts[row] = lessLocal(table.at(row), payments).amount_due;
  }
  return amounts;
}

/** @param {string} code */
export function waiting(code) {
  return told("terminal_waits", { code });
}

/** State, stored records and locks of one tab. Methods whose name starts with _ are the app's own. */
export class Sessions {
  /** @param {From} from */
  constructor(from) {
    this._from = from;
    this._shared = from.openShared();
    this._api = new Api(from);
    this._clock = new Clock({ now: from.now, monotonic: from.monotonic });
    /** @type {Session|null} */
    this._session = null;
    /** @type {User|null} whose records are here, behind their PIN */
    this._locked = null;
    /** @type {{user: string, secrets: string[]}|null} the portal's secrets, from a log-in with the password until the PIN is set */
    this._recovery = null;
    /** The PIN was forgotten: after the password a new one is chosen first. */
    this._newPin = false;
    /** @type {{user: string, terminal: string, date: string}[]} whose records this browser has erased, as far as it is remembered beside them */
    this._lost = [];
    /** @type {{terminal: string, name: string, entries: number, last_contact_at: string|null}[]} the terminals the portal knows of whoever logged in with the password */
    this._known = [];
    this._online = from.onLine();
    this._demo = from.demo;
    this._uploading = 0;
    this._updateReady = false;
    /** @type {boolean|null} */
    this._persistent = null;
    /** @type {Map<string, Unsent>} by user name, as far as this tab knows */
    this._holds = new Map();
    /** @type {number|null} */
    this._savedSkew = null;
    this._lastContact = -Infinity;
    /** @type {Promise<void>|null} */
    this._contacting = null;
    /** @type {Promise<unknown>} */
    this._refreshed = Promise.resolve();
    /** @type {Set<() => void>} */
    this._listeners = new Set();
    /** @type {Map<string, Promise<unknown>>} stands in for Web Locks where the browser has none */
    this._queues = new Map();
    /** @type {ServiceWorkerRegistration|undefined} */
    this._registration = undefined;
    /** @type {BroadcastChannel|null} other tabs of the app */
    this._tabs = null;
    /** @type {(() => void)[]} */
    this._closers = [];
    /** @type {any} */
    this._uploadTimer = undefined;
    this._closed = false;
    this._state = this._freeze();
  }

  /** The present state, frozen; a new object after every change. */
  get state() {
    return this._state;
  }

  /**
   * Call `listener` after every change of `state`.
   * @param {() => void} listener
   * @returns {() => void} ends it
   */
  subscribe(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  _freeze() {
    const session = this._session;
    const terminal = session?.terminal ?? null;
    const registry = session?.head?.registry ?? null;
    const snapshot = session?.snapshot ?? null;
    const others = [...this._holds]
      .filter(([name, { count }]) => count > 0 && name !== (session?.user.name ?? this._locked?.name))
      .map(([name, unsent]) => Object.freeze({ name, ...unsent }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    const problem = terminal?.stopped ?? session?.problem ?? null;
    return Object.freeze({
      user: session && Object.freeze({ ...session.user }),
      locked: this._locked && Object.freeze({ ...this._locked }),
      has_pin: session?.hasPin ?? false,
      pin_can_be_set: Boolean(session && this._recovery?.user === session.user.name),
      new_pin: Boolean(session && this._newPin),
      lock_after: session?.lockAfter ?? null,
      lost: Object.freeze(this._lost.map((item) => Object.freeze({ ...item }))),
      known_terminals: Object.freeze(session ? this._known.filter(({ terminal: code }) => !session.terminals.some((own) => own.code === code)) : []),
      signed_in: session?.signedIn ?? false,
      online: this._online,
      demo: this._demo,
      version: this._from.version,
      terminal: terminal && Object.freeze({ code: terminal.code, name: terminal.name, state: terminal.stopped ? "stopped" : terminal.state }),
      registry:
        registry &&
        Object.freeze({
          id: registry.id,
          business_date: registry.business_date,
          change_fund: registry.change_fund,
          opened_at: registry.opened_at,
          z_done: registry.z_done,
        }),
      last_registry: session?.head?.last_registry ? Object.freeze({ business_date: session.head.last_registry.business_date }) : null,
      voids_waiting: session?.head?.voids_waiting?.length ?? 0,
      expenses_waiting: session?.head?.expenses_waiting?.length ?? 0,
      today: this._clock.today(),
      // Of whoever is logged in, or has locked this phone; of the whole phone when nobody is.
      unsent: Object.freeze(session ? { ...session.unsent } : this._locked ? { ...(this._holds.get(this._locked.name) ?? { count: 0, oldest_at: null }) } : sum(others)),
      others: Object.freeze(others), // who else left unsent entries here: names and numbers, nothing of what they hold
      uploading: this._uploading > 0,
      problem: problem ? text(problem.message) : null,
      snapshot: snapshot && Object.freeze({ as_of: snapshot.as_of, count: snapshot.count, amount_due: snapshot.amount_due }),
      business: snapshot?.business ?? terminal?.business ?? null,
      update_ready: this._updateReady,
      storage_persistent: this._persistent,
      problems: Object.freeze(session ? session.problems.map((item) => Object.freeze({ ...item })) : []),
    });
  }

  _publish() {
    if (this._closed) return;
    this._state = this._freeze();
    for (const listener of [...this._listeners]) listener();
  }

  /** @param {boolean} online */
  _setOnline(online) {
    if (this._online === online) return;
    this._online = online;
    this._publish();
  }

  /**
   * Open a user's records, or stand before their lock. Answers whether they are open.
   * @param {User} user
   * @param {import("./vault.mjs").Cipher|null} cipher the key, when there is a lock
   */
  async _openSession(user, cipher) {
    const store = this._from.openStore(`${OWN}${user.name}`);
    await store.ready();
    const vault = await store.vault();
    if (vault?.id !== cipher?.vault) {
      this._locked = user;
      await store.close();
      return false;
    }
    store.use(cipher);
    this._locked = null;
    this._session = {
      user,
      hasPin: vault !== null,
      lockAfter: (await store.meta("lock_after")) ?? 5,
      store,
      signedIn: false,
      terminals: [],
      terminal: null,
      head: null,
      snapshot: null,
      list: null,
      owed: new Float64Array(),
      payments: [],
      paidBySoa: new Map(),
      visits: new Map(),
      visitsOf: "",
      views: new Map(),
      viewsOf: "",
      unsent: { count: 0, oldest_at: null },
      problems: [],
      problem: null,
      listOf: "",
      listBytes: 0,
      failures: 0,
      lastFailure: "",
      quietUntil: 0,
      enrollAgainAt: 0,
      checked: false,
    };
    await this._refresh();
    return true;
  }

  async _leave() {
    const session = this._session;
    this._session = null;
    this._from.clearTimeout(this._uploadTimer);
    session?.store.use(null); // the key is gone with the session
    await session?.store.close();
  }

  /** Read anew what is stored; the list of SOAs only when another one was downloaded. */
  _refresh() {
    const session = this._session;
    const run = this._refreshed.then(async () => {
      if (!session || session !== this._session) return;
      const { store } = session;
      const terminals = await store.terminals();
      const code = await store.meta("terminal");
      const terminal = terminals.find((item) => item.code === code) ?? null;
      const head = terminal && (await store.head(terminal.code));
      if (nameOfList(terminal?.code, head?.list_seq) !== session.listOf) {
        const name = nameOfList(terminal?.code, head?.list_seq);
        const [stored, prepared] = await Promise.all([store.snapshot(), store.meta(PREPARED)]);
        this._takeList(session, stored, stored && listOf(stored, prepared?.of === name ? prepared : undefined), name);
      }
      const unsent = await unsentOf(store, terminals.map(({ code: own }) => own));
      session.terminals = terminals;
      session.terminal = terminal;
      session.head = head;
      session.unsent = unsent;
      const included = this._included(session);
      session.payments = terminal ? await store.payments(terminal.code, included + 1) : [];
      session.paidBySoa = new Map();
      for (const payment of session.payments) {
        const soa = payment.payload.soa;
        session.paidBySoa.set(soa, [...(session.paidBySoa.get(soa) ?? []), payment]);
      }
      const visitsOf = `visits ${terminal?.code} ${head?.visit_seq ?? 0}`;
      if (visitsOf !== session.visitsOf) {
        const recent = terminal && head ? await store.visits(terminal.code, Math.max(head.seq - VISITS, 1)) : [];
        session.visits = new Map(recent.map((visit) => [visit.soa, visit]));
        session.visitsOf = visitsOf;
      }
      session.views.clear();
      if (session.list) session.owed = owed(session.list, session.paidBySoa);
      session.problems = terminal
        ? (await store.troubles(terminal.code)).map(({ seq, status, reason }) => ({ seq, status: String(status), reason }))
        : [];
      await this._note(session.user.name, unsent);
      if (this._clock.skew !== this._savedSkew) {
        this._savedSkew = this._clock.skew;
        await this._shared.set("skew", this._savedSkew);
      }
      this._publish();
    });
    this._refreshed = run.catch(() => undefined); // the caller of this refresh hears of it; the next one starts anew
    return run;
  }

  /**
   * Use a list of SOAs from now on. Its bytes stay in the database alone.
   * @param {Session} session
   * @param {Snapshot|null} snapshot
   * @param {SoaList|null} list
   * @param {string} name
   */
  _takeList(session, snapshot, list, name) {
    if (snapshot) {
      const { body, soas: _soas, ...head } = snapshot;
      session.snapshot = head;
      session.listBytes = body?.length ?? 0;
    } else session.snapshot = null;
    session.list = list;
    session.owed = list?.table.amounts ?? new Float64Array();
    session.listOf = name;
    session.views.clear();
  }

  /**
   * Leave word in the shared database of how many unsent entries a user's own database holds.
   * @param {string} name
   * @param {Unsent} unsent
   */
  async _note(name, unsent) {
    const known = this._holds.get(name);
    if (known?.count === unsent.count && known.oldest_at === unsent.oldest_at) return;
    try {
      await this._shared.set(`${UNSENT}${name}`, unsent.count ? unsent : undefined);
    } catch (error) {
      // A full phone must not make a stored payment look failed: the next change, or the count at the next start, sets the word right.
      if (!(error instanceof PhoneError)) throw error;
      console.warn("How many entries wait could not be noted:", error);
      return;
    }
    this._holds.set(name, unsent);
  }

  /** Count, reading only, what the other users' databases on this phone hold unsent; what was noted stands where one cannot be read. */
  async _recount() {
    if (this._closed) return;
    const noted = new Map(await this._shared.like(UNSENT));
    const own = this._session?.user.name;
    const mine = own === undefined ? undefined : this._holds.get(own);
    this._holds = noted;
    if (own !== undefined && mine) noted.set(own, mine);
    const databases = await this._from.databases().catch(() => []); // not every browser tells: then those that left word are known
    const names = new Set([...noted.keys(), ...databases.filter((name) => name.startsWith(OWN)).map((name) => name.slice(OWN.length))]);
    for (const name of names) {
      if (name === own) continue;
      const store = this._from.openStore(`${OWN}${name}`);
      try {
        await this._note(name, await unsentOf(store, await store.codes()));
      } catch (error) {
        if (!(error instanceof PhoneError)) throw error;
        console.warn("Another user's records could not be counted:", error);
      } finally {
        await store.close();
      }
    }
  }

  /** Find out whose records this browser has erased, by the marks that their openings left beside them. */
  async _findLost() {
    /** @type {typeof this._lost} */
    const lost = [];
    for (const [user, mark] of this._from.memo.like(CANARY)) {
      const store = this._from.openStore(`${OWN}${user}`);
      try {
        if (mark && !(await store.codes()).includes(mark.terminal)) lost.push({ user, terminal: mark.terminal, date: mark.date });
      } finally {
        await store.close();
      }
    }
    this._lost = lost;
  }

  /** A small choice of this user on this phone; null when none was made. @param {string} key @returns {Promise<any>} */
  async choice(key) {
    return (await this._needSession().store.meta(`choice ${key}`)) ?? null;
  }

  /** @param {string} key @param {unknown} value */
  async setChoice(key, value) {
    await this._needSession().store.setMeta(`choice ${key}`, value);
  }

  /** Up to which journal entry the list's figures hold a terminal's payments. @param {Session} session @param {string} [code] */
  _included(session, code = session.terminal?.code ?? "") {
    return session.snapshot?.included[code] ?? 0;
  }

  /** Tell this tab and the others that something was written. */
  async _changed() {
    this._tabs?.postMessage({ kind: "changed", user: this._session?.user.name });
    await this._refresh();
  }

  /**
   * Add the payment that was just stored to what is known here, without reading everything anew; false when this tab does not know all that was
   * written before it. Other tabs hear of it.
   * @param {Session} session
   * @param {Head} head after the payment
   * @param {PaymentRecord} payment
   */
  _took(session, head, payment) {
    if (session !== this._session || !session.list || session.terminal?.code !== head.terminal || session.head?.seq !== head.seq - 1) return false;
    const { soa } = payment.payload;
    const payments = [...(session.paidBySoa.get(soa) ?? []), payment];
    const row = session.list.table.rowOf(soa);
    session.head = head;
    session.payments = [...session.payments, payment];
    session.paidBySoa.set(soa, payments);
    session.views.delete(row);
    if (row !== -1) session.owed[row] = lessLocal(session.list.table.at(row), payments).amount_due;
    const unsent = { count: session.unsent.count + 1, oldest_at: session.unsent.oldest_at ?? payment.at };
    session.unsent = unsent;
    this._publish();
    this._tabs?.postMessage({ kind: "changed", user: session.user.name });
    const noted = this._refreshed.then(() => (session === this._session && session.unsent === unsent ? this._note(session.user.name, unsent) : undefined));
    this._refreshed = noted.catch(() => undefined);
    this._background(noted);
    return true;
  }

  /**
   * Run `body` while nobody else in any tab holds the lock. With `only_if_free` it answers null at once when somebody does.
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} body
   * @param {boolean} [onlyIfFree]
   * @returns {Promise<T|null>}
   */
  async _lock(name, body, onlyIfFree = false) {
    const { locks } = this._from;
    if (locks) return locks.request(name, { ifAvailable: onlyIfFree }, async (lock) => (lock ? body() : null));
    const before = this._queues.get(name);
    if (onlyIfFree && before) return null;
    const run = (before ?? Promise.resolve()).then(body);
    const settled = run.then(
      () => undefined,
      () => undefined, // the caller hears of it
    );
    this._queues.set(name, settled);
    void settled.then(() => {
      if (this._queues.get(name) === settled) this._queues.delete(name);
    });
    return run;
  }

  _needSession() {
    if (!this._session) throw new PhoneError("signed_out", told("log_in_first"));
    return this._session;
  }

  /** The session with a terminal that may write. */
  _needTerminal() {
    const session = this._needSession();
    const { terminal } = session;
    if (!terminal) throw new PhoneError("no_terminal", told("enroll_first"));
    if (terminal.stopped) throw new PhoneError(terminal.stopped.code, terminal.stopped.message);
    return { session, terminal };
  }

  /** The session with a terminal that may take money. */
  _needActive() {
    const { session, terminal } = this._needTerminal();
    if (terminal.state === "revoked") {
      throw new PhoneError("revoked", told("revoked", { code: terminal.code }));
    }
    if (terminal.state === "waiting") {
      throw new PhoneError("waiting", waiting(terminal.code));
    }
    return { session, terminal };
  }

  /** @param {Session} session @param {string} terminal @returns {import("./confirm.mjs").Writing} */
  _writing(session, terminal) {
    return {
      store: session.store,
      clock: this._clock,
      subtle: this._from.crypto.subtle,
      terminal,
      lock: async (body) => /** @type {any} */ (await this._lock(`mpos-write-${session.user.name}`, body)),
    };
  }

  /** @param {number|null} [seconds] a jump known from elsewhere */
  async _watchClock(seconds = null) {
    const session = this._session;
    if (!session?.terminal || session.terminal.stopped) {
      this._clock.look();
      return;
    }
    if (await watchClock(this._writing(session, session.terminal.code), seconds)) await this._changed();
  }

  /** Show a failure of work nobody waits for. @param {Promise<unknown>} work */
  _background(work) {
    work.catch((error) => {
      if (!(error instanceof PhoneError)) throw error; // a mistake of ours: the browser's console shows it
      if (this._session) this._session.problem = { code: error.code, message: error.words };
      this._publish();
    });
  }
}

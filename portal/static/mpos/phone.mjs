/**
 * The phone app behind its screens: who is logged in, what is stored, what is sent. Screens call the methods of `Phone`, read `state` and are told
 * of changes by `subscribe`. Money is integer centavos; failures are PhoneError with a message fit to show.
 */

import { Api, PortalError } from "./api.mjs";
import { delay } from "./backoff.mjs";
import { Clock, daysBetween, TOLERANCE } from "./clock.mjs";
import { closedForPayments, confirm, lessLocal, preview, watchClock, write } from "./confirm.mjs";
import { SharedStore, Store } from "./db.mjs";
import { makeKeys } from "./domain/journal.mjs";
import { isCentavos } from "./domain/money.mjs";
import { byTender, countTotal, DENOMINATIONS, parts, periodOf, xReading, zReading } from "./domain/readings.mjs";
import { PhoneError } from "./errors.mjs";
import { find, makeIndex } from "./search.mjs";
import { compare, download, drain } from "./sync.mjs";

export { PhoneError } from "./errors.mjs";

/** @typedef {import("./records.mjs").Draft} Draft */
/** @typedef {import("./records.mjs").Head} Head */
/** @typedef {import("./records.mjs").PaymentRecord} PaymentRecord */
/** @typedef {import("./records.mjs").Problem} Problem */
/** @typedef {import("./records.mjs").Registry} Registry */
/** @typedef {import("./records.mjs").Snapshot} Snapshot */
/** @typedef {import("./records.mjs").Soa} Soa */
/** @typedef {import("./records.mjs").SoaView} SoaView */
/** @typedef {import("./records.mjs").StoredEntry} StoredEntry */
/** @typedef {import("./records.mjs").Terminal} Terminal */

/** Everything that belongs to the user who is logged in on this phone. Replaced as a whole, so that nothing of one user reaches the next.
 * @typedef {{user: {name: string, display_name: string}, store: Store, signedIn: boolean, terminals: Terminal[], terminal: Terminal|null, head: Head|null,
 *   snapshot: Snapshot|null, index: {soa: Soa, key: string}[], soas: Map<string, Soa>, payments: PaymentRecord[], paidBySoa: Map<string, PaymentRecord[]>,
 *   views: Map<string, SoaView>, viewsOf: string, unsent: {count: number, oldest_at: string|null}, problems: {seq: number, status: string, reason: string|null}[],
 *   problem: Problem|null, listOf: string, failures: number, lastFailure: string, quietUntil: number, checked: boolean}} Session */

const MINUTE = 60_000;
const SETTLE = 1_500;

/** What the phone takes from the browser; tests give their own. */
function browser() {
  const navigator = globalThis.navigator;
  const document = globalThis.document;
  const said = (/** @type {string} */ name) => /** @type {HTMLMetaElement|null} */ (document?.querySelector(`meta[name="${name}"]`))?.content ?? null;
  const from = { indexedDB: globalThis.indexedDB, keyRange: globalThis.IDBKeyRange };
  return {
    openStore: (/** @type {string} */ name) => new Store(name, from),
    openShared: () => /** @type {Pick<SharedStore, "get"|"set"|"close">} */ (new SharedStore(from)),
    fetch: /** @type {typeof fetch} */ ((resource, options) => globalThis.fetch(resource, options)),
    crypto: globalThis.crypto,
    locks: /** @type {LockManager|undefined} */ (navigator?.locks),
    now: () => Date.now(),
    monotonic: () => performance.now(),
    random: Math.random,
    setTimeout: /** @type {typeof setTimeout} */ ((body, wait) => globalThis.setTimeout(body, wait)),
    clearTimeout: /** @type {typeof clearTimeout} */ ((timer) => globalThis.clearTimeout(timer)),
    storage: /** @type {StorageManager|undefined} */ (navigator?.storage),
    serviceWorker: /** @type {ServiceWorkerContainer|undefined} */ (navigator?.serviceWorker),
    channel: (/** @type {string} */ name) => (globalThis.BroadcastChannel ? new BroadcastChannel(name) : null),
    events: /** @type {EventTarget|undefined} */ (globalThis.window),
    document: /** @type {Document|undefined} */ (document),
    onLine: () => navigator?.onLine !== false,
    reload: () => globalThis.location.reload(),
    version: said("mpos-version"),
    demo: said("mpos-demo") === "1",
    automatic: true,
  };
}

/**
 * Open the records of the last user and start listening; resolves without any network.
 * @param {Partial<ReturnType<typeof browser>>} [given] replacements for what the browser offers
 * @returns {Promise<Phone>}
 */
export async function openPhone(given = {}) {
  const phone = new Phone({ ...browser(), ...given });
  await phone._start();
  return phone;
}

/** The facade of the app. Methods whose name starts with _ are its own. */
export class Phone {
  /** @param {ReturnType<typeof browser>} from */
  constructor(from) {
    this._from = from;
    this._shared = from.openShared();
    this._api = new Api(from);
    this._clock = new Clock({ now: from.now, monotonic: from.monotonic });
    /** @type {Session|null} */
    this._session = null;
    this._online = from.onLine();
    this._demo = from.demo;
    this._uploading = 0;
    this._updateReady = false;
    /** @type {boolean|null} */
    this._persistent = null;
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
    /** @type {(() => void)[]} */
    this._closers = [];
    /** @type {any} */
    this._uploadTimer = undefined;
    this._closed = false;
    this._state = this._freeze();
  }

  // ---- what screens read

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
    const problem = terminal?.stopped ?? session?.problem ?? null;
    return Object.freeze({
      user: session && Object.freeze({ ...session.user }),
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
      unsent: Object.freeze(session ? { ...session.unsent } : { count: 0, oldest_at: null }),
      uploading: this._uploading > 0,
      problem: problem?.message ?? null,
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

  // ---- start, end, other tabs

  async _start() {
    const { storage } = this._from;
    this._savedSkew = (await this._shared.get("skew")) ?? null;
    this._clock.skew = this._savedSkew;
    this._demo = (await this._shared.get("demo")) ?? this._demo;
    this._persistent = (await storage?.persisted?.().catch(() => null)) ?? null;
    const user = await this._shared.get("user");
    if (user) await this._openUser(user);
    this._listen();
    this._publish();
    if (this._from.automatic) this._background(this._contact());
  }

  _listen() {
    const { events, document, channel, serviceWorker, setTimeout, clearTimeout, onLine } = this._from;
    const on = (/** @type {EventTarget|undefined} */ target, /** @type {string} */ name, /** @type {() => void} */ body) => {
      target?.addEventListener(name, body);
      this._closers.push(() => target?.removeEventListener(name, body));
    };
    on(events, "online", () => this._background(this._contact()));
    on(events, "offline", () => this._setOnline(false));
    on(document, "visibilitychange", () => {
      if (document?.visibilityState === "hidden") this._clock.hidden();
      else this._background(this._shown());
    });
    const tabs = channel("mpos");
    if (tabs) {
      tabs.onmessage = (/** @type {MessageEvent} */ event) => this._background(this._heardTab(event.data));
      this._closers.push(() => tabs.close());
    }
    this._tabs = tabs;
    if (serviceWorker) this._watchWorker(serviceWorker);
    if (!this._from.automatic) return;
    /** @type {any} */
    let timer;
    const tick = () => {
      timer = setTimeout(tick, MINUTE);
      this._background(this._watchClock());
      if (!this._session) return;
      if (this._session.unsent.count) this._background(this._uploadSoon(0));
      else if (!this._online && onLine()) this._background(this._contact());
    };
    timer = setTimeout(tick, MINUTE);
    this._closers.push(() => clearTimeout(timer));
  }

  async _shown() {
    await this._watchClock();
    this._clock.shown();
    await this._refresh();
    if (this._from.monotonic() - this._lastContact > MINUTE / 2 || !this._online) await this._contact();
  }

  /** @param {any} message */
  async _heardTab(message) {
    if (message?.kind === "user") {
      const user = (await this._shared.get("user")) ?? null;
      if (user?.name === this._session?.user.name) return;
      await this._leave();
      if (user) await this._openUser(user);
      this._publish();
    } else if (message?.kind === "changed" && message.user === this._session?.user.name) {
      await this._refresh();
    }
  }

  /** Stop listening and close the stores. */
  async close() {
    this._closed = true;
    for (const closer of this._closers.splice(0)) closer();
    this._from.clearTimeout(this._uploadTimer);
    await this._refreshed;
    await this._leave();
    await this._shared.close();
  }

  async _leave() {
    const session = this._session;
    this._session = null;
    this._from.clearTimeout(this._uploadTimer);
    await session?.store.close();
  }

  /** @param {{name: string, display_name: string}} user */
  async _openUser(user) {
    const store = this._from.openStore(`mpos-${user.name}`);
    await store.ready();
    this._session = {
      user,
      store,
      signedIn: false,
      terminals: [],
      terminal: null,
      head: null,
      snapshot: null,
      index: [],
      soas: new Map(),
      payments: [],
      paidBySoa: new Map(),
      views: new Map(),
      viewsOf: "",
      unsent: { count: 0, oldest_at: null },
      problems: [],
      problem: null,
      listOf: "",
      failures: 0,
      lastFailure: "",
      quietUntil: 0,
      checked: false,
    };
    await this._refresh();
    const { terminal, head } = this._session;
    if (terminal && head && !terminal.stopped) {
      if (head.seq === 0) await this._writeEnrolled(terminal); // the app was closed between the portal's yes and the first entry
      const behind = head.at === null ? 0 : this._from.now() - Date.parse(head.at);
      if (behind < -TOLERANCE) await this._watchClock(Math.round(behind / 1000));
    }
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
      const listOf = `list ${terminal?.code} ${head?.list_seq}`;
      if (listOf !== session.listOf) {
        const list = await store.snapshot();
        session.snapshot = list;
        session.index = makeIndex(list?.soas ?? []);
        session.soas = new Map((list?.soas ?? []).map((soa) => [soa.id, soa]));
        session.listOf = listOf;
      }
      let count = 0;
      let oldest = null;
      for (const { code: each } of terminals) {
        const summary = await store.unsentSummary(each);
        count += summary.count;
        if (summary.oldest_at && (!oldest || summary.oldest_at < oldest)) oldest = summary.oldest_at;
      }
      session.terminals = terminals;
      session.terminal = terminal;
      session.head = head;
      session.unsent = { count, oldest_at: oldest };
      const included = this._included(session);
      session.payments = terminal ? await store.payments(terminal.code, included + 1) : [];
      session.paidBySoa = new Map();
      for (const payment of session.payments) {
        const soa = payment.payload.soa;
        session.paidBySoa.set(soa, [...(session.paidBySoa.get(soa) ?? []), payment]);
      }
      session.views.clear();
      session.problems = terminal
        ? (await store.troubles(terminal.code)).map(({ seq, status, reason }) => ({ seq, status: String(status), reason }))
        : [];
      if (this._clock.skew !== this._savedSkew) {
        this._savedSkew = this._clock.skew;
        await this._shared.set("skew", this._savedSkew);
      }
      this._publish();
    });
    this._refreshed = run.catch(() => undefined); // the caller of this refresh hears of it; the next one starts anew
    return run;
  }

  /** Up to which journal entry the list's figures hold this terminal's payments. @param {Session} session */
  _included(session) {
    return session.snapshot?.included[session.terminal?.code ?? ""] ?? 0;
  }

  /** Tell this tab and the others that something was written. */
  async _changed() {
    this._tabs?.postMessage({ kind: "changed", user: this._session?.user.name });
    await this._refresh();
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
    if (!this._session) throw new PhoneError("signed_out", "Log in first.");
    return this._session;
  }

  /** The session with a terminal that may write. */
  _needTerminal() {
    const session = this._needSession();
    const { terminal } = session;
    if (!terminal) throw new PhoneError("no_terminal", "This phone is not enrolled yet. Enroll this phone first.");
    if (terminal.stopped) throw new PhoneError(terminal.stopped.code, terminal.stopped.message);
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
      if (this._session) this._session.problem = { code: error.code, message: error.message };
      this._publish();
    });
  }

  // ---- the portal

  /** @param {boolean} online */
  _setOnline(online) {
    if (this._online === online) return;
    this._online = online;
    this._publish();
  }

  /** Ask the portal who we are and compare what it holds; then send what is unsent. Never throws for want of a connection. */
  _contact() {
    this._contacting ??= this._contactNow().finally(() => {
      this._contacting = null;
    });
    return this._contacting;
  }

  async _contactNow() {
    try {
      await this._hello(await this._api.ping());
    } catch (error) {
      if (!(error instanceof PhoneError)) throw error;
      this._failedCall(error);
      this._publish();
      return;
    }
    if (this._session?.signedIn) await this._uploadSoon(0);
  }

  /** @param {Awaited<ReturnType<Api["ping"]>>} hello */
  async _hello(hello) {
    this._lastContact = this._from.monotonic();
    this._online = true;
    if (this._demo !== hello.demo) {
      this._demo = hello.demo;
      await this._shared.set("demo", hello.demo);
    }
    await this._watchClock();
    const moved = this._clock.heard(Date.parse(hello.time), hello.started);
    if (moved !== null) await this._watchClock(moved);
    if (await this._shared.get("log_out")) {
      // Somebody logged out here while the portal was out of reach.
      if (hello.user) await this._api.logOut();
      await this._shared.set("log_out", undefined);
      hello = { ...hello, user: null };
    }
    const session = this._session;
    if (session) {
      session.signedIn = hello.user === session.user.name;
      if (PASSING.includes(session.problem?.code ?? "")) session.problem = null;
      if (UNREACHABLE.includes(session.lastFailure)) session.quietUntil = 0;
      if (session.signedIn) await this._compare(session);
    }
    await this._refresh();
    this._publish();
  }

  /** Compare the portal's picture of our terminal with our journal. @param {Session} session */
  async _compare(session) {
    const { terminal, store } = session;
    if (!terminal) return;
    let theirs;
    try {
      theirs = await this._api.terminal(terminal.code);
    } catch (error) {
      if (error instanceof PortalError && error.status === 404) {
        session.problem = { code: "unknown_terminal", message: `The portal does not know ${terminal.code} as your terminal. Keep this phone as it is and see the office.` };
        return;
      }
      throw error;
    }
    const { stopped, resendAfter } = await compare(store, terminal.code, theirs);
    await store.updateTerminal(terminal.code, {
      state: theirs.orders?.revoked ? "revoked" : theirs.state,
      name: typeof theirs.name === "string" ? theirs.name : terminal.name,
      business: theirs.business ?? terminal.business,
      stopped,
    });
    if (resendAfter !== null) await store.unmark(terminal.code, resendAfter);
    session.checked = true;
  }

  /** What a failed call says about connection and sign-in. @param {PhoneError} error */
  _failedCall(error) {
    const session = this._session;
    const status = error instanceof PortalError ? error.status : 0;
    if (UNREACHABLE.includes(error.code)) this._online = false;
    else if (error instanceof PortalError) this._online = true;
    if (!session) return;
    if (status === 401) session.signedIn = false;
    // No connection is no trouble on the street: it has its own sign.
    session.problem = error.code === "offline" ? null : { code: error.code, message: error.message };
  }

  /**
   * Sign in to the portal and open this user's records.
   * @param {string} username
   * @param {string} password
   */
  async logIn(username, password) {
    let hello;
    try {
      hello = await this._api.logIn(String(username).trim(), String(password));
    } catch (error) {
      if (error instanceof PortalError && error.status !== 401) {
        this._failedCall(error);
        this._publish();
      }
      if (error instanceof PortalError && error.code === "offline") {
        throw new PhoneError("offline", "The portal cannot be reached. Logging in needs a connection; try again when there is one.", { cause: error });
      }
      throw error;
    }
    if (!hello.user) throw new PhoneError("strange_answer", "The portal did not say who is logged in. Try again.");
    const user = { name: hello.user, display_name: hello.display_name ?? hello.user };
    await this._shared.set("log_out", undefined);
    await this._shared.set("user", user);
    if (this._session?.user.name !== user.name) {
      await this._leave();
      await this._openUser(user);
    }
    this._tabs?.postMessage({ kind: "user" });
    const session = this._needSession();
    session.user = user;
    session.problem = null;
    session.failures = 0;
    session.quietUntil = 0;
    session.signedIn = true;
    try {
      await this._hello(hello);
    } catch (error) {
      if (!(error instanceof PhoneError)) throw error;
      this._failedCall(error); // the log-in stands; the comparison is made at the next contact
      this._publish();
    }
    this._background(this._uploadSoon(0));
  }

  /**
   * Forget the user on this phone's screen and end the sign-in on the portal, now or when it can be reached. Nothing is erased.
   * Throws PhoneError unsent_entries while something is unsent, unless `force`.
   * @param {{force?: boolean}} [options]
   */
  async logOut({ force = false } = {}) {
    const session = this._session;
    if (session) {
      await this._refresh();
      const { count } = session.unsent;
      if (count && !force) {
        const what = count === 1 ? "1 entry is" : `${count} entries are`;
        throw new PhoneError(
          "unsent_entries",
          `${what} saved on this phone only, not uploaded yet. Upload Payments first. If you log out all the same they stay on this phone and are uploaded when you log in here again.`,
        );
      }
    }
    await this._shared.set("log_out", true);
    await this._shared.set("user", undefined);
    await this._leave();
    this._tabs?.postMessage({ kind: "user" });
    this._publish();
    try {
      await this._api.logOut();
      await this._shared.set("log_out", undefined);
    } catch (error) {
      if (!(error instanceof PhoneError)) throw error;
      if (error instanceof PortalError && error.status === 401) await this._shared.set("log_out", undefined);
      else this._failedCall(error); // done at the next contact
      this._publish();
    }
  }

  /**
   * Make this browser a terminal of the logged-in collector. Needs a connection.
   * @param {string} name what the office will see, such as "Nena's phone"
   */
  async enroll(name) {
    const session = this._needSession();
    const { store } = session;
    if (session.terminal && !session.terminal.stopped && session.terminal.state !== "revoked") {
      throw new PhoneError("enrolled_already", `This phone is already enrolled as ${session.terminal.code}.`);
    }
    const label = String(name).trim();
    if (!label || label.length > 60) throw new PhoneError("invalid", "Give this phone a name of 1 to 60 letters, such as Nena's phone.");
    await this._persist();
    let keys = await store.meta("new_keys");
    if (!keys || session.terminals.some((terminal) => JSON.stringify(terminal.public_key) === JSON.stringify(keys.public_key))) {
      keys = await makeKeys(this._from.crypto.subtle);
      await store.setMeta("new_keys", keys); // kept before the portal is asked: should its answer be lost, the same key gets the same terminal
    }
    const answer = await this._call(() => this._api.enroll(label, keys.public_key));
    /** @type {Terminal} */
    const terminal = {
      code: answer.terminal,
      name: answer.name ?? label,
      state: answer.state ?? "active",
      ...keys,
      business: answer.business ?? null,
      stopped: null,
      acknowledged_seq: 0,
    };
    await store.updateTerminal(terminal.code, terminal);
    await store.setMeta("terminal", terminal.code);
    await store.setMeta("new_keys", undefined);
    session.problem = null;
    await this._refresh();
    try {
      await this._compare(session);
    } catch (error) {
      if (!(error instanceof PortalError)) throw error;
      this._failedCall(error); // enrolled all the same; compared at the next contact
    }
    await this._refresh();
    if (session.terminal && !session.terminal.stopped) await this._writeEnrolled(session.terminal);
    this._background(this._uploadSoon(SETTLE));
  }

  /** @param {Terminal} terminal */
  async _writeEnrolled(terminal) {
    const session = this._needSession();
    const payload = { name: terminal.name, collector: session.user.name, app_version: this._from.version ?? "unknown" };
    await write(this._writing(session, terminal.code), (head) => {
      if (head.seq > 0) throw new PhoneError("enrolled_already", `This phone is already enrolled as ${terminal.code}.`);
      return { kind: "enrolled", payload };
    });
    await this._changed();
  }

  /**
   * A call the user waits for: its failure also shows in the state.
   * @template T
   * @param {() => Promise<T>} body
   * @returns {Promise<T>}
   */
  async _call(body) {
    try {
      const result = await body();
      this._lastContact = this._from.monotonic();
      this._online = true;
      return result;
    } catch (error) {
      if (error instanceof PortalError) {
        this._failedCall(error);
        this._publish();
      }
      throw error;
    }
  }

  /** Ask the browser to keep our records when space runs short. */
  async _persist() {
    try {
      this._persistent = (await this._from.storage?.persist?.()) ?? null;
    } catch {
      this._persistent = null; // some browsers throw where others answer false: unknown either way
    }
    this._publish();
  }

  /**
   * Download the list of SOAs. The old list stays unless the new one is complete.
   * @param {(progress: {received: number, total: number|null, stage: string}) => void} [onProgress]
   */
  async download(onProgress = () => undefined) {
    const { session, terminal } = this._needTerminal();
    await this._call(() => download(this._writing(session, terminal.code), this._api, session.snapshot, onProgress));
    session.problem = null;
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return this.state.snapshot;
  }

  // ---- the list

  /** @param {Session} session @param {Soa} soa @returns {SoaView} */
  _view(session, soa) {
    const today = this._clock.today();
    if (session.viewsOf !== today) {
      session.views.clear();
      session.viewsOf = today;
    }
    const known = session.views.get(soa.id);
    if (known) return known;
    const payments = session.paidBySoa.get(soa.id) ?? [];
    const view = { ...soa, ...(payments.length ? lessLocal(soa, payments) : {}), days_overdue: daysBetween(soa.due_date, today), payments };
    session.views.set(soa.id, view);
    return view;
  }

  /**
   * The SOAs in which every word of `text` occurs, by due date then name.
   * @param {string} text
   * @param {{list?: "due"|"all"}} [options] `due`: due today or before
   * @returns {SoaView[]}
   */
  search(text, { list = "all" } = {}) {
    const session = this._session;
    if (!session) return [];
    return find(session.index, text, list === "due" ? this._clock.today() : null).map((soa) => this._view(session, soa));
  }

  /**
   * One SOA less this phone's own payments; null when the list does not hold it.
   * @param {string} id
   * @returns {SoaView|null}
   */
  soa(id) {
    const session = this._session;
    const soa = session?.soas.get(id);
    return session && soa ? this._view(session, soa) : null;
  }

  // ---- registry and payments

  /**
   * Open the registry of today with its change fund (centavos).
   * @param {number} changeFund
   */
  async openRegistry(changeFund) {
    if (this._session?.terminal && this._session.terminal.state !== "active") await this._contact(); // it may have been approved by now
    const { session, terminal } = this._needActive();
    if (!isCentavos(changeFund)) throw new PhoneError("invalid_amount", "The change fund must be an amount of zero or more.");
    await this._persist();
    const id = this._from.crypto.randomUUID();
    await write(this._writing(session, terminal.code), (head, at) => {
      if (head.registry) {
        throw new PhoneError("registry_open", `The registry of ${head.registry.business_date} is still open. Make its Z-Reading and close it first.`);
      }
      const business_date = at.slice(0, 10);
      const collector = session.user.name;
      /** @type {Registry} */
      const registry = {
        id,
        business_date,
        change_fund: changeFund,
        collector,
        opened_at: at,
        opened_seq: head.seq + 1,
        z_done: false,
        closed: false,
        last_cash_seq: 0,
        count: null,
        reading_x: null,
        reading_z: null,
      };
      const { z_counter, accumulated } = head;
      return {
        kind: "registry_opened",
        payload: { registry: id, business_date, change_fund: changeFund, collector, z_counter, accumulated },
        head: { registry },
      };
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
  }

  /** The session with a terminal that may take money. */
  _needActive() {
    const { session, terminal } = this._needTerminal();
    if (terminal.state === "revoked") {
      throw new PhoneError("revoked", `The office has revoked terminal ${terminal.code}: it must not take payments any more. Upload Payments, then see the office.`);
    }
    if (terminal.state === "waiting") {
      throw new PhoneError("waiting", waiting(terminal.code));
    }
    return { session, terminal };
  }

  /**
   * What a draft would become: allocation, VAT, change, what becomes an advance, what is wrong. Never throws.
   * @param {Draft} draft
   */
  preview(draft) {
    const session = this._session;
    const result = preview(draft, this.soa(draft.soa));
    const closed = session?.head ? closedForPayments(session.head) : new PhoneError("no_registry", "No registry is open. Open Registry first, then collect.");
    if (closed) result.problems.push({ field: "registry", message: closed.message });
    return result;
  }

  /**
   * Store a payment durably. The same `draft.intent` again answers the first payment.
   * @param {Draft} draft
   */
  async confirm(draft) {
    const { session, terminal } = this._needActive();
    const snapshot = session.snapshot;
    const record = await confirm(this._writing(session, terminal.code), draft, {
      find: (id) => session.soas.get(id) ?? null,
      includedSeq: this._included(session),
      shown: (soa) => ({
        address: soa.address,
        tin: soa.tin,
        contact_number: soa.contact_number,
        as_of: snapshot?.as_of ?? null,
        business: snapshot?.business ?? terminal.business,
        collector: session.user.name,
        collector_name: session.user.display_name,
        demo: this._demo,
      }),
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return { ...record.payload, payment: record.payment, at: record.at, seq: record.seq };
  }

  /** @param {string} id */
  async _payment(id) {
    const record = await this._needSession().store.payment(id);
    if (!record) throw new PhoneError("not_found", "This payment is not saved on this phone.");
    return record;
  }

  /**
   * Everything a receipt shows.
   * @param {string} paymentId
   */
  async receipt(paymentId) {
    const record = await this._payment(paymentId);
    const { payload, shown, prints } = record;
    /** @type {Map<string, {invoice: string, invoice_number: string, penalty: number, principal: number}>} */
    const invoices = new Map();
    for (const { invoice, invoice_number, kind, amount } of payload.allocations) {
      if (invoice === null) continue;
      const line = invoices.get(invoice) ?? { invoice, invoice_number, penalty: 0, principal: 0 };
      line[/** @type {"penalty"|"principal"} */ (kind)] += amount;
      invoices.set(invoice, line);
    }
    return {
      ...shown,
      ...payload,
      ...parts(payload.allocations),
      at: record.at,
      seq: record.seq,
      terminal: record.terminal,
      invoices: [...invoices.values()],
      verification: record.hash.slice(0, 8),
      printed: prints.customer > 0,
      reprints: Math.max(prints.customer - 1, 0),
    };
  }

  /**
   * Journal that a receipt was printed; answers which reprint it was (0 for the first print).
   * @param {string} paymentId
   * @param {"customer"|"collector"} copy
   * @returns {Promise<{reprint: number}>}
   */
  async recordPrint(paymentId, copy) {
    const { session, terminal } = this._needTerminal();
    const which = copy === "collector" ? "collector" : "customer";
    let reprint = 0;
    await write(this._writing(session, terminal.code), async () => {
      const record = await this._payment(paymentId);
      reprint = record.prints[which];
      return {
        kind: "receipt_printed",
        payload: { payment: record.payment, receipt_number: record.payload.receipt_number, copy: which, reprint },
        update: { ...record, prints: { ...record.prints, [which]: reprint + 1 } },
      };
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return { reprint };
  }

  /** The open registry, or the last one. @returns {Registry|null} */
  _registry() {
    const head = this._session?.head;
    return head?.registry ?? head?.last_registry ?? null;
  }

  /** Payments of the open or last registry with where each is, in receipt order. */
  async _registryPayments() {
    const session = this._needSession();
    const registry = this._registry();
    if (!session.terminal || !registry) return [];
    const code = session.terminal.code;
    const [records, entries] = await Promise.all([
      session.store.payments(code, registry.opened_seq),
      session.store.entries(code, registry.opened_seq),
    ]);
    const bySeq = new Map(entries.map((stored) => [stored.seq, stored]));
    return records
      .filter((record) => record.payload.registry === registry.id)
      .map((record) => {
        const stored = bySeq.get(record.seq);
        return {
          ...record.payload,
          payment: record.payment,
          at: record.at,
          seq: record.seq,
          status: whereItIs(stored),
          reason: stored?.reason ?? null,
          printed: record.prints.customer > 0,
          reprints: Math.max(record.prints.customer - 1, 0),
        };
      });
  }

  /** Payments of the open or last registry, newest first. */
  async transactions() {
    return (await this._registryPayments()).reverse();
  }

  // ---- count, readings, closing

  /** @param {Head} head @returns {Registry} */
  _openRegistryOf(head) {
    if (!head.registry) throw new PhoneError("no_registry", "No registry is open. Open Registry first.");
    if (head.registry.z_done) throw new PhoneError("z_done", "The Z-Reading of this registry is made; it cannot be changed any more. Close Registry.");
    return head.registry;
  }

  /** @param {Session} session @param {string} code @param {Registry} registry @param {number} [to] */
  async _period(session, code, registry, to = Infinity) {
    const stored = await session.store.entries(code, registry.opened_seq, to);
    return periodOf(stored.map(({ entry }) => entry));
  }

  /**
   * Keep a count of bills and coins; only its answer tells what was expected.
   * @param {{value: number, kind: string, count: number}[]} denominations those left out count as none
   * @returns {Promise<{total: number, expected_cash: number, short_over: number}>}
   */
  async saveCount(denominations) {
    const { session, terminal } = this._needTerminal();
    const given = new Map(denominations.map((line) => [`${line.kind} ${line.value}`, line.count]));
    const lines = DENOMINATIONS.map(({ value, kind }) => ({ value, kind, count: given.get(`${kind} ${value}`) ?? 0 }));
    const known = new Set(DENOMINATIONS.map(({ value, kind }) => `${kind} ${value}`));
    if (given.size !== denominations.length || [...given.keys()].some((key) => !known.has(key))) {
      throw new PhoneError("invalid", "This count has a bill or coin that does not exist, or one twice.");
    }
    if (lines.some(({ count }) => !Number.isSafeInteger(count) || count < 0 || count > 1_000_000)) {
      throw new PhoneError("invalid", "Each count must be a whole number of bills or coins, zero or more.");
    }
    const total = countTotal(lines);
    const { head } = await write(this._writing(session, terminal.code), (before, at) => {
      const registry = this._openRegistryOf(before);
      return {
        kind: "count",
        payload: { registry: registry.id, denominations: lines, total },
        registry: { count: { seq: before.seq + 1, at, denominations: lines, total } },
      };
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    const { expected_cash } = xReading(await this._period(session, terminal.code, /** @type {Registry} */ (head.registry)), "", "", 0);
    return { total, expected_cash, short_over: total - expected_cash };
  }

  /** The last count of the open registry, held against the cash expected now; null when there is none. */
  async lastCount() {
    const session = this._needSession();
    const registry = session.head?.registry;
    if (!session.terminal || !registry?.count) return null;
    const { total, denominations, at } = registry.count;
    const { expected_cash } = xReading(await this._period(session, session.terminal.code, registry), "", "", 0);
    return { total, denominations, at, expected_cash, short_over: total - expected_cash };
  }

  /** Make an X-Reading: interim, repeatable, moves nothing. */
  async xReading() {
    const { session, terminal } = this._needTerminal();
    let reading = {};
    await write(this._writing(session, terminal.code), async (head, at) => {
      const registry = this._openRegistryOf(head);
      const period = await this._period(session, terminal.code, registry, head.seq);
      reading = xReading(period, at, head.hash, (await session.store.unsentSummary(terminal.code)).count);
      return { kind: "reading_x", payload: { registry: registry.id, reading }, registry: { reading_x: reading } };
    });
    await this._changed();
    this._background(this._uploadSoon(SETTLE));
    return reading;
  }

  /** Make the Z-Reading, which closes the registry for payments; made already, it answers the one that was made. */
  async zReading() {
    const { session, terminal } = this._needTerminal();
    /** @type {object|null} */
    let reading = null;
    await this._lockedUnless(
      session,
      terminal,
      (head) => (head.registry?.z_done ? head.registry.reading_z : null),
      async (head, at) => {
        const registry = this._openRegistryOf(head);
        if (!registry.count) throw new PhoneError("no_count", "Count cash before the Z-Reading: it holds what was counted.");
        if (registry.last_cash_seq > registry.count.seq) {
          throw new PhoneError("count_outdated", "Cash was collected after the last count. Count cash again, then make the Z-Reading.");
        }
        const period = await this._period(session, terminal.code, registry, head.seq);
        const { count } = await session.store.unsentSummary(terminal.code);
        const made = zReading(period, head, at, head.hash, count);
        reading = made;
        return {
          kind: "reading_z",
          payload: { registry: registry.id, z_counter: made.z_counter, reading: made },
          head: { z_counter: made.z_counter, accumulated: made.present_accumulated },
          registry: { z_done: true, reading_z: made },
        };
      },
      (stored) => {
        reading = stored;
      },
    );
    await this._changed();
    this._background(this._uploadSoon(0));
    return /** @type {any} */ (reading);
  }

  /**
   * Write unless `already` finds that it was done.
   * @param {Session} session
   * @param {Terminal} terminal
   * @param {(head: Head) => object|null} already
   * @param {(head: Head, at: string) => Promise<import("./confirm.mjs").Step>} plan
   * @param {(found: object) => void} onFound
   */
  async _lockedUnless(session, terminal, already, plan, onFound) {
    const done = new Error("done already");
    try {
      await write(this._writing(session, terminal.code), (head, at) => {
        const found = already(head);
        if (!found) return plan(head, at);
        onFound(found);
        throw done;
      });
    } catch (error) {
      if (error !== done) throw error;
    }
  }

  /**
   * The last reading of the open or last registry; null when there is none.
   * @param {"x"|"z"} kind
   * @returns {any}
   */
  reading(kind) {
    const registry = this._registry();
    return (kind === "z" ? registry?.reading_z : registry?.reading_x) ?? null;
  }

  /** Close the registry after its Z-Reading. */
  async closeRegistry() {
    const { session, terminal } = this._needTerminal();
    await write(this._writing(session, terminal.code), (head) => {
      const { registry } = head;
      if (!registry) throw new PhoneError("no_registry", "No registry is open.");
      if (!registry.z_done) throw new PhoneError("no_z", "Make the Z-Reading first; it closes the day's figures.");
      return {
        kind: "registry_closed",
        payload: { registry: registry.id, z_counter: head.z_counter },
        head: { registry: null, last_registry: { ...registry, closed: true } },
      };
    });
    await this._changed();
    this._background(this._uploadSoon(0));
  }

  /** The Collection Report of the open or last registry; null when there never was one. */
  async collectionReport() {
    const session = this._needSession();
    const registry = this._registry();
    if (!registry) return null;
    const rows = (await this._registryPayments()).map((row) => ({ ...row, ...parts(row.allocations) }));
    const total = (/** @type {"penalty"|"principal"|"advance"|"amount"} */ name) => rows.reduce((sum, row) => sum + row[name], 0);
    const { id, business_date, change_fund, opened_at, z_done, closed } = registry;
    return {
      business: this.state.business,
      terminal: session.terminal?.code ?? null,
      collector: session.user.name,
      collector_name: session.user.display_name,
      registry: { id, business_date, change_fund, opened_at, z_done, closed },
      made_at: this._clock.at(),
      rows,
      totals: { penalty: total("penalty"), principal: total("principal"), advance: total("advance"), amount: total("amount") },
      by_tender: byTender(rows),
      demo: this._demo,
    };
  }

  // ---- upload

  /**
   * Upload what is unsent, now. Safe to repeat; waits for an upload that is already running.
   * @returns {Promise<{sent: number, acknowledged: number, problems: {seq: number, status: string, reason: string|null}[], problem: Problem|null}>}
   */
  async upload() {
    const session = this._needSession();
    if (session.terminal?.state === "waiting") await this._contact(); // it may have been approved by now
    const result = await this._drainAll(session, false);
    return { ...result, problems: this._session === session ? [...this.state.problems] : [] };
  }

  /**
   * Upload by itself after `wait` milliseconds; a later call replaces an earlier one. Waits longer while the portal asked for quiet.
   * @param {number} wait
   */
  async _uploadSoon(wait) {
    const { setTimeout, clearTimeout, monotonic, automatic } = this._from;
    clearTimeout(this._uploadTimer);
    const session = this._session;
    if (!automatic || this._closed || !session?.unsent.count) return;
    const quiet = session.quietUntil - monotonic();
    const pause = Math.max(wait, quiet, 0);
    if (pause > 0) {
      this._uploadTimer = setTimeout(() => this._background(this._uploadSoon(0)), pause);
      return;
    }
    await this._drainAll(session, true);
  }

  /** @param {Session} session @param {boolean} byItself */
  async _drainAll(session, byItself) {
    /** @type {{sent: number, acknowledged: number, problem: Problem|null}} */
    const nothing = { sent: 0, acknowledged: session.terminal?.acknowledged_seq ?? 0, problem: null };
    this._uploading += 1;
    this._publish();
    let result = nothing;
    try {
      result = (await this._lock(`mpos-upload-${session.user.name}`, () => this._drainLocked(session, byItself), byItself)) ?? nothing;
    } catch (error) {
      if (!(error instanceof PhoneError)) throw error;
      result = { ...nothing, problem: this._giveUp(session, error, error instanceof PortalError ? error.again : false, error instanceof PortalError ? error.retryAfter : null) };
    } finally {
      this._uploading -= 1;
    }
    if (this._session === session) {
      if (result.sent) await this._changed();
      else await this._refresh();
      if (result.problem) this._background(this._uploadSoon(0)); // when the back-off is over
    }
    return result;
  }

  /** @param {Session} session @param {boolean} byItself */
  async _drainLocked(session, byItself) {
    const subtle = this._from.crypto.subtle;
    if (byItself && !session.signedIn && session.checked) return null; // asked to sign in already: only a person can help
    if (this._api.token === null || !session.signedIn) {
      const hello = await this._api.ping();
      session.signedIn = hello.user === session.user.name;
      if (!session.signedIn) throw new PortalError("signed_out", SIGNED_OUT, { status: 401 });
    }
    let sent = 0;
    let acknowledged = 0;
    for (const terminal of await session.store.terminals()) {
      const current = terminal.code === session.terminal?.code;
      if (!(await session.store.unsentSummary(terminal.code)).count) {
        if (current) acknowledged = terminal.acknowledged_seq;
        continue;
      }
      if (terminal.state === "waiting") {
        const problem = byItself ? null : { code: "waiting", message: waiting(terminal.code) };
        return { sent, acknowledged, problem };
      }
      const onBatch = () => (this._session === session ? this._refresh() : undefined);
      const result = await drain({ store: session.store, api: this._api, subtle, onBatch }, terminal);
      sent += result.sent;
      if (current) acknowledged = result.acknowledged;
      if (result.problem) {
        const error = new PortalError(result.problem.code, result.problem.message, { status: result.problem.code === "signed_out" ? 401 : 200 });
        return { sent, acknowledged, problem: this._giveUp(session, error, result.again, result.wait) };
      }
    }
    session.failures = 0;
    session.lastFailure = "";
    session.quietUntil = 0;
    if (!session.terminal?.stopped) session.problem = null;
    this._online = true;
    this._lastContact = this._from.monotonic();
    return { sent, acknowledged, problem: null };
  }

  /**
   * Remember why an upload stopped and when to try again.
   * @param {Session} session
   * @param {PhoneError} error
   * @param {boolean} again
   * @param {number|null} wait
   * @returns {Problem}
   */
  _giveUp(session, error, again, wait) {
    session.failures += 1;
    session.lastFailure = error.code;
    // What waiting does not mend is tried again all the same, but seldom: the office may have mended it.
    const pause = again ? delay(session.failures, wait, this._from.random) : 10 * MINUTE;
    session.quietUntil = this._from.monotonic() + pause;
    if (this._session === session) this._failedCall(error);
    return { code: error.code, message: error.code === "signed_out" ? SIGNED_OUT : error.message };
  }

  /** The unsent entries as a file to hand to the office when nothing else works. */
  async rescueFile() {
    const session = this._needSession();
    const entries = [];
    for (const { code } of await session.store.terminals()) {
      for (const { entry } of await session.store.unsent(code)) entries.push(entry);
    }
    const file = { what: "unsent journal entries", user: session.user.name, made_at: this._clock.at(), entries };
    return new Blob([JSON.stringify(file, null, 1)], { type: "application/json" });
  }

  // ---- new versions of the app

  /** @param {ServiceWorkerContainer} container */
  _watchWorker(container) {
    const ready = (/** @type {ServiceWorkerRegistration} */ registration) => {
      this._registration = registration;
      this._updateReady = Boolean(registration.waiting && registration.active);
      this._publish();
    };
    container
      .register("/mpos/sw.mjs", { type: "module", scope: "/mpos/", updateViaCache: "none" })
      .then((registration) => {
        ready(registration);
        registration.addEventListener("updatefound", () => {
          registration.installing?.addEventListener("statechange", () => ready(registration));
        });
      })
      .catch((error) => console.warn("This browser does not keep the app for offline use:", error));
  }

  /** Let a waiting new version take over and load it. Stored data stay; call it only when the user asked for it. */
  async applyUpdate() {
    const waiting = this._registration?.waiting;
    if (!waiting) return;
    waiting.addEventListener("statechange", () => {
      if (waiting.state === "activated") this._from.reload();
    });
    waiting.postMessage({ type: "take-over" });
  }
}

/** Failures that mean there is no line to the portal. */
const UNREACHABLE = ["offline", "timeout", "login_page"];
/** Problems that are over once the portal answers again. */
const PASSING = [...UNREACHABLE, "busy", "strange_answer", "signed_out"];
const SIGNED_OUT = "The portal has ended your log-in. Everything is saved on this phone. Log in again to go on uploading.";

/** @param {string} code */
function waiting(code) {
  return `Terminal ${code} waits for an administrator's approval. Everything stays on this phone until then. Ask the office to approve it, then try again.`;
}

/** @param {StoredEntry|undefined} stored */
function whereItIs(stored) {
  if (!stored || stored.unsent) return "saved";
  return stored.problem ? /** @type {string} */ (stored.status) : "uploaded";
}

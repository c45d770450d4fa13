/**
 * The phone app behind its screens: who is logged in, what is stored, what is sent. Screens call the methods of `Phone`, read `state` and are told
 * of changes by `subscribe`. Money is integer centavos; failures are PhoneError with a message fit to show.
 */

import { Closing } from "./closing.mjs";
import { SharedStore, Store } from "./db.mjs";
import { PhoneError } from "./errors.mjs";
import { MINUTE } from "./line.mjs";
import { told } from "./words.mjs";

export { PhoneError } from "./errors.mjs";

/** What the phone takes from the browser; tests give their own. */
export function browser() {
  const navigator = globalThis.navigator;
  const document = globalThis.document;
  const said = (/** @type {string} */ name) => /** @type {HTMLMetaElement|null} */ (document?.querySelector(`meta[name="${name}"]`))?.content ?? null;
  const from = { indexedDB: globalThis.indexedDB, keyRange: globalThis.IDBKeyRange };
  return {
    openStore: (/** @type {string} */ name) => new Store(name, from),
    openShared: () => /** @type {Pick<SharedStore, "get"|"set"|"like"|"close">} */ (new SharedStore(from)),
    databases: async () => ((await globalThis.indexedDB?.databases?.()) ?? []).map(({ name }) => name ?? ""),
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
    pin_work: /** @type {number|undefined} */ (undefined),
    memo: memo(),
    installed: () => (globalThis.matchMedia ? globalThis.matchMedia("(display-mode: standalone), (display-mode: fullscreen)").matches : null),
  };
}

/** A second place beside the records, for the marks of openings: browsers erase the two by different rules. It may be missing, and nothing depends on it. */
function memo() {
  /** @type {() => Storage|null} */
  const place = () => {
    try {
      return globalThis.window?.localStorage ?? null;
    } catch {
      return null; // forbidden by the browser's settings
    }
  };
  return {
    /** @param {string} prefix @returns {[string, any][]} */
    like(prefix) {
      const storage = place();
      return Object.keys(storage ?? {}).filter((key) => key.startsWith(prefix)).map((key) => [key.slice(prefix.length), readJson(storage?.getItem(key) ?? "null")]);
    },
    /** @param {string} key @param {unknown} value */
    set(key, value) {
      try {
        place()?.setItem(key, JSON.stringify(value));
      } catch {
        console.warn("The mark of this opening could not be kept beside the records.");
      }
    },
  };
}

/** @param {string} text */
function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // somebody else's value under our name
  }
}

/**
 * Open the records of the last user and start listening; resolves without any network.
 * @param {Partial<ReturnType<typeof browser>>} [given] replacements for what the browser offers
 * @returns {Promise<Phone>}
 */
export async function openPhone(given = {}) {
  const from = { ...browser(), ...given };
  if (!from.crypto?.subtle) {
    throw new PhoneError("not_secure", told("not_secure"));
  }
  const phone = new Phone(from);
  await phone._start();
  return phone;
}

/** The facade of the app: the whole day's work, with its ears open to the browser, other tabs and new versions. */
export class Phone extends Closing {
  async _start() {
    const { storage } = this._from;
    this._savedSkew = (await this._shared.get("skew")) ?? null;
    this._clock.skew = this._savedSkew;
    this._demo = (await this._shared.get("demo")) ?? this._demo;
    this._persistent = (await storage?.persisted?.().catch(() => null)) ?? null;
    const user = await this._shared.get("user");
    if (user) await this._openUser(user);
    await this._recount();
    await this._findLost();
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
    this._watchTouches();
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
      if (this._clock.today() !== this.state.today) this._publish(); // midnight: the registry of yesterday takes no more payments
      if (!this._session) return;
      if (this._session.unsent.count) this._background(this._uploadSoon(0));
      else if (onLine() && (!this._online || this.state.voids_waiting || this.state.expenses_waiting)) this._background(this._contact()); // the office may have decided
    };
    timer = setTimeout(tick, MINUTE);
    this._closers.push(() => clearTimeout(timer));
  }

  async _shown() {
    await this._lockWhenIdle();
    await this._watchClock();
    this._clock.shown();
    await this._refresh();
    if (this._from.monotonic() - this._lastContact > MINUTE / 2 || !this._online) await this._contact();
  }

  /** @param {any} message */
  async _heardTab(message) {
    if (message?.kind === "user") {
      const user = (await this._shared.get("user")) ?? null;
      if (user?.name === (this._session?.user.name ?? this._locked?.name)) return;
      await this._leave();
      this._locked = null;
      this._recovery = null;
      if (user) await this._openUser(user);
      await this._recount();
      this._publish();
    } else if (message?.kind === "sealed" && message.user === this._session?.user.name) {
      // Another tab put these records under a PIN: this one has no key to them.
      const { user } = this._needSession();
      await this._leave();
      await this._openUser(user);
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

/** The lock of the app: choosing a PIN, unlocking with it, wrong PINs, locking by hand or after a while. Records are sealed by db.mjs, keys made by vault.mjs. */

import { PhoneError } from "./errors.mjs";
import { OWN, Sessions } from "./session.mjs";
import { Cipher, flawOfPin, MOST_TRIES, newVault, openWithPin, openWithSecrets, waitAfter, withPin, withSecret } from "./vault.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./session.mjs").User} User */
/** @typedef {import("./vault.mjs").VaultRecord} VaultRecord */

/** Minutes without a touch after which the app locks itself, unless the collector chose others. */
export const LOCK_AFTER = 5;
/** The choices. */
export const LOCK_CHOICES = Object.freeze([1, 5, 15, 60]);
/** How soon it is looked again at the earliest, and how soon while there is no PIN (milliseconds). */
const SOON = 10_000;
const LATER = 60_000;

/** @param {number} seconds */
const time = (seconds) => (seconds < 60 ? told("n_seconds", { count: seconds }) : told("n_minutes", { count: Math.ceil(seconds / 60) }));
const BLOCKED = told("ten_wrong");

/** Who may look at what is stored. */
export class Lock extends Sessions {
  /** @param {import("./session.mjs").From} from */
  constructor(from) {
    super(from);
    /** @type {Map<string, number>} until when (monotonic) a user's PIN is not tried again; begins anew with each start, so neither reload nor clock shortens it */
    this._waits = new Map();
    this._touched = { wall: from.now(), mono: from.monotonic() };
  }

  /** What the vault needs of the browser. */
  get _tools() {
    return { crypto: this._from.crypto, pin_work: this._from.pin_work };
  }

  /** @param {VaultRecord} vault @param {CryptoKey} key */
  _cipher(vault, key) {
    return new Cipher(vault.id, key, this._from.crypto);
  }

  /**
   * The UUID under which the portal makes the secrets of this browser; the one that a user's lock was made with, if there is one.
   * @param {string} name
   */
  async _phoneNumber(name) {
    const known = new Set(await this._from.databases().catch(() => []));
    if (known.has(`${OWN}${name}`)) {
      const vault = await this._peek(name, (store) => store.vault());
      if (vault) return vault.phone;
    }
    let number = await this._shared.get("phone");
    if (!number) await this._shared.set("phone", (number = this._from.crypto.randomUUID()));
    return String(number);
  }

  /**
   * Look into a user's records without opening them.
   * @template T
   * @param {string} name
   * @param {(store: import("./db.mjs").Store) => Promise<T>} body
   */
  async _peek(name, body) {
    const store = this._from.openStore(`${OWN}${name}`);
    try {
      return await body(store);
    } finally {
      await store.close();
    }
  }

  /**
   * The key to a user's records after a log-in with the password; null when there is no lock, or the portal's secrets do not fit it.
   * @param {User} user
   * @returns {Promise<Cipher|null>}
   */
  async _openByPassword({ name }) {
    const secrets = this._recovery?.user === name ? this._recovery.secrets : [];
    return this._peek(name, async (store) => {
      const vault = await store.vault();
      if (!vault) return null;
      const key = await openWithSecrets(this._tools, vault, secrets);
      if (!key) return null;
      if (!(await openWithSecrets(this._tools, vault, secrets.slice(0, 1)))) {
        // The portal's own key was replaced: from now on its present one.
        const anew = await openWithSecrets(this._tools, vault, secrets, true);
        if (anew) await store.setMeta("vault", await withSecret(this._tools, vault, anew, secrets[0]));
      }
      await store.setMeta("tries", undefined);
      return this._cipher(vault, key);
    });
  }

  /**
   * Try a PIN. It is counted before it is tried, so that killing the app in between wins nothing. Throws PhoneError no_pin, pin_blocked, pin_wait, wrong_pin.
   * @param {string} name
   * @param {string} pin
   * @param {boolean} [extractable]
   * @returns {Promise<{vault: VaultRecord, key: CryptoKey}>}
   */
  async _tryPin(name, pin, extractable = false) {
    const tried = this._lock(`mpos-pin-${name}`, () =>
      this._peek(name, async (store) => {
        const vault = await store.vault();
        if (!vault) throw new PhoneError("no_pin", told("no_pin_set"));
        const before = Number(await store.meta("tries")) || 0;
        if (before >= MOST_TRIES) throw new PhoneError("pin_blocked", BLOCKED);
        const left = this._waitOf(name, before);
        if (left > 0) throw new PhoneError("pin_wait", told("too_many_wrong", { left: time(left) }));
        await store.setMeta("tries", before + 1);
        const secrets = this._recovery?.user === name ? this._recovery.secrets : [];
        const renew = secrets.length > 0 && !(await openWithSecrets(this._tools, vault, secrets.slice(0, 1)));
        const key = await openWithPin(this._tools, vault, String(pin), extractable || renew);
        if (!key) throw this._wrongPin(name, before + 1);
        await store.setMeta("tries", undefined);
        this._waits.delete(name);
        if (!renew) return { vault, key };
        const renewed = await withSecret(this._tools, vault, key, secrets[0]);
        await store.setMeta("vault", renewed);
        const plain = extractable ? key : await openWithPin(this._tools, renewed, String(pin));
        return { vault: renewed, key: /** @type {CryptoKey} */ (plain) };
      }),
    );
    return /** @type {Promise<{vault: VaultRecord, key: CryptoKey}>} */ (tried);
  }

  /** Seconds until a PIN may be tried again. @param {string} name @param {number} tries wrong ones so far */
  _waitOf(name, tries) {
    if (!this._waits.has(name)) this._waits.set(name, this._from.monotonic() + waitAfter(tries) * 1000);
    return Math.ceil(Math.max(/** @type {number} */ (this._waits.get(name)) - this._from.monotonic(), 0) / 1000);
  }

  /** @param {string} name @param {number} tries */
  _wrongPin(name, tries) {
    const wait = waitAfter(tries);
    this._waits.set(name, this._from.monotonic() + wait * 1000);
    if (tries >= MOST_TRIES) return new PhoneError("pin_blocked", BLOCKED);
    const left = MOST_TRIES - tries;
    return new PhoneError("wrong_pin", told("wrong_pin", { count: left, then: wait ? told("next_try", { time: time(wait) }) : "" }));
  }

  /**
   * How PINs stand for whoever has locked this phone: wrong ones so far, seconds to wait, and whether only the password helps.
   * @returns {Promise<{tries: number, wait: number, blocked: boolean}>}
   */
  async pinState() {
    const name = this._locked?.name ?? this._session?.user.name;
    if (!name) return { tries: 0, wait: 0, blocked: false };
    const tries = Number(await this._peek(name, (store) => store.meta("tries"))) || 0;
    return { tries, wait: this._waitOf(name, tries), blocked: tries >= MOST_TRIES };
  }

  /**
   * Set the PIN for the first time, or a new one after a log-in with the password. Seals everything that is stored so far, all of it or nothing.
   * Throws PhoneError invalid, password_first.
   * @param {string} pin
   */
  async setPin(pin) {
    const session = this._needSession();
    const { name } = session.user;
    const flaw = flawOfPin(String(pin));
    if (flaw) throw new PhoneError("invalid", flaw, { fields: [{ field: "pin", message: flaw }] });
    const recovery = this._recovery?.user === name ? this._recovery : null;
    if (!recovery) {
      throw new PhoneError("password_first", told("password_first"));
    }
    const { store } = session;
    const vault = await store.vault();
    if (vault) {
      const key = await openWithSecrets(this._tools, vault, recovery.secrets, true);
      if (!key) throw new PhoneError("password_first", told("key_unfit"));
      await store.setMeta("vault", await withPin(this._tools, vault, key, String(pin)));
      await store.setMeta("tries", undefined);
    } else {
      const made = await newVault(this._tools, String(pin), recovery.secrets[0], await this._phoneNumber(name));
      // No upload and no entry begins while everything is sealed.
      await this._lock(`mpos-upload-${name}`, () => this._lock(`mpos-write-${name}`, () => store.sealAll(made.vault, this._cipher(made.vault, made.key))));
      await store.setMeta("who", session.user);
      this._tabs?.postMessage({ kind: "sealed", user: name });
    }
    session.hasPin = true;
    this._recovery = null;
    this._newPin = false;
    this._publish();
  }

  /**
   * Change the PIN; the present one is asked for, and counts like any try.
   * @param {string} present
   * @param {string} pin
   */
  async changePin(present, pin) {
    const session = this._needSession();
    const flaw = flawOfPin(String(pin));
    if (flaw) throw new PhoneError("invalid", flaw, { fields: [{ field: "pin", message: flaw }] });
    const { vault, key } = await this._tryPin(session.user.name, present, true);
    await session.store.setMeta("vault", await withPin(this._tools, vault, key, String(pin)));
  }

  /**
   * Choose after how many minutes without a touch the app locks itself.
   * @param {number} minutes
   */
  async lockAfter(minutes) {
    const session = this._needSession();
    if (!LOCK_CHOICES.includes(minutes)) throw new PhoneError("invalid", told("choose_times"));
    await session.store.setMeta("lock_after", minutes);
    session.lockAfter = minutes;
    this._publish();
  }

  /** Lock this tab now. What is being written is finished first; the key is gone then, and what is typed in a form waits behind the lock. */
  async lock() {
    const session = this._session;
    if (!session?.hasPin) return;
    await this._lock(`mpos-write-${session.user.name}`, async () => {
      if (this._session !== session) return;
      await this._leave();
      this._locked = session.user;
    });
    await this._recount();
    this._publish();
  }

  /** Somebody touched the screen. */
  _touch() {
    this._touched = { wall: this._from.now(), mono: this._from.monotonic() };
  }

  /** Lock when nobody touched the screen for long enough. */
  async _lockWhenIdle() {
    const session = this._session;
    if (!session?.hasPin || this._uploading) return;
    if (this._idle() >= session.lockAfter * 60_000) await this.lock();
  }

  /** Watch for touches and for their absence. */
  _watchTouches() {
    const { document, setTimeout, clearTimeout, automatic } = this._from;
    const touch = () => this._touch();
    for (const name of ["pointerdown", "keydown", "input"]) {
      document?.addEventListener(name, touch, { capture: true, passive: true });
      this._closers.push(() => document?.removeEventListener(name, touch, { capture: true }));
    }
    if (!automatic) return;
    /** @type {any} */
    let timer;
    const look = () => {
      this._background(this._lockWhenIdle());
      const session = this._session;
      timer = setTimeout(look, session?.hasPin ? Math.max(session.lockAfter * 60_000 - this._idle(), SOON) : LATER);
    };
    timer = setTimeout(look, LATER);
    this._closers.push(() => clearTimeout(timer));
  }

  /** Milliseconds since a touch, by either clock: one stands still while the phone sleeps, the other can be set. */
  _idle() {
    return Math.max(this._from.now() - this._touched.wall, this._from.monotonic() - this._touched.mono);
  }

  /**
   * What a form holds, fit to be kept by the browser's history: sealed once there is a PIN.
   * @param {unknown} draft
   * @returns {unknown} the draft itself, or a promise of it sealed
   */
  sealDraft(draft) {
    const cipher = draft === undefined ? null : this._session?.store.cipher;
    return cipher ? cipher.seal("draft", draft).then((sealed) => ({ sealed })) : draft;
  }

  /**
   * What `sealDraft` kept; undefined when it was another user's.
   * @param {any} kept
   * @returns {Promise<unknown>}
   */
  async openDraft(kept) {
    if (!(kept?.sealed instanceof Uint8Array)) return kept;
    const cipher = this._session?.store.cipher;
    try {
      return await cipher?.open("draft", kept.sealed);
    } catch (error) {
      if (!(error instanceof PhoneError)) throw error;
      return undefined;
    }
  }
}

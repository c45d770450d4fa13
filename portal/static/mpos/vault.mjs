/**
 * The lock of one user's records: AES-GCM under a random data key. A key derived from the PIN wraps that key, and so does one made from a secret which
 * the portal tells after a log-in with the password, so that a forgotten PIN loses nothing. Knows no storage and no screens.
 */

import { PhoneError } from "./errors.mjs";
import { say, told } from "./words.mjs";

/**
 * What is kept beside the sealed records. `device` never leaves this browser: a copy of the records alone cannot be tried against PINs elsewhere.
 * @typedef {{id: string, phone: string, salt: Uint8Array, work: number, device: CryptoKey, pin: Uint8Array, recovery: Uint8Array}} VaultRecord
 */
/** @typedef {{crypto: Crypto, pin_work?: number}} Tools `pin_work`: rounds of PBKDF2-SHA-256 for a new PIN */

/** Rounds for one PIN: what OWASP asks for PBKDF2-SHA-256; some 0.3 s on a cheap phone of today (docs/phone.md). */
export const WORK = 600_000;
/** A PIN's shortest and longest. */
export const PIN_LENGTH = Object.freeze({ least: 6, most: 32 });
/** Wrong PINs after which only the password helps. */
export const MOST_TRIES = 10;
/** Seconds to wait after that many wrong PINs in a row; the last one for all that follow. */
const WAITS = [0, 0, 0, 15, 30, 60, 120, 300];

const AES = "AES-GCM";
const IV = 12;
const text = new TextEncoder();
/** @typedef {BufferSource} Bytes */
const bytes = (/** @type {Uint8Array} */ value) => /** @type {Bytes} */ (value);

/**
 * What is wrong with a PIN that somebody wants to set; empty when nothing is.
 * @param {string} pin
 */
export function flawOfPin(pin) {
  if (!/^[0-9]*$/.test(pin)) return say("pin_digits");
  if (pin.length < PIN_LENGTH.least) return say("pin_least", { least: PIN_LENGTH.least });
  if (pin.length > PIN_LENGTH.most) return say("pin_most_digits", { most: PIN_LENGTH.most });
  const steps = new Set(Array.from(pin.slice(1), (digit, index) => (Number(digit) - Number(pin[index]) + 10) % 10));
  const step = steps.size === 1 ? [...steps][0] : null;
  return step === 0 || step === 1 || step === 9 ? say("pin_easy") : "";
}

/**
 * How long nobody may try again after `count` wrong PINs in a row, in seconds.
 * @param {number} count
 */
export function waitAfter(count) {
  return WAITS[Math.min(count, WAITS.length - 1)];
}

/**
 * A key from the PIN. Slow on purpose.
 * @param {Tools} tools
 * @param {string} pin
 * @param {Uint8Array} salt
 * @param {number} work
 */
async function pinKey({ crypto: { subtle } }, pin, salt, work) {
  const base = await subtle.importKey("raw", text.encode(pin), "PBKDF2", false, ["deriveKey"]);
  return subtle.deriveKey({ name: "PBKDF2", hash: "SHA-256", salt: bytes(salt), iterations: work }, base, { name: AES, length: 256 }, false, ["wrapKey", "unwrapKey"]);
}

/**
 * A key from the portal's secret, for this vault alone.
 * @param {Tools} tools
 * @param {string} secret
 * @param {string} id
 */
async function secretKey({ crypto: { subtle } }, secret, id) {
  const base = await subtle.importKey("raw", text.encode(secret), "HKDF", false, ["deriveKey"]);
  return subtle.deriveKey({ name: "HKDF", hash: "SHA-256", salt: text.encode(id), info: text.encode("mpos-recovery-1") }, base, { name: AES, length: 256 }, false, [
    "wrapKey",
    "unwrapKey",
  ]);
}

/** @param {Tools} tools @param {CryptoKey} device @param {CryptoKey} key @param {CryptoKey} wrapper */
async function wrap({ crypto }, device, key, wrapper) {
  const [inner, outer] = [crypto.getRandomValues(new Uint8Array(IV)), crypto.getRandomValues(new Uint8Array(IV))];
  const wrapped = new Uint8Array(await crypto.subtle.wrapKey("raw", key, wrapper, { name: AES, iv: inner }));
  return joined(outer, new Uint8Array(await crypto.subtle.encrypt({ name: AES, iv: outer }, device, bytes(joined(inner, wrapped)))));
}

/**
 * The data key, or null when `wrapper` is not the one that wrapped it.
 * @param {Tools} tools
 * @param {CryptoKey} device
 * @param {Uint8Array} wrapped
 * @param {CryptoKey} wrapper
 * @param {boolean} extractable only while it is being wrapped anew
 */
async function unwrap({ crypto: { subtle } }, device, wrapped, wrapper, extractable) {
  try {
    const inner = new Uint8Array(await subtle.decrypt({ name: AES, iv: bytes(wrapped.subarray(0, IV)) }, device, bytes(wrapped.subarray(IV))));
    return await subtle.unwrapKey("raw", bytes(inner.subarray(IV)), wrapper, { name: AES, iv: bytes(inner.subarray(0, IV)) }, AES, extractable, ["encrypt", "decrypt"]);
  } catch (error) {
    if (/** @type {any} */ (error)?.name !== "OperationError") throw error;
    return null;
  }
}

/** @param {Uint8Array} a @param {Uint8Array} b */
function joined(a, b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/**
 * A new lock with a new data key; the key that is answered cannot be exported.
 * @param {Tools} tools
 * @param {string} pin
 * @param {string} secret the portal's, for this phone
 * @param {string} phone the name under which the portal makes that secret
 * @returns {Promise<{vault: VaultRecord, key: CryptoKey}>}
 */
export async function newVault(tools, pin, secret, phone) {
  const { crypto, pin_work: work = WORK } = tools;
  const { subtle } = crypto;
  const id = crypto.randomUUID();
  const device = await subtle.generateKey({ name: AES, length: 256 }, false, ["encrypt", "decrypt"]);
  const key = await subtle.generateKey({ name: AES, length: 256 }, true, ["encrypt", "decrypt"]);
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const [byPin, bySecret] = await Promise.all([pinKey(tools, pin, salt, work), secretKey(tools, secret, id)]);
  const [pinned, recovery] = [await wrap(tools, device, key, byPin), await wrap(tools, device, key, bySecret)];
  const kept = await unwrap(tools, device, recovery, bySecret, false);
  if (!kept) throw new PhoneError("strange_lock", told("pin_unread"));
  return { vault: { id, phone, salt, work, device, pin: pinned, recovery }, key: kept };
}

/**
 * The data key for a PIN; null when it is not the PIN.
 * @param {Tools} tools
 * @param {VaultRecord} vault
 * @param {string} pin
 * @param {boolean} [extractable]
 */
export async function openWithPin(tools, vault, pin, extractable = false) {
  return unwrap(tools, vault.device, vault.pin, await pinKey(tools, pin, vault.salt, vault.work), extractable);
}

/**
 * The data key for the first of the portal's secrets that fits; null when none does.
 * @param {Tools} tools
 * @param {VaultRecord} vault
 * @param {string[]} secrets
 * @param {boolean} [extractable]
 */
export async function openWithSecrets(tools, vault, secrets, extractable = false) {
  for (const secret of secrets) {
    const key = await unwrap(tools, vault.device, vault.recovery, await secretKey(tools, secret, vault.id), extractable);
    if (key) return key;
  }
  return null;
}

/**
 * The same lock under another PIN.
 * @param {Tools} tools
 * @param {VaultRecord} vault
 * @param {CryptoKey} key its data key, extractable
 * @param {string} pin
 * @returns {Promise<VaultRecord>}
 */
export async function withPin(tools, vault, key, pin) {
  const { crypto, pin_work: work = WORK } = tools;
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return { ...vault, salt, work, pin: await wrap(tools, vault.device, key, await pinKey(tools, pin, salt, work)) };
}

/**
 * The same lock under another secret of the portal's.
 * @param {Tools} tools
 * @param {VaultRecord} vault
 * @param {CryptoKey} key its data key, extractable
 * @param {string} secret
 * @returns {Promise<VaultRecord>}
 */
export async function withSecret(tools, vault, key, secret) {
  return { ...vault, recovery: await wrap(tools, vault.device, key, await secretKey(tools, secret, vault.id)) };
}

/** Seals and opens records while the phone is unlocked. */
export class Cipher {
  /** @param {string} vault the lock's id @param {CryptoKey} key @param {Crypto} crypto */
  constructor(vault, key, crypto) {
    this.vault = vault;
    this._key = key;
    this._crypto = crypto;
  }

  /**
   * @param {string} place where the record stands: it opens nowhere else
   * @param {unknown} value what JSON can hold, and typed arrays
   * @returns {Promise<Uint8Array>}
   */
  async seal(place, value) {
    const iv = this._crypto.getRandomValues(new Uint8Array(IV));
    return joined(iv, new Uint8Array(await this._crypto.subtle.encrypt({ name: AES, iv, additionalData: this._bound(place) }, this._key, bytes(pack(value)))));
  }

  /**
   * Throws PhoneError damaged for what was not sealed here, at this place, under this lock.
   * @param {string} place
   * @param {Uint8Array} sealed
   * @returns {Promise<any>}
   */
  async open(place, sealed) {
    let opened;
    try {
      const algorithm = { name: AES, iv: bytes(sealed.subarray(0, IV)), additionalData: this._bound(place) };
      opened = await this._crypto.subtle.decrypt(algorithm, this._key, bytes(sealed.subarray(IV)));
    } catch (error) {
      throw new PhoneError("damaged", told("record_damaged"), { cause: error });
    }
    return unpack(new Uint8Array(opened));
  }

  /** @param {string} place */
  _bound(place) {
    return text.encode(`mpos-1 ${this.vault} ${place}`);
  }
}

const ARRAYS = Object.freeze({ Uint8Array, Int32Array, Float64Array });
const MARK = "\0array";
const even = (/** @type {number} */ length) => Math.ceil(length / 8) * 8;

/**
 * A value as bytes: JSON, followed by its typed arrays as they are.
 * @param {unknown} value
 * @returns {Uint8Array}
 */
export function pack(value) {
  /** @type {(Uint8Array|Int32Array|Float64Array)[]} */
  const arrays = [];
  const json = text.encode(
    JSON.stringify([value], (_key, item) => {
      if (!ArrayBuffer.isView(item)) return item;
      const array = /** @type {Uint8Array} */ (item);
      return { [MARK]: [array.constructor.name, arrays.push(array), array.length] };
    }),
  );
  const all = new Uint8Array(arrays.reduce((sum, array) => sum + even(array.byteLength), even(4 + json.length)));
  new DataView(all.buffer).setUint32(0, json.length);
  all.set(json, 4);
  let at = even(4 + json.length);
  for (const array of arrays) {
    all.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += even(array.byteLength);
  }
  return all;
}

/**
 * What `pack` packed.
 * @param {Uint8Array} packed
 * @returns {any}
 */
export function unpack(packed) {
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0);
  let at = even(4 + length);
  const json = new TextDecoder().decode(packed.subarray(4, 4 + length));
  const [value] = JSON.parse(json, !json.includes("\\u0000array") ? undefined : (_key, item) => {
    if (typeof item !== "object" || item === null || !(MARK in item)) return item;
    const [name, , size] = item[MARK];
    const Kind = ARRAYS[/** @type {keyof typeof ARRAYS} */ (name)];
    const from = at;
    at += even(size * Kind.BYTES_PER_ELEMENT);
    return new Kind(packed.slice(from, from + size * Kind.BYTES_PER_ELEMENT).buffer);
  });
  return value;
}

/** The journal's bytes, hashes and signature, as docs/journal.md defines them. Twin: portal/domain/journal.py, tests/vectors/journal.json. */

import { PhoneError } from "../errors.mjs";
import { told } from "../words.mjs";

/** @typedef {import("../records.mjs").Entry} Entry */
/** @typedef {Omit<Entry, "hash">} Content */

/** `prev` of the first entry. */
export const FIRST_PREV = "0".repeat(64);

/**
 * Canonical bytes of a JSON value (docs/journal.md 3). Throws PhoneError invalid_entry for fractions, large integers, lone surrogates, odd keys.
 * @param {unknown} value
 * @returns {Uint8Array}
 */
export function canonical(value) {
  return new TextEncoder().encode(JSON.stringify(ordered(value, 0)));
}

/**
 * @param {unknown} value
 * @param {number} depth
 * @returns {unknown}
 */
function ordered(value, depth) {
  if (depth > 12) throw refused(told("entry_nested"));
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") {
    if (!isWellFormed(value)) throw refused(told("text_entry"));
    return value;
  }
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw refused(told("number_entry"));
    return value === 0 ? 0 : value; // minus zero is written 0
  }
  if (Array.isArray(value)) return value.map((item) => ordered(item, depth + 1));
  if (typeof value === "object" && isPlain(/** @type {object} */ (value))) {
    const pairs = Object.entries(/** @type {Record<string, unknown>} */ (value));
    for (const [key] of pairs) {
      // A key that looks like an array index would be moved to the front by every JavaScript object, whatever order it was added in.
      if (!/^[\x00-\x7f]*$/.test(key) || /^(?:0|[1-9][0-9]*)$/.test(key) || key === "__proto__") {
        throw refused(told("field_name"));
      }
    }
    pairs.sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(pairs.map(([key, item]) => [key, ordered(item, depth + 1)]));
  }
  throw refused(told("entry_may"));
}

/** @param {string} message */
function refused(message) {
  return new PhoneError("invalid_entry", message);
}

/** @param {object} value */
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** @param {string} text */
function isWellFormed(text) {
  return !LONE_SURROGATE.test(text);
}

/**
 * The text with every lone surrogate replaced by U+FFFD, so that it can stand in an entry.
 * @param {string} text
 */
export function wellFormed(text) {
  return isWellFormed(text) ? text : text.replace(new RegExp(LONE_SURROGATE, "g"), "\uFFFD");
}

/**
 * Lower-case hex SHA-256 over the canonical bytes of an entry without its hash.
 * @param {Content} content
 * @param {SubtleCrypto} subtle
 * @returns {Promise<string>}
 */
export async function entryHash(content, subtle) {
  const digest = await subtle.digest("SHA-256", /** @type {BufferSource} */ (canonical(content)));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The entry with its hash.
 * @param {Content} content
 * @param {SubtleCrypto} subtle
 * @returns {Promise<Entry>}
 */
export async function append(content, subtle) {
  return { ...content, hash: await entryHash(content, subtle) };
}

/**
 * What the terminal signs for one upload (docs/journal.md 4).
 * @param {string} terminal
 * @param {number} seq
 * @param {string} lastHash
 * @returns {Uint8Array}
 */
export function signedText(terminal, seq, lastHash) {
  return new TextEncoder().encode(`mpos-journal-1 ${terminal} ${seq} ${lastHash}`);
}

/**
 * base64url without padding.
 * @param {Uint8Array} bytes
 */
export function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
export const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };

/**
 * A new key pair: the private key cannot be read out of the browser; the public one as JWK with kty, crv, x, y only.
 * @param {SubtleCrypto} subtle
 * @returns {Promise<{private_key: CryptoKey, public_key: {kty: string, crv: string, x: string, y: string}}>}
 */
export async function makeKeys(subtle) {
  const pair = await subtle.generateKey(CURVE, false, ["sign", "verify"]);
  const jwk = await subtle.exportKey("jwk", pair.publicKey);
  return {
    private_key: pair.privateKey,
    public_key: { kty: String(jwk.kty), crv: String(jwk.crv), x: String(jwk.x), y: String(jwk.y) },
  };
}

/**
 * Signature of one upload, base64url (64 bytes, r then s).
 * @param {CryptoKey} key
 * @param {string} terminal
 * @param {number} seq
 * @param {string} lastHash
 * @param {SubtleCrypto} subtle
 */
export async function signUpload(key, terminal, seq, lastHash, subtle) {
  return base64url(new Uint8Array(await subtle.sign(SIGNATURE, key, /** @type {BufferSource} */ (signedText(terminal, seq, lastHash)))));
}

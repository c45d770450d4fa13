/** The calls of docs/phone-api.md. Every failure is a PortalError; an answer counts only when it is the portal's own JSON. */

import { retryAfter } from "./backoff.mjs";
import { PhoneError } from "./errors.mjs";
import { sentBy, told } from "./words.mjs";

/** A call that gave no usable answer. `status` is 0 when there was none; `again` says whether trying the same later makes sense. */
export class PortalError extends PhoneError {
  /**
   * @param {string} code
   * @param {string|import("./words.mjs").Told} words
   * @param {{status?: number, again?: boolean, retryAfter?: number|null, limit?: number|null, cause?: unknown}} [more]
   */
  constructor(code, words, { status = 0, again = false, retryAfter: wait = null, limit = null, cause } = {}) {
    super(code, words, { cause });
    this.name = "PortalError";
    this.status = status;
    this.again = again;
    this.retryAfter = wait;
    this.limit = limit;
  }
}

const OFFLINE = told("offline_saved");
const SLOW = told("too_slow");
const LOGIN_PAGE =
  told("login_page");
const STRANGE = told("strange_answer");
const BUSY = told("busy");

const COLUMNS = "application/vnd.mpos.soa-columns+json";

/** @param {any} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Talks to the portal this page came from; keeps the CSRF token of the present sign-in. */
export class Api {
  /**
   * @param {{fetch: typeof fetch, now: () => number, monotonic: () => number, setTimeout: typeof setTimeout, clearTimeout: typeof clearTimeout,
   *   base?: string, timeout?: number}} browser `timeout`: milliseconds without any sign of life before a call is given up
   */
  constructor(browser) {
    this._browser = browser;
    this._base = browser.base ?? "";
    this._timeout = browser.timeout ?? 45_000;
    /** @type {string|null} */
    this.token = null;
  }

  /**
   * Whether the portal is there, what time it has and who is signed in.
   * @returns {Promise<{portal: "ok", time: string, user: string|null, display_name?: string, csrf_token: string, demo: boolean, version: string, started: number}>}
   *   `started`: monotonic time at which it was asked
   */
  async ping() {
    const started = this._browser.monotonic();
    const answer = await this._json("GET", "/api/v1/ping");
    return { ...this._greeting(answer), started };
  }

  /**
   * Also answers what opens this phone's records without the PIN, and which terminals the portal knows of this user.
   * @param {string} username @param {string} password @param {string} phone the UUID of this browser
   * @returns {Promise<Awaited<ReturnType<Api["ping"]>> & {recovery?: string[], terminals?: {terminal: string, name: string, entries: number, last_contact_at: string|null}[]}>}
   */
  async logIn(username, password, phone) {
    const started = this._browser.monotonic();
    const answer = await this._change("POST", "/api/v1/session", { username, password, phone });
    const texts = Array.isArray(answer.recovery) && answer.recovery.length > 0 && answer.recovery.every((/** @type {unknown} */ one) => typeof one === "string" && one.length >= 40);
    return { ...this._greeting(answer), started, recovery: texts ? answer.recovery : undefined, terminals: Array.isArray(answer.terminals) ? answer.terminals : undefined };
  }

  /** End the sign-in on the portal. */
  async logOut() {
    await this._change("DELETE", "/api/v1/session");
    this.token = null;
  }

  /** @param {string} name @param {object} publicKey JWK @param {string} [terminal] the code this key was given already, when the portal forgot it */
  async enroll(name, publicKey, terminal) {
    const answer = await this._change("POST", "/api/v1/terminals", { name, public_key: publicKey, ...(terminal ? { terminal } : {}) });
    if (typeof answer.terminal !== "string" || !/^T[0-9]{2,6}$/.test(answer.terminal)) throw strange();
    return answer;
  }

  /** What the portal holds of a terminal. @param {string} code */
  async terminal(code) {
    const answer = await this._json("GET", `/api/v1/terminals/${encodeURIComponent(code)}`);
    if (answer.terminal !== code || !Number.isSafeInteger(answer.acknowledged_seq)) throw strange();
    return /** @type {Record<string, any> & {acknowledged_seq: number}} */ (answer);
  }

  /**
   * The list of SOAs in columns, as it came and read; null when it has not changed since `etag`.
   * @param {string|null} etag
   * @param {(progress: {received: number, total: number|null}) => void} onProgress bytes, unpacked; `total` when the portal says it
   */
  async soas(etag, onProgress) {
    const headers = { Accept: `${COLUMNS}, application/json;q=0.5`, ...(etag ? { "If-None-Match": etag } : {}) };
    return this._call("GET", "/api/v1/soas", undefined, headers, async (response, alive) => {
      if (response.status === 304 && etag) return null;
      await this._check(response);
      const body = await readBody(response, alive, onProgress);
      const answer = parse(body, response.status);
      if (!isObject(answer) || typeof answer.snapshot !== "string" || !isObject(answer.columns)) throw loginPage(response.status);
      return { body, answer, etag: response.headers.get("ETag") };
    });
  }

  /**
   * Send entries. Without a log-in the portal takes them only from a collector who may not log in any more.
   * @param {string} terminal @param {object[]} entries @param {string} signature @param {boolean} [signedIn]
   */
  async journal(terminal, entries, signature, signedIn = true) {
    const answer = await this._change("POST", signedIn ? "/api/v1/journal" : "/api/v1/journal/disabled", { terminal, entries, signature });
    const fits =
      Number.isSafeInteger(answer.acknowledged_seq) &&
      Array.isArray(answer.verdicts) &&
      answer.verdicts.every((/** @type {any} */ v) => isObject(v) && Number.isSafeInteger(v.seq) && typeof v.status === "string");
    if (!fits) throw strange();
    return /** @type {{acknowledged_seq: number, verdicts: {seq: number, status: string, reason: string|null}[], voids?: unknown, expenses?: unknown}} */ (answer);
  }

  /** @param {Record<string, any>} answer */
  _greeting(answer) {
    if (answer.portal !== "ok" || typeof answer.csrf_token !== "string" || !Number.isFinite(Date.parse(answer.time))) throw loginPage(200);
    this.token = answer.csrf_token;
    return /** @type {any} */ (answer);
  }

  /**
   * Send a photo of an uploaded payment, or of another thing that was uploaded; the same again is safe.
   * @param {string} id
   * @param {string} name SHA-256 of the bytes, hex
   * @param {Uint8Array} image a JPEG
   * @param {"payments"|"expenses"} [of]
   */
  putPhoto(id, name, image, of = "payments") {
    return this._change("PUT", `/api/v1/${of}/${id}/photos/${name}`, image);
  }

  /**
   * A call that changes something; a stale CSRF token is renewed once.
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async _change(method, path, body) {
    if (this.token === null) await this.ping();
    try {
      return await this._json(method, path, body);
    } catch (error) {
      if (!(error instanceof PortalError) || error.code !== "csrf") throw error;
      await this.ping();
      return await this._json(method, path, body);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<Record<string, any>>}
   */
  _json(method, path, body) {
    return this._call(method, path, body, {}, async (response, alive) => {
      await this._check(response);
      if (response.status === 204) return {};
      const answer = parse(await readBody(response, alive), response.status);
      if (!isObject(answer)) throw strange();
      return answer;
    });
  }

  /**
   * @template T
   * @param {string} method
   * @param {string} path
   * @param {object|undefined} body
   * @param {Record<string, string>} headers
   * @param {(response: Response, alive: () => void) => Promise<T>} read
   * @returns {Promise<T>}
   */
  async _call(method, path, body, headers, read) {
    const { fetch, setTimeout, clearTimeout } = this._browser;
    const stopper = new AbortController();
    let silent = false;
    /** @type {any} */
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        silent = true;
        stopper.abort();
      }, this._timeout + text.length / 2); // a slow line (2 bytes a millisecond) needs time to send
    };
    const image = body instanceof Uint8Array ? body : null;
    const text = image ?? (body === undefined ? "" : JSON.stringify(body));
    /** @type {Record<string, string>} */
    const all = { Accept: "application/json", ...headers };
    if (body !== undefined) all["Content-Type"] = image ? "image/jpeg" : "application/json";
    if (method !== "GET" && this.token !== null) all["X-CSRFToken"] = this.token;
    alive();
    try {
      /** @type {RequestInit} */
      const options = { method, headers: all, credentials: "same-origin", cache: "no-store", redirect: "manual", signal: stopper.signal };
      if (body !== undefined) options.body = /** @type {BodyInit} */ (text);
      const response = await fetch(this._base + path, options);
      alive();
      return await read(response, alive);
    } catch (error) {
      if (error instanceof PhoneError) throw error;
      if (silent) throw new PortalError("timeout", SLOW, { again: true, cause: error });
      throw new PortalError("offline", OFFLINE, { again: true, cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Throw what a refusal means. @param {Response} response */
  async _check(response) {
    if (response.type === "opaqueredirect" || (response.status >= 300 && response.status < 400)) throw loginPage(response.status);
    if (response.ok && (response.status === 204 || isJson(response))) return;
    if (response.ok) throw loginPage(response.status);
    const status = response.status;
    const wait = retryAfter(response.headers.get("Retry-After"), this._browser.now());
    /** @type {any} */
    let answer = null;
    if (isJson(response)) {
      try {
        answer = await response.json();
      } catch {
        answer = null; // a cut error page: the status alone has to do
      }
    }
    const own = isObject(answer) && isObject(answer.error) && typeof answer.error.code === "string" ? answer.error : null;
    const again = status === 408 || status === 429 || status >= 500;
    if (!own) {
      if (again) throw new PortalError("busy", BUSY, { status, again, retryAfter: wait });
      if (status === 413) throw new PortalError("too_large", told("too_much"), { status });
      throw loginPage(status);
    }
    const words = typeof own.message === "string" && own.message ? sentBy(own.code, own.message) : BUSY;
    const limit = Number.isSafeInteger(own.limit) && own.limit > 0 ? own.limit : null;
    throw new PortalError(own.code, words, { status, again, retryAfter: wait, limit });
  }
}

function strange() {
  return new PortalError("strange_answer", STRANGE, { status: 200, again: true });
}

/** @param {number} status */
function loginPage(status) {
  return new PortalError("login_page", LOGIN_PAGE, { status, again: true });
}

/** @param {Response} response */
function isJson(response) {
  return /^application\/(json|vnd\.mpos\.soa-columns\+json)\b/i.test(response.headers.get("Content-Type") ?? "");
}

/**
 * A body, read piece by piece so that progress can be shown and a dead line noticed.
 * @param {Response} response
 * @param {() => void} alive
 * @param {(progress: {received: number, total: number|null}) => void} [onProgress]
 */
async function readBody(response, alive, onProgress = () => undefined) {
  const length = Number(response.headers.get("Content-Length"));
  // With compression the length is that of the packed bytes, while we count unpacked ones.
  const total = length > 0 && !response.headers.get("Content-Encoding") ? length : null;
  /** @type {Uint8Array[]} */
  const pieces = [];
  let received = 0;
  if (response.body) {
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      alive();
      pieces.push(value);
      received += value.byteLength;
      onProgress({ received, total });
    }
  }
  const body = new Uint8Array(received);
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.byteLength;
  }
  return body;
}

/** The JSON in a body. @param {Uint8Array} body @param {number} status */
function parse(body, status) {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch (error) {
    throw new PortalError("strange_answer", STRANGE, { status, again: true, cause: error });
  }
}

/** The line to the portal: logging in, enrolling, downloading the list, uploading the journal, by itself and by hand. */

import { PortalError } from "./api.mjs";
import { delay } from "./backoff.mjs";
import { TOLERANCE } from "./clock.mjs";
import { write } from "./confirm.mjs";
import { makeKeys, signUpload } from "./domain/journal.mjs";
import { readDecisions } from "./domain/voids.mjs";
import { PhoneError } from "./errors.mjs";
import { Lock } from "./lock.mjs";
import { nameOfList, PREPARED, waiting } from "./session.mjs";
import { BATCH, compare, download, drain } from "./sync.mjs";
import { readExpenseDecisions, writeExpenseDecision } from "./cash_out.mjs";
import { writeDecision } from "./voids.mjs";
import { told } from "./words.mjs";

/** @typedef {import("./records.mjs").Problem} Problem */
/** @typedef {import("./records.mjs").Terminal} Terminal */
/** @typedef {import("./session.mjs").Session} Session */

/** A minute in milliseconds. */
export const MINUTE = 60_000;
/** How long uploads that nobody asked for wait, so that several entries go together. */
export const SETTLE = 1_500;
/** Failures that mean there is no line to the portal. */
const UNREACHABLE = ["offline", "timeout", "login_page"];
/** Problems that are over once the portal answers again. */
const PASSING = [...UNREACHABLE, "busy", "strange_answer", "signed_out"];
const SIGNED_OUT = told("signed_out");

/** What the phone and the portal say to each other. */
export class Line extends Lock {
  /**
   * Open a user's records and finish what was cut short; without their key, stand before the lock.
   * @param {import("./session.mjs").User} user
   * @param {import("./vault.mjs").Cipher|null} [cipher]
   */
  async _openUser(user, cipher = null) {
    if (!(await this._openSession(user, cipher))) return;
    const { terminal, head } = this._needSession();
    if (terminal && head && !terminal.stopped) {
      if (head.seq === 0) await this._writeEnrolled(terminal); // the app was closed between the portal's yes and the first entry
      const behind = head.at === null ? 0 : this._from.now() - Date.parse(head.at);
      if (behind < -TOLERANCE) await this._watchClock(Math.round(behind / 1000));
    }
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

  /** @param {Awaited<ReturnType<import("./api.mjs").Api["ping"]>>} hello */
  async _hello(hello) {
    this._lastContact = this._from.monotonic();
    this._online = true;
    if (this._demo !== hello.demo) {
      this._demo = hello.demo;
      await this._shared.set("demo", hello.demo);
    }
    if (this._from.version && hello.version !== this._from.version) {
      this._registration?.update().catch(() => undefined); // looked for again at the next contact
    }
    await this._watchClock();
    const moved = this._clock.heard(Date.parse(hello.time), hello.started);
    if (moved !== null) await this._watchClock(moved);
    const leaving = await this._shared.get("log_out");
    if (leaving) {
      // This user logged out here while the portal was out of reach; whoever logged in since stays.
      if (hello.user === leaving) {
        await this._api.logOut();
        hello = { ...hello, user: null };
      }
      await this._shared.set("log_out", undefined);
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

  /** Compare the portal's picture of this browser's terminals with their journals; earlier ones too may have been forgotten there. @param {Session} session */
  async _compare(session) {
    for (const terminal of await session.store.terminals()) await this._compareOne(session, terminal);
  }

  /** @param {Session} session @param {Terminal} terminal */
  async _compareOne(session, terminal) {
    const { store } = session;
    let theirs;
    try {
      theirs = await this._api.terminal(terminal.code);
    } catch (error) {
      if (!(error instanceof PortalError) || error.status !== 404) throw error;
      if (!(await this._enrollAgain(session, terminal))) return;
      theirs = await this._api.terminal(terminal.code);
    }
    const { stopped, resendAfter } = await compare(store, terminal.code, theirs);
    const restored = typeof theirs.restored_at === "string" ? theirs.restored_at : null;
    // What the portal kept beside the chain before its database was put back is not seen by comparing: then everything is sent again.
    const unheard = restored !== null && restored !== (terminal.restored_at ?? null);
    if (unheard || resendAfter !== null) await store.unmark(terminal.code, unheard ? 0 : resendAfter ?? 0);
    await store.updateTerminal(terminal.code, {
      state: theirs.orders?.revoked ? "revoked" : theirs.state,
      name: typeof theirs.name === "string" ? theirs.name : terminal.name,
      business: theirs.business ?? terminal.business,
      stopped: terminal.stopped ?? stopped, // for good: its numbers may be in use elsewhere, whatever the portal remembers later
      restored_at: restored ?? terminal.restored_at ?? null,
    });
    if (terminal.code !== session.terminal?.code) return;
    session.checked = true;
    await this._heardVoids(session, terminal.code, theirs.voids, theirs.expenses);
  }

  /**
   * The portal does not know a terminal of this browser: its database was put back to a time before it. The same key gets the same code again, and
   * everything is sent again. Answers whether the portal knows it now; when it does not, says why and asks again after a while.
   * @param {Session} session
   * @param {Terminal} terminal
   */
  async _enrollAgain(session, terminal) {
    const now = this._from.monotonic();
    if (now < session.enrollAgainAt) return false;
    session.enrollAgainAt = now + 10 * MINUTE;
    const unknown = (/** @type {Problem["message"]} */ why) => {
      session.problem = { code: "unknown_terminal", message: why };
      return false;
    };
    let answer;
    try {
      answer = await this._api.enroll(terminal.name, terminal.public_key, terminal.code);
    } catch (error) {
      if (!(error instanceof PortalError) || error.status !== 409) throw error;
      return unknown(error.words);
    }
    if (answer.terminal !== terminal.code) return unknown(told("other_code", { terminal: answer.terminal, code: terminal.code }));
    await session.store.unmark(terminal.code, 0);
    session.enrollAgainAt = 0;
    if (session.problem?.code === "unknown_terminal") session.problem = null;
    return true;
  }

  /**
   * Keep the decisions on voids and expenses that the portal lists, and write down those for which the open registry is the place.
   * @param {Session} session
   * @param {string} code the terminal they are about
   * @param {unknown} list
   * @param {unknown} [spent]
   */
  async _heardVoids(session, code, list, spent) {
    const terminal = (await session.store.terminals()).find((item) => item.code === code);
    const known = { voids: terminal?.voids ?? [], expenses: terminal?.expenses ?? [] };
    const heard = { voids: readDecisions(list) ?? known.voids, expenses: readExpenseDecisions(spent) ?? known.expenses };
    if (JSON.stringify(known) !== JSON.stringify(heard)) await session.store.updateTerminal(code, heard);
    if (heard.voids.length || heard.expenses.length) await this._writeDecisions(session, code);
  }

  /** Write down what the office decided, as far as a registry is open and has no Z-Reading; the rest waits for the next. @param {Session} session @param {string} code */
  async _writeDecisions(session, code) {
    const terminal = (await session.store.terminals()).find((item) => item.code === code);
    if (!terminal || terminal.stopped) return;
    let wrote = false;
    for (const decision of terminal.voids ?? []) {
      wrote = (await writeDecision(this._writing(session, code), decision, this._included(session, code))) || wrote;
    }
    for (const decision of terminal.expenses ?? []) wrote = (await writeExpenseDecision(this._writing(session, code), decision)) || wrote;
    if (wrote && this._session === session) await this._changed();
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
    session.problem = error.code === "offline" ? null : { code: error.code, message: status === 401 ? SIGNED_OUT : error.words };
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

  /**
   * Open the records of whoever locked this phone, with the PIN. Needs no connection.
   * @param {string} pin
   */
  async unlock(pin) {
    const user = this._locked;
    if (!user) return;
    const { vault, key } = await this._tryPin(user.name, pin);
    if (this._locked !== user) return; // somebody else logged in meanwhile, in another tab
    await this._unlocked(user, this._cipher(vault, key));
  }

  /**
   * Log in with the PIN that this user set on this phone before. Needs no connection; the portal asks for the password when it has ended the log-in.
   * @param {string} username
   * @param {string} pin
   */
  async logInWithPin(username, pin) {
    const name = String(username).trim().toLowerCase();
    const known = new Set([...(await this._from.databases().catch(() => [])), ...[...this._holds.keys()].map((other) => `mpos-${other}`)]);
    if (!known.has(`mpos-${name}`)) throw new PhoneError("no_pin", told("no_pin_set"));
    const { vault, key } = await this._tryPin(name, pin);
    const cipher = this._cipher(vault, key);
    const user = await this._peek(name, (store) => {
      store.use(cipher);
      return store.meta("who");
    });
    await this._leave();
    await this._shared.set("log_out", undefined);
    await this._shared.set("user", user);
    this._tabs?.postMessage({ kind: "user" });
    await this._unlocked(user, cipher);
  }

  /** @param {import("./session.mjs").User} user @param {import("./vault.mjs").Cipher} cipher */
  async _unlocked(user, cipher) {
    this._touch();
    await this._openUser(user, cipher);
    await this._recount();
    this._publish();
    if (this._from.automatic) this._background(this._contact());
  }

  /**
   * Sign in to the portal and open this user's records. Throws PhoneError needs_pin when the portal took the password but cannot open them.
   * @param {string} username
   * @param {string} password
   * @param {{forgotten?: boolean}} [options] `forgotten`: the PIN is, so a new one is chosen next
   */
  async logIn(username, password, { forgotten = false } = {}) {
    let hello;
    const typed = String(username).trim();
    try {
      hello = await this._api.logIn(typed, String(password), await this._phoneNumber(typed.toLowerCase()));
    } catch (error) {
      if (error instanceof PortalError && error.status !== 401) {
        this._failedCall(error);
        this._publish();
      }
      if (error instanceof PortalError && error.code === "offline") {
        throw new PhoneError("offline", told("login_offline"), { cause: error });
      }
      throw error;
    }
    if (!hello.user) throw new PhoneError("strange_answer", told("login_unknown"));
    const user = { name: hello.user, display_name: hello.display_name ?? hello.user };
    await this._shared.set("log_out", undefined);
    await this._shared.set("user", user);
    this._recovery = hello.recovery ? { user: user.name, secrets: hello.recovery } : null;
    this._known = hello.terminals ?? [];
    this._newPin = forgotten; // before anything of this user is shown
    if (this._session?.user.name !== user.name) {
      await this._leave();
      this._touch();
      await this._openUser(user, await this._openByPassword(user));
      await this._recount();
    }
    this._tabs?.postMessage({ kind: "user" });
    if (!this._session) {
      this._publish();
      throw new PhoneError("needs_pin", told("needs_pin"));
    }
    const session = this._needSession();
    if (!session.hasPin) this._newPin = false;
    else if (!forgotten) this._recovery = null; // it has done its work; nothing that opens records stays around
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
    const leaving = session?.user.name ?? this._locked?.name;
    if (leaving) {
      await this._refresh();
      const { count } = this.state.unsent;
      if (count && !force) {
        throw new PhoneError("unsent_entries", told("unsent_first", { count }));
      }
    }
    if (leaving) await this._shared.set("log_out", leaving);
    await this._shared.set("user", undefined);
    await this._leave();
    this._locked = null;
    this._recovery = null;
    this._newPin = false;
    this._known = [];
    await this._recount();
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
    await this._lock(`mpos-enroll-${session.user.name}`, () => this._enrollLocked(session, name)); // a double tap must not make two terminals
  }

  /** @param {Session} session @param {string} name */
  async _enrollLocked(session, name) {
    await this._refresh();
    const { store } = session;
    if (session.terminal && !session.terminal.stopped && session.terminal.state !== "revoked") {
      throw new PhoneError("enrolled_already", told("enrolled_as", { code: session.terminal.code }));
    }
    const label = String(name).trim();
    if (!label || label.length > 60) throw new PhoneError("invalid", told("name_length"));
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
      if (head.seq > 0) throw new PhoneError("enrolled_already", told("enrolled_as", { code: terminal.code }));
      return { kind: "enrolled", payload };
    });
    await this._changed();
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
    const { snapshot, head } = session;
    // A list that holds a payment voided since is asked for whole: "not changed" would not mend it.
    const old = snapshot && head?.outdated_soas?.length ? { ...snapshot, etag: null } : snapshot;
    const fresh = await this._call(() => download(this._writing(session, terminal.code), this._api, old, onProgress));
    const name = nameOfList(terminal.code, fresh?.seq);
    if (fresh) this._takeList(session, fresh.snapshot, fresh.list, name);
    session.problem = null;
    await this._changed();
    if (fresh) this._background(session.store.setMeta(PREPARED, { of: name, ...fresh.list.prepared }));
    this._background(this._uploadSoon(SETTLE));
    return this.state.snapshot;
  }

  /**
   * Upload what is unsent, now. Safe to repeat; waits for an upload that is already running.
   * @returns {Promise<{sent: number, acknowledged: number, problems: {seq: number, status: string, reason: string|null}[], problem: Problem|null}>}
   */
  async upload() {
    const session = this._needSession();
    if (session.terminal?.state === "waiting") await this._contact(); // it may have been approved by now
    let result = await this._drainAll(session, false);
    if (!result.sent && !result.problem && (session.head?.voids_waiting?.length || session.head?.expenses_waiting?.length)) {
      await this._contact(); // no answer told of decisions, and one may have been made by now
      result = await this._drainAll(session, false);
    }
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
    } else {
      await this._recount(); // whose entries these were has left meanwhile
      this._publish();
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
      const onVoids = (/** @type {unknown} */ list, /** @type {unknown} */ spent) => this._heardVoids(session, terminal.code, list, spent);
      const send = (/** @type {boolean} */ signedIn) => drain({ store: session.store, api: this._api, subtle, signedIn, onVoids, onBatch }, terminal);
      let result = await send(session.signedIn);
      if (session.signedIn && result.problem?.code === "signed_out") {
        sent += result.sent;
        session.signedIn = false;
        result = await send(false); // taken from a collector who may not log in any more
      }
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
    return { code: error.code, message: error.code === "signed_out" ? SIGNED_OUT : error.words };
  }

  /** The unsent entries as a file to hand to the office when nothing else works: signed as uploads are, so that the office can take them as such. */
  async rescueFile() {
    const session = this._needSession();
    const uploads = [];
    for (const { code, private_key } of await session.store.terminals()) {
      const unsent = await session.store.unsent(code);
      for (let from = 0; from < unsent.length; from += BATCH) {
        const entries = unsent.slice(from, from + BATCH).map(({ entry }) => entry);
        const last = entries[entries.length - 1];
        uploads.push({ terminal: code, entries, signature: await signUpload(private_key, code, last.seq, last.hash, this._from.crypto.subtle) });
      }
    }
    const file = { what: "unsent journal entries", user: session.user.name, made_at: this._clock.at(), uploads };
    return new Blob([JSON.stringify(file, null, 1)], { type: "application/json" });
  }
}

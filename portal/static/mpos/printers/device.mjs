// @ts-check
/** A chosen receipt printer: kept open between receipts, opened again without asking, fed in pieces it can take, and asked how its paper is. */
import { PhoneError } from "../errors.mjs";
import { ask, ASK_WHEN_DONE, paperState, paperWhenDone } from "../escpos.mjs";
import { say, told } from "../words.mjs";

/**
 * @typedef {object} Connection an open printer
 * @property {number} chunk most bytes of one write
 * @property {boolean} gone
 * @property {(bytes: Uint8Array) => Promise<unknown>} write
 * @property {(() => Promise<Uint8Array>) | null} read what comes next from the printer; null where it cannot answer
 * @property {() => Promise<unknown>} close
 */
/**
 * @typedef {object} Way one of the browser's doors to printers
 * @property {() => Promise<any>} choose lets the user choose one; needs a tap
 * @property {() => Promise<any>} known the one chosen before, or null where the browser forgot it
 * @property {(device: any, settings: {speed: number}) => Promise<Connection>} open
 * @property {(device: any) => string} nameOf
 */
/** How long each step may take, in milliseconds. @typedef {{open: number, write: number, answer: number, done: number}} Patience */

/** @type {Patience} */
export const PATIENCE = { open: 15_000, write: 10_000, answer: 700, done: 8_000 };

/** The outcome of a job: `sure` when the printer itself said that everything sent was printed and paper is left. @typedef {{sure: boolean, low: boolean}} Printed */

export class Device {
  /** @param {Way} way @param {() => {speed: number}} settings @param {{patience?: Patience, setTimeout?: typeof globalThis.setTimeout, clearTimeout?: typeof globalThis.clearTimeout}} [given] */
  constructor(way, settings, given = {}) {
    this._way = way;
    this._settings = settings;
    this._patience = given.patience ?? PATIENCE;
    this._setTimeout = given.setTimeout ?? ((body, wait) => globalThis.setTimeout(body, wait));
    this._clearTimeout = given.clearTimeout ?? ((timer) => globalThis.clearTimeout(timer));
    /** @type {any} */
    this._chosen = null;
    /** @type {Connection | null} */
    this._connection = null;
    /** A printer that did not answer is not asked again on the same connection. */
    this._mute = false;
    /** @type {Promise<unknown>} */
    this._turn = Promise.resolve();
  }

  /** Lets the user choose a printer; answers its name, null when the user chose none. Call it from a tap. */
  async choose() {
    let chosen;
    try {
      chosen = await this._way.choose();
    } catch (error) {
      if (/** @type {any} */ (error)?.name === "NotFoundError") return null;
      throw new PhoneError("printer_refused", told("printer_refused", { why: words(error) }), { cause: error });
    }
    await this.close();
    this._chosen = chosen;
    return this._way.nameOf(chosen);
  }

  /** Forgets the open connection; the next job opens it again. */
  async close() {
    const connection = this._connection;
    this._connection = null;
    if (!connection) return;
    await this._within(connection.close(), this._patience.open).catch(() => undefined); // it may be gone already: closing was all that was left to do
  }

  /**
   * Makes ready to print: the printer is reached and has paper. Nothing was printed when it throws: PhoneError `printer_gone`, `printer_not_chosen` or `paper_out`.
   */
  ready() {
    return this._inTurn(async () => {
      await this._open();
      let byte;
      try {
        byte = await this._answer(ask(4), this._patience.answer, (value) => paperState(value) !== null);
      } catch (error) {
        await this.close();
        throw gone(error);
      }
      if (byte === null) this._mute = true;
      else if (paperState(byte) === "out") throw new PhoneError("paper_out", told("paper_out"));
    });
  }

  /**
   * Prints. Throws PhoneError `printer_broke` when the printer took only a part, `paper_ran_out` when its paper ended meanwhile: what came out may be half a page.
   * @param {Uint8Array} bytes @returns {Promise<Printed>}
   */
  print(bytes) {
    return this._inTurn(async () => {
      const connection = await this._open();
      for (let from = 0; from < bytes.length; from += connection.chunk) {
        await this._write(connection, bytes.subarray(from, from + connection.chunk), from === 0);
      }
      if (this._mute) return { sure: false, low: false };
      const { byte, now } = await this._afterwards();
      if ((byte !== null && paperWhenDone(byte) === "out") || (now !== null && paperState(now) === "out")) {
        throw new PhoneError("paper_ran_out", told("paper_ran_out"));
      }
      return { sure: byte !== null, low: byte !== null && paperWhenDone(byte) === "low" };
    });
  }

  /** What the printer says once everything was sent: `byte` in its turn, or else `now`. Nulls when it says nothing. */
  async _afterwards() {
    try {
      const byte = await this._answer(ASK_WHEN_DONE, this._patience.done, (value) => paperWhenDone(value) !== null);
      return { byte, now: byte === null ? await this._answer(ask(4), this._patience.answer, (value) => paperState(value) !== null) : null };
    } catch {
      await this.close();
      return { byte: null, now: null }; // everything was sent; whether it came out, the user sees
    }
  }

  /** One job after the other: two at once would mix their lines. @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  _inTurn(work) {
    const mine = this._turn.then(work, work);
    this._turn = mine.catch(() => undefined); // who asked hears of it; the next job only waits for the end
    return mine;
  }

  /** @returns {Promise<Connection>} */
  async _open() {
    if (this._connection && !this._connection.gone) return this._connection;
    await this.close();
    try {
      this._chosen ??= await this._way.known();
      if (!this._chosen) throw new PhoneError("printer_not_chosen", told("printer_unchosen"));
      this._connection = await this._within(this._way.open(this._chosen, this._settings()), this._patience.open);
      this._mute = false;
    } catch (error) {
      if (error instanceof PhoneError) throw error;
      throw gone(error);
    }
    return this._connection;
  }

  /** @param {Connection} connection @param {Uint8Array} bytes @param {boolean} first */
  async _write(connection, bytes, first) {
    try {
      await this._within(Promise.resolve(connection.write(bytes)), this._patience.write);
    } catch (error) {
      await this.close();
      throw new PhoneError("printer_broke", told(first ? "printer_took_none" : "printer_cut", { why: words(error) }), { cause: error });
    }
  }

  /** What the printer answers, or null when it says nothing fit in time. Throws when it does not take the question. @param {Uint8Array} question @param {number} wait @param {(byte: number) => boolean} fits */
  async _answer(question, wait, fits) {
    const connection = this._connection;
    if (!connection?.read || this._mute) return null;
    const { read } = connection;
    await this._within(Promise.resolve(connection.write(question)), this._patience.write);
    let over = false;
    const heard = async () => {
      while (!over) {
        const bytes = await read();
        if (bytes.length === 0) return null;
        const byte = [...bytes].reverse().find(fits);
        if (byte !== undefined) return byte;
      }
      return null;
    };
    try {
      return await this._within(heard(), wait);
    } catch {
      return null; // no answer is an answer: nothing is known of the paper, and a connection that broke shows at the next write
    } finally {
      over = true;
    }
  }

  /** @template T @param {Promise<T>} work @param {number} wait @returns {Promise<T>} */
  _within(work, wait) {
    return new Promise((resolve, reject) => {
      const timer = this._setTimeout(() => reject(new Error(say("no_answer"))), wait);
      work.then(resolve, reject).finally(() => this._clearTimeout(timer));
    });
  }
}

/** @param {unknown} error */
function gone(error) {
  return new PhoneError("printer_gone", told("printer_gone", { why: words(error) }), { cause: error });
}

/** @param {any} error */
function words(error) {
  const text = String(error?.message || error?.name || error);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

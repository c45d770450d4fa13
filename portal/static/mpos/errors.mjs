/** Errors whose message a collector can act on: what happened, what it means, what to do. */

import { day } from "./clock.mjs";
import { text } from "./words.mjs";

/**
 * Why a registry left open since an earlier day takes no payment, and the way out.
 * @param {string} date the registry's business date
 * @param {string} today
 */
export function registryOverdue(date, today) {
  return (
    `The registry of ${day(date)} is still open and today is ${day(today)}, so it takes no more payments. Under Readings, count the cash, make its Z-Reading and ` +
    "Close Registry; then open today's registry. If the date is wrong, correct this phone's clock."
  );
}

/**
 * Why no registry can be opened any more on a day.
 * @param {string} date
 */
export function registryDone(date) {
  return `The registry of ${day(date)} was closed by its Z-Reading. The next one can be opened tomorrow.`;
}

/** An error fit to show. `code` is stable for programs; `words` become the message in the language of whoever reads it; `fields` names the form fields it is about. */
export class PhoneError extends Error {
  /**
   * @param {string} code
   * @param {string|import("./words.mjs").Told} words
   * @param {{cause?: unknown, fields?: {field: string, message: string}[]}} [more]
   */
  constructor(code, words, more = {}) {
    super(undefined, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "PhoneError";
    this.code = code;
    this.words = words;
    this.fields = more.fields ?? [];
  }

  get message() {
    return text(this.words);
  }
}

/** The journal's head is not the one the entry was made for: nothing was written, make the entry anew. */
export class HeadMoved extends Error {
  constructor() {
    super("Another tab wrote to the journal in between.");
    this.name = "HeadMoved";
  }
}

/** The intent was already confirmed: nothing was written, the first payment (or visit) stands. */
export class IntentTaken extends Error {
  constructor() {
    super("This payment was already confirmed.");
    this.name = "IntentTaken";
  }
}

/**
 * A failure of the phone's storage as a PhoneError; our own errors pass through unchanged.
 * @param {any} error
 * @returns {Error}
 */
export function storageError(error) {
  if (error instanceof PhoneError || error instanceof HeadMoved || error instanceof IntentTaken) return error;
  const name = error?.name ?? "";
  if (name === "QuotaExceededError") {
    return new PhoneError(
      "disk_full",
      "The phone's storage is full, so nothing was saved. Free some space on the phone (photos, videos), then try again.",
      { cause: error },
    );
  }
  if (name === "VersionError") {
    return new PhoneError("newer_version", "A newer version of this app has opened the phone's records. Reload this page to go on.", { cause: error });
  }
  return new PhoneError(
    "storage_failed",
    "The phone's storage did not answer, so nothing new was saved. Close the app, open it again, and check Transactions before you repeat anything.",
    { cause: error },
  );
}

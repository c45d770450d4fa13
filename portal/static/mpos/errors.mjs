/** Errors whose message a collector can act on: what happened, what it means, what to do. */

import { day } from "./clock.mjs";
import { text, told } from "./words.mjs";

/**
 * Why a registry left open since an earlier day takes no payment, and the way out.
 * @param {string} date the registry's business date
 * @param {string} today
 */
export function registryOverdue(date, today) {
  return told("registry_overdue", { date: day(date), today: day(today) });
}

/**
 * Why no registry can be opened any more on a day.
 * @param {string} date
 */
export function registryDone(date) {
  return told("registry_done", { date: day(date) });
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
      told("disk_full"),
      { cause: error },
    );
  }
  if (name === "VersionError") {
    return new PhoneError("newer_version", told("newer_version"), { cause: error });
  }
  return new PhoneError(
    "storage_failed",
    told("storage_failed"),
    { cause: error },
  );
}

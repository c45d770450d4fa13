/** What time it is, how far the phone's clock can be believed, and when somebody moved it. Pure but for the two clocks it is given. */

/** Manila has had no daylight saving time since 1978: the offset is fixed (a phone set to another zone changes nothing). */
const MANILA_OFFSET = 8 * 3600 * 1000;
/** A difference up to this between expected and shown time is drift, not a jump (milliseconds). */
export const TOLERANCE = 120_000;

/**
 * `2026-11-20T08:15:30.123+08:00` of milliseconds since 1970.
 * @param {number} milliseconds
 */
export function instant(milliseconds) {
  return new Date(Math.round(milliseconds) + MANILA_OFFSET).toISOString().replace("Z", "+08:00");
}

/**
 * `2026-11-20` in Manila, of milliseconds since 1970.
 * @param {number} milliseconds
 */
export function businessDate(milliseconds) {
  return instant(milliseconds).slice(0, 10);
}

const DAY = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Manila", day: "numeric", month: "short", year: "numeric" });

/**
 * `20 Nov 2026` of a date or an instant; empty when there is none.
 * @param {string|null|undefined} value
 */
export function day(value) {
  if (!value) return "";
  const moment = new Date(value.length === 10 ? `${value}T12:00:00+08:00` : value);
  return Number.isNaN(moment.getTime()) ? value : DAY.format(moment);
}

/**
 * Whole days from one date (`2026-11-20`) to another; 0 when it is not after.
 * @param {string} from
 * @param {string} to
 */
export function daysBetween(from, to) {
  return Math.max(Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000) || 0, 0);
}

/**
 * The two clocks of a phone. `now` is the wall clock a person can set; `monotonic` only goes forward, but on many phones it stands still while
 * they sleep. So time that passed while the app was hidden proves nothing alone: then the portal's clock decides at the next contact.
 */
export class Clock {
  /**
   * @param {{now: () => number, monotonic: () => number, skew?: number|null}} clocks `skew`: wall clock minus portal time at the last contact, if any
   */
  constructor({ now, monotonic, skew = null }) {
    this._now = now;
    this._monotonic = monotonic;
    this.skew = skew;
    this._last = { wall: now(), mono: monotonic() };
    this._hidden = false;
    /** @type {{portal: number, mono: number, wall: number}|null} */
    this._contact = null;
  }

  /** Milliseconds since 1970 by the phone's own clock. */
  now() {
    return this._now();
  }

  /** The phone's own clock as an instant. */
  at() {
    return instant(this._now());
  }

  /** Today in Manila, by the phone's own clock. */
  today() {
    return businessDate(this._now());
  }

  /** Portal time as reckoned from the last contact, or null when it cannot be known. */
  trusted() {
    if (!this._contact) return null;
    return instant(this._contact.portal + (this._monotonic() - this._contact.mono));
  }

  /** The app left the screen: the phone may sleep from now on, until `shown`. */
  hidden() {
    this._hidden = true;
  }

  /** The app is on the screen again; look first. */
  shown() {
    this._hidden = false;
  }

  /**
   * Compare both clocks since the last look. Answers the seconds by which the wall clock was moved (new minus expected), or null.
   * @returns {number|null}
   */
  look() {
    const wall = this._now();
    const mono = this._monotonic();
    const moved = wall - this._last.wall - (mono - this._last.mono);
    const slept = this._hidden && moved > 0;
    this._last = { wall, mono };
    if (Math.abs(moved) > TOLERANCE && !slept) {
      if (this._contact) this._contact.wall += moved;
      if (this.skew !== null) this.skew += moved;
      return Math.round(moved / 1000);
    }
    if (this._contact && Math.abs(wall - this._contact.wall - (mono - this._contact.mono)) > TOLERANCE) this._contact = null;
    return null;
  }

  /**
   * The portal said its time, in the middle of a call that took from `started` to now (monotonic). Answers the seconds by which the wall
   * clock was moved since the last contact when `look` could not see it, else null.
   * @param {number} portal milliseconds since 1970
   * @param {number} started
   * @returns {number|null}
   */
  heard(portal, started) {
    const mono = this._monotonic();
    const wall = this._now();
    const half = (mono - started) / 2;
    const skew = Math.round(wall - half - portal);
    const before = this.skew;
    this.skew = skew;
    this._contact = { portal: portal + half, mono, wall };
    this._last = { wall, mono };
    return before !== null && Math.abs(skew - before) > TOLERANCE ? Math.round((skew - before) / 1000) : null;
  }
}

/** How long to wait before the portal is asked again. Pure. */

const FIRST = 2_000;
const LONGEST = 300_000;

/**
 * Milliseconds to wait after `failures` failures in a row (1 or more): doubling from 2 seconds to 5 minutes, each between half and all of it so
 * that many phones do not come back together; never less than the portal asked for.
 * @param {number} failures
 * @param {number|null} [retryAfter] what the portal asked for, in milliseconds
 * @param {() => number} [random] from 0 to below 1
 */
export function delay(failures, retryAfter = null, random = Math.random) {
  const whole = Math.min(FIRST * 2 ** Math.min(failures - 1, 20), LONGEST);
  return Math.round(Math.max(whole / 2 + (whole / 2) * random(), retryAfter ?? 0));
}

/**
 * Milliseconds a `Retry-After` header asks for (seconds or a date), at most one hour; null when there is none or it cannot be read.
 * @param {string|null} header
 * @param {number} now milliseconds since 1970
 */
export function retryAfter(header, now) {
  if (!header) return null;
  const wanted = /^\s*[0-9]+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(wanted) ? Math.min(Math.max(wanted, 0), 3_600_000) : null;
}

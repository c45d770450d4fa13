/** Receipt and void numbers: dense per terminal, never reused. Twin: portal/domain/receipts.py, tests/vectors/journal.json. */

/**
 * `T07-00000123`.
 * @param {string} terminal
 * @param {number} number
 */
export function receiptNumber(terminal, number) {
  return `${terminal}-${String(number).padStart(8, "0")}`;
}

/**
 * `T07-V000004`.
 * @param {string} terminal
 * @param {number} number
 */
export function voidNumber(terminal, number) {
  return `${terminal}-V${String(number).padStart(6, "0")}`;
}

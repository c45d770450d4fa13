/** The supervisor's code for a void, as far as the phone knows it (docs/journal.md, section 8). Twin: portal/domain/void_codes.py, tests/vectors/void_codes.json. Pure. */

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/**
 * What the phone shows of a void before it is asked for: eight letters for terminal, payment, void number and amount (centavos).
 * @param {{terminal: string, payment: string, void_number: string, amount: number}} facts
 * @param {SubtleCrypto} subtle
 * @returns {Promise<string>}
 */
export async function challenge({ terminal, payment, void_number, amount }, subtle) {
  const text = `mpos-void-1 ${terminal} ${payment} ${void_number} ${amount}`;
  const digest = new Uint8Array(await subtle.digest("SHA-256", new TextEncoder().encode(text)));
  const bits = digest.subarray(0, 5).reduce((sum, byte) => sum * 256 + byte, 0);
  return Array.from({ length: 8 }, (_, place) => ALPHABET[Math.floor(bits / 32 ** (7 - place)) % 32]).join("");
}

/**
 * Whether digits can be a code for a challenge: eight of them, the last one right. Whether it is the supervisor's only the portal can tell.
 * @param {string} typed
 * @param {string} asked the challenge
 */
export function plausible(typed, asked) {
  if (!/^[0-9]{8}$/.test(typed)) return false;
  const weighted = [...typed.slice(0, 7)].reduce((sum, digit, place) => sum + Number(digit) * (place % 2 === 0 ? 3 : 1), 0);
  const letters = [...asked].reduce((sum, letter) => sum + ALPHABET.indexOf(letter), 0);
  return (weighted + letters) % 10 === Number(typed[7]);
}

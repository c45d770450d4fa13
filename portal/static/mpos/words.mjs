// @ts-check
/** The words of the app in the language chosen on this phone: texts only, never markup. One catalogue is loaded at a time; both are kept for offline use. */

/** @typedef {keyof typeof import("./words/en.mjs").default} Key */
/** What is put into words when it is shown: errors and stored problems carry it. `sent`: the portal's own words, where the catalogue has none. @typedef {{key: string, values?: Record<string, any>, sent?: string}} Told */

/** Names of the languages in their own words, by the code of `<html lang>`. @type {Record<string, string>} */
export const LANGUAGES = { en: "English", fil: "Filipino" };
const KEPT = "mpos-language";

/** @type {Record<string, string>} */
let catalogue = {};
let spoken = "en";

/** The language spoken now. */
export const language = () => spoken;

/**
 * The text of a key. Values stand in the place of `{name}`; numbers are grouped. `{entry|entries}` is the first for a `count` of 1, else the second.
 * @param {Key} key @param {Record<string, any>} [values]
 */
export function say(key, values) {
  return text({ key, values });
}

/** A text to be said later. @param {Key} key @param {Record<string, any>} [values] @returns {Told} */
export const told = (key, values) => ({ key, values });

/** What the portal said: in the catalogue's words when it has some for the code, else as sent. @param {string} code @param {string} sent @returns {Told} */
export const sentBy = (code, sent) => ({ key: `p_${code}`, sent });

/** Any value as text; what was told is said in the present language. @param {any} value @returns {string} */
export function text(value) {
  if (typeof value === "number") return value.toLocaleString("en-US");
  if (typeof value !== "object" || value === null) return String(value ?? "");
  const { key, values = {}, sent } = value;
  return (catalogue[key] || sent || key).replace(/\{([^{}]+)\}/g, (/** @type {string} */ _, /** @type {string} */ name) =>
    (name.includes("|") ? name.split("|")[values.count === 1 ? 0 : 1] : text(values[name])));
}

/** Speaks a language from now on; what is on the screen is drawn anew by whoever asked. @param {string} name */
export async function speak(name) {
  const chosen = Object.hasOwn(LANGUAGES, name) ? name : "en";
  catalogue = (await import(`./words/${chosen}.mjs`)).default;
  spoken = chosen;
  if (globalThis.document) document.documentElement.lang = chosen;
}

/** Speaks a language and remembers it on this phone, whoever logs in. @param {string} name */
export async function choose(name) {
  await speak(name);
  try {
    localStorage.setItem(KEPT, spoken);
  } catch {
    console.warn("The language could not be remembered."); // a browser that keeps nothing: it holds until the app is closed
  }
}

/** @returns {string} */
function kept() {
  try {
    return globalThis.window?.localStorage?.getItem(KEPT) ?? "en";
  } catch {
    return "en"; // forbidden by the browser's settings
  }
}

await speak(kept());

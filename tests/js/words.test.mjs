import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { PhoneError } from "../../portal/static/mpos/errors.mjs";
import { age, dueWords, tenderName, voidWords } from "../../portal/static/mpos/views/format.mjs";
import { voidPaper } from "../../portal/static/mpos/paper.mjs";
import { language, LANGUAGES, say, sentBy, speak, text, told } from "../../portal/static/mpos/words.mjs";
import en from "../../portal/static/mpos/words/en.mjs";
import fil from "../../portal/static/mpos/words/fil.mjs";

const ROOT = new URL("../../portal/static/mpos/", import.meta.url);

/** Modules that speak to nobody, or to paper: their words are the regulation's, in English, on every phone (docs/phone.md). */
const SILENT = new Set(["paper.mjs", "paper_lines.mjs", "pdf.mjs", "escpos.mjs", "sw_core.mjs", "words.mjs", "words/en.mjs", "words/fil.mjs"]);
/** Literals that look like words to read and are none, or must not be translated: each with its reason. */
const ALLOWED = new Map([
  ...["GCash", "Maya", "China Bank", "EastWest", "LandBank", "Metrobank", "Security Bank", "UnionBank", "BDO", "BPI", "PNB", "PSBank", "RCBC"].map((one) => [one, "the name of a firm"]),
  ...["Nobody home", "Cannot pay today", "Already paid at the office", "Address not found", "Moved away", "Disputes the amount", "Wrong amount", "Wrong customer", "Wrong tender", "Customer changed their mind", "Fuel", "Fare", "Meals", "Parking and toll", "Mobile load", "Repair"].map(
    (one) => [one, "a reason as it goes into the journal: the portal's own first list, in its words"],
  ),
  ...["Asia/Manila", "PhoneError", "PortalError", "HeadMoved", "IntentTaken", "AbortError", "If-None-Match", "Retry-After", "Content-Type", "Content-Length", "Content-Encoding", "Enter", "InvalidStateError", "NotFoundError"].map((one) => [one, "a name for programs"]),
  ...["Another tab wrote to the journal in between.", "This payment was already confirmed.", "The transaction was given up.", "nothing to write", "done already", "The page has no place for paper.", "This text is too long for a QR code.", "This payment cannot be written as a code.", "split needs weights of at least 0 with a sum above 0"].map(
    (one) => [one, "caught inside the app, or a mistake of its makers"],
  ),
  ...["The mark of this opening could not be kept beside the records.", "The mark of this opening could not be kept:", "This browser does not keep the app for offline use:", "How many entries wait could not be noted:", "Another user's records could not be counted:"].map(
    (one) => [one, "for the browser's console"],
  ),
  ...["Test print", "TEST PRINT", "Not a receipt", "Date", "Señor Niño Peña, Parañaque", "Left edge", "A code to look at", "Any phone's camera reads it as a test.", "right edge"].map((one) => [one, "stands on the test print: paper"]),
  ...["zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", "zero ten twenty thirty forty fifty sixty seventy eighty ninety"].map((one) => [one, "amounts in words stand on paper"]),
  ["size: A4; margin: 12mm 0;", "a rule of style"],
  ["unsent journal entries", "says in the rescue file what it is: for the portal"],
  ["Bluetooth", "the name of a way to print"],
  ["collector codes", "the name of a column, in a list that is damaged"],
  ["ui-monospace, 'Roboto Mono', 'Noto Sans Mono', monospace", "names of letters"],
  ["noreferrer noopener", "a name for programs"],
]);
/** Where a helper takes what people read. */
const READ = { h: 2, button: [0], field: [0], quiet: [0], pill: [1], notice: [1], setText: [1], "says.say": [1], task: [0, 1], fact: [0, 1], radios: [0], step: [0], none: [0, 1], plain: [0], keyButton: [1] };

const CLOSING = { "(": ")", "[": "]", "{": "}" };
const REGEX = /^\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\n[])+\/[a-z]*/;

/**
 * Every text in a module: its value (a template's with {} for each expression), the call it stands in and as which argument, and what stands before it.
 * @param {string} code
 */
function literals(code) {
  /** @type {{value: string, callee: string, argument: number, calls: string[], lead: string, line: number}[]} */
  const found = [];
  let at = 0;
  /** @param {string} close @param {string} callee @param {string[]} calls */
  function until(close, callee, calls) {
    let argument = 0;
    const add = (/** @type {string} */ value, /** @type {number} */ start) =>
      found.push({ value, callee, argument, calls, lead: code.slice(Math.max(0, start - 40), start), line: code.slice(0, start).split("\n").length });
    for (;;) {
      const letter = code[at];
      const start = at;
      if (letter === undefined || letter === close) {
        assert.equal(letter ?? "", close);
        at += 1;
        return;
      }
      if (code.startsWith("//", at)) at = code.indexOf("\n", at);
      else if (code.startsWith("/*", at)) at = code.indexOf("*/", at) + 2;
      else if (letter === '"' || letter === "'") {
        at += 1;
        while (code[at] !== letter) at += code[at] === "\\" ? 2 : 1;
        add(code.slice(start + 1, at), start);
        at += 1;
      } else if (letter === "`") {
        let value = "";
        at += 1;
        while (code[at] !== "`") {
          if (code.startsWith("${", at)) {
            at += 2;
            until("}", callee, calls);
            value += "{}";
          } else value += code[at++];
        }
        add(value, start);
        at += 1;
      } else if (letter === "/" && /(?:^|[(,=:[!&|?{};>]|return)\s*$/.test(code.slice(Math.max(0, at - 20), at))) {
        at += REGEX.exec(code.slice(at))?.[0].length ?? 1;
      } else if (letter in CLOSING) {
        const name = letter === "(" ? (/([\w.]+)$/.exec(code.slice(Math.max(0, at - 60), at))?.[1] ?? "") : "";
        at += 1;
        until(CLOSING[/** @type {"("} */ (letter)], name, [...calls, name]);
      } else {
        if (letter === ",") argument += 1;
        at += 1;
      }
    }
  }
  until("", "", []);
  return found;
}

/** @param {string} [folder] @returns {string[]} */
function modules(folder = "") {
  return readdirSync(new URL(folder, ROOT), { withFileTypes: true }).flatMap((one) => {
    if (one.isDirectory()) return modules(`${folder}${one.name}/`);
    return one.name.endsWith(".mjs") ? [`${folder}${one.name}`] : [];
  });
}

const CODE = new Map(modules().map((name) => [name, readFileSync(new URL(name, ROOT), "utf8")]));
const CLASSES = new Set(readFileSync(new URL("mpos.css", ROOT), "utf8").match(/(?<=\.)[a-z][\w-]*/g));
const placeholders = (/** @type {string} */ words) => new Set([...words.matchAll(/\{([^{}|]+)\}/g)].map(([, name]) => name));

/** Whether somebody would read this: a sentence, or a name with a capital; names of styles are neither. @param {string} value */
function readable(value) {
  const bare = value.replaceAll("{}", "").trim();
  if (bare.split(/\s+/).every((word) => CLASSES.has(word))) return false;
  return /^[A-Z][a-z]+/.test(bare) || /[A-Za-z]{2,}[,.;:!?]?\s+[A-Za-z]{2,}/.test(bare);
}

/** @param {{value: string, callee: string, argument: number}} one */
function toAHelper({ value, callee, argument }) {
  const places = READ[/** @type {"h"} */ (callee)];
  const there = typeof places === "number" ? argument >= places : places?.includes(argument);
  return Boolean(there) && /[A-Za-z]{2,}/.test(value.replaceAll("{}", ""));
}

/** What a value is held against, or what a form sends. */
const COMPARED = /(?:[=!]== |kind: |value: |say\()$/;

/** Names of records, keys of the stores, queries of the browser: what programs say to each other. @param {{calls: string[], lead: string}} one */
function forPrograms({ calls, lead }) {
  return /(?:import\(|from |class: |accept: |what: |media: |===? |className = |Accept: )$/.test(lead)
    || calls.some((call) => /^console\.|matchMedia$|encode$|[mM]eta$|_(?:sealed|opened)Value$|\.(?:seal|open|style|insertRule|querySelector|querySelectorAll|closest)$|^setPageRule$/.test(call));
}

test("no text that people read stands outside the catalogue", () => {
  const left = [];
  for (const [name, code] of CODE) {
    if (SILENT.has(name)) continue;
    for (const one of literals(code)) {
      if (COMPARED.test(one.lead) || (!toAHelper(one) && (!readable(one.value) || forPrograms(one)))) continue;
      if (!ALLOWED.has(one.value)) left.push(`${name}:${one.line} ${JSON.stringify(one.value)}`);
    }
  }
  assert.deepEqual(left, []);
});

test("what must not be translated is still there", () => {
  const all = new Set([...CODE].flatMap(([name, code]) => (SILENT.has(name) ? [] : literals(code).map(({ value }) => value))));
  assert.deepEqual([...ALLOWED.keys()].filter((one) => !all.has(one)), []);
});

test("every key that is said has words, and every key is said", () => {
  const spoken = new Set(["language"]);
  const missing = [];
  for (const [name, code] of CODE) {
    if (name.startsWith("words/")) continue;
    for (const { value, callee, argument, lead, line } of literals(code)) {
      if (argument === 0 && /^(?:say|told)$/.test(callee) && !Object.hasOwn(en, value) && !/[=!]== $/.test(lead)) missing.push(`${name}:${line} ${value}`);
      spoken.add(value);
    }
  }
  assert.deepEqual(missing, []);
  assert.deepEqual(Object.keys(en).filter((key) => !spoken.has(key) && !key.startsWith("p_")), []);
});

test("both languages say the same: each key, each value, no word of English left by mistake", () => {
  assert.deepEqual(Object.keys(fil), Object.keys(en));
  for (const [key, words] of Object.entries(en)) {
    assert.deepEqual(placeholders(fil[key]), key.startsWith("p_") ? new Set() : placeholders(words), key);
    assert.ok(fil[key], key);
    if (words) assert.deepEqual([fil[key].startsWith(" "), fil[key].endsWith(" ")], [words.startsWith(" "), words.endsWith(" ")], key);
    // What is the same in both is a name or a word of the trade; a sentence never is.
    if (words === fil[key]) assert.ok(words.split(" ").length <= 4, key);
  }
});

test("values are put in, numbers grouped, and one is not many", () => {
  assert.equal(say("downloaded", { count: 1 }), "Downloaded 1 SOA.");
  assert.equal(say("downloaded", { count: 1200 }), "Downloaded 1,200 SOAs.");
  assert.equal(say("entries_wait_pin", { count: 2 }), "2 entries on this phone wait to be uploaded. Enter your PIN: then they go up by themselves.");
  assert.equal(text(told("too_many_wrong", { left: told("n_seconds", { count: 15 }) })), "Too many wrong PINs. Try again in 15 seconds, or use your password with a connection.");
  assert.equal(say("nobody", { text: "{text} <b>" }), "Nobody found for “{text} <b>”.", "what somebody typed is no template");
  assert.equal(text("as it came {left}"), "as it came {left}");
});

test("an error that was thrown before speaks the language of whoever reads it now; paper stays as it is", async () => {
  const error = new PhoneError("no_z", told("z_first"));
  const item = { void_number: "T07-V000004", state: "approved", decided_by: "sol", decision_reason: null, reason: "Wrong amount", status: "uploaded", status_reason: null };
  const receipt = { receipt_number: "T07-00000123", amount: 100, tender: "check", channel: "BDO", at: "2026-11-20T08:15:30.123+08:00", void: item, business: {} };
  const paper = JSON.stringify(voidPaper(receipt));
  assert.deepEqual([error.message, tenderName("check", "BDO"), age("2026-11-20T06:00:00Z", new Date("2026-11-20T08:30:00Z"))], [en.z_first, "Check BDO", "2 h"]);
  try {
    await speak("fil");
    assert.equal(language(), "fil");
    assert.deepEqual([error.message, tenderName("check", "BDO"), age("2026-11-20T06:00:00Z", new Date("2026-11-20T08:30:00Z"))], [fil.z_first, "Tseke BDO", "2 oras"]);
    assert.equal(dueWords({ due_date: "2026-11-01", days_overdue: 19, amount_due: 5 }, "2026-11-20"), "19 araw overdue");
    assert.equal(voidWords(item), "Void T07-V000004, inaprubahan ni sol. Dahilan: Wrong amount.", "what somebody wrote stays as written");
    assert.equal(JSON.stringify(voidPaper(receipt)), paper);
    assert.equal(text(sentBy("wrong_login", "User name or password is wrong.")), fil.p_wrong_login);
    assert.equal(text(sentBy("never_heard_of", "As the portal says.")), "As the portal says.");
  } finally {
    await speak("en");
  }
  assert.equal(text(sentBy("wrong_login", "User name or password is wrong.")), "User name or password is wrong.");
});

test("a language nobody knows is English", async () => {
  await speak("tlh");
  assert.deepEqual([language(), say("log_in")], ["en", "Log in"]);
  await speak("constructor");
  assert.deepEqual([language(), Object.keys(LANGUAGES)], ["en", ["en", "fil"]]);
});

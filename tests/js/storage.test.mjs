import assert from "node:assert/strict";
import test from "node:test";

import { canaryState, judge, LEAST_FREE } from "../../portal/static/mpos/storage.mjs";
import { draft, World } from "./setup.mjs";

const world = (body) => async () => {
  const w = new World();
  try {
    await body(w);
  } finally {
    await w.close();
  }
};
const GOOD = { persisted: true, installed: true, worker: true, quota: 5e9, usage: 1e6, needed: 2e7, writes: null, canary: "intact", before: { terminal: "T07", seq: 9, date: "19 Nov 2026" }, pin: true, opened_before: true, online: true };
const levels = (more) => Object.fromEntries(judge({ ...GOOD, ...more }).map(({ name, level }) => [name, level]));
const bad = (more) => Object.entries(levels(more)).filter(([, level]) => level !== "good").map(([name, level]) => `${name} ${level}`);

test("only what endangers the next payment or its number refuses; the rest warns", () => {
  assert.deepEqual(bad({}), []);
  assert.deepEqual(bad({ persisted: false }), ["Protected storage warning"]);
  assert.deepEqual(bad({ persisted: null, installed: null, quota: null, usage: null }), []);
  assert.deepEqual(bad({ installed: false }), ["On the home screen warning"]);
  assert.deepEqual(bad({ quota: 4e8, usage: 0 }), ["Ordinary window warning"]);
  assert.deepEqual(bad({ worker: false }), ["Ordinary window warning"]);
  assert.deepEqual(bad({ usage: 5e9 - LEAST_FREE + 1 }), ["Free space refused"]);
  assert.deepEqual(bad({ usage: 5e9 - 1e7 }), ["Free space warning"]);
  assert.deepEqual(bad({ writes: "The phone's storage is full." }), ["Free space refused"]);
  assert.deepEqual(bad({ canary: "older" }), ["Yesterday's records refused"]);
  assert.deepEqual(bad({ canary: "gone" }), ["Yesterday's records warning"]);
  assert.deepEqual(bad({ canary: "alone" }), ["Yesterday's records warning"]);
  assert.deepEqual(bad({ canary: "new", before: null }), []);
});

test("without a PIN the first day warns, each later one refuses where there is a line to choose one", () => {
  assert.deepEqual(bad({ pin: false, opened_before: false }), ["PIN warning"]);
  assert.deepEqual(bad({ pin: false, opened_before: true }), ["PIN refused"]);
  assert.deepEqual(bad({ pin: false, opened_before: true, online: false }), ["PIN warning"]);
});

test("each finding says what it means and, unless it is good, what to do", () => {
  for (const more of [{ persisted: false }, { installed: false }, { quota: 4e8 }, { usage: 5e9 }, { canary: "older" }, { canary: "gone" }, { canary: "alone" }, { pin: false }]) {
    for (const { level, words } of judge({ ...GOOD, ...more })) {
      assert.match(words, /\.$/);
      if (level !== "good") assert.match(words, /\b(install|choose|delete|see the office|tell the office|upload often|open the app|log in)\b/i, words);
    }
  }
});

test("the mark of the last opening tells erased records from old ones", () => {
  const mark = { terminal: "T07", seq: 9, date: "" };
  const head = (seq, terminal = "T07") => ({ terminal, seq });
  assert.equal(canaryState(null, null, [], null), "new");
  assert.equal(canaryState(null, mark, ["T07"], head(12)), "alone");
  assert.equal(canaryState(mark, mark, ["T07"], head(12)), "intact");
  assert.equal(canaryState(mark, null, ["T07"], head(8)), "older");
  assert.equal(canaryState(mark, null, [], null), "gone");
  assert.equal(canaryState(mark, null, ["T07", "T08"], head(1, "T08")), "intact");
});

test("an erased phone says so before anybody logs in, and its numbers begin with a new terminal (F42)", world(async (w) => {
  const phone = await w.ready();
  const { receipt_number } = await phone.confirm(draft(5000));
  assert.deepEqual(phone.state.lost, []);
  await phone.upload();
  await phone.close();
  w.browser.disks.clear();
  w.browser.shared.clear();
  const again = await w.open();
  assert.deepEqual(again.state.lost, [{ user: "nena", terminal: "T07", date: "20 Nov 2026" }]);
  await again.logIn("nena", "secret");
  assert.deepEqual(again.state.known_terminals.map(({ terminal, entries }) => [terminal, entries]), [["T07", 4]]);
  await again.enroll("Nena's phone");
  await again.openRegistry(0);
  assert.deepEqual(again.state.lost, []);
  await again.download();
  assert.notEqual((await again.confirm(draft(100))).receipt_number, receipt_number);
}));

test("an old copy of the records opens no registry, even without a line (F44)", world(async (w) => {
  const phone = await w.ready();
  const copy = structuredClone([...w.disk().heads]);
  await phone.saveCount([]);
  await phone.zReading();
  await phone.closeRegistry();
  w.pass(86_400_000);
  await phone.openRegistry(0);
  await phone.close();
  w.disk().heads = new Map(copy.map(([code, head]) => [code, { ...head, registry: null, last_registry: { ...head.registry, business_date: "2026-11-19" } }]));
  const again = await w.open({ fetch: () => Promise.reject(new TypeError("no line")) });
  await assert.rejects(again.openRegistry(0), (error) => error.code === "storage_gate" && /old copy/.test(error.message));
}));

test("a full phone opens no registry and says what to do; with space again it does", world(async (w) => {
  const phone = await w.open();
  await phone.logIn("nena", "secret");
  await phone.setPin(w.pin);
  await phone.enroll("Nena's phone");
  let usage = 5e9;
  const storage = { persist: async () => false, estimate: async () => ({ quota: 5e9, usage }) };
  phone._from.storage = storage;
  await assert.rejects(phone.openRegistry(0), (error) => error.code === "storage_gate" && /photos/.test(error.message));
  assert.equal(phone.state.registry, null);
  usage = 0;
  await phone.openRegistry(0);
  assert.equal(phone.state.storage_persistent, false);
}));

test("a browser that throws where others answer stands in nobody's way", world(async (w) => {
  const throws = () => Promise.reject(new TypeError("not here"));
  const phone = await w.ready(undefined, { storage: { persist: throws, persisted: throws, estimate: throws }, serviceWorker: undefined });
  assert.equal(phone.state.registry.business_date, "2026-11-20");
}));

import assert from "node:assert/strict";
import test from "node:test";

import { problemsOf, readExpenseDecisions } from "../../portal/static/mpos/cash_out.mjs";
import { cashPaper } from "../../portal/static/mpos/paper.mjs";
import { paperText } from "../../portal/static/mpos/paper_lines.mjs";
import { draft, World } from "./setup.mjs";

const world = (body) => async () => {
  const w = new World();
  try {
    await body(w);
  } finally {
    await w.close();
  }
};
/** Lets work that nobody waits for go on until it is done; a test that never gets there fails instead of hanging. */
async function until(done) {
  for (let turn = 0; turn < 10_000; turn += 1) {
    if (await done()) return;
    await new Promise(setImmediate);
  }
  assert.fail("it never came");
}
const journal = (w, kind) => [...w.disk().entries.values()].sort((a, b) => a.seq - b.seq).map(({ entry }) => entry).filter((entry) => entry.kind === kind);
const id = () => crypto.randomUUID();
const fuel = (amount = 4500, more = {}) => ({ intent: id(), kind: "expense", amount, category: "Fuel", note: " To Malolos ", ...more });
const drop = (amount = 10000, more = {}) => ({ intent: id(), kind: "cash_drop", amount, given_to: "Branch safe", reference: "S-7", ...more });

test("an expense and a cash drop are journaled offline; only the drop comes off the expected cash", world(async (w) => {
  const phone = await w.ready();
  await phone.confirm(draft(30000));
  w.portal.down = true;
  const given = fuel();
  const spent = await phone.noteCash(given);
  const dropped = await phone.noteCash(drop());
  const { registry } = phone.state;
  assert.deepEqual(journal(w, "expense").at(-1).payload, { registry: registry.id, amount: 4500, description: "To Malolos", expense: given.intent, category: "Fuel" });
  assert.deepEqual([dropped.given_to, dropped.reference, spent.kind, phone.state.expenses_waiting], ["Branch safe", "S-7", "expense", 1]);
  const x = await phone.xReading();
  assert.deepEqual([x.less_drops, x.less_expenses, x.expected_cash], [10000, 0, 50000 + 30000 - 10000]);
  assert.deepEqual((await phone.cashOut()).map(({ kind, state, status }) => [kind, state, status]), [["cash_drop", "requested", "saved"], ["expense", "requested", "saved"]]);
}));

test("the same form is stored once, whoever taps twice", world(async (w) => {
  const phone = await w.ready();
  const given = fuel();
  const [first, second] = await Promise.all([phone.noteCash(given), phone.noteCash(given)]);
  assert.equal(first.seq, second.seq);
  assert.deepEqual([journal(w, "expense").length, (await phone.noteCash(given)).seq], [1, first.seq]);
}));

test("what cannot be right is refused in plain words, and nothing is stored", world(async (w) => {
  const phone = await w.ready();
  for (const [bad, field] of [[fuel(0), "amount"], [fuel(1.5), "amount"], [fuel(5, { category: " " }), "category"], [drop(5, { given_to: "" }), "given_to"], [drop(5, { reference: "x".repeat(61) }), "reference"]]) {
    assert.equal(problemsOf(bad)[0].field, field);
    await assert.rejects(phone.noteCash(bad), (error) => error.code === "invalid" && error.fields[0].field === field);
  }
  await phone.saveCount([]);
  await phone.zReading();
  await assert.rejects(phone.noteCash(fuel()), { code: "z_done" });
  await phone.closeRegistry();
  await assert.rejects(phone.noteCash(drop()), { code: "no_registry" });
  assert.deepEqual([journal(w, "expense").length, journal(w, "cash_drop").length], [0, 0]);
}));

test("an approved expense is written down once and comes off the expected cash; a count before it is outdated by the spending alone", world(async (w) => {
  const phone = await w.ready();
  await phone.saveCount([]);
  const given = fuel();
  await phone.noteCash(given);
  assert.equal((await phone.lastCount()).outdated, true);
  await phone.saveCount([]);
  await phone.upload();
  w.portal.decideExpense(given.intent, "approved", "Seen");
  await phone.upload();
  await phone.upload();
  assert.deepEqual([journal(w, "expense_decided").length, phone.state.expenses_waiting], [1, 0]);
  assert.equal((await phone.lastCount()).outdated, false, "the cash left the hand before the count");
  const [item] = await phone.cashOut();
  assert.deepEqual([item.state, item.answer.decided_by, item.answer.reason], ["approved", "sol", "Seen"]);
  const z = await phone.zReading();
  assert.deepEqual([z.less_expenses, z.expected_cash], [4500, 50000 - 4500]);
  assert.deepEqual(w.portal.expenses("T07"), []);
}));

test("an expense decided after the Z-Reading is written down in the next registry, a refused one counts nowhere", world(async (w) => {
  const phone = await w.ready();
  const [given, other] = [fuel(), fuel(700)];
  await phone.noteCash(given);
  await phone.noteCash(other);
  await phone.saveCount([]);
  const first = await phone.zReading();
  assert.equal(first.less_expenses, 0);
  await phone.upload();
  w.portal.decideExpense(given.intent, "approved");
  w.portal.decideExpense(other.intent, "refused", "No paper");
  await phone.upload();
  assert.equal(journal(w, "expense_decided").length, 0, "the Z is made");
  assert.deepEqual((await phone.cashOut()).map(({ state, answer }) => [state, answer?.decision]), [["requested", "refused"], ["requested", "approved"]]);
  await phone.closeRegistry();
  w.pass(86400_000);
  await phone.openRegistry(0);
  await phone.saveCount([]);
  const next = await phone.zReading();
  assert.deepEqual([journal(w, "expense_decided").length, next.less_expenses, next.expected_cash, phone.state.expenses_waiting], [2, 4500, -4500, 0]);
}));

test("a photo of the paper waits until the expense is uploaded, and is sent once", world(async (w) => {
  const phone = await w.ready();
  w.portal.down = true;
  const given = fuel();
  await phone.noteCash(given);
  await phone.addExpensePhoto(given.intent, new Uint8Array([1, 2, 3]));
  assert.equal((await phone.photos(given.intent)).length, 1);
  w.portal.down = false;
  await phone.upload();
  await until(async () => w.portal.photos.size === 1 && (await phone.photos(given.intent)).length === 0);
}));

test("only decisions that can be used are taken from an answer", () => {
  const good = { expense: id(), amount: 5, decision: "approved", decided_by: "sol", decided_at: "2026-11-20T10:00:00.000+08:00", reason: "" };
  assert.deepEqual(readExpenseDecisions([good, null, {}, { ...good, decision: "perhaps" }, { ...good, amount: "5" }, { ...good, decided_at: "soon" }]), [{ ...good, reason: null }]);
  assert.equal(readExpenseDecisions(undefined), null);
});

test("the slip says what was spent or given, and whether the office agreed", () => {
  const frame = { business: { business_name: "Hardin" }, demo: true, collector: "Nena" };
  const item = { kind: "expense", terminal: "T07", seq: 45, at: "2026-11-20T10:00:00.000+08:00", amount: 4500, category: "Fuel", description: "To Malolos", state: "requested", answer: null };
  const text = paperText(cashPaper(item, frame), 32);
  for (const words of ["EXPENSE", "T07/45", "NOT YET APPROVED", "Fuel", "To Malolos", "Forty-five pesos", "Supervisor", "DEMO"]) assert.ok(text.includes(words), words);
  const decided = { ...item, state: "approved", answer: { decided_by: "sol", decided_at: item.at } };
  assert.match(paperText(cashPaper(decided, frame), 32), /\* APPROVED \*[\s\S]*By +sol/);
  const given = { kind: "cash_drop", terminal: "T07", seq: 46, at: item.at, amount: 100000, given_to: "Branch safe", reference: "S-7", description: null };
  const drops = paperText(cashPaper(given, frame), 32);
  for (const words of ["CASH DROP", "Branch safe", "S-7", "Received by"]) assert.ok(drops.includes(words), words);
});

/** Visits without money: stored once whatever happens, uploaded like all else, told on the account. */

import assert from "node:assert/strict";
import test from "node:test";

import { parseRoute } from "../../portal/static/mpos/routing.mjs";
import { visitWords } from "../../portal/static/mpos/views/format.mjs";
import { problemsOf } from "../../portal/static/mpos/visits.mjs";
import { Killed } from "./memory_store.mjs";
import { draft, World } from "./setup.mjs";

const world = (body) => async () => {
  const w = new World();
  try {
    await body(w);
  } finally {
    await w.close();
  }
};
const visit = (more = {}) => ({ visit: crypto.randomUUID(), kind: "no_collection", soa: "S-1", reason: "Nobody home", note: "", ...more });
const promise = (more = {}) => ({ visit: crypto.randomUUID(), kind: "promise", soa: "S-1", promised_on: "2026-11-30", amount: 50000, note: null, ...more });
const kinds = (w, kind) => [...w.disk().entries.values()].filter(({ entry }) => entry.kind === kind).map(({ entry }) => entry.payload);

test("a visit and a promise are entries of their own, uploaded, and stand on their account", world(async (w) => {
  const phone = await w.ready();
  const first = visit({ note: "  Gate closed\0 " });
  await phone.noteVisit(first);
  w.pass(60_000);
  const second = promise();
  await phone.noteVisit(second);
  assert.deepEqual(kinds(w, "no_collection"), [{ visit: first.visit, soa: "S-1", reason: "Nobody home", note: "Gate closed" }]);
  assert.deepEqual(kinds(w, "promise"), [{ visit: second.visit, soa: "S-1", promised_on: "2026-11-30", amount: 50000, note: null }]);
  assert.equal(visitWords(phone.soa("S-1").visit), "Promised ₱500.00 for 30 Nov 2026");
  assert.equal(phone.soa("S-2").visit, null);
  const paid = await phone.confirm(draft(1000));
  assert.deepEqual((await phone.history("S-1")).map(({ kind, status }) => [kind, status]), [["payment", "saved"], ["promise", "saved"], ["no_collection", "saved"]]);
  await phone.upload();
  assert.deepEqual([w.portal.held("promise").length, w.portal.held("no_collection").length], [1, 1]);
  const again = await w.open();
  assert.equal(again.soa("S-1").visit.visit, second.visit);
  assert.deepEqual((await again.history("S-1")).map((item) => [item.payment ?? item.visit, item.status]), [[paid.payment, "uploaded"], [second.visit, "uploaded"], [first.visit, "uploaded"]]);
  assert.deepEqual(await again.history("S-2"), []);
}));

test("the same form saved twice, in two tabs or after a crash is one visit", world(async (w) => {
  const phone = await w.ready();
  const other = await w.open();
  const twice = visit();
  const [a, b] = await Promise.all([phone.noteVisit(twice), other.noteVisit({ ...twice, reason: "Moved away" })]);
  assert.deepEqual([a.seq, a.payload.reason], [b.seq, b.payload.reason]);
  const crashed = promise();
  w.disk().fail = "before";
  await assert.rejects(phone.noteVisit(crashed), Killed);
  w.disk().fail = null;
  assert.equal(kinds(w, "promise").length, 0);
  w.disk().fail = "after";
  await phone.noteVisit(crashed).catch((error) => assert.ok(error instanceof Killed));
  w.disk().fail = null;
  await (await w.open()).noteVisit(crashed);
  assert.deepEqual([kinds(w, "promise").length, kinds(w, "no_collection").length], [1, 1]);
}));

test("a full phone stores nothing and says so", world(async (w) => {
  const phone = await w.ready();
  w.disk().fail = "full";
  await assert.rejects(phone.noteVisit(visit()), { code: "disk_full" });
  w.disk().fail = null;
  assert.equal(kinds(w, "no_collection").length, 0);
}));

test("what is missing or cannot be is named by its field and nothing is stored", world(async (w) => {
  const phone = await w.ready();
  const wrong = [
    [visit({ reason: " " }), "reason"], [visit({ reason: "x".repeat(201) }), "reason"], [visit({ note: "x".repeat(501) }), "note"],
    [promise({ promised_on: "" }), "promised_on"], [promise({ promised_on: "2026-02-31" }), "promised_on"], [promise({ promised_on: "2026-11-19" }), "promised_on"],
    [promise({ amount: 0 }), "amount"], [promise({ amount: 1.5 }), "amount"],
  ];
  for (const [bad, field] of wrong) {
    await assert.rejects(phone.noteVisit(bad), (error) => error.code === "invalid" && error.fields[0].field === field, JSON.stringify(bad));
  }
  await assert.rejects(phone.noteVisit(visit({ soa: "nobody" })), { code: "not_found" });
  assert.deepEqual([kinds(w, "promise").length, kinds(w, "no_collection").length], [0, 0]);
  assert.deepEqual([problemsOf(promise({ promised_on: "2026-11-20", amount: null }), "2026-11-20"), problemsOf(visit(), "2026-11-20")], [[], []]);
}));

test("the forms and the history have addresses of their own", () => {
  for (const name of ["no-collection", "promise", "history"]) assert.deepEqual(parseRoute(`#/${name}/S%2F1`), { name, id: "S/1" });
});

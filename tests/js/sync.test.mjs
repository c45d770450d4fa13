import assert from "node:assert/strict";
import test from "node:test";

import { pack } from "../../portal/static/mpos/domain/columns.mjs";
import { checkSnapshot } from "../../portal/static/mpos/sync.mjs";
import { BUSINESS, makeSoa } from "./fake_portal.mjs";
import { draft, World } from "./setup.mjs";

const world = (body) => async () => {
  const w = new World();
  try {
    await body(w);
  } finally {
    await w.close();
  }
};
const html = () => new Response("<html><body>Welcome to Hotel Wi-Fi</body></html>", { status: 200, headers: { "Content-Type": "text/html" } });
const uploads = (w) => w.portal.calls.filter(({ path }) => path === "/api/v1/journal");
const seqs = (call) => call.body.entries.map(({ seq }) => seq);

/** A phone with a few payments, everything before them uploaded. */
async function withPayments(w, count = 3) {
  const phone = await w.ready();
  await phone.upload();
  for (let n = 1; n <= count; n += 1) await phone.confirm(draft(n * 100));
  w.portal.calls.length = 0;
  return phone;
}

test("an upload marks what the answer names and can be repeated", world(async (w) => {
  const phone = await withPayments(w);
  assert.equal(phone.state.unsent.count, 3);
  const result = await phone.upload();
  assert.deepEqual([result.sent, result.acknowledged, result.problem, result.problems], [3, 6, null, []]);
  assert.deepEqual(phone.state.unsent, { count: 0, oldest_at: null });
  assert.deepEqual((await phone.transactions()).map(({ status }) => status), ["uploaded", "uploaded", "uploaded"]);
  assert.deepEqual((await phone.upload()).sent, 0);
  assert.equal(uploads(w).length, 1);
  assert.equal(w.disk().entries.size, 6, "nothing is deleted");
}));

test("a lost answer: the same entries are sent again, and the portal keeps them once", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.faults = [() => "lose"];
  const lost = await phone.upload();
  assert.equal(lost.problem.code, "offline");
  assert.equal(phone.state.unsent.count, 3);
  assert.equal(phone.state.online, false);
  assert.equal(phone.state.problem, null, "no connection has its own sign");
  const again = await phone.upload();
  assert.deepEqual([again.sent, again.problem], [3, null]);
  assert.deepEqual(seqs(uploads(w)[0]), seqs(uploads(w)[1]));
  assert.equal(w.portal.terminals.get("T07").entries.length, 6);
}));

test("only entries the answer names are marked; the rest stay", world(async (w) => {
  const phone = await withPayments(w);
  let silent = true;
  w.portal.verdict = ({ seq }) => (seq === 6 && silent ? { status: "unnamed" } : null);
  const result = await phone.upload();
  assert.equal(result.sent, 2);
  assert.equal(result.problem.code, "strange_answer");
  assert.deepEqual((await phone.transactions()).map(({ status }) => status), ["saved", "uploaded", "uploaded"]);
  silent = false;
  assert.equal((await phone.upload()).sent, 1);
}));

test("quarantined entries count as uploaded and show their reason, also after a repeat", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.verdict = ({ seq }) => (seq === 5 ? { status: "quarantined", reason: "The number is taken." } : null);
  await phone.upload();
  assert.deepEqual(phone.state.problems, [{ seq: 5, status: "quarantined", reason: "The number is taken." }]);
  assert.equal(phone.state.unsent.count, 0);
  const [, bad] = await phone.transactions();
  assert.deepEqual([bad.status, bad.reason], ["quarantined", "The number is taken."]);
  await phone._session.store.unmark("T07", 3);
  await phone.upload();
  assert.equal((await phone.transactions())[1].status, "quarantined");
}));

test("a portal restored from a backup gets everything again", world(async (w) => {
  const phone = await withPayments(w);
  await phone.upload();
  w.portal.terminals.get("T07").entries.length = 2;
  w.pass(60000);
  await phone._contact();
  assert.equal(phone.state.unsent.count, 4);
  const result = await phone.upload();
  assert.deepEqual([result.sent, result.acknowledged], [4, 6]);
}));

test("a portal that forgot the terminal knows it again under the same code, once the office said that it was restored", world(async (w) => {
  const phone = await withPayments(w);
  await phone.upload();
  w.portal.terminals.delete("T07");
  w.pass(60000);
  await phone._contact();
  assert.match(phone.state.problem, /It is conflict/);
  assert.equal((await phone.confirm(draft(100))).receipt_number, "T07-00000004", "money is taken all the same");
  w.portal.restored_at = "2026-11-20T00:00:00.000+00:00";
  w.pass(60000);
  await phone._contact();
  const asked = w.portal.calls.filter(({ path, method }) => path === "/api/v1/terminals" && method === "POST");
  assert.equal(asked.length, 1, "it is not asked again and again");
  w.pass(10 * 60000);
  await phone._contact();
  assert.deepEqual([phone.state.unsent.count, phone.state.problem, phone.state.terminal.code], [7, null, "T07"]);
  assert.equal((await phone.upload()).acknowledged, 7);
  assert.deepEqual([...w.portal.terminals.keys()], ["T07"]);
}));

test("after a restore everything is sent again once, also by a terminal that was stopped", world(async (w) => {
  const phone = await withPayments(w, 1);
  const other = w.portal.terminals.get("T07");
  other.entries.push({ ...other.entries[2], seq: 4, hash: "f".repeat(64) });
  await phone._contact();
  assert.equal(phone.state.terminal.state, "stopped");
  await phone.upload();
  other.entries.length = 1;
  w.portal.restored_at = "2026-11-20T00:00:00.000+00:00";
  await phone._contact();
  assert.equal(phone.state.unsent.count, 4);
  assert.equal(phone.state.terminal.state, "stopped", "its numbers may be in use elsewhere");
  assert.equal((await phone.upload()).acknowledged, 4);
  await phone._contact();
  assert.equal(phone.state.unsent.count, 0);
  await phone.enroll("Nena's phone again");
  await phone.openRegistry(0);
  await phone.upload();
  w.portal.terminals.get("T07").entries.length = 2;
  await phone._contact();
  assert.equal(phone.state.unsent.count, 2, "what was lost of an earlier terminal of this phone is sent again, too");
  await phone.upload();
  assert.equal(w.portal.terminals.get("T07").entries.length, 4);
}));

test("held entries: the phone goes on from where the portal really is", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.terminals.get("T07").entries.length = 1; // lost, and the phone was not told
  const result = await phone.upload();
  assert.deepEqual(uploads(w).map(seqs), [[4, 5, 6], [2, 3, 4, 5, 6]]);
  assert.deepEqual([result.sent, result.acknowledged, result.problem], [3, 6, null]);
  assert.equal(phone.state.unsent.count, 0);
}));

test("a gap that stays is told, not tried for ever", world(async (w) => {
  const phone = await withPayments(w);
  const held = ({ body }) => w.portal.json(200, { acknowledged_seq: 1, verdicts: body.entries.map(({ seq }) => ({ seq, status: "held", reason: null })) });
  w.portal.faults = [held, held, held];
  const result = await phone.upload();
  assert.equal(result.problem.code, "gap");
  assert.match(phone.state.problem, /entry 2 .* T07/);
  assert.equal(uploads(w).length, 2);
  assert.equal(phone.state.unsent.count, 3);
}));

test("an ended log-in stops the upload and keeps everything", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.sessions.clear();
  const result = await phone.upload();
  assert.equal(result.problem.code, "signed_out");
  assert.equal(phone.state.signed_in, false);
  assert.equal(phone.state.user.name, "nena", "the collector goes on collecting");
  assert.equal(phone.state.unsent.count, 3);
  await phone.confirm(draft(5));
  await phone.logIn("nena", "secret");
  assert.equal((await phone.upload()).sent, 4);
}));

test("what a collector collected before the office disabled the log-in is still taken", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.sessions.clear();
  w.portal.users.delete("nena");
  w.portal.disabled.add("nena");
  await assert.rejects(phone.logIn("nena", "secret"), { code: "wrong_login" });
  const result = await phone.upload();
  assert.deepEqual([result.sent, result.problem], [3, null]);
  assert.equal(phone.state.unsent.count, 0);
  assert.equal(phone.state.signed_in, false);
}));

test("a stale CSRF token is renewed once", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.csrf = "changed";
  const result = await phone.upload();
  assert.equal(result.sent, 3);
  assert.deepEqual(w.portal.calls.map(({ path }) => path), ["/api/v1/journal", "/api/v1/ping", "/api/v1/journal"]);
}));

test("a token that is refused again stops with a problem", world(async (w) => {
  const phone = await withPayments(w);
  const refuse = () => w.portal.error(403, "csrf");
  w.portal.faults = [refuse, () => undefined, refuse];
  assert.equal((await phone.upload()).problem.code, "csrf");
  assert.equal(phone.state.unsent.count, 3);
}));

test("too much for one request: the batch is halved until it fits", world(async (w) => {
  const phone = await withPayments(w, 9);
  w.portal.limit = 2;
  const result = await phone.upload();
  assert.equal(result.sent, 9);
  assert.ok(uploads(w).slice(-4).every((call) => seqs(call).length <= 2));
  const bare = () => new Response("<h1>413</h1>", { status: 413, headers: { "Content-Type": "text/html" } });
  for (let n = 0; n < 4; n += 1) await phone.confirm(draft(1));
  w.portal.limit = 500;
  w.portal.calls.length = 0;
  w.portal.faults = [bare, bare];
  assert.equal((await phone.upload()).sent, 4);
  assert.deepEqual(uploads(w).map((call) => seqs(call).length), [4, 2, 1, 1, 1, 1]);
}));

test("one entry that is too much is told, not halved for ever", world(async (w) => {
  const phone = await withPayments(w, 1);
  w.portal.faults = [() => w.portal.error(413, "too_large")];
  assert.equal((await phone.upload()).problem.code, "too_large");
  assert.equal(uploads(w).length, 1);
}));

test("a hotel's page with status 200 is no upload", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.faults = [html];
  const result = await phone.upload();
  assert.equal(result.problem.code, "login_page");
  assert.match(phone.state.problem, /login page/);
  assert.equal(phone.state.unsent.count, 3);
  w.portal.faults = [() => new Response(null, { status: 302, headers: { Location: "http://hotel.example/" } })];
  assert.equal((await phone.upload()).problem.code, "login_page");
  w.portal.faults = [() => new Response('{"acknowledged_seq": 6, "verd', { status: 200, headers: { "Content-Type": "application/json" } })];
  assert.equal((await phone.upload()).problem.code, "strange_answer");
  w.portal.faults = [() => w.portal.json(200, { ok: true })];
  assert.equal((await phone.upload()).problem.code, "strange_answer");
  assert.equal(phone.state.unsent.count, 3);
  assert.equal((await phone.upload()).problem, null);
  assert.equal(phone.state.problem, null);
}));

test("a busy portal is left alone as long as it asks", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.faults = [() => w.portal.error(503, "busy", {}, { "Retry-After": "90" })];
  assert.equal((await phone.upload()).problem.code, "busy");
  assert.equal(phone._session.quietUntil - w.mono, 90000);
  w.portal.faults = [() => new Response("Bad gateway", { status: 502, headers: { "Content-Type": "text/html" } })];
  assert.equal((await phone.upload()).problem.code, "busy");
}));

test("two uploads at once send everything once", world(async (w) => {
  const phone = await withPayments(w);
  const other = await w.open();
  const results = await Promise.all([phone.upload(), other.upload(), phone.upload()]);
  assert.equal(results.reduce((sum, { sent }) => sum + sent, 0), 3);
  assert.equal(uploads(w).length, 1);
  await other._refresh();
  assert.equal(other.state.unsent.count, 0);
}));

test("payments taken during an upload are sent too", world(async (w) => {
  const phone = await withPayments(w);
  let during;
  w.portal.faults = [() => ((during = phone.confirm(draft(7))), undefined)];
  const result = await phone.upload();
  await during;
  await phone.upload();
  assert.ok(result.sent >= 3);
  assert.equal(phone.state.unsent.count, 0);
  assert.equal(w.portal.terminals.get("T07").entries.length, 7);
}));

test("a new list with unsent payments: balances stay right, before and after the upload", world(async (w) => {
  const phone = await w.ready();
  await phone.confirm(draft(5000));
  await phone.upload();
  await phone.confirm(draft(60000));
  await phone.download();
  assert.equal(phone.soa("S-1").amount_due, 305000 - 65000);
  await phone.upload();
  assert.equal(phone.soa("S-1").amount_due, 305000 - 65000);
  await phone.download();
  assert.equal(phone.soa("S-1").amount_due, 305000 - 65000);
  assert.equal(phone.soa("S-1").penalty, 0);
  assert.equal(phone.soa("S-1").invoices[0].balance, 40000);
  assert.equal((await phone.transactions()).length, 2);
}));

test("an unchanged list is not loaded or journaled again", world(async (w) => {
  const phone = await w.ready();
  await phone.upload();
  await phone.download();
  const seq = w.disk().heads.get("T07").seq;
  const stages = [];
  await phone.download(({ stage }) => stages.push(stage));
  assert.deepEqual(stages, ["asking", "done"]);
  assert.equal(w.disk().heads.get("T07").seq, seq);
}));

test("a list that is not whole is refused and the old one stays", world(async (w) => {
  const phone = await w.ready();
  const columns = pack([makeSoa(5, [[100000, 0], [5000, 0]]), makeSoa(6)]);
  const good = { snapshot: "2", as_of: "2026-11-20T06:00:00+08:00", count: 2, amount_due: 205000, included: {}, business: BUSINESS, columns };
  const check = (answer) => checkSnapshot({ body: new Uint8Array(), answer, etag: null });
  assert.equal(check(good).columns, columns);
  const damaged = (table, name, value) => ({ ...good, columns: { ...columns, [table]: { ...columns[table], [name]: value } } });
  const broken = [
    { ...good, count: 3 },
    { ...good, amount_due: 204999 },
    { ...good, columns: pack([makeSoa(5, [[100000, 0], [5000, 0]]), makeSoa(5)]) },
    { ...good, columns: { soas: columns.soas } },
    { ...good, columns: { soas: null, invoices: null } },
    damaged("soas", "amount_due", [0.5, -0.5]),
    damaged("soas", "amount_due", [-200000, 200000]),
    damaged("soas", "amount_due", [0]),
    damaged("soas", "customer_name", ["Ana", null]),
    damaged("soas", "due_date", [9e9, 9000]),
    damaged("soas", "invoices", [2, 2]),
    damaged("soas", "invoices", [4, -1]),
    damaged("soas", "id", [[0, 9], ["S-5", "6"]]),
    damaged("soas", "collector_code", ["A01", 7]),
    damaged("invoices", "id", [[0, 0], ["a", "b"]]),
    damaged("invoices", "penalty", [0, 0, -1]),
    damaged("invoices", "paid", [0, 5001, 0]),
    damaged("invoices", "vat_type", ["vatable"]),
    { ...good, included: { T07: "12" } },
    { ...good, business: null },
  ];
  for (const answer of broken) {
    assert.throws(() => check(answer), { code: "bad_snapshot" }, JSON.stringify(answer));
    w.portal.faults = [() => w.portal.json(200, answer)];
    await assert.rejects(phone.download(), { code: "bad_snapshot" });
    assert.equal(phone.state.snapshot.count, 2);
  }
  w.portal.faults = [html];
  await assert.rejects(phone.download(), { code: "login_page" });
  assert.equal(phone.find("customer").all.count, 2);
}));

test("a list that an older version of the app stored one by one is read, searched and paid", world(async (w) => {
  const phone = await w.ready();
  const { body, ...head } = w.disk().snapshot;
  assert.ok(body.byteLength > 500);
  w.disk().snapshot = { ...head, soas: w.portal.soas };
  w.disk().meta.delete("prepared");
  const again = await w.open();
  assert.deepEqual(again.soa("S-1"), phone.soa("S-1"));
  assert.deepEqual([again.find("acc-00002").all, again.find("").all], [{ count: 1, amount: 50000 }, { count: 2, amount: 355000 }]);
  assert.equal((await again.confirm(draft(5000))).allocations[0].kind, "penalty");
}));

test("what was made ready for searching is used for its own list alone", world(async (w) => {
  await w.ready();
  await new Promise((resolve) => setTimeout(resolve, 20)); // nobody waits for it
  const kept = w.disk().meta.get("prepared");
  assert.deepEqual([kept.of, kept.order.length], ["list T07 3", 2]);
  w.disk().meta.set("prepared", { ...kept, keys: kept.keys.replace("customer 1", "renamed 01") });
  assert.deepEqual(["renamed", "customer"].map((text) => w.phones[0].find(text).all.count), [0, 2]);
  const second = await w.open();
  assert.deepEqual(["renamed", "customer"].map((text) => second.find(text).all.count), [1, 1]);
  w.disk().meta.set("prepared", { ...w.disk().meta.get("prepared"), of: "list T07 2" });
  const third = await w.open();
  assert.deepEqual(["renamed", "customer"].map((text) => third.find(text).all.count), [0, 2]);
}));

test("matches say how many there are and what they owe, less what was paid on this phone; a few are looked at", world(async (w) => {
  const soas = [makeSoa(1, [[100000, 5000], [200000, 0]]), makeSoa(2, [[50000, 0]], { due_date: "2026-11-21" }), makeSoa(3, [[70000, 0]], { due_date: "2026-11-20" })];
  const phone = await w.ready(soas);
  assert.deepEqual([phone.find("").due, phone.find("").all], [{ count: 2, amount: 375000 }, { count: 3, amount: 425000 }]);
  await phone.confirm(draft(10000));
  const { due, all, rows } = phone.find("customer");
  assert.deepEqual([due, all], [{ count: 2, amount: 365000 }, { count: 3, amount: 415000 }]);
  assert.deepEqual(rows("all", 0, 50).map(({ id, amount_due }) => [id, amount_due]), [["S-1", 295000], ["S-3", 70000], ["S-2", 50000]]);
  assert.deepEqual([rows("due", 1, 50).map(({ id }) => id), rows("all", 2, 3).map(({ id }) => id)], [["S-3"], ["S-2"]]);
  assert.deepEqual([phone.find("customer 2").due, phone.find("nobody").all], [{ count: 0, amount: 0 }, { count: 0, amount: 0 }]);
}));

test("progress is told piece by piece", world(async (w) => {
  const phone = await w.ready();
  w.portal.soas = [makeSoa(3)];
  const seen = [];
  await phone.download((progress) => seen.push(progress));
  assert.deepEqual([...new Set(seen.map(({ stage }) => stage))], ["asking", "receiving", "checking", "saving", "done"]);
  assert.ok(seen.at(-1).received > 500);
}));

test("erased records are noticed at the first contact: no number is used again", world(async (w) => {
  const phone = await withPayments(w, 2);
  await phone.upload();
  const disk = w.disk();
  for (const key of [...disk.entries.keys()].slice(-2)) disk.entries.delete(key); // an older copy was put back
  disk.payments.clear();
  const [, , third] = [...disk.entries.values()];
  disk.heads.set("T07", { ...disk.heads.get("T07"), seq: 3, hash: third.entry.hash, receipt: 0 });
  const again = await w.open();
  await again._contact();
  assert.match(again.state.problem, /See the office/);
  assert.equal(again.state.terminal.state, "stopped");
  await assert.rejects(again.confirm(draft(100)), { code: "records_lost" });
  const offline = await w.open();
  await assert.rejects(offline.confirm(draft(100)), { code: "records_lost" }, "also without a connection, after a restart");
  await again.enroll("Nena's phone again");
  assert.equal(again.state.terminal.code, "T08");
  await again.openRegistry(0);
  assert.equal((await again.confirm(draft(100))).receipt_number, "T08-00000001");
}));

test("a copied phone is noticed by its other journal, and what it holds is still uploaded", world(async (w) => {
  const phone = await withPayments(w, 1);
  const other = w.portal.terminals.get("T07");
  other.entries.push({ ...other.entries[2], seq: 4, hash: "f".repeat(64) });
  await phone._contact();
  assert.equal(phone.state.terminal.state, "stopped");
  await assert.rejects(phone.confirm(draft(1)), { code: "records_differ" });
  const result = await phone.upload();
  assert.deepEqual([result.sent, result.problems.map(({ status }) => status)], [1, ["conflict"]]);
}));

test("the same key after a lost answer gets the same terminal", world(async (w) => {
  const phone = await w.open();
  await phone.logIn("nena", "secret");
  w.portal.faults = [() => "lose"];
  await assert.rejects(phone.enroll("Nena's phone"), { code: "offline" });
  await phone.enroll("Nena's phone");
  assert.equal(phone.state.terminal.code, "T07");
  assert.equal(w.portal.terminals.size, 1);
  await assert.rejects(phone.enroll("Twice"), { code: "enrolled_already" });
}));

test("a double tap on Enroll makes one terminal", world(async (w) => {
  const phone = await w.open();
  await phone.logIn("nena", "secret");
  const results = await Promise.allSettled([phone.enroll("Nena's phone"), phone.enroll("Nena's phone")]);
  assert.deepEqual(results.map(({ status }) => status), ["fulfilled", "rejected"]);
  assert.equal(results[1].reason.code, "enrolled_already");
  assert.equal(w.portal.terminals.size, 1);
  assert.equal(w.disk().entries.size, 1);
}));

test("a browser without secure storage of keys is told so", world(async (w) => {
  await assert.rejects(w.open({ crypto: {} }), { code: "not_secure" });
}));

test("a waiting terminal opens no registry until it is approved", world(async (w) => {
  w.portal.state = "waiting";
  const phone = await w.open();
  await phone.logIn("nena", "secret");
  await phone.enroll("Nena's phone");
  await assert.rejects(phone.openRegistry(0), { code: "waiting" });
  assert.equal((await phone.upload()).problem.code, "waiting");
  w.portal.terminals.get("T07").state = "active";
  await phone.openRegistry(0);
  assert.equal((await phone.upload()).sent, 2);
}));

test("a revoked terminal takes no more money but still uploads", world(async (w) => {
  const phone = await withPayments(w);
  w.portal.terminals.get("T07").state = "revoked";
  await phone._contact();
  await assert.rejects(phone.confirm(draft(1)), { code: "revoked" });
  assert.equal((await phone.upload()).sent, 3);
}));

test("another user on the same phone sees and sends nothing of the first", world(async (w) => {
  const phone = await withPayments(w);
  await assert.rejects(phone.logOut(), { code: "unsent_entries" });
  await phone.logOut({ force: true });
  assert.equal(phone.state.user, null);
  assert.deepEqual([phone.find("").all.count, phone.find("").rows("all", 0, 9)], [0, []]);
  await phone.logIn("ben", "secret");
  assert.deepEqual([phone.state.unsent.count, phone.state.terminal, phone.find("").all.count], [0, null, 0]);
  await phone.upload();
  assert.equal(uploads(w).length, 0);
  await phone.logOut();
  await phone.logIn("nena", "secret");
  assert.equal(phone.state.unsent.count, 3);
  assert.equal((await phone.upload()).sent, 3);
}));

test("what another user left unsent is told by name and number, never as one's own", world(async (w) => {
  const phone = await withPayments(w);
  const left = [{ name: "nena", count: 3, oldest_at: phone.state.unsent.oldest_at }];
  assert.deepEqual(phone.state.others, []);
  await phone.logOut({ force: true });
  assert.deepEqual([phone.state.unsent, phone.state.others], [{ count: 3, oldest_at: left[0].oldest_at }, left]);
  assert.deepEqual((await w.open()).state.others, left, "after a restart as well");
  await phone.logIn("ben", "secret");
  assert.deepEqual([phone.state.unsent.count, phone.state.others], [0, left]);
  assert.deepEqual(Object.keys(phone.state.others[0]), ["name", "count", "oldest_at"], "nothing of what they hold");
  assert.equal((await phone.upload()).sent, 0);
  await phone.logOut();
  await phone.logIn("nena", "secret");
  assert.deepEqual([phone.state.unsent.count, phone.state.others], [3, []]);
  await phone.upload();
  await phone.logOut();
  assert.deepEqual([phone.state.unsent.count, phone.state.others], [0, []]);
}));

test("the count of what others left is their own databases', whatever was noted", world(async (w) => {
  const phone = await withPayments(w);
  await phone.logOut({ force: true });
  w.browser.shared.delete("unsent:nena");
  assert.equal((await w.open()).state.others[0].count, 3);
  w.browser.shared.set("unsent:nena", { count: 9, oldest_at: null });
  assert.equal((await w.open()).state.unsent.count, 3);
  const untold = await w.open({ databases: async () => Promise.reject(new Error("this browser does not tell")) });
  assert.equal(untold.state.others[0].count, 3, "where the browser does not list its databases, those that left word are counted");
}));

test("nobody's entries are sent under another's log-in", world(async (w) => {
  const phone = await withPayments(w);
  const tab = await w.open();
  w.portal.sessions.set("office", "ben");
  w.portal.cookie = "office"; // somebody logged in on the office pages of this browser
  const result = await tab.upload();
  assert.equal(result.problem.code, "signed_out");
  assert.equal(uploads(w).length, 0);
  assert.equal(phone.state.unsent.count, 3);
}));

test("logging out without a connection forgets the user here and touches nobody else's log-in", world(async (w) => {
  const phone = await w.open();
  await phone.logIn("nena", "secret");
  w.portal.down = true;
  await phone.logOut();
  assert.equal(phone.state.user, null);
  assert.equal(w.portal.user, "nena");
  w.portal.down = false;
  w.portal.cookie = "office";
  w.portal.sessions.set("office", "ben");
  await (await w.open())._contact();
  assert.equal(w.portal.user, "ben", "another's log-in is left alone");
}));

test("the log-in that was left is ended at the next contact", world(async (w) => {
  const phone = await w.open();
  await phone.logIn("nena", "secret");
  w.portal.down = true;
  await phone.logOut();
  w.portal.down = false;
  await (await w.open())._contact();
  assert.equal(w.portal.user, null);
}));

test("wrong passwords and no connection are told apart", world(async (w) => {
  const phone = await w.open();
  await assert.rejects(phone.logIn("nena", "wrong"), { code: "wrong_login" });
  w.portal.down = true;
  await assert.rejects(phone.logIn("nena", "secret"), { code: "offline" });
  assert.equal(phone.state.user, null);
}));

test("the rescue file holds exactly what is unsent", world(async (w) => {
  const phone = await withPayments(w);
  const file = JSON.parse(await (await phone.rescueFile()).text());
  const [{ terminal, entries, signature }] = file.uploads;
  assert.deepEqual([terminal, entries.map(({ seq }) => seq), entries[0].kind, file.uploads.length], ["T07", [4, 5, 6], "payment", 1]);
  assert.deepEqual((await (await w.portal.journal({ terminal, entries, signature })).json()).acknowledged_seq, 6, "the portal takes it as an upload");
}));

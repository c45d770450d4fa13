import assert from "node:assert/strict";
import test from "node:test";

import { voidPaper } from "../../portal/static/mpos/paper.mjs";
import { challenge, plausible } from "../../portal/static/mpos/domain/void_codes.mjs";
import { voidWord, voidWords } from "../../portal/static/mpos/views/format.mjs";
import { readDecisions } from "../../portal/static/mpos/domain/voids.mjs";
import { Killed } from "./memory_store.mjs";
import { draft, seeded, World } from "./setup.mjs";

const world = (body) => async () => {
  const w = new World();
  try {
    await body(w);
  } finally {
    await w.close();
  }
};
const journal = (w, kind) => [...w.disk().entries.values()].sort((a, b) => a.seq - b.seq).map(({ entry }) => entry).filter((entry) => !kind || entry.kind === kind);
const id = () => crypto.randomUUID();
/** Digits that can be a code for a challenge. */
const fitting = (asked) => Array.from({ length: 10 }, (_, last) => `1234567${last}`).find((code) => plausible(code, asked));

/** Ask for a void, let the office decide it and hear of it. */
async function decided(w, phone, payment, decision, reason = null) {
  const item = await phone.requestVoid(payment, "Wrong amount");
  await phone.upload();
  w.portal.decide(item.void_number, decision, reason);
  await phone.upload();
  return item;
}

/** Close the day and open the next one. */
async function nextDay(w, phone) {
  await phone.saveCount([]);
  await phone.zReading();
  await phone.closeRegistry();
  w.pass(86400_000);
  await phone.openRegistry(0);
}

test("a void is numbered, journaled and marked on its payment, offline", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  w.portal.down = true;
  const item = await phone.requestVoid(paid.payment, "  Wrong amount ");
  const { payload } = journal(w).at(-1);
  assert.deepEqual(payload, { registry: phone.state.registry.id, void_number: "T07-V000001", payment: paid.payment, receipt_number: "T07-00000001", amount: 10000, reason: "Wrong amount", supervisor_code: null });
  assert.deepEqual([item.void_number, item.state, item.reason], ["T07-V000001", "requested", "Wrong amount"]);
  assert.equal(phone.state.voids_waiting, 1);
  const [row] = await phone.transactions();
  assert.deepEqual([row.void.state, row.void.void_number, row.void.heard], ["requested", "T07-V000001", null]);
  assert.equal((await phone.receipt(paid.payment)).void.reason, "Wrong amount");
  assert.equal(phone.soa("S-1").amount_due, 295000, "a void that is only asked for changes no balance");
  const x = await phone.xReading();
  assert.deepEqual([x.first_void, x.last_void, x.less_void, x.net, x.expected_cash], ["T07-V000001", "T07-V000001", 0, 10000, 60000]);
  const again = await w.open();
  assert.deepEqual([again.state.voids_waiting, (await again.transactions())[0].void.state], [1, "requested"]);
}));

test("what cannot be voided is refused in plain words, and uses no number", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  const seq = journal(w).length;
  for (const reason of ["", "  ", undefined, "x".repeat(201), "a\0b"]) {
    await assert.rejects(phone.requestVoid(paid.payment, reason), (error) => error.code === "invalid" && error.fields[0].field === "reason");
  }
  await assert.rejects(phone.requestVoid(id(), "Wrong amount"), { code: "not_found" });
  assert.equal(journal(w).length, seq);
  await phone.requestVoid(paid.payment, "Wrong amount");
  await assert.rejects(phone.requestVoid(paid.payment, "Wrong customer"), { code: "void_waits", message: /T07-V000001 of T07-00000001 waits for the office already/ });
  await phone.upload();
  w.portal.decide("T07-V000001", "approved");
  await phone.upload();
  await assert.rejects(phone.requestVoid(paid.payment, "Wrong customer"), { code: "voided", message: /T07-00000001 is voided already, by T07-V000001/ });
  const other = await phone.confirm(draft(500));
  await phone.saveCount([]);
  await phone.zReading();
  await assert.rejects(phone.requestVoid(other.payment, "Wrong amount"), { code: "z_done", message: /takes no more voids/ });
  await phone.closeRegistry();
  await assert.rejects(phone.requestVoid(other.payment, "Wrong amount"), { code: "no_registry" });
  assert.equal(w.disk().heads.get("T07").void, 1);
  w.pass(86400_000);
  await phone.openRegistry(0);
  assert.equal((await phone.requestVoid(other.payment, "Wrong amount")).void_number, "T07-V000002", "a payment of yesterday's registry");
}));

test("a payment of another terminal of this collector cannot be voided here", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await phone.upload();
  w.portal.terminals.get("T07").state = "revoked";
  w.pass(60_000);
  await phone._contact();
  await assert.rejects(phone.requestVoid(paid.payment, "Wrong amount"), { code: "revoked" });
  await phone.enroll("New phone");
  await phone.openRegistry(0);
  await assert.rejects(phone.requestVoid(paid.payment, "Wrong amount"), { code: "other_terminal", message: /issued by terminal T07, so T08 cannot void it/ });
}));

test("a double tap, two tabs, and a killed app give one void per intent", world(async (w) => {
  const first = await w.ready(undefined, { locks: undefined });
  const second = await w.open({ locks: undefined });
  const paid = await first.confirm(draft(10000));
  const form = id();
  const items = await Promise.all([first, first, second].map((phone) => phone.requestVoid(paid.payment, "Wrong amount", form)));
  assert.ok(items.every(({ void_number }) => void_number === "T07-V000001"));
  const disk = w.disk();
  const next = await first.confirm(draft(500));
  const form2 = id();
  for (const [fail, voids] of [["full", 1], ["before", 1], ["after", 2]]) {
    disk.fail = fail;
    const heard = first.requestVoid(next.payment, "Wrong amount", form2);
    if (fail === "after") assert.equal((await heard).void_number, "T07-V000002"); // what is on disk decides
    else await assert.rejects(heard, (error) => error instanceof Killed || error.code === "disk_full");
    disk.fail = null;
    assert.equal(disk.heads.get("T07").void, voids);
  }
  assert.equal((await second.requestVoid(next.payment, "Wrong amount", form2)).void_number, "T07-V000002");
  assert.deepEqual(journal(w, "void_requested").map(({ payload }) => payload.void_number), ["T07-V000001", "T07-V000002"]);
}));

test("two tabs asking for voids at once give dense numbers; two requests for one payment give one", world(async (w) => {
  const first = await w.ready(undefined, { locks: undefined });
  const second = await w.open({ locks: undefined });
  const payments = [];
  for (let n = 1; n <= 4; n += 1) payments.push(await first.confirm(draft(n * 100)));
  const asked = await Promise.allSettled(payments.flatMap(({ payment }) => [first.requestVoid(payment, "Wrong amount"), second.requestVoid(payment, "Wrong customer")]));
  const refused = asked.filter(({ status }) => status === "rejected");
  assert.ok(refused.every(({ reason }) => reason.code === "void_waits"));
  assert.deepEqual([refused.length, first.state.voids_waiting || second.state.voids_waiting], [4, 4]);
  assert.deepEqual(journal(w, "void_requested").map(({ payload }) => payload.void_number).sort(), [1, 2, 3, 4].map((n) => `T07-V00000${n}`));
}));

test("an approved void arrives with an upload, is written down once and sent at once", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await phone.confirm(draft(700, { tender: "check", reference: "7" }));
  await decided(w, phone, paid.payment, "approved");
  const [entry] = journal(w, "void_decided");
  const { decided_at, ...rest } = entry.payload;
  assert.deepEqual(rest, { registry: phone.state.registry.id, void_number: "T07-V000001", payment: paid.payment, amount: 10000, tender: "cash", decision: "approved", decided_by: "sol" });
  assert.equal(decided_at, w.portal.decisions.get("T07-V000001").decided_at);
  assert.equal(phone.state.unsent.count, 0, "the decision is uploaded in the same go");
  await phone.upload();
  await phone._contact();
  assert.equal(journal(w, "void_decided").length, 1);
  assert.equal(phone.state.voids_waiting, 0);
  assert.equal(phone.soa("S-1").amount_due, 305000 - 700, "an approved void counts no more");
  assert.equal(phone.soa("S-1").outdated, false, "the downloaded list never held the payment");
  const row = (await phone.transactions()).at(-1);
  assert.deepEqual([row.void.state, row.void.decided_by], ["approved", "sol"]);
  const x = await phone.xReading();
  assert.deepEqual([x.gross, x.less_void, x.net, x.less_voided_cash, x.expected_cash, x.first_void], [10700, 10000, 700, 10000, 50000, "T07-V000001"]);
  const report = await phone.collectionReport();
  assert.deepEqual([report.totals.amount, report.totals.less_void, report.totals.net, report.earlier], [10700, 10000, 700, []]);
  assert.equal((await phone.confirm(draft(400000))).balance_after, 0);
}));

test("the answer to an upload is enough to hear of a decision, which goes up in the same go", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await phone.requestVoid(paid.payment, "Wrong amount");
  await phone.upload();
  w.portal.decide("T07-V000001", "approved");
  await phone.confirm(draft(100));
  w.portal.calls.length = 0;
  await phone.upload();
  assert.deepEqual(w.portal.calls.map(({ path, body }) => [path, body.entries.map(({ kind }) => kind)]), [["/api/v1/journal", ["payment"]], ["/api/v1/journal", ["void_decided"]]]);
  assert.deepEqual(w.portal.voids("T07"), []);
}));

test("a confirm after an approved void pays what the payment had taken", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(105000));
  await decided(w, phone, paid.payment, "approved");
  const again = await phone.confirm(draft(105000));
  assert.deepEqual([again.allocations, again.receipt_number], [paid.allocations, "T07-00000002"]);
}));

test("a refused void tells why, changes nothing, and can be asked for again with a new number", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await decided(w, phone, paid.payment, "refused", "The customer says it is right.");
  const { void: item } = (await phone.transactions())[0];
  assert.deepEqual([item.state, item.decision_reason, item.decided_by], ["refused", "The customer says it is right.", "sol"]);
  assert.equal(phone.soa("S-1").amount_due, 295000);
  assert.deepEqual([(await phone.xReading()).less_void, phone.state.voids_waiting], [0, 0]);
  await decided(w, phone, paid.payment, "approved");
  const x = await phone.xReading();
  assert.deepEqual([x.first_void, x.last_void, x.less_void], ["T07-V000001", "T07-V000002", 10000]);
  assert.equal(w.disk().payments.get(paid.payment).voids.length, 2);
}));

test("without a registry before its Z-Reading a decision waits for the next one, which counts it", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  const late = await phone.confirm(draft(600, { tender: "check", reference: "7" }));
  await phone.requestVoid(paid.payment, "Wrong amount");
  await phone.requestVoid(late.payment, "Wrong tender");
  await phone.saveCount([]);
  const first = await phone.zReading();
  assert.deepEqual([first.less_void, first.present_accumulated, first.last_void], [0, 10600, "T07-V000002"]);
  await phone.upload();
  w.portal.decide("T07-V000001", "approved");
  w.portal.decide("T07-V000002", "refused", "Keep it.");
  await phone.upload();
  assert.equal(journal(w, "void_decided").length, 0, "the Z is made");
  const [, row] = await phone.transactions();
  assert.deepEqual([row.void.state, row.void.heard.decision, phone.state.voids_waiting], ["requested", "approved", 2]);
  await phone.closeRegistry();
  await phone.upload();
  assert.equal(journal(w, "void_decided").length, 0, "no registry is open");
  assert.deepEqual(phone.reading("z"), first, "a Z that is made never changes");
  w.portal.down = true;
  w.pass(86400_000);
  await phone.openRegistry(0);
  assert.deepEqual(journal(w).slice(-3).map(({ kind }) => kind), ["registry_opened", "void_decided", "void_decided"], "heard yesterday, written without a line");
  const report = await phone.collectionReport();
  assert.deepEqual(report.earlier.map(({ receipt_number, void: item }) => [receipt_number, item.state]), [["T07-00000001", "approved"], ["T07-00000002", "refused"]]);
  assert.deepEqual([report.totals.amount, report.totals.less_void, report.totals.net], [0, 10000, -10000]);
  await phone.saveCount([]);
  const second = await phone.zReading();
  assert.deepEqual([second.less_void, second.net, second.expected_cash, second.first_void, second.previous_accumulated, second.present_accumulated], [10000, -10000, -10000, null, 10600, 10600]);
  assert.deepEqual((await phone.earlierTransactions()).map(({ receipt_number }) => receipt_number), ["T07-00000002", "T07-00000001"]);
}));

test("a void of cash approved after the count makes it outdated", world(async (w) => {
  const phone = await w.ready();
  const check = await phone.confirm(draft(700, { tender: "check", reference: "7" }));
  const cash = await phone.confirm(draft(10000));
  await phone.saveCount([{ value: 10000, kind: "bill", count: 6 }]);
  await decided(w, phone, check.payment, "approved");
  assert.equal((await phone.lastCount()).outdated, false);
  await decided(w, phone, cash.payment, "approved");
  assert.equal((await phone.lastCount()).outdated, true);
  await assert.rejects(phone.zReading(), { code: "count_outdated", message: /a cash payment voided/ });
  await phone.saveCount([{ value: 10000, kind: "bill", count: 5 }]);
  assert.equal((await phone.zReading()).short_over, 0);
}));

test("a list that holds a payment voided since says so until it is downloaded anew", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await phone.upload();
  await phone.download(); // its figures are less the payment
  await decided(w, phone, paid.payment, "approved");
  assert.deepEqual([phone.soa("S-1").amount_due, phone.soa("S-1").outdated, phone.soa("S-2").outdated], [295000, true, false]);
  await phone.download();
  assert.deepEqual([phone.soa("S-1").amount_due, phone.soa("S-1").outdated], [305000, false]);
  const asked = w.portal.calls.filter(({ path }) => path === "/api/v1/soas").at(-1);
  assert.equal(asked.headers["If-None-Match"], undefined);
}));

test("a contact is enough to hear of a decision, and both tabs write it once", world(async (w) => {
  const first = await w.ready(undefined, { locks: undefined });
  const paid = await first.confirm(draft(10000));
  await first.requestVoid(paid.payment, "Wrong amount");
  await first.upload();
  const second = await w.open({ locks: undefined });
  w.portal.decide("T07-V000001", "approved");
  await Promise.all([first._contact(), second._contact()]);
  assert.equal(journal(w, "void_decided").length, 1);
  assert.equal(first.state.voids_waiting, 0);
}));

test("decisions that fit no void of this phone are left alone, and an upload counts whatever its list of voids is", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await phone.requestVoid(paid.payment, "Wrong amount");
  const good = { void_number: "T07-V000001", payment: paid.payment, decision: "approved", decided_by: "sol", decided_at: "2026-11-20T09:00:00+08:00", reason: null };
  const bad = [{ ...good, void_number: "T07-V000009" }, { ...good, payment: id() }, { ...good, decision: "maybe" }, { ...good, decided_by: 3 }, { ...good, decided_at: "soon" }, null, 7];
  let list = bad;
  w.portal.voids = () => list;
  assert.equal((await phone.upload()).problem, null);
  for (list of ["no list", undefined, []]) assert.equal((await phone.upload()).problem, null);
  assert.equal(journal(w, "void_decided").length, 0);
  assert.equal(phone.state.unsent.count, 0);
  list = [good];
  await phone.upload();
  assert.equal(journal(w, "void_decided").length, 1);
  assert.deepEqual(readDecisions([{ ...good, decided_by: "s\ud800", reason: "", more: 1 }]), [{ ...good, decided_by: "s\ufffd" }]);
  assert.equal(readDecisions({}), null);
}));

test("killed while a decision is written: it is written at the next contact, once", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await phone.requestVoid(paid.payment, "Wrong amount");
  await phone.upload();
  w.portal.decide("T07-V000001", "approved");
  for (const fail of ["before", "after"]) {
    w.disk().fail = fail;
    await assert.rejects(phone._contact(), Killed);
    w.disk().fail = null;
  }
  const again = await w.open();
  assert.equal(journal(w, "void_decided").length, 1);
  await again.upload();
  assert.deepEqual([journal(w, "void_decided").length, again.state.voids_waiting, again.state.unsent.count], [1, 0, 0]);
}));

test("a terminal that is stopped writes no decision down", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  await phone.requestVoid(paid.payment, "Wrong amount");
  await phone.upload();
  w.portal.decide("T07-V000001", "approved");
  const terminal = w.portal.terminals.get("T07");
  terminal.entries.push({ ...terminal.entries.at(-1), seq: 6, hash: "0".repeat(64) }); // the portal holds more than this phone
  await phone._contact();
  assert.deepEqual([phone.state.terminal.state, journal(w, "void_decided").length], ["stopped", 0]);
}));

test("records of a version that knew no voids go on", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  const head = w.disk().heads.get("T07");
  assert.ok(!("voids_waiting" in head) && !("voids" in w.disk().payments.get(paid.payment)), "nothing is there before the first void");
  assert.equal((await phone.transactions())[0].void, null);
  await decided(w, phone, paid.payment, "approved");
  await nextDay(w, phone);
  assert.equal((await phone.transactions()).length, 0);
}));

for (let seed = 1; seed <= 8; seed += 1) {
  test(`readings of random days with voids add up (seed ${seed})`, world(async (w) => {
    const rng = seeded(seed);
    const phone = await w.ready();
    const payments = new Map(); // payment -> {amount, tender, void: null|"requested"|"approved"}
    const tally = () => ({ gross: 0, cash: 0, void: 0, voidedCash: 0 });
    let day = tally();
    let accumulated = 0;
    let decisions = 0;
    const count = (kind) => journal(w, kind).length;
    const settle = async () => {
      const before = journal(w, "void_decided").length;
      await phone.upload();
      for (const { payload } of journal(w, "void_decided").slice(before)) {
        const item = payments.get(payload.payment);
        item.void = payload.decision === "approved" ? "approved" : null;
        if (item.void) {
          day.void += item.amount;
          if (item.tender === "cash") day.voidedCash += item.amount;
        }
      }
    };
    for (let step = 0; step < 50; step += 1) {
      w.pass(rng.below(300_000));
      const act = rng.below(10);
      if (act < 4) {
        const tender = rng.choice(["cash", "cash", "check"]);
        const amount = 1 + rng.below(5000);
        const paid = await phone.confirm(draft(amount, { tender, reference: "R" }));
        payments.set(paid.payment, { amount, tender, void: null });
        day.gross += amount;
        if (tender === "cash") day.cash += amount;
      } else if (act < 6 && payments.size) {
        const payment = rng.choice([...payments.keys()]);
        const item = payments.get(payment);
        if (item.void) await assert.rejects(phone.requestVoid(payment, "Wrong amount"));
        else {
          await phone.requestVoid(payment, "Wrong amount");
          item.void = "requested";
        }
      } else if (act === 6) {
        await settle();
        for (const { payload } of w.portal.held("void_requested")) {
          if (!w.portal.decisions.has(payload.void_number) && rng.chance(0.6)) {
            w.portal.decide(payload.void_number, rng.choice(["approved", "refused"]));
            decisions += 1;
          }
        }
      } else if (act === 7) await settle();
      else if (act === 8) {
        const x = await phone.xReading();
        assert.deepEqual([x.gross, x.less_void, x.net, x.cash_collected - x.less_voided_cash], [day.gross, day.void, day.gross - day.void, day.cash - day.voidedCash]);
      } else if (rng.chance(0.3)) {
        await phone.saveCount([]);
        const z = await phone.zReading();
        accumulated += day.gross;
        assert.deepEqual([z.gross, z.less_void, z.less_voided_cash, z.present_accumulated], [day.gross, day.void, day.voidedCash, accumulated]);
        await phone.upload();
        await phone.closeRegistry();
        w.pass(86400_000);
        day = tally();
        const before = count("void_decided");
        await phone.openRegistry(0);
        for (const { payload } of journal(w, "void_decided").slice(before)) {
          const item = payments.get(payload.payment);
          item.void = payload.decision === "approved" ? "approved" : null;
          if (item.void) day.void += item.amount;
          if (item.void && item.tender === "cash") day.voidedCash += item.amount;
        }
      }
    }
    await settle();
    await settle();
    const numbers = journal(w, "void_requested").map(({ payload }) => payload.void_number);
    assert.deepEqual(numbers, numbers.map((_, n) => `T07-V${String(n + 1).padStart(6, "0")}`));
    assert.equal(count("void_decided"), decisions, "every decision is written down once");
    assert.equal(phone.state.voids_waiting, numbers.length - decisions);
    assert.equal(new Set(journal(w, "void_decided").map(({ payload }) => payload.void_number)).size, decisions);
  }));
}

test("a supervisor's code goes with the request, which says that it waits for the portal; figures stay", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(10000));
  w.portal.down = true;
  const facts = await phone.voidCodeFacts(paid.payment);
  assert.deepEqual([facts.void_number, facts.amount, facts.challenge.length], ["T07-V000001", 10000, 8]);
  assert.equal(facts.challenge, await challenge({ terminal: "T07", payment: paid.payment, void_number: "T07-V000001", amount: 10000 }, crypto.subtle));
  const code = fitting(facts.challenge);
  const item = await phone.requestVoid(paid.payment, "Wrong amount", id(), { code, void_number: facts.void_number });
  assert.deepEqual([item.by_code, item.state], [true, "requested"]);
  assert.equal(journal(w).at(-1).payload.supervisor_code, code);
  const shown = (await phone.receipt(paid.payment)).void;
  assert.equal(voidWord(shown).text, "void approved by code, to be confirmed at upload");
  assert.match(voidWords(shown), /approved by a supervisor's code, to be confirmed at upload/);
  assert.match(JSON.stringify(voidPaper(await phone.receipt(paid.payment)).blocks), /APPROVED BY CODE, TO BE CONFIRMED AT UPLOAD/);
  assert.equal((await phone.xReading()).expected_cash, 60000, "cash is expected until the portal approved");
  w.portal.down = false;
  await phone.upload();
  assert.equal(voidWord((await phone.receipt(paid.payment)).void).text, "void asked for, code not taken", "the portal said nothing of an approval");
  assert.match(JSON.stringify(voidPaper(await phone.receipt(paid.payment)).blocks), /REQUESTED, NOT YET APPROVED/);
  w.portal.decide("T07-V000001", "approved");
  await phone.upload();
  assert.equal((await phone.receipt(paid.payment)).void.state, "approved");
  assert.equal((await phone.xReading()).expected_cash, 50000);
}));

test("a code that is mistyped or for another number stores nothing and uses no number", world(async (w) => {
  const phone = await w.ready();
  const [first, second] = [await phone.confirm(draft(10000)), await phone.confirm(draft(10000))];
  const { void_number, challenge: asked } = await phone.voidCodeFacts(first.payment);
  const code = fitting(asked);
  const wrong = `${(Number(code[0]) + 1) % 10}${code.slice(1)}`;
  const seq = journal(w).length;
  for (const given of [{ code: wrong, void_number }, { code: "", void_number }, { code: "12345", void_number }]) {
    await assert.rejects(phone.requestVoid(first.payment, "Wrong amount", id(), given), (error) => error.code === "invalid" && error.fields[0].field === "supervisor_code");
  }
  await phone.requestVoid(second.payment, "Wrong amount");
  await assert.rejects(phone.requestVoid(first.payment, "Wrong amount", id(), { code, void_number }), { code: "invalid", message: /took the number T07-V000001 meanwhile/ });
  assert.equal(journal(w).length, seq + 1);
  assert.equal((await phone.voidCodeFacts(first.payment)).void_number, "T07-V000002");
}));

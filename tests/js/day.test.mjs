import assert from "node:assert/strict";
import test from "node:test";

import { allocate } from "../../portal/static/mpos/domain/allocation.mjs";
import { entryHash, FIRST_PREV } from "../../portal/static/mpos/domain/journal.mjs";
import { expectedCash } from "../../portal/static/mpos/domain/readings.mjs";
import { doneWords } from "../../portal/static/mpos/views/format.mjs";
import { makeSoa } from "./fake_portal.mjs";
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
const journal = (w) => [...w.disk().entries.values()].sort((a, b) => a.seq - b.seq).map(({ entry }) => entry);
const count = (bills) => [{ value: 100000, kind: "bill", count: bills }];

test("a whole day, offline from the download on", world(async (w) => {
  const phone = await w.ready();
  w.portal.down = true;
  w.pass(3600_000);
  const first = await phone.confirm(draft(105000, { tendered: 110000 }));
  await phone.confirm(draft(20000, { tender: "e_wallet", channel: "GCash", reference: "G1" }));
  await phone.confirm(draft(60000, { soa: "S-2", tender: "check", channel: "BDO", reference: "77" }));
  const x = await phone.xReading();
  assert.deepEqual([x.gross, x.expected_cash, x.counted_cash, x.transaction_count, x.unsent], [185000, 155000, null, 3, 6]);
  assert.equal(x.head_hash, journal(w).at(-2).hash);
  await assert.rejects(phone.zReading(), { code: "no_count" });
  await assert.rejects(phone.closeRegistry(), { code: "no_z" });
  assert.deepEqual(await phone.saveCount(count(1)), { total: 100000, expected_cash: 155000, short_over: -55000 });
  await phone.confirm(draft(5000));
  await assert.rejects(phone.zReading(), { code: "count_outdated" });
  assert.equal((await phone.lastCount()).outdated, true);
  await phone.saveCount([...count(1), { value: 5000, kind: "bill", count: 12 }]);
  assert.deepEqual([(await phone.lastCount()).short_over, (await phone.lastCount()).outdated], [0, false]);
  const z = await phone.zReading();
  assert.deepEqual(
    [z.z_counter, z.previous_accumulated, z.present_accumulated, z.gross, z.net, z.expected_cash, z.short_over],
    [1, 0, 190000, 190000, 190000, 160000, 0],
  );
  assert.deepEqual([z.first_receipt, z.last_receipt, z.penalty, z.advance], ["T07-00000001", "T07-00000004", 5000, 10000]);
  assert.deepEqual(z.tenders, [
    { tender: "cash", channel: null, count: 2, amount: 110000 },
    { tender: "check", channel: "BDO", count: 1, amount: 60000 },
    { tender: "e_wallet", channel: "GCash", count: 1, amount: 20000 },
  ]);
  assert.deepEqual(await phone.zReading(), z, "a second Z of the same registry is the first");
  assert.equal(journal(w).filter(({ kind }) => kind === "reading_z").length, 1);
  await assert.rejects(phone.confirm(draft(1)), { code: "z_done" });
  await assert.rejects(phone.saveCount(count(1)), { code: "z_done" });
  await assert.rejects(phone.xReading(), { code: "z_done" });
  await assert.rejects(phone.openRegistry(0), { code: "registry_open" });
  const report = await phone.collectionReport();
  assert.deepEqual(report.totals, { penalty: 5000, principal: 175000, advance: 10000, amount: 190000, less_void: 0, net: 190000 });
  assert.deepEqual(report.by_tender, z.tenders);
  assert.deepEqual(report.rows.map(({ receipt_number }) => receipt_number).at(-1), "T07-00000004");
  await phone.closeRegistry();
  assert.equal(phone.state.registry, null);
  assert.deepEqual(phone.reading("z"), z);
  assert.equal((await phone.transactions()).length, 4);
  assert.equal((await phone.receipt(first.payment)).change, 5000);
  await assert.rejects(phone.confirm(draft(1)), { code: "no_registry" });

  w.pass(86400_000);
  w.portal.down = false;
  await phone.openRegistry(10000);
  const opened = journal(w).at(-1).payload;
  assert.deepEqual([opened.business_date, opened.z_counter, opened.accumulated, opened.change_fund], ["2026-11-21", 1, 190000, 10000]);
  assert.equal((await phone.confirm(draft(100))).receipt_number, "T07-00000005");
  await phone.saveCount([]);
  const second = await phone.zReading();
  assert.deepEqual([second.z_counter, second.previous_accumulated, second.present_accumulated, second.transaction_count], [2, 190000, 190100, 1]);
  assert.equal((await phone.upload()).problem, null);
  assert.deepEqual(w.portal.terminals.get("T07").entries.map(({ hash }) => hash), journal(w).map(({ hash }) => hash));
}));

test("a registry left open overnight takes no payment until it is closed with its own date", world(async (w) => {
  const phone = await w.ready();
  const form = draft(10000);
  await phone.confirm(form);
  w.pass(15 * 3600_000 + 59 * 60_000);
  await phone.confirm(draft(10000));
  w.pass(60_000); // midnight in Manila
  await assert.rejects(phone.confirm(draft(1)), (error) => error.code === "registry_overdue" && /20 Nov 2026 is still open and today is 21 Nov 2026.*Close Registry/.test(error.message));
  assert.match(phone.preview(draft(1)).problems.find(({ field }) => field === "registry").message, /20 Nov 2026 is still open/);
  assert.equal((await phone.confirm(form)).seq, 4, "a payment stored yesterday stays what it is");
  await assert.rejects(phone.openRegistry(0), (error) => error.code === "registry_open" && error.message.includes("20 Nov 2026"));
  await phone.xReading();
  await phone.saveCount(count(0));
  assert.deepEqual([(await phone.zReading()).business_date, phone.reading("z").gross], ["2026-11-20", 20000]);
  await phone.closeRegistry();
  assert.equal(phone.state.last_registry.business_date, "2026-11-20");
  await phone.openRegistry(0);
  assert.equal(phone.state.registry.business_date, "2026-11-21");
  await phone.confirm(draft(1));
  w.wall -= 2 * 86400_000; // a clock set back: the registry's date stands
  const late = await phone.confirm(draft(1));
  assert.deepEqual([late.registry, late.at.slice(0, 10)], [phone.state.registry.id, "2026-11-19"]);
}));

test("after today's registry is closed the next one is promised for tomorrow", world(async (w) => {
  const phone = await w.ready();
  assert.deepEqual([phone.state.today, phone.state.last_registry], ["2026-11-20", null]);
  await phone.saveCount(count(0));
  await phone.zReading();
  await phone.closeRegistry();
  await assert.rejects(phone.openRegistry(0), { code: "registry_done", message: "The registry of 20 Nov 2026 was closed by its Z-Reading. The next one can be opened tomorrow." });
  assert.equal(doneWords(phone.state), "The registry of 20 Nov 2026 was closed by its Z-Reading. The next one can be opened tomorrow.");
  w.pass(86400_000);
  await phone._refresh();
  assert.equal(doneWords(phone.state), null);
}));

test("a day without a payment still has its readings", world(async (w) => {
  const phone = await w.ready();
  await phone.saveCount([{ value: 50000, kind: "bill", count: 1 }]);
  const z = await phone.zReading();
  assert.deepEqual([z.gross, z.first_receipt, z.tenders, z.expected_cash, z.short_over], [0, null, [], 50000, 0]);
}));

test("a count with a coin that does not exist is refused", world(async (w) => {
  const phone = await w.ready();
  for (const line of [{ value: 3000, kind: "bill", count: 1 }, { value: 100, kind: "bill", count: 1 }, { value: 100, kind: "coin", count: -1 }, { value: 100, kind: "coin", count: 0.5 }]) {
    await assert.rejects(phone.saveCount([line]), { code: "invalid" });
  }
  await assert.rejects(phone.saveCount([...count(1), ...count(2)]), { code: "invalid" });
  await assert.rejects(phone.openRegistry(1), { code: "registry_open" });
}));

test("no money without a registry, no journal without a terminal", world(async (w) => {
  const phone = await w.open();
  await assert.rejects(phone.download(), { code: "signed_out" });
  await phone.logIn("nena", "secret");
  await assert.rejects(phone.openRegistry(0), { code: "no_terminal" });
  await phone.enroll("Nena's phone");
  await assert.rejects(phone.openRegistry(-1), { code: "invalid_amount" });
  await assert.rejects(phone.confirm(draft(1)), { code: "no_registry" });
  assert.ok(phone.preview(draft(1)).problems.some(({ field }) => field === "registry"));
  assert.equal(await phone.collectionReport(), null);
  assert.equal(phone.reading("x"), null);
}));

test("everything survives a restart", world(async (w) => {
  const phone = await w.ready();
  await phone.confirm(draft(100));
  w.portal.down = true;
  const again = await w.open();
  const { user, terminal, registry, unsent, snapshot, signed_in } = again.state;
  assert.deepEqual([user.name, terminal.code, registry.change_fund, unsent.count, snapshot.count, signed_in], ["nena", "T07", 50000, 4, 2, false]);
  assert.equal(again.soa("S-1").amount_due, 304900);
  assert.equal(again.state.business.business_name, "Hardin ng Kapayapaan");
  assert.ok(Object.isFrozen(again.state) && Object.isFrozen(again.state.unsent));
}));

test("listeners hear of every change", world(async (w) => {
  const phone = await w.ready();
  const counts = [];
  const end = phone.subscribe(() => counts.push(phone.state.unsent.count));
  await phone.confirm(draft(100));
  end();
  await phone.confirm(draft(100));
  assert.equal(counts.at(-1), 4);
}));

test("enrolment is finished at the next start when it was cut short", world(async (w) => {
  const phone = await w.open();
  await phone.logIn("nena", "secret");
  w.disk().fail = "before";
  await assert.rejects(phone.enroll("Nena's phone"), Killed);
  w.disk().fail = null;
  const again = await w.open();
  assert.deepEqual(journal(w).map(({ kind }) => kind), ["enrolled"]);
  assert.equal(again.state.terminal.code, "T07");
}));

for (let seed = 1; seed <= 12; seed += 1) {
  test(`a random day keeps its promises (seed ${seed})`, world(async (w) => {
    const rng = seeded(seed);
    const soas = Array.from({ length: 5 }, (_, n) =>
      makeSoa(n + 1, Array.from({ length: rng.below(4) }, () => [rng.choice([0, rng.below(300000)]), rng.choice([0, rng.below(9000)])])),
    );
    let phone = await w.ready(soas);
    const heard = new Map();
    let cash = 0;
    let opened = 0;
    let gross = 0;
    let registries = 1;
    for (let step = 0; step < 60; step += 1) {
      w.pass(rng.below(600_000));
      const act = rng.below(12);
      const disk = w.disk();
      if (act < 5) {
        const tender = rng.choice(["cash", "cash", "check", "e_wallet", "bank_transfer"]);
        const soa = phone.soa(`S-${rng.below(5) + 1}`);
        const open = soa.invoices.map(({ id }) => id);
        const directed = rng.chance(0.3) && open.length ? open.slice(rng.below(open.length)) : [];
        const amount = rng.choice([1 + rng.below(400000), Math.max(soa.amount_due, 1)]);
        const form = draft(amount, { soa: soa.id, tender, reference: `R${step}`, tendered: amount + rng.below(5000), mode: directed.length ? "directed" : "oldest_first", directed });
        const shown = phone.preview(form);
        disk.fail = rng.choice([null, null, null, "before", "after", "full"]);
        let paid = null;
        try {
          paid = await phone.confirm(form);
        } catch (error) {
          assert.ok(error instanceof Killed || error.code === "disk_full");
        }
        disk.fail = null;
        if (rng.chance(0.5)) paid = await phone.confirm(form);
        if (paid) {
          assert.deepEqual(paid.allocations, shown.allocations, "what was shown is what is kept");
          assert.deepEqual(paid.allocations, allocate(amount, soa.invoices, form.mode, directed));
          assert.equal(paid.allocations.reduce((sum, part) => sum + part.amount, 0), amount);
          heard.set(paid.payment, paid);
          gross += amount;
          if (tender === "cash") cash += amount;
        }
        await phone._refresh();
      } else if (act < 7) {
        w.portal.faults = rng.choice([[], [() => "lose"], [() => new TypeError("no network")], [() => new Response("<p>hotel</p>", { headers: { "Content-Type": "text/html" } })]]);
        await phone.upload();
        w.portal.faults = [];
      } else if (act === 7) {
        await phone.download();
      } else if (act === 8) {
        phone = await w.open();
      } else if (act === 9) {
        const before = journal(w).length;
        const x = await phone.xReading();
        assert.deepEqual([x.gross, x.expected_cash], [gross, expectedCash(50000 * (registries === 1 ? 1 : 0), cash, 0, 0, 0)]);
        assert.equal(journal(w).length, before + 1);
      } else if (act === 10 && heard.size) {
        await phone.recordPrint(rng.choice([...heard.keys()]), "customer");
      } else if (act === 11 && rng.chance(0.3)) {
        await phone.saveCount([]);
        const z = await phone.zReading();
        assert.deepEqual([z.z_counter, z.gross, z.previous_accumulated], [registries, gross, opened]);
        await phone.closeRegistry();
        opened += gross;
        [gross, cash] = [0, 0];
        registries += 1;
        await assert.rejects(phone.openRegistry(0), { code: "registry_done" });
        w.pass(86400_000);
        await phone.openRegistry(0);
      }
    }
    while (phone.state.unsent.count) await phone.upload();
    const entries = journal(w);
    let prev = FIRST_PREV;
    for (const [index, { hash, ...content }] of entries.entries()) {
      assert.equal(content.seq, index + 1);
      assert.equal(content.prev, prev);
      assert.equal(await entryHash(content, crypto.subtle), hash);
      prev = hash;
    }
    const payments = entries.filter(({ kind }) => kind === "payment").map(({ payload }) => payload);
    assert.deepEqual(payments.map(({ receipt_number }) => receipt_number), payments.map((_, n) => `T07-${String(n + 1).padStart(8, "0")}`));
    for (const [id, paid] of heard) assert.deepEqual(payments.find(({ payment }) => payment === id).allocations, paid.allocations);
    assert.equal(new Set(payments.map(({ payment }) => payment)).size, payments.length);
    assert.equal(payments.length, heard.size);
    assert.deepEqual(w.portal.terminals.get("T07").entries, entries);
  }));
}

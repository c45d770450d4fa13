import assert from "node:assert/strict";
import test from "node:test";

import { Killed } from "./memory_store.mjs";
import { makeSoa } from "./fake_portal.mjs";
import { draft, World } from "./setup.mjs";

const world = (body) => async () => {
  const w = new World();
  try {
    await body(w);
  } finally {
    await w.close();
  }
};

test("a payment is allocated, numbered, journaled and shown", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(120000, { tendered: 150000 }));
  assert.equal(paid.receipt_number, "T07-00000001");
  assert.deepEqual(paid.allocations.map(({ kind, amount }) => [kind, amount]), [["penalty", 5000], ["principal", 100000], ["principal", 15000]]);
  assert.equal(paid.change, 30000);
  assert.equal(paid.balance_after, 185000);
  const soa = phone.soa("S-1");
  assert.equal(soa.amount_due, 185000);
  assert.equal(soa.penalty, 0);
  assert.deepEqual(soa.invoices.map(({ balance, penalty }) => [balance, penalty]), [[0, 0], [185000, 0]]);
  assert.equal(soa.payments.length, 1);
  const receipt = await phone.receipt(paid.payment);
  assert.equal(receipt.business.receipt_title, "COLLECTION RECEIPT");
  assert.deepEqual(receipt.invoices.map(({ invoice_number, penalty, principal }) => [invoice_number, penalty, principal]), [["SI-0001-1", 5000, 100000], ["SI-0001-2", 0, 15000]]);
  assert.equal(receipt.printed, false);
  assert.match(receipt.verification, /^[0-9a-f]{8}$/);
}));

test("a draft is judged before it is confirmed, and a bad one stores nothing", world(async (w) => {
  const phone = await w.ready();
  const fields = (more) => phone.preview(draft(1000, more)).problems.map(({ field }) => field);
  assert.deepEqual(fields({}), []);
  assert.deepEqual(fields({ amount: 0 }), ["amount"]);
  assert.deepEqual(fields({ amount: 10.5 }), ["amount"]);
  assert.deepEqual(fields({ amount: 10_000_000_001, tendered: null }), ["amount"]);
  assert.deepEqual(fields({ tendered: 999 }), ["tendered"]);
  assert.deepEqual(fields({ tender: "barter" }), ["tender"]);
  assert.deepEqual(fields({ tender: "check", reference: "  " }), ["reference"]);
  assert.deepEqual(fields({ tender: "e_wallet", channel: "GCash", reference: "123" }), []);
  assert.deepEqual(fields({ mode: "directed", directed: [] }), ["directed"]);
  assert.deepEqual(fields({ mode: "directed", directed: ["inv-2-0"] }), ["directed"]);
  assert.deepEqual(fields({ soa: "S-9" }), ["soa"]);
  const seq = w.disk().heads.get("T07").seq;
  await assert.rejects(phone.confirm(draft(1000, { tendered: 1 })), (error) => error.code === "invalid" && error.fields[0].field === "tendered");
  await assert.rejects(phone.confirm(draft(1000, { intent: "1" })), { code: "invalid" });
  assert.equal(w.disk().heads.get("T07").seq, seq);
}));

test("money over what is owed becomes an advance, and chosen invoices are paid first", world(async (w) => {
  const phone = await w.ready();
  const over = phone.preview(draft(400000));
  assert.equal(over.over, 95000);
  assert.equal(over.balance_after, 0);
  const paid = await phone.confirm(draft(60000, { tender: "check", channel: "BDO", reference: " 0012 ", tendered: 5, mode: "directed", directed: ["inv-1-1", "inv-1-1"] }));
  assert.deepEqual(paid.allocations, [{ invoice: "inv-1-1", invoice_number: "SI-0001-2", kind: "principal", amount: 60000 }]);
  assert.deepEqual([paid.reference, paid.tendered, paid.change, paid.directed], ["0012", null, null, ["inv-1-1"]]);
}));

test("a double tap gives one payment", world(async (w) => {
  const phone = await w.ready();
  const form = draft(10000);
  const [one, two] = await Promise.all([phone.confirm(form), phone.confirm(form)]);
  const three = await phone.confirm({ ...form, amount: 99 });
  assert.equal(one.receipt_number, "T07-00000001");
  assert.deepEqual(two, one);
  assert.deepEqual(three, one);
  assert.equal(w.disk().payments.size, 1);
}));

test("two tabs without a common lock still give dense numbers and one chain", world(async (w) => {
  const first = await w.ready(undefined, { locks: undefined });
  const second = await w.open({ locks: undefined });
  const payments = await Promise.all([1, 2, 3, 4].flatMap((n) => [first.confirm(draft(n)), second.confirm(draft(n * 100))]));
  assert.deepEqual(payments.map((payment) => payment.receipt_number).sort(), [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `T07-0000000${n}`));
  const entries = [...w.disk().entries.values()].sort((a, b) => a.seq - b.seq).map(({ entry }) => entry);
  entries.slice(1).forEach((entry, index) => assert.equal(entry.prev, entries[index].hash));
}));

test("two tabs confirming the same form give one payment", world(async (w) => {
  const first = await w.ready(undefined, { locks: undefined });
  const second = await w.open({ locks: undefined });
  const form = draft(700);
  const [one, two] = await Promise.all([first.confirm(form), second.confirm(form)]);
  assert.deepEqual(one, two);
  assert.equal(w.disk().heads.get("T07").receipt, 1);
}));

test("a head that moves every time ends in a plain error, with nothing stored", world(async (w) => {
  const phone = await w.ready();
  const disk = w.disk();
  disk.beforeAppend = () => {
    const head = disk.heads.get("T07");
    disk.heads.set("T07", { ...head, hash: `${head.hash.slice(1)}0` });
  };
  await assert.rejects(phone.confirm(draft(100)), { code: "busy_tabs" });
  assert.equal(disk.payments.size, 0);
}));

test("a full disk stores nothing and uses no number", world(async (w) => {
  const phone = await w.ready();
  const disk = w.disk();
  const before = disk.entries.size;
  disk.fail = "full";
  const form = draft(100);
  await assert.rejects(phone.confirm(form), { code: "disk_full" });
  assert.equal(disk.entries.size, before);
  disk.fail = null;
  assert.equal((await phone.confirm(form)).receipt_number, "T07-00000001");
}));

test("killed before the commit: no number is used and the same form can be confirmed", world(async (w) => {
  const phone = await w.ready();
  const disk = w.disk();
  const form = draft(100);
  disk.fail = "before";
  await assert.rejects(phone.confirm(form), Killed);
  disk.fail = null;
  const again = await w.open();
  assert.deepEqual(await again.transactions(), []);
  assert.equal((await again.confirm(form)).receipt_number, "T07-00000001");
}));

test("killed after the commit: the payment is there, unprinted, and the same form answers it", world(async (w) => {
  const phone = await w.ready();
  const disk = w.disk();
  const form = draft(100);
  disk.fail = "after";
  const heard = await phone.confirm(form); // what is on disk decides
  disk.fail = null;
  const again = await w.open();
  const [row] = await again.transactions();
  assert.deepEqual([row.payment, row.receipt_number, row.printed, row.status], [form.intent, "T07-00000001", false, "saved"]);
  assert.deepEqual(await again.confirm(form), heard);
  assert.equal((await again.confirm(draft(1))).receipt_number, "T07-00000002");
}));

test("reprints are counted and journaled, each copy for itself", world(async (w) => {
  const phone = await w.ready();
  const { payment } = await phone.confirm(draft(100));
  assert.equal((await phone.recordPrint(payment, "customer")).reprint, 0);
  assert.equal((await phone.recordPrint(payment, "collector")).reprint, 0);
  assert.equal((await phone.recordPrint(payment, "customer")).reprint, 1);
  const receipt = await phone.receipt(payment);
  assert.deepEqual([receipt.printed, receipt.reprints], [true, 1]);
  const kinds = [...w.disk().entries.values()].filter(({ entry }) => entry.kind === "receipt_printed").map(({ entry }) => [entry.payload.copy, entry.payload.reprint]);
  assert.deepEqual(kinds, [["customer", 0], ["collector", 0], ["customer", 1]]);
  await assert.rejects(phone.receipt(crypto.randomUUID()), { code: "not_found" });
}));

/** Facts and signature of a code, and whether the signature is that of the phone's terminal. */
async function readCode(w, code) {
  const raw = Buffer.from(code, "base64url");
  const body = raw.subarray(0, -64);
  const { public_key } = [...w.disk().terminals.values()][0];
  const key = await crypto.subtle.importKey("jwk", public_key, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const genuine = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, raw.subarray(-64), Buffer.concat([Buffer.from("mpos-receipt-1 "), body]));
  return { body, genuine };
}

test("a payment is stored with the signed code of its receipt, and every print carries the same", world(async (w) => {
  const phone = await w.ready();
  const { payment, soa_number } = await phone.confirm(draft(12345));
  const { code } = await phone.receipt(payment);
  const { body, genuine } = await readCode(w, code);
  assert.ok(genuine);
  assert.equal(body[0], 0x10);
  assert.equal(body.subarray(-soa_number.length).toString(), soa_number);
  assert.ok(body.toString("hex").includes(payment.replaceAll("-", "")));
  assert.ok(code.length <= 180, `${code.length} characters`);
  for (const copy of ["customer", "collector", "customer"]) assert.equal((await phone.recordPrint(payment, copy)).code, code);
  const again = await w.open();
  assert.equal((await again.receipt(payment)).code, code);
}));

test("a payment whose code cannot be signed is stored and printed all the same; a later print signs it", world(async (w) => {
  let broken = true;
  const subtle = new Proxy(crypto.subtle, {
    get: (real, name) => (name === "sign" && broken ? () => Promise.reject(new DOMException("no key", "OperationError")) : real[name].bind(real)),
  });
  const phone = await w.ready(undefined, { crypto: { subtle, randomUUID: () => crypto.randomUUID(), getRandomValues: (array) => crypto.getRandomValues(array) } });
  const { payment, receipt_number } = await phone.confirm(draft(100));
  assert.equal(receipt_number, "T07-00000001");
  assert.equal((await phone.receipt(payment)).code, null);
  assert.deepEqual(await phone.recordPrint(payment, "customer"), { reprint: 0, code: null });
  broken = false;
  const { reprint, code } = await phone.recordPrint(payment, "customer");
  assert.equal(reprint, 1);
  assert.ok((await readCode(w, code)).genuine);
  assert.equal((await phone.receipt(payment)).code, code);
}));

test("a text with a broken character is mended before it is signed", world(async (w) => {
  const phone = await w.ready([makeSoa(1, [[100, 0]], { customer_name: "Pe\ud800a" })]);
  const paid = await phone.confirm(draft(100, { tender: "check", reference: "A\udc00" }));
  assert.deepEqual([paid.customer_name, paid.reference], ["Pe\ufffda", "A\ufffd"]);
}));

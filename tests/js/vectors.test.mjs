import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { allocate, lessPayments, splitVat } from "../../portal/static/mpos/domain/allocation.mjs";
import { flaw, pack, SoaTable } from "../../portal/static/mpos/domain/columns.mjs";
import * as journal from "../../portal/static/mpos/domain/journal.mjs";
import * as money from "../../portal/static/mpos/domain/money.mjs";
import { challenge, plausible } from "../../portal/static/mpos/domain/void_codes.mjs";
import * as readings from "../../portal/static/mpos/domain/readings.mjs";
import * as receiptCode from "../../portal/static/mpos/domain/receipt_code.mjs";
import { receiptNumber, voidNumber } from "../../portal/static/mpos/domain/receipts.mjs";
import { cashPaper, readingPaper, receiptPaper, reportPaper, voidPaper } from "../../portal/static/mpos/paper.mjs";
import { paperText } from "../../portal/static/mpos/paper_lines.mjs";

const read = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

test("money is read, shown, spelled and split as the vectors say", () => {
  const vectors = read("money");
  for (const { text, centavos } of vectors.parse) assert.equal(money.parse(text), centavos, text);
  for (const text of vectors.refused) assert.throws(() => money.parse(text), { code: "invalid_amount" }, text);
  for (const { centavos, text } of vectors.show) assert.equal(money.show(centavos), text);
  for (const { centavos, words } of vectors.in_words) assert.equal(money.inWords(centavos), words);
  for (const { total, weights, parts } of vectors.split) assert.deepEqual(money.split(total, weights), parts);
});

test("minus stands before the peso sign", () => {
  assert.equal(money.showPesos(-123456), "-₱1,234.56");
  assert.equal(money.show(-5), "-0.05");
  assert.throws(() => money.inWords(-1), { code: "invalid_amount" });
});

test("halves are rounded away from zero", () => {
  assert.equal(money.halfUp(5n, 2n), 3n);
  assert.equal(money.halfUp(-5n, 2n), -3n);
  assert.equal(money.halfUp(49n, 100n), 0n);
});

test("allocations, VAT and balances agree with the vectors", () => {
  const vectors = read("allocation");
  assert.ok(vectors.length >= 100);
  for (const vector of vectors) {
    const parts = allocate(vector.amount, vector.invoices, vector.mode, vector.directed);
    assert.deepEqual(parts, vector.allocations);
    assert.deepEqual(splitVat(parts, vector.invoices), vector.vat);
    assert.deepEqual(lessPayments(vector.invoices, vector.paid_before), vector.less_payments);
  }
});

test("VAT is exact beyond the integers of JavaScript", () => {
  const invoice = (id, amount, vat_amount) => ({ id, invoice_number: id, due_date: "2026-01-01", balance: amount, penalty: 0, amount, vat_amount, vat_type: "vatable" });
  const invoices = [invoice("a", 999999999999, 107142857143), invoice("b", 999999999998, 107142857142), invoice("c", 999999999997, 107142857142)];
  const parts = allocate(2999999999994, invoices);
  const vat = splitVat(parts, invoices);
  assert.equal(vat.vatable + vat.vat_amount, 2999999999994);
  assert.equal(vat.vat_amount, 321428571427);
});

test("an amount of nothing and an unknown invoice are refused", () => {
  const invoices = [{ id: "a", invoice_number: "1", due_date: "2026-01-01", balance: 5, penalty: 0, amount: 5, vat_amount: 0, vat_type: "vatable" }];
  assert.throws(() => allocate(0, invoices), { code: "invalid" });
  assert.throws(() => allocate(1.5, invoices), { code: "invalid" });
  assert.throws(() => allocate(1, invoices, "directed", ["b"]), { code: "invalid" });
  assert.throws(() => allocate(1, invoices, "directed", []), { code: "invalid" });
});

test("the code of a receipt agrees with the vectors, and its signature fits", async () => {
  const vectors = read("receipt_code");
  const curve = { name: "ECDSA", namedCurve: "P-256" };
  const theirs = await crypto.subtle.importKey("jwk", vectors.public_key, curve, false, ["verify"]);
  const own = await crypto.subtle.generateKey(curve, false, ["sign", "verify"]);
  for (const { facts, body_hex, code } of vectors.cases) {
    const body = receiptCode.body(facts);
    assert.equal(hex(body), body_hex);
    for (const [key, made] of [[theirs, code], [own.publicKey, await receiptCode.signReceipt(own.privateKey, facts, crypto.subtle)]]) {
      const raw = Buffer.from(made, "base64url");
      assert.equal(hex(raw.subarray(0, -64)), body_hex);
      assert.equal(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, raw.subarray(-64), receiptCode.signedBytes(body)), true);
    }
    for (const wrong of [{ terminal: "X1" }, { tender: "gold" }, { amount: 1.5 }, { seq: -1 }, { at: NaN }, { payment: "no" }, { hash_start: "ab" }]) {
      assert.throws(() => receiptCode.body({ ...facts, ...wrong }), RangeError);
    }
  }
});

test("canonical bytes, chain and signature agree with the vectors", async () => {
  const vectors = read("journal");
  for (const { value, bytes_hex } of vectors.canonical) assert.equal(hex(journal.canonical(value)), bytes_hex);
  let prev = journal.FIRST_PREV;
  for (const { hash, ...content } of vectors.entries) {
    assert.equal(content.prev, prev);
    assert.equal(await journal.entryHash(content, crypto.subtle), hash);
    prev = hash;
  }
  const last = vectors.entries.at(-1);
  const signed = journal.signedText(last.terminal, last.seq, last.hash);
  assert.equal(new TextDecoder().decode(signed), vectors.signed_text);
  const key = await crypto.subtle.importKey("jwk", vectors.public_key, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const signature = Buffer.from(vectors.signature, "base64url");
  assert.equal(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, signed), true);
  assert.equal(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, journal.signedText("T07", 6, last.hash)), false);
  for (const { terminal, number, text } of vectors.receipt_numbers) assert.equal(receiptNumber(terminal, number), text);
  for (const { terminal, number, text } of vectors.void_numbers) assert.equal(voidNumber(terminal, number), text);
});

test("what has no canonical form is refused", () => {
  const nested = Array.from({ length: 14 }).reduce((inner) => [inner], 1);
  const bad = [1.5, NaN, 2 ** 53, "\ud800", { "é": 1 }, { 1: 1 }, undefined, { a: undefined }, new Date(), nested, 1n];
  for (const value of bad) assert.throws(() => journal.canonical(value), { code: "invalid_entry" });
  assert.equal(new TextDecoder().decode(journal.canonical({ b: -0, a: "😀" })), '{"a":"😀","b":0}');
  assert.equal(journal.wellFormed("a\ud800b😀"), "a\ufffdb😀");
});

test("own signatures verify, and the private key cannot be taken out", async () => {
  const keys = await journal.makeKeys(crypto.subtle);
  assert.deepEqual(Object.keys(keys.public_key).sort(), ["crv", "kty", "x", "y"]);
  assert.equal(keys.private_key.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("jwk", keys.private_key));
  const signature = await journal.signUpload(keys.private_key, "T07", 3, "ab".repeat(32), crypto.subtle);
  assert.match(signature, /^[A-Za-z0-9_-]{86}$/);
  const key = await crypto.subtle.importKey("jwk", keys.public_key, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
  const text = journal.signedText("T07", 3, "ab".repeat(32));
  assert.equal(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, Buffer.from(signature, "base64url"), text), true);
});

test("readings agree with the vectors", () => {
  for (const { period, previous, period_end, head_hash, unsent, x, z } of read("readings")) {
    assert.deepEqual(readings.xReading(period, period_end, head_hash, unsent), x);
    assert.deepEqual(readings.zReading(period, previous, period_end, head_hash, unsent), z);
  }
});

test("a registry's entries give the period and the readings of the vectors, voids included", () => {
  const vectors = read("periods");
  for (const { entries, period, previous, period_end, head_hash, unsent, x, z } of vectors) {
    const mine = readings.periodOf(entries);
    assert.deepEqual(mine, period);
    assert.deepEqual(readings.xReading(mine, period_end, head_hash, unsent), x);
    assert.deepEqual(readings.zReading(mine, previous, period_end, head_hash, unsent), z);
  }
  assert.ok(vectors.some(({ x }) => x.less_void > x.less_voided_cash && x.less_voided_cash > 0), "cash and other tenders are voided");
  assert.ok(vectors.some(({ x }) => x.less_void === 0 && x.first_void !== null), "a void was asked for and none approved");
  assert.ok(vectors.some(({ x }) => x.net < 0), "a payment of an earlier registry is voided in a day that took less");
});

test("every paper says, line for line, what the portal keeps as its copy", () => {
  const make = {
    receipt: ({ facts, copy, reprint }) => receiptPaper(facts, { copy, reprint, origin: "https://portal.example" }),
    void: ({ facts }) => voidPaper(facts),
    reading: ({ kind, facts, frame }) => readingPaper(kind, facts, frame),
    cash: ({ facts, frame }) => cashPaper(facts, frame),
  };
  for (const one of read("papers")) {
    for (const [columns, lines] of Object.entries(one.lines)) assert.deepEqual(paperText(make[one.paper](one), Number(columns)).split("\n"), lines);
  }
});

test("the denominations are those of the vectors, in their order", () => {
  const counted = read("readings").find(({ period }) => period.counted).period.counted;
  assert.deepEqual(readings.DENOMINATIONS.map(({ value, kind }) => ({ value, kind })), counted.map(({ value, kind }) => ({ value, kind })));
});

test("the list in columns is read as the vectors say, and written the same", () => {
  const vectors = read("columns");
  assert.ok(vectors.some(({ soas }) => soas.length > 5) && vectors.some(({ soas }) => soas.length === 0));
  for (const { soas, columns } of vectors) {

    assert.equal(flaw(columns, soas.length), null);
    const table = new SoaTable(columns);
    assert.deepEqual(soas.map((_, row) => table.at(row)), soas);
    assert.deepEqual(soas.map(({ id }) => table.rowOf(id)), soas.map((_, row) => row));
    assert.deepEqual(pack(soas), columns);
  }
  assert.equal(new SoaTable(vectors[0].columns).rowOf("nobody"), -1);
});

test("challenges of voids are those of the vectors; a code's check digit fits, a mistyped one does not", async () => {
  const vectors = read("void_codes");
  assert.ok(vectors.length > 20);
  for (const { challenge: asked, code, mistyped, terminal, payment, void_number, amount } of vectors) {
    assert.equal(await challenge({ terminal, payment, void_number, amount }, crypto.subtle), asked);
    assert.ok(plausible(code, asked) && !plausible(mistyped, asked));
  }
  for (const typed of ["", "1234567", "１２３４５６７８", "12345678 "]) assert.equal(plausible(typed, "00000000"), false);
});

test("the Collection Report on the phone's paper holds the lines of the vectors, as the portal's does", () => {
  const vector = read("collection");
  const rows = vector.payments.map((one) => ({
    ...one,
    ...readings.parts(one.allocations),
    at: "2026-11-20T09:15:00.000+08:00",
    void: one.void && { state: "approved", void_number: one.void.number, reason: one.void.reason, decided_by: "ramon" },
  }));
  const all = (name) => rows.reduce((sum, row) => sum + row[name], 0);
  const totals = { ...Object.fromEntries(Object.keys(vector.taken).map((name) => [name, all(name)])), less_void: vector.voided, net: vector.taken.amount - vector.voided };
  const report = { business: {}, registry: { business_date: "2026-11-20" }, rows, totals, by_tender: readings.byTender(rows), earlier: [], terminal: "T01", collector: "nena" };
  const paper = paperText(reportPaper(report), 48);
  const [, ...parts] = paper.split(/^(?=T01-0)/m).map((part) => part.split(/^-{48}$/m)[0]);
  assert.equal(parts.length, vector.lines.length);
  vector.lines.forEach((line, place) => {
    const part = parts[place].replace(/\s+/g, " ");
    const shown = [line.receipt_number, money.show(line.amount), line.account_number, line.customer_name, ...line.invoices, line.channel, line.reference];
    const sums = [line.penalty, line.principal, line.advance].filter((sum) => sum > 0).map((sum) => money.show(sum));
    const voided = line.void ? ["* VOID *", line.void.number, line.void.reason, "ramon"] : [];
    for (const words of [...shown, ...sums, ...voided].filter(Boolean)) assert.ok(part.includes(words), `${words} in ${part}`);
    assert.equal(part.includes("VOID *"), Boolean(line.void));
  });
  assert.deepEqual(Object.fromEntries(Object.keys(vector.taken).map((name) => [name, totals[name]])), vector.taken);
  for (const sum of [vector.taken.amount, vector.voided, vector.net.amount]) assert.ok(paper.includes(money.show(sum)), money.show(sum));
});

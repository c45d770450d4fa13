import assert from "node:assert/strict";
import test from "node:test";

import { missingNumbers, readingPaper, receiptPaper, reportPaper, voidPaper } from "../../portal/static/mpos/paper.mjs";
import { address, parseRoute, startRouting } from "../../portal/static/mpos/routing.mjs";
import { denominationName } from "../../portal/static/mpos/views/count.mjs";
import { reasons } from "../../portal/static/mpos/views/errors.mjs";
import { age, day, dayTime, dueWords, othersWords, timeOn, voidWord, voidWords, waitingVoids } from "../../portal/static/mpos/views/format.mjs";
import { typed } from "../../portal/static/mpos/views/numpad.mjs";

/** A browser tab's history, as far as routing uses it. */
class Tab {
  constructor(hash = "") {
    this.entries = [{ hash, state: null }];
    this.at = 0;
    this.seen = [];
    const tab = this;
    this.location = { get hash() { return tab.entries[tab.at].hash; } };
    this.history = {
      get state() { return tab.entries[tab.at].state; },
      replaceState: (state, _, hash) => void (tab.entries[tab.at] = { hash, state: structuredClone(state) }),
      pushState: (state, _, hash) => {
        tab.entries.splice(tab.at + 1, Infinity, { hash, state: structuredClone(state) });
        tab.at += 1;
      },
      back: () => this.history.go(-1),
      go: (steps) => {
        if (!tab.entries[tab.at + steps]) return;
        tab.at += steps;
        tab.popped({ state: tab.entries[tab.at].state });
      },
    };
    this.routing = startRouting(this, (route) => this.seen.push(address(route.name, route.id)));
  }

  addEventListener(_, listener) {
    this.popped = listener;
  }

  get hash() {
    return this.entries[this.at].hash;
  }
}

test("an unknown or broken address is the list", () => {
  assert.deepEqual(parseRoute("#/soa/S%2F1"), { name: "soa", id: "S/1" });
  assert.deepEqual(parseRoute("#/nowhere"), { name: "collection", id: "" });
  assert.deepEqual(parseRoute("#/soa/%E0%A4%A"), { name: "collection", id: "" });
});

test("back from a stored receipt goes to the list, never into the payment", () => {
  const tab = new Tab();
  tab.routing.go("soa", "S1");
  tab.routing.go("pay", "S1");
  tab.routing.replace("receipt", "P1", { done: true });
  tab.history.back();
  assert.equal(tab.hash, "#/collection");
  assert.equal(tab.seen.at(-1), "#/collection");
  assert.ok(tab.entries.every(({ hash }) => !hash.startsWith("#/pay")), "no payment form is left, forward or back");
});

test("Done goes to the list as well, and back from there leaves the app instead of going deeper", () => {
  const tab = new Tab();
  tab.routing.go("soa", "S1");
  tab.routing.go("pay", "S1");
  tab.routing.replace("receipt", "P1", { done: true });
  tab.routing.toList();
  assert.equal(tab.hash, "#/collection");
  assert.equal(tab.at, 0);
});

test("a receipt opened from Transactions goes back to Transactions", () => {
  const tab = new Tab();
  tab.routing.go("transactions");
  tab.routing.go("receipt", "P1");
  tab.history.back();
  assert.equal(tab.hash, "#/transactions");
});

test("from tab to tab is no step deeper, so one Back leads home", () => {
  const tab = new Tab();
  for (const name of ["transactions", "readings", "settings"]) tab.routing.go(name);
  tab.history.back();
  assert.equal(tab.hash, "#/collection");
});

test("a draft stays with its history entry and is gone when the receipt took its place", () => {
  const tab = new Tab();
  tab.routing.go("pay", "S1");
  tab.routing.keep({ amount: "5" });
  assert.deepEqual(tab.history.state.draft, { amount: "5" });
  tab.routing.replace("receipt", "P1", { done: true });
  assert.equal(tab.history.state.draft, undefined);
});

test("number keys build amounts that can be read and parsed, never more than two decimals", () => {
  const keyed = (keys) => keys.reduce((text, key) => typed(text, key), "");
  assert.equal(keyed(["4", "5", "00", ".", "5", "0", "9"]), "4,500.50");
  assert.equal(keyed(["0", "0", "7"]), "7");
  assert.equal(keyed(["00"]), "0");
  assert.equal(keyed(["."]), "0.");
  assert.equal(keyed(["1", ".", ".", "2"]), "1.2");
  assert.equal(keyed(["1", "2", "3", "4", "delete"]), "123");
  assert.equal(keyed([..."12345678901234"]), "1,234,567,890");
});

test("dates and ages are Manila's", () => {
  assert.equal(dayTime("2026-11-19T16:30:00.000Z"), "20 Nov 2026, 00:30");
  assert.equal(day("2026-01-05"), "5 Jan 2026");
  const now = new Date("2026-11-20T10:00:00+08:00");
  assert.equal(age("2026-11-20T09:59:30+08:00", now), "<1 min");
  assert.equal(age("2026-11-20T08:00:00+08:00", now), "2 h");
  assert.equal(age("2026-11-17T10:00:00+08:00", now), "3 d");
  assert.equal(dueWords({ due_date: "2026-11-20", days_overdue: 0, amount_due: 1 }, "2026-11-20"), "Due today");
  assert.equal(dueWords({ due_date: "2026-11-25", days_overdue: -5, amount_due: 1 }, "2026-11-20"), "Due 25 Nov 2026");
  assert.equal(dueWords({ due_date: "2026-11-01", days_overdue: 19, amount_due: 0 }, "2026-11-20"), "Nothing left to pay");
});

test("a time shows its day when that is not the expected one", () => {
  assert.equal(timeOn("2026-11-20T08:15:00.000+08:00", "2026-11-20"), "08:15");
  assert.equal(timeOn("2026-11-19T23:59:00.000+08:00", "2026-11-20"), "19 Nov 2026, 23:59");
});

test("what others left is said with who can upload it", () => {
  assert.equal(othersWords([{ name: "ben", count: 1 }, { name: "nena", count: 3 }]),
    "1 entry of ben is still on this phone. Log in as ben to upload it. 3 entries of nena are still on this phone. Log in as nena to upload them.");
  assert.equal(othersWords([]), "");
});

test("each denomination has a name of its own", () => {
  assert.deepEqual([[100000, "bill"], [2000, "bill"], [2000, "coin"], [100, "coin"], [25, "coin"], [1, "coin"]].map(([value, kind]) => denominationName(value, kind)),
    ["1000", "20", "20 coin", "1", "0.25", "0.01"]);
});

const RECEIPT = {
  business: { registered_name: "Hardin, Inc.", business_name: "Hardin", tin: "1", vat_registered: true, receipt_title: "", receipt_phrase: "" },
  demo: false, receipt_number: "T07-00000009", at: "2026-11-20T10:00:00.000+08:00", customer_name: "Ana Reyes", account_number: "A1", soa_number: "S1", tin: "", address: "",
  invoices: [{ invoice_number: "INV-1", penalty: 500, principal: 10000 }], advance: 0, penalty: 500, principal: 10000, amount: 10500, tender: "check", channel: "BDO",
  reference: "0001", tendered: null, change: null, vat: { vatable: 8929, vat_amount: 1071, vat_exempt: 0, zero_rated: 0 }, balance_after: 700, as_of: "2026-11-20T05:00:00.000+08:00",
  collector: "nena", collector_name: "Nena", terminal: "T07", verification: "abcdef12",
};
const words = (paper) => paper.blocks.map((block) => block.text ?? [block.left, block.right].filter(Boolean).join(" ")).join("\n");

test("the office's own lines stand beneath the letterhead and at the end of a receipt, and on no other paper", () => {
  const business = { ...RECEIPT.business, receipt_header: ["Tel. 044 555", "Open Mon-Sat"], receipt_footer: ["Salamat po"], receipt_phrase: "Phrase" };
  const text = words(receiptPaper({ ...RECEIPT, business }, { copy: "customer", reprint: 0, origin: "https://portal.test" }));
  assert.match(text, /TIN 1\nTel\. 044 555\nOpen Mon-Sat\n[^]*Phrase\nSalamat po/);
  assert.ok(!words(voidPaper({ ...RECEIPT, business, void: approved })).includes("Salamat"));
  assert.ok(!words(receiptPaper({ ...RECEIPT, business: { ...business, receipt_footer: "odd" } }, { copy: "customer", reprint: 0, origin: "https://portal.test" })).includes("odd"));
});

test("a receipt carries the address that checks it, on either copy and on a reprint, and none while it is not signed", () => {
  for (const which of [{ copy: "customer", reprint: 0 }, { copy: "collector", reprint: 2 }]) {
    const { blocks } = receiptPaper({ ...RECEIPT, code: "EAcB" }, { ...which, origin: "https://portal.test" });
    const [found] = blocks.filter(({ kind }) => kind === "qr");
    assert.equal(found.address, "https://portal.test/verify/EAcB");
    assert.match(`${found.title} ${found.text}`, /Check this receipt .*same number, amount and verification/);
  }
  const { blocks } = receiptPaper({ ...RECEIPT, code: null }, { copy: "customer", reprint: 0, origin: "https://portal.test" });
  assert.ok(!blocks.some(({ kind }) => kind === "qr"));
});

test("a receipt says what DOMAIN 7 asks for, and its marks", () => {
  const first = words(receiptPaper(RECEIPT, { copy: "customer", reprint: 0, origin: "https://portal.test" }));
  for (const part of ["COLLECTION RECEIPT", "T07-00000009", "Ana Reyes", "INV-1", "Penalty 5.00", "Principal 100.00", "TOTAL ₱105.00", "One hundred five pesos only", "Check BDO", "0001",
    "SUBJECT TO CLEARING", "VAT amount 10.71", "Remaining balance 7.00", "abcdef12", "NOT VALID FOR CLAIM OF INPUT TAX"]) assert.ok(first.includes(part), `${part} in\n${first}`);
  for (const mark of ["REPRINT", "COLLECTOR'S COPY", "DEMO", "Change"]) assert.ok(!first.includes(mark), mark);
  assert.ok(words(receiptPaper(RECEIPT, { copy: "customer", reprint: 2, origin: "https://portal.test" })).includes("REPRINT 2"));
  assert.ok(words(receiptPaper({ ...RECEIPT, demo: true }, { copy: "collector", reprint: 0, origin: "https://portal.test" })).match(/DEMO[^]*COLLECTOR'S COPY/));
});

const READING = {
  registry: "r", business_date: "2026-11-20", terminal: "T07", collector: "nena", period_start: "2026-11-20T07:00:00.000+08:00", period_end: "2026-11-20T17:00:00.000+08:00", first_receipt: null,
  last_receipt: null, first_void: null, last_void: null, transaction_count: 0, vatable: 0, vat_amount: 0, vat_exempt: 0, zero_rated: 0, penalty: 0, advance: 0, gross: 0, less_void: 0, net: 0, tenders: [],
  change_fund: 100000, cash_collected: 0, less_voided_cash: 0, less_drops: 0, less_expenses: 0, expected_cash: 123400, counted: null, counted_cash: null, short_over: null, head_hash: "ab".repeat(32), unsent: 2,
};
const FRAME = { business: null, demo: false, collector: "Nena" };

test("an X made before the count keeps the expected cash to itself; after it, says short or over", () => {
  assert.ok(!words(readingPaper("x", READING, FRAME)).includes("1,234.00"));
  const counted = { ...READING, counted: [{ value: 100000, kind: "bill", count: 1 }], counted_cash: 100000, short_over: -23400 };
  const text = words(readingPaper("x", counted, FRAME));
  for (const part of ["Expected cash 1,234.00", "1,000.00 bill x 1", "Short 234.00", "not a closing report"]) assert.ok(text.includes(part), part);
  const z = words(readingPaper("z", { ...counted, z_counter: 4, reset_counter: 0, previous_accumulated: 5, present_accumulated: 5 }, FRAME));
  assert.ok(z.includes("Z counter 4") && !z.includes("not a closing report"));
});

test("the Collection Report names the receipt numbers that are missing", () => {
  assert.deepEqual(missingNumbers(["T07-00000001", "T07-00000003", "T07-00000007"]), ["T07-00000002", "T07-00000004 to T07-00000006"]);
  const row = (number) => ({ ...RECEIPT, receipt_number: number, status: "uploaded", allocations: [{ invoice_number: "INV-1" }] });
  const report = { business: null, terminal: "T07", collector: "nena", registry: { business_date: "2026-11-20" }, rows: [row("T07-00000001"), row("T07-00000003")],
    totals: { penalty: 1000, principal: 20000, advance: 0, amount: 21000, less_void: 0, net: 21000 }, earlier: [], by_tender: [{ tender: "check", channel: "BDO", count: 2, amount: 21000 }], demo: false };
  const text = words(reportPaper(report));
  for (const part of ["Numbers missing: T07-00000002", "TOTAL ₱210.00", "Check BDO (2) 210.00", "2 payments"]) assert.ok(text.includes(part), part);
});

test("why entries are held is said once each, in whole sentences", () => {
  const held = ["The terminal was revoked.", "The terminal was revoked.", null, "its amount is not a number"].map((reason) => ({ reason }));
  assert.equal(reasons(held), "The terminal was revoked. its amount is not a number.");
  assert.equal(reasons([]), "");
});

const VOID = {
  void_number: "T07-V000004", at: "2026-11-20T11:00:00.000+08:00", reason: "Wrong amount", state: "requested", decided_by: null, decided_at: null, decision_reason: null, status: "uploaded",
  status_reason: null, heard: null,
};
const approved = { ...VOID, state: "approved", decided_by: "sol", decided_at: "2026-11-20T12:00:00.000+08:00" };
const refused = { ...approved, state: "refused", decision_reason: "The amount is right" };

test("a receipt printed after its void says VOID, above and below", () => {
  const paper = (item) => words(receiptPaper({ ...RECEIPT, void: item }, { copy: "customer", reprint: 1, origin: "https://portal.test" }));
  assert.equal(paper(approved).match(/VOID T07-V000004/g).length, 2);
  assert.ok(paper(VOID).includes("Void T07-V000004 asked for"));
  for (const item of [refused, null]) assert.ok(!/void/i.test(paper(item)));
});

test("a void slip holds number, receipt, customer, amount, reason, state and signatures", () => {
  const slip = (item) => voidPaper({ ...RECEIPT, void: item });
  assert.equal(slip(VOID).title, "T07-V000004");
  for (const part of ["VOID SLIP", "T07-V000004", "NOT YET APPROVED", "Receipt T07-00000009", "Ana Reyes", "Account A1", "VOID ₱105.00", "Check BDO", "Wrong amount", "Collector Nena", "Customer's signature"]) {
    assert.ok(words(slip(VOID)).includes(part), part);
  }
  for (const part of ["APPROVED", "Decided 20 Nov 2026, 12:00", "By sol"]) assert.ok(words(slip(approved)).includes(part), part);
  for (const part of ["REFUSED", "Answer The amount is right"]) assert.ok(words(slip(refused)).includes(part), part);
});

test("the Collection Report shows voids in place with reason and approver, and what they take off", () => {
  const row = (number, item) => ({ ...RECEIPT, receipt_number: number, status: "uploaded", allocations: [], void: item });
  const report = { business: null, terminal: "T07", collector: "nena", registry: { business_date: "2026-11-20" }, rows: [row("T07-00000001", approved), row("T07-00000002", VOID), row("T07-00000003", refused)],
    totals: { penalty: 0, principal: 31500, advance: 0, amount: 31500, less_void: 21000, net: 10500 }, by_tender: [], earlier: [row("T07-00000000", { ...approved, void_number: "T07-V000001" })], demo: false };
  const text = words(reportPaper(report));
  for (const part of ["VOID\nVoid T07-V000004 approved by sol. Reason: Wrong amount.", "Void T07-V000004 waits for the office. Reason: Wrong amount.", "refused by sol: The amount is right.",
    "TOTAL ₱315.00", "Less void 210.00", "NET 105.00", "Voids of earlier receipts\nT07-00000000 105.00"]) assert.ok(text.includes(part), `${part} in\n${text}`);
  assert.equal(text.match(/^VOID$/gm).length, 2);
});

test("a reading on paper shows void numbers and what they take off", () => {
  const text = words(readingPaper("x", { ...READING, first_void: "T07-V000003", last_void: "T07-V000004", gross: 5000, less_void: 2000, net: 3000, less_voided_cash: 1500, counted: [], counted_cash: 0, short_over: 0 }, FRAME));
  for (const part of ["First void T07-V000003", "Last void T07-V000004", "Less void 20.00", "NET ₱30.00", "Less voided cash 15.00"]) assert.ok(text.includes(part), part);
});

test("each state of a void has its word, also what was heard too late for the registry", () => {
  assert.deepEqual([VOID, approved, refused].map((item) => voidWord(item).text), ["void asked for", "voided (T07-V000004)", "void refused"]);
  const heard = { ...VOID, heard: { decision: "approved", decided_by: "sol", reason: null } };
  assert.deepEqual([voidWord(heard).text, voidWords(heard)], ["void approved, noted in the next registry", "Void T07-V000004 approved by sol. Reason: Wrong amount."]);
  const held = { ...VOID, status: "quarantined", status_reason: "The payment never arrived" };
  assert.deepEqual([voidWord(held).text, voidWords(held)], ["void asked for, office must check", "Void T07-V000004 waits for the office. Reason: Wrong amount. The payment never arrived."]);
  assert.deepEqual([0, 1, 2].map(waitingVoids), ["", "1 void waits for the office and is not in this reading.", "2 voids wait for the office and are not in this reading."]);
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { qr } from "../../portal/static/mpos/domain/qr.mjs";
import { ask, escpos, inLetters, paperState, paperWhenDone } from "../../portal/static/mpos/escpos.mjs";
import { readingPaper, receiptPaper } from "../../portal/static/mpos/paper.mjs";
import { COLUMNS, paperLines, paperText, wrap } from "../../portal/static/mpos/paper_lines.mjs";
import { paperPdf } from "../../portal/static/mpos/pdf.mjs";
import { bluetoothWay } from "../../portal/static/mpos/printers/bluetooth.mjs";
import { Device } from "../../portal/static/mpos/printers/device.mjs";
import { serialWay } from "../../portal/static/mpos/printers/serial.mjs";
import { usbWay } from "../../portal/static/mpos/printers/usb.mjs";
import { draft, World } from "./setup.mjs";
import { FakePrinter, fakeBluetooth, fakeSerial, fakeUsb, printable } from "./fake_escpos.mjs";

const ORIGIN = "https://portal.example.com";
const [{ code }] = JSON.parse(readFileSync(new URL("../vectors/receipt_code.json", import.meta.url))).cases;
const RECEIPT = {
  receipt_number: "T07-00000123", amount: 12345678900, tender: "cash", channel: null, reference: null, tendered: 12345678900, change: 0, at: "2026-11-20T08:15:30.123+08:00",
  customer_name: "Peñaflor y Muñoz-Bautista, Ma. Consolación Inmaculada de los Santos", account_number: "ACC-1000001", soa_number: "SOA-2026-00001", address: "12 Mabini St., Parañaque",
  tin: "123-456-789-000", invoices: [{ invoice: "I1", invoice_number: "INV-1", penalty: 6900, principal: 12345672000 }], advance: 0, penalty: 6900, balance_after: 100, as_of: "2026-11-20T05:00:00+08:00",
  vat: { vatable: 1, vat_amount: 2, vat_exempt: 3, zero_rated: 4 }, collector: "nena", collector_name: "Nena Salazar", terminal: "T07", verification: "7f3a91c2", code, demo: true, void: null,
  business: { registered_name: "Hardin Inc.", business_name: "Hardin ng Kapayapaan", address: "Taytay, Rizal", tin: "004-512-873-00000", vat_registered: true },
};
const PAPER = receiptPaper(RECEIPT, { copy: "customer", reprint: 2, origin: ORIGIN });
const FORMS = [58, 80].flatMap((width) => ["own", "dots"].flatMap((qrs) => ["pc437", "wpc1252", "plain"].map((letters) => ({ width, qr: qrs, letters }))));
/** Long enough that a slow machine fails no test; where nothing answers, the short one. */
const PATIENCE = { open: 20_000, write: 20_000, answer: 20_000, done: 20_000 };
const SHORT = { patience: { open: 100, write: 100, answer: 50, done: 50 } };
const device = (way, more = {}) => new Device(way, () => ({ speed: 19200 }), { patience: PATIENCE, ...more });

test("no line is longer than the paper, wide letters count double, nothing of the words is lost", () => {
  for (const width of [58, 80]) {
    const lines = paperLines(PAPER, COLUMNS[width]);
    for (const line of lines) assert.ok([...line.text].length <= COLUMNS[width] / (line.wide ? 2 : 1), line.text);
    const letters = (text) => text.replace(/[\s*_-]/g, "").toUpperCase();
    const all = letters(lines.map(({ text }) => text).join(""));
    for (const block of PAPER.blocks) for (const part of [block.text, block.left, block.right, block.title]) assert.ok(all.includes(letters(part ?? "")), part);
  }
  assert.deepEqual(wrap("", 10), [""]);
  assert.deepEqual(wrap("a  b", 10), ["a  b"]);
  assert.deepEqual(wrap("abcdefghij klm", 5), ["abcde", "fghij", "klm"]);
});

test("an amount too long for wide letters is not broken, only taller", () => {
  const [left, right] = paperLines({ title: "", blocks: [{ kind: "row", left: "TOTAL", right: "₱99,999,999,999.99", look: "large" }] }, 32);
  assert.deepEqual([left.text, right], ["TOTAL" + " ".repeat(32 - 5 - 18) + "₱99,999,999,999.99", undefined]);
  assert.equal(left.wide, undefined);
  assert.equal(left.tall, true);
});

test("letters beyond a table become what it has, and never an unknown byte", () => {
  assert.equal(inLetters("Niño ₱1 Łódź “A” 你 é", "pc437"), 'Niño P1 ?ódz "A" ? é');
  assert.equal(inLetters("Niño Ñ", "plain"), "Nino N");
  assert.equal(inLetters("nin\u0303o", "pc437"), "niño"); // n and tilde typed apart
  assert.equal(inLetters("a\tb\u0000c", "plain"), "a b?c");
});

for (const form of FORMS) {
  test(`a printer reads the bytes: ${form.width} mm, code by ${form.qr}, ${form.letters}`, () => {
    const printer = new FakePrinter(form.width);
    printer.take(escpos(PAPER, form));
    assert.deepEqual(printer.pending, []);
    assert.equal(printer.cuts, 1);
    const expected = paperLines(PAPER, COLUMNS[form.width], (text) => inLetters(text, form.letters)).filter((line) => !line.qr);
    const printed = printer.lines.slice(0, -4).filter(({ text }) => text !== ""); // the feed at the end, the room about a picture
    assert.deepEqual(printed.map(({ text, bold, wide, tall }) => ({ text, bold, wide, tall })),
      expected.filter(({ text }) => text !== "").map(({ text, bold = false, wide = false, tall = false }) => ({ text: text.trimEnd(), bold, wide, tall })));
    assert.match(printer.text, form.letters === "plain" ? /Penaflor/ : /Peñaflor/);
    assert.match(printer.text, /\* REPRINT 2 \*/);
    const address = `${ORIGIN}/verify/${code}`;
    if (form.qr === "own") {
      const [found] = printer.codes;
      assert.equal(found.text, address);
      const side = (qr(new TextEncoder().encode(address)).length + 8) * found.module;
      assert.ok(found.module >= 4 && side <= (form.width === 58 ? 384 : 576));
    } else {
      const modules = qr(new TextEncoder().encode(address));
      const [picture] = printer.pictures;
      const dots = picture.length / modules.length;
      assert.equal(dots, 4);
      modules.forEach((row, y) => row.forEach((dark, x) => assert.equal(picture[y * dots + 1][x * dots + 1], dark)));
      assert.deepEqual(printer.codes, []);
    }
  });
}

test("a reading prints as well", () => {
  const printer = new FakePrinter(58);
  const reading = { business_date: "2026-11-20", terminal: "T07", collector: "nena", period_start: RECEIPT.at, period_end: RECEIPT.at, first_receipt: null, last_receipt: null, first_void: null, last_void: null, transaction_count: 0, vatable: 0, vat_amount: 0, vat_exempt: 0, zero_rated: 0, penalty: 0, advance: 0, gross: 0, less_void: 0, net: 0, tenders: [], change_fund: 100000, cash_collected: 0, less_voided_cash: 0, less_drops: 0, less_expenses: 0, expected_cash: 100000, counted: null, counted_cash: null, short_over: null, head_hash: "ab".repeat(32), unsent: 0 };
  printer.take(escpos(readingPaper("x", reading, { business: RECEIPT.business, demo: false, collector: "Nena" }), { width: 58, qr: "own", letters: "pc437" }));
  assert.match(printer.text, /X-READING/);
  assert.equal(printer.cuts, 1);
});

test("status bytes say how the paper is, and noise says nothing", () => {
  assert.deepEqual([0x12, 0x1e, 0x72, 0x7e].map(paperState), ["enough", "low", "out", "out"]);
  assert.deepEqual([0x00, 0xff, 0x10].map(paperState), [null, null, null]);
  assert.deepEqual([0x00, 0x03, 0x0c, 0x0f].map(paperWhenDone), ["enough", "low", "out", "out"]);
  assert.deepEqual([0x12, 0x90, 0xff].map(paperWhenDone), [null, null, null]);
  assert.deepEqual([...ask(4)], [0x10, 4, 4]);
});

const BYTES = escpos(PAPER, { width: 58, qr: "dots", letters: "pc437" });

test("serial: prints, hears that it is done, and keeps the port for the next receipt", async () => {
  const printer = new FakePrinter();
  const { serial, log, port } = fakeSerial(printer);
  const one = device(serialWay(serial));
  for (let count = 1; count <= 3; count += 1) {
    await one.ready();
    assert.deepEqual(await one.print(BYTES), { sure: true, low: false });
    assert.equal(printer.cuts, count);
  }
  assert.deepEqual([log.opened, log.asked, log.baudRate], [1, 0, 19200]);
  assert.ok(Math.max(...log.sizes) <= 512);
  assert.ok(printer.text.includes(printable("Peñaflor")));
  await one.close();
  assert.equal(port.readable, null);
  await one.ready();
  assert.equal(log.opened, 2, "opened again without asking the user");
});

test("no paper is seen before anything is printed or noted, a roll at its end is told, one that ends meanwhile as well", async () => {
  const printer = new FakePrinter();
  const one = device(serialWay(fakeSerial(printer).serial));
  printer.paper = "out";
  await assert.rejects(one.ready(), { code: "paper_out" });
  assert.deepEqual(printer.lines, []);
  printer.paper = "low";
  await one.ready();
  assert.deepEqual(await one.print(BYTES), { sure: true, low: true });
  printer.paper = "enough";
  printer.paperLines = printer.lines.length + 5;
  await assert.rejects(one.print(BYTES), { code: "paper_ran_out" });
});

test("a printer that never answers is printed to, and the user is asked", async () => {
  const printer = new FakePrinter();
  printer.answers = false;
  const one = device(serialWay(fakeSerial(printer).serial), SHORT);
  await one.ready();
  assert.deepEqual(await one.print(BYTES), { sure: false, low: false });
  assert.equal(printer.cuts, 1);
});

test("a printer that stops answering in the middle is not called sure", async () => {
  const printer = new FakePrinter();
  const one = device(serialWay(fakeSerial(printer).serial), SHORT);
  await one.ready();
  printer.answers = false;
  assert.deepEqual(await one.print(BYTES), { sure: false, low: false });
});

test("a cable pulled in the middle is told as half a paper; the next receipt opens the port again", async () => {
  const printer = new FakePrinter();
  const { serial } = fakeSerial(printer, { breakAfter: 1500 });
  const one = device(serialWay(serial));
  await one.ready();
  await assert.rejects(one.print(BYTES), { code: "printer_broke", message: /in the middle.*Look at the paper/ });
  assert.equal(printer.cuts, 0);
});

test("a printer that takes nothing more is given up, not waited for without end", async () => {
  const printer = new FakePrinter();
  const { serial } = fakeSerial(printer, { hang: true });
  const one = device(serialWay(serial), SHORT);
  await assert.rejects(one.ready(), { code: "printer_gone", message: /nothing was printed: it did not answer in time/ });
  const silent = fakeSerial(new FakePrinter(), { hang: true });
  const stuck = device({ ...serialWay(silent.serial), open: async (port, settings) => ({ ...(await serialWay(silent.serial).open(port, settings)), read: null, gone: false }) }, SHORT);
  await stuck.ready();
  await assert.rejects(stuck.print(BYTES), { code: "printer_broke", message: /first lines: it did not answer in time/ });
});

test("without a printer chosen nothing is printed and the words say where to choose; no choice is no error", async () => {
  const { serial } = fakeSerial(new FakePrinter(), { known: false });
  const one = device(serialWay(serial));
  await assert.rejects(one.ready(), { code: "printer_not_chosen" });
  assert.equal(await one.choose(), "Serial printer");
  await one.ready();
  const shy = device({ ...serialWay(serial), choose: async () => { throw new DOMException("No port selected", "NotFoundError"); } });
  assert.equal(await shy.choose(), null);
  const forbidden = device({ ...serialWay(serial), choose: async () => { throw new DOMException("not here", "SecurityError"); } });
  await assert.rejects(forbidden.choose(), { code: "printer_refused" });
  const off = device({ ...serialWay(serial), known: async () => ({}), open: async () => { throw new DOMException("Failed to open serial port.", "NetworkError"); } });
  await assert.rejects(off.ready(), { code: "printer_gone", message: /nothing was printed/ });
});

test("Bluetooth: pieces no larger than its packets, in order however slow it is", async () => {
  for (const [properties, most] of [[{ write: true, writeWithoutResponse: true }, 512], [{ writeWithoutResponse: true }, 20]]) {
    const printer = new FakePrinter();
    const { bluetooth, log } = fakeBluetooth(printer, { properties, most, wait: most === 512 ? 1 : 0 });
    const one = device(bluetoothWay(bluetooth));
    await one.ready();
    assert.deepEqual(await one.print(BYTES), { sure: false, low: false });
    assert.equal(printer.cuts, 1);
    assert.equal(Math.max(...log.sizes), most === 512 ? 180 : 20);
    assert.equal(log.connects, 1);
  }
});

test("Bluetooth: a printer that tells of its paper is heard; one out of reach is connected anew", async () => {
  const printer = new FakePrinter();
  const { bluetooth, log, server } = fakeBluetooth(printer, { notifies: true });
  const one = device(bluetoothWay(bluetooth));
  assert.equal(await one.choose(), "MTP-II");
  assert.equal(log.wish.acceptAllDevices, true);
  assert.ok(log.wish.optionalServices.includes(0x18f0));
  await one.ready();
  assert.deepEqual(await one.print(BYTES), { sure: true, low: false });
  server.connected = false;
  await one.ready();
  assert.deepEqual(await one.print(BYTES), { sure: true, low: false });
  assert.equal(log.connects, 2);
});

test("Bluetooth: gone in the middle is told as half a paper", async () => {
  const printer = new FakePrinter();
  const { bluetooth } = fakeBluetooth(printer, { breakAfter: 900 });
  const one = device(bluetoothWay(bluetooth));
  await one.ready();
  await assert.rejects(one.print(BYTES), { code: "printer_broke" });
  assert.equal(printer.cuts, 0);
});

test("USB: the bulk pipes of the printer's interface, answers heard, a short write told", async () => {
  const printer = new FakePrinter(80);
  const { usb, log } = fakeUsb(printer);
  const one = device(usbWay(usb));
  assert.equal(await one.choose(), "POS-80");
  await one.ready();
  assert.deepEqual(await one.print(escpos(PAPER, { width: 80, qr: "own", letters: "pc437" })), { sure: true, low: false });
  assert.deepEqual(log.claimed, [2]);
  const short = device(usbWay(fakeUsb(new FakePrinter(), { short: 600 }).usb));
  await short.ready();
  await assert.rejects(short.print(BYTES), { code: "printer_broke" });
});

test("two receipts at once come out one after the other", async () => {
  const printer = new FakePrinter();
  const one = device(bluetoothWay(fakeBluetooth(printer, { wait: 1 }).bluetooth));
  await Promise.all([one.ready(), one.print(BYTES), one.print(BYTES)]);
  const half = printer.lines.length / 2;
  assert.deepEqual(printer.lines.slice(0, half), printer.lines.slice(half));
  assert.equal(printer.cuts, 2);
});

/** The text of a PDF as its drawing commands say, in order. */
function pdfText(pdf) {
  const source = new TextDecoder("latin1").decode(pdf);
  return [...source.matchAll(/\(((?:\\.|[^\\)])*)\) Tj/g)].map(([, text]) =>
    text.replace(/\\(\d{3})/g, (_, octal) => new TextDecoder("windows-1252").decode(Uint8Array.of(parseInt(octal, 8)))).replace(/\\([()\\])/g, "$1"));
}

test("a PDF holds exactly the receipt's lines and its code, and its table of places is right", () => {
  for (const width of [58, 80, 210]) {
    const pdf = paperPdf(PAPER, width);
    const expected = paperLines(PAPER, COLUMNS[width], (text) => inLetters(text, "wpc1252")).map(({ text }) => text.trimEnd()).filter(Boolean);
    assert.deepEqual(pdfText(pdf), expected);
    const source = new TextDecoder("latin1").decode(pdf);
    const start = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(source)[1]);
    assert.ok(source.startsWith("xref\n", start));
    const places = [...source.slice(start).matchAll(/^(\d{10}) 00000 n /gm)].map(([, place]) => Number(place));
    places.forEach((place, index) => assert.ok(source.startsWith(`${index + 1} 0 obj\n`, place)));
    for (const [, length, content] of source.matchAll(/\/Length (\d+) >>\nstream\n([\s\S]*?)\nendstream/g)) assert.equal(content.length, Number(length));
    const dark = qr(new TextEncoder().encode(`${ORIGIN}/verify/${code}`)).reduce((sum, row) => sum + row.reduce((count, cell) => count + cell, 0), 0);
    const step = Math.min(...[...source.matchAll(/ ([\d.]+) re$/gm)].map(([, height]) => Number(height)));
    const drawn = [...source.matchAll(/([\d.]+) [\d.]+ re$/gm)].reduce((sum, [, across]) => sum + Math.round(Number(across) / step), 0);
    assert.equal(drawn, dark);
  }
});

test("a long report becomes pages, and the text form says the address in the code's place", () => {
  const long = { title: "Report", blocks: Array.from({ length: 3000 }, (_, index) => ({ kind: "row", left: `Line ${index}`, right: "1.00" })) };
  for (const [width, pages] of [[210, 49], [80, 2]]) {
    const source = new TextDecoder("latin1").decode(paperPdf(long, width));
    assert.ok(Number(/\/Count (\d+)/.exec(source)[1]) >= Math.min(pages, 2));
    assert.equal(pdfText(paperPdf(long, width)).length, 3000);
  }
  const text = paperText(PAPER, 32);
  assert.ok(text.includes(`${ORIGIN}/verify/${code}`) && text.includes("₱123,456,789.00") && text.includes("REPRINT 2"));
});

test("whether paper was seen is kept on the phone: open from before the entry until somebody says yes", async () => {
  const w = new World();
  try {
    const phone = await w.ready();
    const { payment } = await phone.confirm(draft(10000));
    assert.equal((await phone.receipt(payment)).unseen, false);
    assert.deepEqual((await phone.recordPrint(payment, "customer")).reprint, 0);
    const again = await w.open();
    assert.deepEqual([(await again.receipt(payment)).unseen, (await again.transactions())[0].unseen], [true, true], "a killed app asks still");
    await again.paperCame(payment);
    assert.equal((await phone.receipt(payment)).unseen, false);
    assert.equal((await phone.recordPrint(payment, "customer")).reprint, 1);
    assert.equal((await phone.transactions())[0].unseen, true);
    assert.equal([...w.disk().entries.values()].filter(({ entry }) => entry.kind === "receipt_printed").length, 2, "each print is an entry, an answer is none");
    assert.equal([...w.disk().entries.values()].filter(({ entry }) => entry.kind === "payment").length, 1);
  } finally {
    await w.close();
  }
});

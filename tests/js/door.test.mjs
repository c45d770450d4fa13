import assert from "node:assert/strict";
import test from "node:test";

import { orKey } from "../../portal/static/mpos/confirm.mjs";
import { compress, LARGEST, sendPhotos } from "../../portal/static/mpos/photos.mjs";
import { mapAddress } from "../../portal/static/mpos/views/map.mjs";
import { placeOf, startPlace } from "../../portal/static/mpos/views/place.mjs";
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

/** Lets work that nobody waits for go on until it is done; a test that never gets there fails instead of hanging. */
async function until(done) {
  for (let turn = 0; turn < 10_000; turn += 1) {
    if (await done()) return;
    await new Promise(setImmediate);
  }
  assert.fail("it never came");
}
const check = (more) => draft(5000, { tender: "check", channel: "BDO", reference: "0012", tendered: null, ...more });
const booklet = (more) => ({ number: "OR 00123", date: "2026-11-19", ...more });
const said = async (work) => (await work.then(() => null, (error) => error))?.fields?.map(({ field }) => field) ?? [];

test("a check notes its branch and date, a payment its place; what does not belong to it stays away", world(async (w) => {
  const phone = await w.ready();
  const place = { latitude: 14843210, longitude: 120811234, accuracy: 12 };
  const paid = await phone.confirm(check({ branch: " Malolos ", check_date: "2026-12-24", place }));
  assert.deepEqual([paid.branch, paid.check_date, paid.place], ["Malolos", "2026-12-24", place]);
  const cash = await phone.confirm(draft(100, { branch: "Malolos", check_date: "2026-12-24" }));
  for (const name of ["branch", "check_date", "place", "or_number", "or_date"]) assert.equal(name in cash, false, name);
  assert.deepEqual(await said(phone.confirm(check({ check_date: "2026-02-30" }))), ["check_date"]);
  assert.deepEqual(await said(phone.confirm(check({ branch: "x".repeat(61) }))), ["branch"]);
}));

test("a reference that this phone took before is told, but not of another bank, tender or a voided payment", world(async (w) => {
  const phone = await w.ready();
  const { receipt_number } = await phone.confirm(check({}));
  assert.equal(await phone.referenceUsed({ tender: "check", channel: " bdo ", reference: "0012" }), receipt_number);
  assert.equal(await phone.referenceUsed({ tender: "check", channel: "BPI", reference: "0012" }), null);
  assert.equal(await phone.referenceUsed({ tender: "bank_transfer", channel: "BDO", reference: "0012" }), null);
  assert.equal(await phone.referenceUsed({ tender: "cash", channel: null, reference: null }), null);
}));

test("an official receipt is entered once, on an SOA of the list, with its own receipt number of the series", world(async (w) => {
  const phone = await w.ready();
  const paid = await phone.confirm(draft(105000, { or: booklet() }));
  assert.deepEqual([paid.receipt_number, paid.or_number, paid.or_date, paid.soa], ["T07-00000001", "OR 00123", "2026-11-19", "S-1"]);
  assert.equal(await phone.orUsed("or123"), null);
  assert.equal(await phone.orUsed("OR-00123"), paid.receipt_number);
  const seq = w.disk().heads.get("T07").seq;
  assert.deepEqual(await said(phone.confirm(draft(100, { or: booklet({ number: "or 00123" }) }))), ["or_number"]);
  assert.equal(w.disk().heads.get("T07").seq, seq, "nothing is stored and no number used");
}));

test("an official receipt for an account that is not in the list becomes an advance on that account", world(async (w) => {
  const phone = await w.ready();
  const or = booklet({ account: "ACC-77", customer: "Ibarra, Crisóstomo" });
  const given = draft(30000, { soa: "account:ACC-77", or });
  assert.deepEqual(phone.preview(given).problems, []);
  const paid = await phone.confirm(given);
  assert.deepEqual([paid.soa, paid.account_number, paid.customer_name, paid.balance_after], ["account:ACC-77", "ACC-77", "Ibarra, Crisóstomo", 0]);
  assert.deepEqual(paid.allocations, [{ invoice: null, invoice_number: null, kind: "advance", amount: 30000 }]);
  assert.deepEqual(await said(phone.confirm(draft(100, { soa: "account:ACC-77" }))), ["soa"], "only an OR entry may");
  assert.deepEqual(await said(phone.confirm(draft(100, { soa: "account:ACC-78", or }))), ["soa"], "the account is the one that was typed");
}));

test("what the paper must say is asked for", world(async (w) => {
  const phone = await w.ready();
  const wrong = (more) => phone.preview(draft(100, { or: booklet(more) })).problems.map(({ field }) => field);
  assert.deepEqual(wrong({}), []);
  assert.deepEqual(wrong({ number: " - " }), ["or_number"]);
  assert.deepEqual(wrong({ number: "1".repeat(31) }), ["or_number"]);
  assert.deepEqual(wrong({ date: "" }), ["or_date"]);
  assert.deepEqual(wrong({ date: "2026-11-21" }), ["or_date"], "tomorrow");
}));

test("booklet numbers are compared without spaces, hyphens and zeros before them", () => {
  for (const [one, other] of [["00123", "123"], ["a-00 1", "A001"], ["000", "0"]]) assert.equal(orKey(one), orKey(other));
  assert.notEqual(orKey("A1"), orKey("A10"));
});

test("the route of the day keeps its order, and is another one tomorrow", world(async (w) => {
  const phone = await w.ready([makeSoa(1, [[100, 0]]), makeSoa(2, [[100, 0]]), makeSoa(3, [[100, 0]])]);
  assert.deepEqual(await phone.route(), []);
  await phone.setRoute(["S-3", "S-1", "S-3", "S-9"]);
  assert.deepEqual(await phone.route(), ["S-3", "S-1"]);
  const again = await w.open();
  assert.deepEqual(await again.route(), ["S-3", "S-1"]);
  w.pass(24 * 3600_000);
  assert.deepEqual(await again.route(), []);
}));

test("the list goes one street after the other, house numbers as numbers, and stays a search", world(async (w) => {
  const at = (number, address, name) => ({ ...makeSoa(number, [[100, 0]]), address, customer_name: name });
  const phone = await w.ready([at(1, "12 Mabini St", "Ana"), at(2, "9 Mabini St", "Ben"), at(3, "1 Aguinaldo St", "Cora"), at(4, "10 mabini st", "Dan")]);
  const names = (text, order) => phone.find(text, order).rows("all", 0, 9).map(({ customer_name }) => customer_name);
  assert.deepEqual(names("", "address"), ["Cora", "Ben", "Dan", "Ana"]);
  assert.deepEqual(names("mabini", "address"), ["Ben", "Dan", "Ana"]);
  assert.deepEqual(phone.find("", "address").rows("all", 1, 3).map(({ customer_name }) => customer_name), ["Ben", "Dan"]);
  assert.equal(phone.soaOfAccount(phone.soa("S-2").account_number).id, "S-2");
  assert.equal(phone.soaOfAccount("nobody"), null);
}));

test("a map link is one the phone's own map opens", () => {
  assert.equal(mapAddress(" 12 Mabini St., Malolos ", "Mozilla (Linux; Android 14)"), "geo:0,0?q=12%20Mabini%20St.%2C%20Malolos");
  assert.equal(mapAddress("Ñ & Co", "iPhone"), "https://www.openstreetmap.org/search?query=%C3%91%20%26%20Co");
});

test("a place is whole numbers", () => {
  const coords = { latitude: 14.84321049, longitude: -120.8112341, accuracy: 12.6 };
  assert.deepEqual(placeOf({ coords }), { latitude: 14843210, longitude: -120811234, accuracy: 13 });
});

test("a place is looked for only after it was allowed, and a refusal is remembered", async () => {
  const choices = new Map([["place", "on"]]);
  const phone = { choice: async (key) => choices.get(key) ?? null, setChoice: async (key, value) => void choices.set(key, value) };
  const before = globalThis.document;
  const made = () => ({ append() {}, setAttribute() {}, replaceChildren() {} });
  globalThis.document = /** @type {any} */ ({ createElement: made });
  const found = startPlace(phone, { getCurrentPosition: (good) => good({ coords: { latitude: 1, longitude: 2, accuracy: 3 } }) });
  assert.equal(found.now(), null, "a payment does not wait for it");
  await new Promise(setImmediate);
  assert.deepEqual(found.now(), { latitude: 1000000, longitude: 2000000, accuracy: 3 });
  startPlace(phone, { getCurrentPosition: (_good, bad) => bad({ code: 1, PERMISSION_DENIED: 1 }) });
  await new Promise(setImmediate);
  assert.equal(choices.get("place"), "off");
  globalThis.document = before;
});

const image = (size = 1000, seed = 7) => Uint8Array.from({ length: size }, (_, index) => (index * seed) % 251);

test("a photo waits until its payment is uploaded, is sent once and then let go", world(async (w) => {
  const phone = await w.ready();
  const { payment } = await phone.confirm(check({}));
  await phone.addPhoto(payment, image());
  await phone.addPhoto(payment, image());
  assert.equal((await phone.photos(payment)).length, 1);
  assert.equal(w.portal.photos.size, 0, "the money comes first");
  const result = await phone.upload();
  assert.equal(result.problem, null);
  await until(async () => (await phone.photos(payment)).length === 0);
  assert.deepEqual([...w.portal.photos.values()].map((bytes) => [...bytes.slice(0, 4)]), [[0, 7, 14, 21]]);
  assert.equal(w.portal.calls.filter(({ method }) => method === "PUT").length, 1);
  assert.deepEqual([...w.disk().meta.keys()].filter((key) => key.startsWith("photo ")), []);
}));

test("a photo survives a lost answer and a closed app, and never delays an upload", world(async (w) => {
  const phone = await w.ready();
  const { payment } = await phone.confirm(check({}));
  await phone.addPhoto(payment, image());
  let lost = 0;
  const first = ({ method }) => (method === "PUT" && lost++ === 0 ? "lose" : undefined);
  w.portal.faults = Array.from({ length: 20 }, () => first);
  assert.equal((await phone.upload()).problem, null);
  await until(() => lost > 0);
  const again = await w.open();
  await again.upload();
  await until(async () => (await again.photos(payment)).length === 0);
  assert.equal(w.portal.photos.size, 1);
  assert.equal(w.portal.held("payment").length, 1);
}));

test("what the portal will never take is let go with its reason; a dead line keeps it", async () => {
  const { PortalError } = await import("../../portal/static/mpos/api.mjs");
  const meta = new Map([["photos", [{ payment: "p", name: "a", refused: null }, { payment: "p", name: "b", refused: null }]], ["photo p a", image()], ["photo p b", image(9)]]);
  const store = { meta: async (key) => meta.get(key), setMeta: async (key, value) => void (value === undefined ? meta.delete(key) : meta.set(key, value)) };
  const dead = { putPhoto: async () => { throw new PortalError("offline", "No line.", { again: true }); } };
  assert.equal(await sendPhotos(store, dead), 0);
  assert.equal(meta.get("photos").length, 2);
  const strict = { putPhoto: async (_payment, name) => { if (name === "a") throw new PortalError("invalid", "No JPEG.", { status: 422 }); } };
  assert.equal(await sendPhotos(store, strict), 1);
  assert.deepEqual(meta.get("photos"), [{ payment: "p", name: "a", refused: "No JPEG." }]);
  assert.deepEqual([...meta.keys()], ["photos"]);
});

test("a photo is made smaller until the portal takes it", async () => {
  const tried = [];
  const browser = {
    createImageBitmap: async () => ({ width: 4000, height: 3000, close() {} }),
    canvas: (width, height) => ({ width, height, getContext: () => ({ drawImage() {} }), toBlob: (done, type, quality) => {
      tried.push([width, height, quality]);
      const size = Math.round(width * height * quality * 0.25);
      done({ type, size, arrayBuffer: async () => new ArrayBuffer(size) });
    } }),
  };
  const made = await compress(/** @type {any} */ ({}), browser);
  assert.ok(made.byteLength <= LARGEST && made.byteLength > 0);
  assert.deepEqual(tried[0], [1600, 1200, 0.8]);
  const broken = { ...browser, createImageBitmap: async () => { throw new Error("no picture"); } };
  await assert.rejects(compress(/** @type {any} */ ({}), broken), /not a picture/);
  const huge = { ...browser, canvas: (width, height) => ({ width, height, getContext: () => null, toBlob: (done) => done({ type: "image/jpeg", size: LARGEST + 1 }) }) };
  await assert.rejects(compress(/** @type {any} */ ({}), huge), /small enough/);
});

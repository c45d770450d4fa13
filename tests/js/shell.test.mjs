import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";

import { pack } from "../../portal/static/mpos/domain/columns.mjs";
import { plain, SoaList } from "../../portal/static/mpos/search.mjs";
import { start } from "../../portal/static/mpos/sw_core.mjs";
import { makeSoa } from "./fake_portal.mjs";
import { seeded } from "./setup.mjs";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const ORIGIN = "https://portal.example";

/** A service worker's world: its caches, its network and its events. */
class Worker {
  constructor(pages) {
    this.pages = pages;
    this.stores = new Map();
    this.handlers = {};
    this.location = { origin: ORIGIN };
    this.crypto = globalThis.crypto;
    this.Response = Response;
    this.Request = class {
      constructor(url, options) {
        Object.assign(this, { url: new URL(url, ORIGIN).href, ...options });
      }
    };
    this.skipped = 0;
    this.asked = [];
    this.caches = {
      keys: async () => [...this.stores.keys()],
      delete: async (name) => this.stores.delete(name),
      open: async (name) => {
        if (!this.stores.has(name)) this.stores.set(name, new Map());
        const store = this.stores.get(name);
        return { put: async (url, response) => void store.set(url, response), match: async (url) => store.get(url)?.clone() };
      },
    };
  }

  addEventListener(name, body) {
    this.handlers[name] = body;
  }

  async skipWaiting() {
    this.skipped += 1;
  }

  async fetch(request) {
    this.asked.push(request);
    const page = this.pages?.[new URL(request.url).pathname];
    if (!this.pages) throw new TypeError("no network");
    return page === undefined ? new Response("no", { status: 404 }) : new Response(page);
  }

  async dispatch(name, event) {
    const waits = [];
    let answered = null;
    this.handlers[name]({ ...event, waitUntil: (promise) => waits.push(promise), respondWith: (promise) => (answered = promise) });
    await Promise.all(waits);
    return answered && (await answered);
  }
}

const pages = { "/mpos/": "<html>shell</html>", "/static/mpos/app.mjs": "app()", "/api/v1/ping": "{}", "/login": "login" };
const files = ["/static/mpos/app.mjs", "/mpos/"].map((url) => ({ url, sha256: sha256(pages[url]) }));
const request = (path, more = {}) => ({ request: { method: "GET", mode: "no-cors", url: new URL(path, ORIGIN).href, ...more } });

async function installed(version = "v1", list = files) {
  const worker = new Worker(pages);
  start(worker, { version, files: list });
  await worker.dispatch("install", {});
  return worker;
}

test("the shell is kept at install, fetched past the browser's own cache", async () => {
  const worker = await installed();
  assert.deepEqual([...worker.stores.get("mpos-shell-v1").keys()].sort(), ["/mpos/", "/static/mpos/app.mjs"]);
  assert.ok(worker.asked.every(({ cache }) => cache === "reload"));
});

test("a file that is missing or not of this version stops the install, and nothing is kept", async () => {
  for (const bad of [{ url: "/static/mpos/gone.mjs", sha256: "0" }, { url: "/static/mpos/app.mjs", sha256: sha256("other") }]) {
    const worker = new Worker(pages);
    start(worker, { version: "v2", files: [...files, bad] });
    await assert.rejects(worker.dispatch("install", {}));
    assert.equal(worker.stores.size, 0);
  }
});

test("offline, pages under /mpos/ and the shell's files are answered, everything else is left alone", async () => {
  const worker = await installed();
  worker.pages = null;
  const text = async (path, more) => (await worker.dispatch("fetch", request(path, more)))?.text() ?? null;
  assert.equal(await text("/mpos/", { mode: "navigate" }), "<html>shell</html>");
  assert.equal(await text("/mpos/?source=home", { mode: "navigate" }), "<html>shell</html>");
  assert.equal(await text("/mpos/collection", { mode: "navigate" }), "<html>shell</html>");
  assert.equal(await text("/static/mpos/app.mjs"), "app()");
  assert.equal(await text("/api/v1/ping"), null);
  assert.equal(await text("/api/v1/soas", { mode: "navigate" }), null);
  assert.equal(await text("/login", { mode: "navigate" }), null);
  assert.equal(await text("/mpos/sw.mjs"), null);
  assert.equal(await text("/mpos/", { method: "POST", mode: "navigate" }), null);
  assert.equal(await text("https://elsewhere.example/static/mpos/app.mjs"), null);
  assert.deepEqual([...worker.stores.get("mpos-shell-v1").keys()].length, 2, "nothing is added while it runs");
});

test("a shell file that got lost offline is a real error answer", async () => {
  const worker = await installed();
  worker.pages = null;
  worker.stores.get("mpos-shell-v1").clear();
  const response = await worker.dispatch("fetch", request("/static/mpos/app.mjs"));
  assert.equal(response.status, 503);
});

test("a new version deletes only the shells before it", async () => {
  const worker = await installed("v2");
  for (const name of ["mpos-shell-v1", "other-cache"]) await worker.caches.open(name);
  await worker.dispatch("activate", {});
  assert.deepEqual([...worker.stores.keys()].sort(), ["mpos-shell-v2", "other-cache"]);
});

test("a new version waits until our own page tells it to take over", async () => {
  const worker = await installed();
  await worker.dispatch("message", { origin: "https://elsewhere.example", data: { type: "take-over" } });
  await worker.dispatch("message", { origin: ORIGIN, data: "take-over" });
  await worker.dispatch("message", { origin: ORIGIN, data: null });
  assert.equal(worker.skipped, 0);
  await worker.dispatch("message", { origin: ORIGIN, data: { type: "take-over" } });
  assert.equal(worker.skipped, 1);
});

test("every word must match somewhere, accents and case do not matter", () => {
  const list = new SoaList(pack([
    makeSoa(1, [[1, 0]], { customer_name: "Niño Peña", due_date: "2026-11-25" }),
    makeSoa(2, [[1, 0]], { customer_name: "Ana Penaflor", address: "San José", due_date: "2026-11-10", contact_number: "0918 555-0123" }),
    makeSoa(3, [[1, 0]], { customer_name: "ana abad", due_date: "2026-11-10", contact_number: null }),
  ]));
  const names = (places) => Array.from(places, (place) => list.table.at(list.order[place]).id);
  const ids = (text) => names(list.find(text));
  assert.deepEqual(ids(""), ["S-3", "S-2", "S-1"]);
  assert.deepEqual(ids("PENA"), ["S-2", "S-1"]);
  assert.deepEqual(ids("pena jose"), ["S-2"]);
  assert.deepEqual(ids("acc-00003"), ["S-3"]);
  assert.deepEqual(ids("09185550123"), ["S-2"]);
  assert.deepEqual([ids("zzz"), ids("penaana"), ids("pena\0"), ids("\0")], [[], [], ["S-2", "S-1"], ["S-3", "S-2", "S-1"]]);
  const due = (text, date) => names(list.find(text).subarray(0, list.dueBy(list.find(text), date)));
  assert.deepEqual([due("", "2026-11-20"), due("pena", "2026-11-24"), due("pena", "2026-11-25")], [["S-3", "S-2"], ["S-2"], ["S-2", "S-1"]]);
});

test("a search finds what looking at each SOA alone would find, whatever is typed", () => {
  const random = seeded(5);
  const soas = Array.from({ length: 300 }, (_, n) => makeSoa(n, [[1, 0]], {
    customer_name: Array.from({ length: 3 }, () => random.choice(["Ana", "an", "Peña", "de", "los", "Reyes", "Ñ", "x"])).join(" "), due_date: `2026-1${random.below(3)}-0${1 + random.below(9)}` }));
  const made = new SoaList(pack(soas));
  const again = new SoaList(pack(soas), made.prepared);
  for (let turn = 0; turn < 300; turn += 1) {
    const words = Array.from({ length: random.below(4) }, () => random.choice(["a", "an", "ana", "PEÑA", "s r", "reyes", "acc-0001", "customer", "2", "ñ", "roque"])).join(" ").split(" ");
    const wanted = soas.filter((soa) => words.every((word) => plain([soa.customer_name, soa.account_number, soa.soa_number, soa.address, soa.contact_number, "09170000000"].join("\n")).includes(plain(word))));
    const found = Array.from(again.find(words.join(" ")), (place) => again.table.at(again.order[place]).id);
    assert.deepEqual([...found].sort(), wanted.map(({ id }) => id).sort(), words.join(" "));
    const order = found.map((id) => again.table.due(again.table.rowOf(id)));
    assert.deepEqual(order, [...order].sort((a, b) => a - b));
  }
});

test("5,000 SOAs are searched in a few milliseconds", () => {
  const list = new SoaList(pack(Array.from({ length: 5000 }, (_, n) => makeSoa(n, [[1000, 0]]))));
  const times = Array.from({ length: 15 }, (_, n) => {
    const begun = performance.now();
    assert.equal(list.find(`roque customer ${4000 + n}`).length, 1);
    return performance.now() - begun;
  }).sort((a, b) => a - b);
  assert.ok(times[7] < 8, `took ${times[7]} ms`);
});

/** The phone's own modules, measured in the page: bench/phone.py calls these. Times are milliseconds on this page's clock. */

import { Clock } from "/static/mpos/clock.mjs";
import { Cipher } from "/static/mpos/vault.mjs";
import { Store } from "/static/mpos/db.mjs";
import { listOf, download } from "/static/mpos/sync.mjs";
import { SoaList } from "/static/mpos/search.mjs";
import { collectionScreen } from "/static/mpos/views/collection.mjs";
import { openPhone } from "/static/mpos/phone.mjs";

const browser = { indexedDB, keyRange: IDBKeyRange };
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

async function bytesOf(accept) {
  const response = await fetch("/api/v1/soas", { headers: { Accept: accept }, cache: "no-store" });
  const body = new Uint8Array(await response.arrayBuffer());
  return { body, packed: performance.getEntriesByName(response.url).at(-1).encodedBodySize, etag: response.headers.get("ETag") };
}

/** Our way: bytes in hand until the list and its journal entry are durable; `sealed` as on a phone with a PIN. */
async function ours(received, sealed) {
  const store = new Store(`bench-${crypto.randomUUID()}`, browser);
  if (sealed) {
    const id = crypto.randomUUID();
    await store.setMeta("vault", { id });
    store.use(new Cipher(id, await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]), crypto));
  }
  await store.ready();
  const writing = { store, clock: new Clock({ now: () => Date.now(), monotonic: () => performance.now() }), subtle: crypto.subtle, terminal: "T99", lock: (body) => body() };
  let durable = 0;
  const append = store.append.bind(store);
  store.append = async (what) => {
    await append(what);
    durable = performance.now();
  };
  const begun = performance.now();
  const api = { soas: async () => ({ body: received.body, answer: JSON.parse(new TextDecoder().decode(received.body)), etag: received.etag }) };
  await download(writing, api, null, () => undefined);
  const took = durable - begun;
  await store.close();
  await gone(store.name);
  return took;
}

/** A record for each SOA, in one strict transaction: what bulkPut comes to without a library. */
async function perRow(received) {
  const name = `bench-${crypto.randomUUID()}`;
  const db = await new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("soas", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const begun = performance.now();
  const { soas } = JSON.parse(new TextDecoder().decode(received.body));
  await new Promise((resolve, reject) => {
    const transaction = db.transaction("soas", "readwrite", { durability: "strict" });
    const store = transaction.objectStore("soas");
    for (const soa of soas) store.put(soa);
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  const took = performance.now() - begun;
  db.close();
  await gone(name);
  return took;
}

async function byDexie(received, Dexie) {
  const db = new Dexie(`bench-${crypto.randomUUID()}`, { chromeTransactionDurability: "strict" });
  db.version(1).stores({ soas: "id" });
  await db.open();
  const begun = performance.now();
  await db.soas.bulkPut(JSON.parse(new TextDecoder().decode(received.body)).soas);
  const took = performance.now() - begun;
  db.close();
  await gone(db.name);
  return took;
}

/** Delete a database and let the browser tidy up, so that no way pays for the one before it. */
function gone(name) {
  return new Promise((resolve) => {
    indexedDB.deleteDatabase(name).onsuccess = () => setTimeout(resolve, 300);
  });
}

/** Received -> durable, each way in turn. */
export async function storing(rounds, dexie) {
  const columns = await bytesOf("application/vnd.mpos.soa-columns+json");
  const objects = await bytesOf("application/json");
  const Dexie = dexie ? (await import(dexie)).default : null;
  const took = { sealed: [], ours: [], row: [], dexie: [] };
  for (let round = 0; round < rounds; round += 1) {
    took.sealed.push(await ours(columns, true));
    took.ours.push(await ours(columns, false));
    took.row.push(await perRow(objects));
    if (Dexie) took.dexie.push(await byDexie(objects, Dexie));
  }
  const { columns: parsed } = JSON.parse(new TextDecoder().decode(columns.body));
  const begun = performance.now();
  new SoaList(parsed);
  return { packed: columns.packed, whole: objects.packed, sealed: median(took.sealed), ours: median(took.ours), row: median(took.row), dexie: Dexie && median(took.dexie), prepare: performance.now() - begun };
}

/** Each keystroke of these words: milliseconds until the matches, their number and what they owe are known; and how the painting of 50 compares. */
export async function searching(words, pin) {
  const phone = await openPhone({ automatic: false, serviceWorker: undefined });
  await phone.unlock(pin);
  const stored = await phone._session.store.snapshot();
  const opening = performance.now();
  listOf(stored);
  const opened = performance.now() - opening;
  const typed = words.flatMap((word) => Array.from(word, (_, end) => word.slice(0, end + 1)));
  for (const text of typed) phone.find(text);
  const found = [];
  for (let round = 0; round < 5; round += 1) {
    for (const text of typed) {
      const begun = performance.now();
      phone.find(text);
      found.push(performance.now() - begun);
    }
  }
  const both = [];
  const alone = [];
  for (const text of typed.filter((word) => phone.find(word).all.count >= 50)) {
    const { all, due, rows } = phone.find(text);
    const made = { all: rows("all", 0, 50), due: rows("due", 0, 50) };
    const still = { find: () => ({ all, due, rows: (which) => made[which] }) };
    const turn = (list, into) => into.push(paint(list, phone, text));
    for (let round = 0; round < 5; round += 1) {
      turn(phone, both);
      turn(still, alone);
    }
  }
  await phone.close();
  return { count: typed.length, p95: percentile(found, 0.95), median: median(found), both: median(both), alone: median(alone), opened };
}

/** Milliseconds from the keystroke until the rows stand in the page, laid out. */
function paint({ find }, phone, text) {
  const ctx = { phone: { state: phone.state, find: (given) => find.call(phone, given), choice: async () => null }, memory: {}, go: () => undefined, scrollTop: () => 0 };
  const screen = collectionScreen(ctx);
  const page = document.createElement("div");
  page.className = "page";
  page.append(...screen.body.flat().filter(Boolean));
  document.getElementById("screen").append(page);
  const search = page.querySelector("#search");
  page.getBoundingClientRect();
  search.value = text;
  const begun = performance.now();
  search.dispatchEvent(new Event("input"));
  page.getBoundingClientRect();
  const took = performance.now() - begun;
  page.remove();
  return took;
}

import assert from "node:assert/strict";
import test from "node:test";

import { draft, World } from "./setup.mjs";

/** Timers that go off when the world's time passes. */
class Timers {
  constructor(w) {
    this.w = w;
    this.pending = new Map();
    this.last = 0;
    this.setTimeout = (body, wait) => {
      this.pending.set((this.last += 1), { body, due: w.mono + wait });
      return this.last;
    };
    this.clearTimeout = (id) => void this.pending.delete(id);
  }

  async pass(milliseconds) {
    const end = this.w.mono + milliseconds;
    for (;;) {
      const next = [...this.pending].filter(([, { due }]) => due <= end).sort((a, b) => a[1].due - b[1].due)[0];
      if (!next) break;
      const [id, { body, due }] = next;
      this.pending.delete(id);
      if (due > this.w.mono) this.w.pass(due - this.w.mono);
      body();
      await settle(this.w);
    }
    this.w.pass(end - this.w.mono);
    await settle(this.w);
  }
}

/** Wait until the world's phones have nothing more to do. Signing and hashing take real time, so turns of the event loop are not enough. */
async function settle(w) {
  let quiet = 0;
  let seen = -1;
  while (quiet < 4) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const busy = w.phones.some((phone) => phone.state.uploading || phone._contacting);
    quiet = busy || seen !== w.browser.accesses ? 0 : quiet + 1;
    seen = w.browser.accesses;
  }
}

async function start() {
  const w = new World();
  w.pin = null; // nobody touches the phone in these hours: with a PIN it would lock itself, and wait for it before it uploads
  const timers = new Timers(w);
  const events = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const phone = await w.ready(undefined, { automatic: true, setTimeout: timers.setTimeout, clearTimeout: timers.clearTimeout, events, document });
  await timers.pass(5_000);
  w.portal.calls.length = 0;
  const uploads = () => w.portal.calls.filter(({ path }) => path === "/api/v1/journal").length;
  return { w, timers, events, document, phone, uploads };
}

test("midnight is told to the screens by itself", async () => {
  const { w, timers, phone } = await start();
  const seen = [];
  phone.subscribe(() => seen.push(phone.state.today));
  await timers.pass(16 * 3600_000);
  assert.equal(seen.at(-1), "2026-11-21");
  await w.close();
});

test("a payment is uploaded by itself shortly after, without making Confirm wait", async () => {
  const { w, timers, phone, uploads } = await start();
  assert.equal(phone.state.unsent.count, 0);
  await phone.confirm(draft(100));
  await phone.confirm(draft(200));
  assert.equal(uploads(), 0);
  await timers.pass(2_000);
  assert.equal(uploads(), 1);
  assert.equal(phone.state.unsent.count, 0);
  await timers.pass(600_000);
  assert.equal(uploads(), 1, "nothing unsent, nothing sent");
  await w.close();
});

test("without a connection it is tried again, ever more seldom, and at once when the connection is back", async () => {
  const { w, timers, events, phone, uploads } = await start();
  w.portal.down = true;
  await phone.confirm(draft(100));
  await timers.pass(3_600_000);
  assert.ok(uploads() >= 10 && uploads() <= 70, `${uploads()} tries in an hour`);
  assert.equal(phone.state.online, false);
  assert.equal(phone.state.unsent.count, 1);
  w.portal.down = false;
  events.dispatchEvent(new Event("online"));
  await settle(w);
  assert.equal(phone.state.unsent.count, 0);
  assert.equal(phone.state.online, true);
  await w.close();
});

test("Retry-After is kept by uploads nobody asked for", async () => {
  const { w, timers, phone, uploads } = await start();
  w.portal.faults = [() => w.portal.error(429, "slow_down", {}, { "Retry-After": "600" })];
  await phone.confirm(draft(100));
  await timers.pass(590_000);
  assert.equal(uploads(), 1);
  await timers.pass(30_000);
  assert.equal(uploads(), 2);
  assert.equal(phone.state.unsent.count, 0);
  await w.close();
});

test("an ended log-in stops uploads until somebody logs in again", async () => {
  const { w, timers, phone, uploads } = await start();
  w.portal.sessions.clear();
  await phone.confirm(draft(100));
  await timers.pass(7_200_000);
  assert.equal(uploads(), 1);
  assert.equal(phone.state.signed_in, false);
  await phone.logIn("nena", "secret");
  await timers.pass(5_000);
  assert.equal(phone.state.unsent.count, 0);
  await w.close();
});

test("coming back to the screen looks at the portal; a sleep is not a moved clock", async () => {
  const { w, document, phone } = await start();
  await phone.confirm(draft(100));
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  w.wall += 3_600_000;
  w.mono += 40_000;
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  await settle(w);
  assert.equal(phone.state.unsent.count, 0);
  assert.ok([...w.disk().entries.values()].every(({ entry }) => entry.kind !== "clock_jump"));
  await w.close();
});

test("the browser saying offline shows at once", async () => {
  const { w, events, phone } = await start();
  events.dispatchEvent(new Event("offline"));
  assert.equal(phone.state.online, false);
  await w.close();
});

test("a waiting update is announced and taken only when asked for", async () => {
  const w = new World();
  const waiting = Object.assign(new EventTarget(), { state: "installed", told: [], postMessage: (message) => waiting.told.push(message) });
  const registration = Object.assign(new EventTarget(), { waiting, active: {}, installing: null });
  let reloads = 0;
  const serviceWorker = { register: async () => registration };
  const phone = await w.open({ serviceWorker, reload: () => (reloads += 1) });
  await settle(w);
  assert.equal(phone.state.update_ready, true);
  assert.deepEqual([waiting.told, reloads], [[], 0]);
  await phone.applyUpdate();
  assert.deepEqual(waiting.told, [{ type: "take-over" }]);
  waiting.state = "activated";
  waiting.dispatchEvent(new Event("statechange"));
  assert.equal(reloads, 1);
  await w.close();
});

test("one tab hears what another wrote, and follows who logged out", async () => {
  const w = new World();
  const tabs = new Set();
  const channel = () => {
    const own = { onmessage: null, close: () => tabs.delete(own), postMessage: (data) => tabs.forEach((tab) => tab !== own && setImmediate(() => tab.onmessage?.({ data }))) };
    tabs.add(own);
    return own;
  };
  const first = await w.ready(undefined, { channel });
  const second = await w.open({ channel });
  await first.confirm(draft(100));
  await settle(w);
  assert.equal(second.state.unsent.count, 4);
  assert.equal(second.soa("S-1").amount_due, 304900);
  await first.upload();
  await first.logOut();
  await settle(w);
  assert.equal(second.state.user, null);
  await w.close();
});

test("while a void waits the portal is asked every minute, and what it says is uploaded by itself", async () => {
  const { w, timers, phone } = await start();
  const asked = () => w.portal.calls.filter(({ path }) => path.startsWith("/api/v1/terminals/")).length;
  const { payment } = await phone.confirm(draft(100));
  await timers.pass(5 * 60_000);
  assert.equal(asked(), 0, "without a void nobody is asked while all is sent");
  const { void_number } = await phone.requestVoid(payment, "Wrong amount");
  await timers.pass(3 * 60_000);
  assert.ok(asked() >= 2);
  w.portal.decide(void_number, "approved");
  await timers.pass(2 * 60_000);
  assert.deepEqual([phone.state.voids_waiting, phone.state.unsent.count, w.portal.voids("T07")], [0, 0, []]);
  const before = asked();
  await timers.pass(5 * 60_000);
  assert.equal(asked(), before);
  await w.close();
});

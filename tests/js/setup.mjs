/** A phone in a hand: browser storage, clocks one can move, and a portal, for tests of whole days. */

import { openPhone } from "../../portal/static/mpos/phone.mjs";
import { FakePortal, makeSoa } from "./fake_portal.mjs";
import { Browser } from "./memory_store.mjs";

/** Web Locks of one browser, shared by its tabs. */
export class Locks {
  constructor() {
    this.queues = new Map();
  }

  async request(name, options, body) {
    const before = this.queues.get(name);
    if (options.ifAvailable && before) return body(null);
    const run = (before ?? Promise.resolve()).then(() => body({ name }));
    const settled = run.then(
      () => undefined,
      () => undefined,
    );
    this.queues.set(name, settled);
    settled.then(() => {
      if (this.queues.get(name) === settled) this.queues.delete(name);
    });
    return run;
  }
}

/** The PIN of every collector in these tests. */
export const PIN = "271828";

export class World {
  constructor() {
    this.browser = new Browser();
    this.locks = new Locks();
    this.wall = Date.parse("2026-11-20T08:00:00.000+08:00");
    this.mono = 1000;
    this.portal = new FakePortal({ now: () => this.wall });
    this.phones = [];
    /** @type {string|null} every collector's PIN; null: they set none */
    this.pin = PIN;
    /** What a browser keeps beside its databases. */
    this.beside = new Map();
    this.memo = {
      like: (prefix) => [...this.beside].filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value]),
      set: (key, value) => void this.beside.set(key, value),
    };
  }

  /** Let time pass: both clocks go on. */
  pass(milliseconds) {
    this.wall += milliseconds;
    this.mono += milliseconds;
  }

  /** Open the app in a tab, and unlock it where a PIN was set. */
  async open(given = {}) {
    const phone = await this.openLocked(given);
    if (phone.state.locked) await phone.unlock(this.pin);
    return phone;
  }

  /** Open the app in a tab, as a reload leaves it. */
  async openLocked(given = {}) {
    const phone = await openPhone({
      openStore: (name) => this.browser.openStore(name),
      openShared: () => this.browser.openShared(),
      databases: async () => [...this.browser.disks.keys()],
      fetch: this.portal.fetch,
      locks: this.locks,
      now: () => this.wall,
      monotonic: () => this.mono,
      random: () => 0.5,
      channel: () => null,
      onLine: () => true,
      version: "test",
      automatic: false,
      pin_work: 1000,
      memo: this.memo,
      installed: () => true,
      ...given,
    });
    this.phones.push(phone);
    return phone;
  }

  /** A phone that is logged in, has a PIN, is enrolled, with an open registry and a downloaded list. */
  async ready(soas = [makeSoa(1, [[100000, 5000], [200000, 0]]), makeSoa(2, [[50000, 0]])], given = {}) {
    this.portal.soas = soas;
    const phone = await this.open(given);
    await phone.logIn("nena", "secret");
    if (this.pin) await phone.setPin(this.pin);
    await phone.enroll("Nena's phone");
    await phone.openRegistry(50000);
    await phone.download();
    return phone;
  }

  disk(user = "nena") {
    return this.browser.disk(`mpos-${user}`);
  }

  async close() {
    for (const phone of this.phones) await phone.close();
  }
}

/** A cash draft with its own identity. */
export function draft(amount, more = {}) {
  return { intent: crypto.randomUUID(), soa: "S-1", amount, tender: "cash", tendered: amount, mode: "oldest_first", directed: [], ...more };
}

/** Seeded random numbers (mulberry32), so that a failing day can be lived again. */
export function seeded(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return {
    below: (limit) => Math.floor(next() * limit),
    choice: (list) => list[Math.floor(next() * list.length)],
    chance: (share) => next() < share,
  };
}

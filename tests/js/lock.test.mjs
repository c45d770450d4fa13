import assert from "node:assert/strict";
import test from "node:test";

import { Cipher, flawOfPin, MOST_TRIES, newVault, openWithPin, openWithSecrets, pack, unpack, waitAfter, withPin, withSecret, WORK } from "../../portal/static/mpos/vault.mjs";
import { draft, PIN, seeded, World } from "./setup.mjs";

const TOOLS = { crypto, pin_work: 1000 };
const world = (body) => async () => {
  const w = new World();
  try {
    await body(w);
  } finally {
    await w.close();
  }
};
const code = (name) => (error) => error.code === name;
const wrong = async (phone, times) => {
  for (let n = 0; n < times; n += 1) await assert.rejects(phone.unlock("999000"));
};

test("a PIN opens what it closed, another one does not, and no key can be exported", async () => {
  const { vault, key } = await newVault(TOOLS, "271828", "portal's secret", "phone-1");
  assert.equal(key.extractable, false);
  assert.equal(await openWithPin(TOOLS, vault, "271829"), null);
  const again = await openWithPin(TOOLS, vault, "271828");
  assert.equal(again.extractable, false);
  const sealed = await new Cipher(vault.id, key, crypto).seal("here", { amount: 5 });
  assert.deepEqual(await new Cipher(vault.id, again, crypto).open("here", sealed), { amount: 5 });
  await assert.rejects(crypto.subtle.exportKey("raw", vault.device));
});

test("the portal's secret opens it as well, and only the one of this lock", async () => {
  const { vault } = await newVault(TOOLS, "271828", "present", "phone-1");
  assert.equal(await openWithSecrets(TOOLS, vault, ["other", "another"]), null);
  assert.ok(await openWithSecrets(TOOLS, vault, ["other", "present"]));
  const key = await openWithSecrets(TOOLS, vault, ["present"], true);
  const changed = await withSecret(TOOLS, await withPin(TOOLS, vault, key, "161803"), key, "next");
  assert.equal(await openWithPin(TOOLS, changed, "271828"), null);
  assert.ok(await openWithPin(TOOLS, changed, "161803"));
  assert.equal(await openWithSecrets(TOOLS, changed, ["present"]), null);
  assert.ok(await openWithSecrets(TOOLS, changed, ["next"]));
});

test("a copy of the lock without this browser's own key cannot be tried elsewhere", async () => {
  const { vault } = await newVault(TOOLS, "271828", "secret", "phone-1");
  const device = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  assert.equal(await openWithPin(TOOLS, { ...vault, device }, "271828"), null);
});

test("a sealed record opens only where it was sealed and as it was sealed", async () => {
  const { vault, key } = await newVault(TOOLS, "271828", "secret", "phone-1");
  const cipher = new Cipher(vault.id, key, crypto);
  const sealed = await cipher.seal("payments p1", { amount: 5 });
  await assert.rejects(cipher.open("payments p2", sealed), code("damaged"));
  await assert.rejects(new Cipher("another", key, crypto).open("payments p1", sealed), code("damaged"));
  for (const place of [0, 12, sealed.length - 1]) {
    const bent = Uint8Array.from(sealed);
    bent[place] ^= 1;
    await assert.rejects(cipher.open("payments p1", bent), code("damaged"));
  }
  assert.notDeepEqual(await cipher.seal("payments p1", { amount: 5 }), sealed);
});

test("what is packed comes out the same: random values with arrays of bytes among them", () => {
  const { below, choice, chance } = seeded(7);
  const value = (depth) => {
    const kind = depth > 3 ? below(5) : below(9);
    if (kind === 0) return null;
    if (kind === 1) return below(2 ** 31) - 2 ** 30;
    if (kind === 2) return choice(["", "Peña", "\0array", "\u2028", "😀", "a\\b\""]);
    if (kind === 3) return chance(0.5);
    if (kind === 4) return new Uint8Array(Array.from({ length: below(20) }, () => below(256)));
    if (kind === 5) return choice([new Int32Array([below(9), -below(9)]), new Float64Array([0.1, below(9)]), new Int32Array(0)]);
    if (kind < 8) return Array.from({ length: below(4) }, () => value(depth + 1));
    return Object.fromEntries(Array.from({ length: below(5) }, (_, index) => [`k${index}`, value(depth + 1)]));
  };
  for (let round = 0; round < 400; round += 1) {
    const one = value(0);
    assert.deepEqual(unpack(pack(one)), one);
  }
});

test("PINs that anybody would try are refused", () => {
  for (const pin of ["", "1234", "12345", "123456", "987654", "000000", "77777777", "890123", "12a456", "1".repeat(33)]) assert.ok(flawOfPin(pin), pin);
  for (const pin of ["271828", "100200", "90210451", "112233"]) assert.equal(flawOfPin(pin), "");
  assert.ok(WORK >= 600_000);
});

test("after a restart nothing is open before the PIN, and everything after it, without a line", world(async (w) => {
  const phone = await w.ready();
  const { receipt_number } = await phone.confirm(draft(5000));
  const again = await w.openLocked({ fetch: () => Promise.reject(new TypeError("no line")) });
  assert.equal(again.state.user, null);
  assert.equal(again.state.locked.name, "nena");
  assert.equal(again.state.unsent.count, 4);
  assert.equal(again.state.snapshot, null);
  assert.equal(again.find("customer").all.count, 0);
  for (const work of [() => again.confirm(draft(100)), () => again.transactions(), () => again.rescueFile(), () => again.upload()]) await assert.rejects(work, code("signed_out"));
  await again.unlock(PIN);
  assert.deepEqual((await again.transactions()).map((row) => row.receipt_number), [receipt_number]);
  assert.equal(again.state.user.display_name, "NENA");
}));

test("wrong PINs are counted for good, slowed, and after ten only the password helps; nothing is lost", world(async (w) => {
  const phone = await w.ready();
  await phone.confirm(draft(5000));
  let locked = await w.openLocked();
  await wrong(locked, 3);
  assert.deepEqual(await locked.pinState(), { tries: 3, wait: 15, blocked: false });
  await assert.rejects(locked.unlock(PIN), code("pin_wait"));
  w.wall += 86_400_000; // the clock is moved by a day: the wait is none of its business
  await assert.rejects(locked.unlock(PIN), code("pin_wait"));
  locked = await w.openLocked();
  assert.equal((await locked.pinState()).tries, 3, "a reload forgets nothing");
  await assert.rejects(locked.unlock(PIN), code("pin_wait"), "and begins the wait anew");
  for (let tries = 3; tries < MOST_TRIES; tries += 1) {
    w.mono += waitAfter(tries) * 1000;
    await assert.rejects(locked.unlock("999000"), code(tries === MOST_TRIES - 1 ? "pin_blocked" : "wrong_pin"));
  }
  w.mono += 86_400_000;
  await assert.rejects(locked.unlock(PIN), code("pin_blocked"), "the right PIN does not help any more");
  await locked.logIn("nena", "secret", { forgotten: true });
  assert.equal(locked.state.new_pin, true);
  await locked.setPin("161803");
  assert.equal((await locked.transactions()).length, 1);
  const after = await w.openLocked();
  await assert.rejects(after.unlock(PIN), code("wrong_pin"));
  await after.unlock("161803");
  assert.equal((await after.pinState()).tries, 0);
}));

test("a PIN counts as tried before it is tried: an app killed in between has one try less", world(async (w) => {
  await w.ready();
  const locked = await w.openLocked({ crypto: { ...bound(crypto), subtle: dying(crypto.subtle) } });
  await assert.rejects(locked.unlock(PIN), /killed/);
  const again = await w.openLocked();
  assert.equal((await again.pinState()).tries, 1);
}));

function bound(real) {
  return { randomUUID: () => real.randomUUID(), getRandomValues: (array) => real.getRandomValues(array) };
}

/** Key derivation during which the app is killed. */
function dying(subtle) {
  return new Proxy(subtle, { get: (real, name) => (name === "deriveKey" ? () => Promise.reject(new Error("killed")) : real[name].bind(real)) });
}

test("a new PIN needs the present one, or the password; never nothing", world(async (w) => {
  await w.ready();
  const phone = await w.open();
  await assert.rejects(phone.changePin("999000", "161803"), code("wrong_pin"));
  await assert.rejects(phone.setPin("161803"), code("password_first"));
  await assert.rejects(phone.changePin(PIN, "123456"), code("invalid"));
  await phone.changePin(PIN, "161803");
  const again = await w.openLocked();
  await again.unlock("161803");
  assert.equal(again.state.user.name, "nena");
}));

test("a portal whose key was replaced opens the phone all the same, and afterwards with its present key", world(async (w) => {
  await w.ready();
  w.portal.keys = ["key-2", "key-1"];
  let phone = await w.openLocked();
  await phone.logIn("nena", "secret");
  assert.equal(phone.state.user.name, "nena");
  w.portal.keys = ["key-2"];
  phone = await w.openLocked();
  await phone.logIn("nena", "secret");
  assert.equal(phone.state.user.name, "nena");
  w.portal.keys = ["key-3"]; // lost for good: the PIN still opens, and makes it right
  phone = await w.openLocked();
  await assert.rejects(phone.logIn("nena", "secret"), code("needs_pin"));
  await phone.unlock(PIN);
  phone = await w.openLocked();
  await phone.logIn("nena", "secret");
  assert.equal(phone.state.user.name, "nena");
}));

test("it locks itself after a while without a touch, by either clock, but not in the middle of an upload", world(async (w) => {
  const phone = await w.ready();
  await phone.lockAfter(5);
  w.pass(4 * 60_000);
  await phone._lockWhenIdle();
  assert.equal(phone.state.locked, null);
  phone._touch();
  w.mono += 6 * 60_000; // the clock was set back meanwhile
  w.wall -= 86_400_000;
  phone._uploading += 1;
  await phone._lockWhenIdle();
  assert.equal(phone.state.locked, null);
  phone._uploading -= 1;
  await phone._lockWhenIdle();
  assert.equal(phone.state.locked.name, "nena");
  await phone.unlock(PIN);
  w.wall += 6 * 60_000; // asleep: the other clock stood still
  await phone._lockWhenIdle();
  assert.equal(phone.state.locked.name, "nena");
}));

test("locking waits for the payment that is being stored", world(async (w) => {
  const phone = await w.ready();
  const form = draft(700);
  let locking = null;
  w.disk().beforeAppend = () => void (locking ??= phone.lock());
  const [first] = await Promise.allSettled([phone.confirm(form)]);
  w.disk().beforeAppend = null;
  await locking;
  assert.equal(phone.state.locked.name, "nena");
  await phone.unlock(PIN);
  const rows = await phone.transactions();
  assert.equal(rows.length, 1);
  if (first.status === "rejected") assert.ok(["signed_out", "locked"].includes(first.reason.code), String(first.reason));
  assert.equal((await phone.confirm(form)).receipt_number, rows[0].receipt_number, "the same form again is the same payment");
}));

test("another user on this phone has neither the records nor the PIN, and what was left waits (F49, F51)", world(async (w) => {
  const phone = await w.ready();
  await phone.confirm(draft(5000));
  await assert.rejects(phone.logOut(), code("unsent_entries"));
  await phone.logOut({ force: true });
  assert.deepEqual(phone.state.others.map(({ name, count }) => [name, count]), [["nena", 4]]);
  await phone.logIn("ben", "secret");
  assert.equal(phone.state.unsent.count, 0);
  assert.equal((await phone.upload()).sent, 0);
  await phone.setPin("161803");
  await phone.logOut();
  await assert.rejects(phone.logInWithPin("nena", "161803"), code("wrong_pin"));
  await assert.rejects(phone.logInWithPin("nobody", PIN), code("no_pin"));
  await phone.logInWithPin(" Nena ", PIN);
  assert.equal(phone.state.user.name, "nena");
  assert.equal((await phone.transactions()).length, 1);
  assert.equal(phone.state.signed_in, false);
  await phone.logIn("nena", "secret");
  await phone.upload();
  assert.equal(phone.state.unsent.count, 0);
}));

test("a phone without a PIN goes on as before, and all its tabs follow when one is set", world(async (w) => {
  w.pin = null;
  const phone = await w.ready();
  await phone.confirm(draft(5000));
  const other = await w.open();
  assert.equal(other.state.user.name, "nena");
  await phone.setPin(PIN);
  await assert.rejects(other.confirm(draft(100)), code("locked"));
  await other._heardTab({ kind: "sealed", user: "nena" });
  assert.equal(other.state.locked.name, "nena");
  await other.unlock(PIN);
  assert.equal((await other.transactions()).length, 1);
}));

test("a form is kept sealed, and opens for nobody else", world(async (w) => {
  const phone = await w.ready();
  const kept = await phone.sealDraft({ amount: "123.45" });
  assert.ok(!JSON.stringify(Array.from(kept.sealed)).includes("123.45") && kept.sealed instanceof Uint8Array);
  assert.deepEqual(await phone.openDraft(kept), { amount: "123.45" });
  assert.equal(phone.sealDraft(undefined), undefined);
  await phone.logOut({ force: true });
  assert.equal(await phone.openDraft(kept), undefined);
  await phone.logIn("ben", "secret");
  await phone.setPin("161803");
  assert.equal(await phone.openDraft(kept), undefined);
}));

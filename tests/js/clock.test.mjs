import assert from "node:assert/strict";
import test from "node:test";

import { delay, retryAfter } from "../../portal/static/mpos/backoff.mjs";
import { businessDate, Clock, daysBetween, instant } from "../../portal/static/mpos/clock.mjs";
import { draft, World } from "./setup.mjs";

const start = Date.parse("2026-11-20T08:00:00.000+08:00");
const make = (skew = null) => {
  const time = { wall: start, mono: 500 };
  const clock = new Clock({ now: () => time.wall, monotonic: () => time.mono, skew });
  return { time, clock, pass: (ms) => ((time.wall += ms), (time.mono += ms)) };
};

test("instants carry Manila's offset and milliseconds, whatever the phone's zone", () => {
  assert.equal(instant(Date.parse("2026-11-20T00:15:30.123Z")), "2026-11-20T08:15:30.123+08:00");
  assert.equal(businessDate(Date.parse("2026-11-20T16:00:00Z")), "2026-11-21");
  assert.equal(businessDate(Date.parse("2026-11-20T15:59:59.999Z")), "2026-11-20");
  assert.equal(daysBetween("2026-11-15", "2026-12-01"), 16);
  assert.equal(daysBetween("2026-12-01", "2026-11-15"), 0);
});

test("drift is no jump; moving the clock is one, and is told once", () => {
  const { time, clock, pass } = make();
  pass(3600_000);
  assert.equal(clock.look(), null);
  time.wall += 119_000;
  assert.equal(clock.look(), null);
  time.wall += 86_400_000;
  assert.equal(clock.look(), 86_400);
  assert.equal(clock.look(), null);
  time.wall -= 90_000_000;
  assert.equal(clock.look(), -90_000);
});

test("a phone that slept is not a clock that was moved; a clock set back while hidden is", () => {
  const { time, clock, pass } = make();
  clock.heard(time.wall, time.mono);
  clock.hidden();
  time.wall += 1800_000; // asleep: the monotonic clock stood still
  assert.equal(clock.look(), null);
  assert.equal(clock.trusted(), null, "how long it slept is unknown until the next contact");
  clock.shown();
  assert.equal(clock.heard(time.wall, time.mono), null);
  pass(1000);
  assert.notEqual(clock.trusted(), null);
  clock.hidden();
  time.wall -= 1800_000;
  assert.equal(clock.look(), -1800);
});

test("a clock set forward while hidden is seen at the next contact with the portal", () => {
  const { time, clock } = make();
  const portal = time.wall + 5000;
  assert.equal(clock.heard(portal, time.mono), null, "a clock that was always wrong did not jump");
  clock.hidden();
  time.wall += 86_400_000;
  assert.equal(clock.look(), null);
  assert.equal(clock.heard(portal, time.mono), 86_400);
  assert.equal(clock.heard(portal, time.mono), null);
});

test("a jump that was told is not told again by the portal's clock", () => {
  const { time, clock } = make();
  const portal = time.wall;
  clock.heard(portal, time.mono);
  time.wall += 600_000;
  assert.equal(clock.look(), 600);
  assert.equal(clock.heard(portal, time.mono), null);
});

test("portal time is reckoned on with the monotonic clock", () => {
  const { time, clock, pass } = make();
  assert.equal(clock.trusted(), null);
  clock.heard(Date.parse("2026-11-20T07:00:00+08:00"), time.mono - 400);
  pass(60_000);
  time.wall += 50_000;
  assert.equal(clock.trusted(), "2026-11-20T07:01:00.200+08:00");
});

test("back-off doubles, never comes before the portal asked, and has an end", () => {
  assert.deepEqual([1, 2, 3].map((n) => delay(n, null, () => 1)), [2000, 4000, 8000]);
  assert.equal(delay(1, null, () => 0), 1000);
  assert.equal(delay(50, null, () => 1), 300_000);
  assert.equal(delay(1, 90_000, () => 0), 90_000);
  assert.equal(retryAfter("120", start), 120_000);
  assert.equal(retryAfter("Fri, 20 Nov 2026 00:01:00 GMT", start), 60_000);
  assert.equal(retryAfter("Fri, 20 Nov 2020 00:01:00 GMT", start), 0);
  assert.equal(retryAfter("soon", start), null);
  assert.equal(retryAfter(null, start), null);
  assert.equal(retryAfter("999999", start), 3_600_000);
});

test("a moved clock is journaled before the next payment; the business date is the registry's", async () => {
  const w = new World();
  const phone = await w.ready();
  w.wall -= 2 * 86_400_000;
  await phone.confirm(draft(100));
  const entries = [...w.disk().entries.values()].map(({ entry }) => entry);
  const [jump, payment] = entries.slice(-2);
  assert.deepEqual([jump.kind, jump.payload], ["clock_jump", { seconds: -172_800 }]);
  assert.equal(payment.at, "2026-11-18T08:00:00.000+08:00");
  assert.equal(payment.at_trusted, "2026-11-20T08:00:00.000+08:00");
  assert.equal(phone.state.registry.business_date, "2026-11-20");
  await w.close();
});

test("a clock set back while the app was closed is journaled at the start, and at_trusted is unknown", async () => {
  const w = new World();
  const phone = await w.ready();
  await phone.close();
  w.wall = Date.parse("1970-01-01T08:00:00+08:00");
  w.mono = 0;
  const again = await w.open();
  const last = [...w.disk().entries.values()].at(-1).entry;
  assert.equal(last.kind, "clock_jump");
  assert.ok(last.payload.seconds < -1_000_000_000);
  assert.equal(last.at_trusted, null);
  assert.equal(again.state.unsent.count, 4);
  await w.close();
});

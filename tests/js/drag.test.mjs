/** The order of rows after a drag: which place a row takes by how far it went, and that nobody is lost on the way. */

import assert from "node:assert/strict";
import test from "node:test";

import { landing, moved } from "../../portal/static/mpos/views/drag.mjs";

const HEIGHTS = [100, 60, 80, 100];

test("an item moves from place to place and the others keep their order", () => {
  const route = Object.freeze(["a", "b", "c", "d"]);
  assert.deepEqual(moved(route, 0, 2), ["b", "c", "a", "d"]);
  assert.deepEqual(moved(route, 3, 1), ["a", "d", "b", "c"]);
  assert.deepEqual(moved(route, 1, 1), ["a", "b", "c", "d"]);
});

test("a row takes the place of those whose middle its edge has passed, up and down", () => {
  const to = (from, offset) => landing(HEIGHTS, from, offset).to;
  assert.deepEqual([0, 30, 31, 100, 101, 190, 191].map((offset) => to(0, offset)), [0, 0, 1, 1, 2, 2, 3]);
  assert.deepEqual([0, -40, -41, -110, -111, -190, -191].map((offset) => to(3, offset)), [3, 3, 2, 2, 1, 1, 0]);
  assert.deepEqual([-51, -50, 40, 41].map((offset) => to(1, offset)), [0, 1, 1, 2]);
});

test("a row never leaves the list, however far the finger goes", () => {
  assert.deepEqual(landing(HEIGHTS, 1, 5000), { to: 3, offset: 180 });
  assert.deepEqual(landing(HEIGHTS, 1, -5000), { to: 0, offset: -100 });
  assert.deepEqual(landing([100], 0, 70), { to: 0, offset: 0 });
});

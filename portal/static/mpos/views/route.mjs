// @ts-check
/** My route: the customers of today in the order the collector visits them, moved by buttons or by dragging a handle. */
import { button, fill, h, quiet } from "./dom.mjs";
import { dragRows, moved } from "./drag.mjs";
import { messages } from "./errors.mjs";
import { dueWords, show, today } from "./format.mjs";
import { mapLink } from "./map.mjs";
import { isVoided } from "../domain/voids.mjs";
import { say } from "../words.mjs";

/** So many customers are proposed: more than anybody visits in a day. */
const MOST = 100;

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function routeScreen(ctx) {
  const { phone } = ctx;
  const says = messages(ctx);
  const date = today(new Date());
  const list = h("ol", { class: "route" });
  const foot = h("div", { class: "stack tight" });
  const hint = h("p", { class: "hint" }, say("drag_order"));
  const told = h("p", { class: "quiet", role: "status" });
  /** @type {string[]} */
  let ids = await phone.route();

  /** @param {string[]} next */
  async function keep(next) {
    try {
      await phone.setRoute(next);
      ids = next;
    } catch (error) {
      says.fail(error);
    }
    draw();
  }

  /** @param {number} from @param {number} to */
  async function put(from, to) {
    const id = ids[from];
    await keep(moved(ids, from, to));
    if (ids[to] === id) told.textContent = say("moved_to", { name: phone.soa(id)?.customer_name, n: to + 1 });
  }

  const drag = dragRows(list, put, () => { told.textContent = say("not_moved"); });

  /** @param {number} from @param {number} to @param {"up" | "down"} way */
  async function move(from, to, way) {
    await put(from, to);
    const buttons = list.children[to]?.querySelectorAll("button.move");
    const same = /** @type {HTMLButtonElement | undefined} */ (buttons?.[way === "up" ? 0 : 1]);
    (same?.disabled ? /** @type {HTMLButtonElement} */ (buttons?.[way === "up" ? 1 : 0]) : same)?.focus({ preventScroll: true });
  }

  /** @param {string} id @param {number} place */
  function line(id, place) {
    const soa = phone.soa(id);
    const done = soa.payments.some((/** @type {any} */ one) => !isVoided(one)) ? say("paid_phone") : soa.visit?.at.slice(0, 10) === date ? say("visited_today") : "";
    const step = (/** @type {string} */ words, /** @type {string} */ sign, /** @type {() => unknown} */ act, off = false) =>
      h("button", { type: "button", class: "move", disabled: off, onclick: act }, h("span", { "aria-hidden": "true" }, sign), quiet(`${words} ${soa.customer_name}`));
    return h("li", { class: done ? "done" : "" },
      h("button", { type: "button", class: "soa", onclick: () => ctx.go("soa", id) },
        h("span", { class: "soa-name" }, `${place + 1}. ${soa.customer_name}`), " ",
        h("span", { class: "soa-meta" }, h("span", {}, done || dueWords(soa, date)), " ", h("span", {}, soa.address)), " ",
        h("span", { class: "soa-amount" }, show(soa.amount_due))),
      h("div", { class: "moves" },
        step(say("earlier"), "↑", () => move(place, place - 1, "up"), place === 0),
        step(say("later"), "↓", () => move(place, place + 1, "down"), place === ids.length - 1),
        soa.address && mapLink(soa.address, soa.customer_name),
        step(say("take_off_route"), "✕", () => keep(ids.filter((one) => one !== id))),
        ids.length > 1 && h("span", { class: "move handle", "aria-hidden": "true" }, "≡")));
  }

  function draw() {
    drag.stop();
    hint.hidden = ids.length < 2;
    fill(list, ids.map(line));
    list.hidden = ids.length === 0;
    fill(foot, ids.length === 0
      ? [h("p", { class: "hint" }, say("no_route")),
        button(say("start_those"), () => keep(phone.find("", "address").rows("due", 0, MOST).map((/** @type {any} */ soa) => soa.id)), { class: "button primary wide" })]
      : button(say("order_address"), () => keep(phone.find("", "address").rows("all", 0, Infinity).map((/** @type {any} */ soa) => soa.id).filter((/** @type {string} */ id) => ids.includes(id))), { class: "button" }));
  }

  draw();
  return {
    title: say("my_route"),
    lead: ids.length ? say("n_customers", { count: ids.length }) : null,
    back: { name: "collection", text: say("collection") },
    nav: "collection",
    body: [says.node, hint, list, told, foot],
    leave: drag.stop,
  };
}

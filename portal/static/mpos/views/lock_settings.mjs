// @ts-check
/** Settings of the lock: change the PIN, lock now, lock after a while. */
import { button, h, radios } from "./dom.mjs";
import { pinCard } from "./pin.mjs";
import { say } from "../words.mjs";

const AFTER = [1, 5, 15, 60];

/** @param {import("../app.mjs").Context} ctx */
export function lockSection(ctx) {
  const { phone } = ctx;
  const { state } = phone;
  if (!state.user) return null;
  if (!state.has_pin) return pinCard(ctx);
  return h("section", {}, h("h2", {}, say("pin")),
    h("p", { class: "hint" }, say("what_phone")),
    radios(say("lock_after"), AFTER.map((minutes) => ({ value: String(minutes), text: minutes === 60 ? say("one_hour") : say("n_min", { n: minutes }) })), String(state.lock_after), (value) => phone.lockAfter(Number(value))),
    h("div", { class: "stack tight lock-actions" },
      button(say("lock_now"), () => phone.lock(), { class: "button" }),
      button(say("change_pin"), () => ctx.go("pin"), { class: "button" })));
}

// @ts-check
/** Turns what went wrong into a message with a way out. */
import { button, fill, h, notice } from "./dom.mjs";
import { othersWords } from "./format.mjs";
import { say, text } from "../words.mjs";

/** @typedef {import("../app.mjs").Context} Context */

/** No money is at risk and trying again later helps. */
const PASSING = new Set(["offline", "timeout", "busy", "login_page", "signed_out", "slow_down"]);

/** What to say about an error: ours carry their own words, anything else is named as unexpected. @param {any} error */
export function wordsFor(error) {
  if (error && error.name === "QuotaExceededError") {
    return say("phone_full");
  }
  if (error && error.code && error.message) return text(error.message);
  console.error(error);
  return say("unexpected", { what: error?.message ?? String(error) });
}

/** Why entries are held, each reason once, as sentences. @param {{reason: string | null}[]} held */
export function reasons(held) {
  return [...new Set(held.map((one) => one.reason?.trim()).filter(Boolean))].map((text) => (/[.!?]$/.test(text ?? "") ? text : `${text}.`)).join(" ");
}

/** A place for what other users left unsent on this phone; `draw` it anew after every change of state. @param {Context} ctx */
export function othersNotice(ctx) {
  const node = h("div", { class: "messages" });
  let drawn = "";
  function draw() {
    const words = othersWords(ctx.phone.state.others);
    if (words !== drawn) fill(node, words && notice("person", words));
    drawn = words;
  }
  draw();
  return { node, draw };
}

/** An empty place for messages, and the ways to use it. @param {Context} ctx */
export function messages(ctx) {
  const node = h("div", { class: "messages" });
  return {
    node,
    clear: () => fill(node),
    /** @param {"info" | "safe" | "person" | "danger"} tone @param {string} text @param {...any} actions */
    say: (tone, text, ...actions) => fill(node, notice(tone, text, ...actions)),
    /** @param {any} error @param {...any} actions */
    fail(error, ...actions) {
      const ways = error?.code === "signed_out" ? [button(say("log_in_again"), () => ctx.go("log-in"), { class: "button small" })] : actions;
      fill(node, notice(PASSING.has(error?.code) ? "person" : "danger", wordsFor(error), ...ways));
      node.scrollIntoView({ block: "nearest" });
    },
  };
}

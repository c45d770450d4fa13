// @ts-check
/** What Open Registry says of the browser's storage: what refuses, what warns, and the rest behind a tap. */
import { button, fill, h, notice } from "./dom.mjs";
import { day } from "./format.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx */
export function storageGate(ctx) {
  const node = h("div", { class: "stack storage-gate", id: "storage-gate" });
  /** Looks again; answers whether a registry may be opened. @returns {Promise<boolean>} */
  async function look() {
    const found = await ctx.phone.checkStorage();
    const refused = found.filter((/** @type {any} */ one) => one.level === "refused");
    const warned = found.filter((/** @type {any} */ one) => one.level === "warning" && one.name !== say("pin"));
    const good = found.filter((/** @type {any} */ one) => one.level === "good");
    const list = (/** @type {any[]} */ items) => h("ul", { class: "findings" }, items.map((/** @type {any} */ one) => h("li", {}, h("strong", {}, `${one.name}: `), one.words)));
    fill(node,
      refused.map((/** @type {any} */ one) => notice("danger", `${one.name}: ${one.words}`, button(say("check_again"), look, { class: "button small" }))),
      warned.length > 0 && h("details", { class: "notice person", open: warned.some((/** @type {any} */ one) => one.name === say("yesterday")) },
        h("summary", {}, say("could_lose", { what: warned.map((/** @type {any} */ one) => one.name.toLowerCase()).join(", ") })), list(warned)),
      good.length > 0 && h("details", { class: "quiet-details" }, h("summary", {}, say("storage_checked", { count: good.length })), list(good)));
    return refused.length === 0;
  }
  return { node, look };
}

/** What was erased here, for whoever logs in or enrolls. @param {any} state @returns {any[]} */
export function lostNotices(state) {
  const erased = state.lost.map((/** @type {any} */ one) =>
    notice("danger", say("records_erased", one)));
  const elsewhere = state.known_terminals.filter((/** @type {any} */ one) => one.entries > 0 && !state.lost.some((/** @type {any} */ lost) => lost.terminal === one.terminal));
  if (elsewhere.length === 0) return erased;
  const names = elsewhere.map((/** @type {any} */ one) => `${one.terminal}, ${one.name}${one.last_contact_at ? say("last_heard", { date: day(one.last_contact_at) }) : ""}`).join("; ");
  return [...erased, notice("person", say("known_on", { names }))];
}

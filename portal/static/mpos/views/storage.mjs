// @ts-check
/** What Open Registry says of the browser's storage: what refuses, what warns, and the rest behind a tap. */
import { button, fill, h, notice } from "./dom.mjs";
import { day } from "./format.mjs";

/** @param {import("../app.mjs").Context} ctx */
export function storageGate(ctx) {
  const node = h("div", { class: "stack storage-gate", id: "storage-gate" });
  /** Looks again; answers whether a registry may be opened. @returns {Promise<boolean>} */
  async function look() {
    const found = await ctx.phone.checkStorage();
    const refused = found.filter((/** @type {any} */ one) => one.level === "refused");
    const warned = found.filter((/** @type {any} */ one) => one.level === "warning" && one.name !== "PIN");
    const good = found.filter((/** @type {any} */ one) => one.level === "good");
    const list = (/** @type {any[]} */ items) => h("ul", { class: "findings" }, items.map((/** @type {any} */ one) => h("li", {}, h("strong", {}, `${one.name}: `), one.words)));
    fill(node,
      refused.map((/** @type {any} */ one) => notice("danger", `${one.name}: ${one.words}`, button("Check again", look, { class: "button small" }))),
      warned.length > 0 && h("details", { class: "notice person", open: warned.some((/** @type {any} */ one) => one.name === "Yesterday's records") },
        h("summary", {}, `This phone could lose payments: ${warned.map((/** @type {any} */ one) => one.name.toLowerCase()).join(", ")}`), list(warned)),
      good.length > 0 && h("details", { class: "quiet-details" }, h("summary", {}, `Storage checked: ${good.length} good`), list(good)));
    return refused.length === 0;
  }
  return { node, look };
}

/** What was erased here, for whoever logs in or enrolls. @param {any} state @returns {any[]} */
export function lostNotices(state) {
  const erased = state.lost.map((/** @type {any} */ one) =>
    notice("danger", `This browser erased the records of terminal ${one.terminal} (${one.user}), last opened on ${one.date}. What was uploaded from it is safe in the portal; what was not is no longer here. Tell the office before you collect: they revoke ${one.terminal}, and this phone is enrolled as a new terminal.`));
  const elsewhere = state.known_terminals.filter((/** @type {any} */ one) => one.entries > 0 && !state.lost.some((/** @type {any} */ lost) => lost.terminal === one.terminal));
  if (elsewhere.length === 0) return erased;
  const names = elsewhere.map((/** @type {any} */ one) => `${one.terminal}, ${one.name}${one.last_contact_at ? `, last heard of on ${day(one.last_contact_at)}` : ""}`).join("; ");
  return [...erased, notice("person", `The portal knows you already on: ${names}. If one of these is this very phone, its records were erased here: tell the office before you enroll it anew. If it is another phone, go on.`)];
}

// @ts-check
/** Open Registry: the day's start, with the change fund that the cashier handed over. */
import { button, field, h } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { day, doneWords, today, typedAmount } from "./format.mjs";
import { numpad } from "./numpad.mjs";
import { pinCard } from "./pin.mjs";
import { storageGate } from "./storage.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function openRegistryScreen(ctx) {
  const done = doneWords(ctx.phone.state);
  if (done) {
    return {
      title: "The day is closed",
      lead: done,
      back: null,
      nav: "collection",
      body: [button("Readings", () => ctx.go("readings"), { class: "button wide" })],
    };
  }
  const says = messages(ctx);
  const fund = field("Change fund", {
    class: "money",
    inputmode: "decimal",
    enterkeyhint: "done",
    placeholder: "0.00",
    hint: "Pesos in coins and bills you start the day with. Type 0 if you have none.",
  });
  const pad = numpad();
  pad.serve(fund.input);
  const open = button(
    "Open Registry",
    async () => {
      pad.close();
      const { value, problem } = typedAmount(fund.input.value);
      fund.wrong(problem || (value === null ? "Type the change fund, or 0 if you have none." : ""));
      if (value === null) return fund.input.focus();
      try {
        await ctx.phone.openRegistry(value);
        says.clear();
      } catch (error) {
        if (/** @type {any} */ (error)?.code !== "storage_gate") return says.fail(error);
        says.clear();
        await gate.look();
        gate.node.scrollIntoView({ block: "nearest" });
      }
    },
    { class: "button primary wide" },
  );
  const gate = storageGate(ctx);
  ctx.later(gate.look);
  return {
    title: "Start the day",
    lead: `Business date ${day(today(new Date()))}. It stays on every receipt until this registry is closed.`,
    back: null,
    nav: "collection",
    body: [h("div", { class: "stack" }, fund.node, says.node), gate.node, pinCard(ctx)],
    bar: h("div", {}, pad.node, open),
  };
}

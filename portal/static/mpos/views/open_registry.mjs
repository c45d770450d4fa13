// @ts-check
/** Open Registry: the day's start, with the change fund that the cashier handed over. */
import { button, field, h } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { day, doneWords, today, typedAmount } from "./format.mjs";
import { numpad } from "./numpad.mjs";
import { pinCard } from "./pin.mjs";
import { storageGate } from "./storage.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function openRegistryScreen(ctx) {
  const done = doneWords(ctx.phone.state);
  if (done) {
    return {
      title: say("day_closed"),
      lead: done,
      back: null,
      nav: "collection",
      body: [button(say("readings"), () => ctx.go("readings"), { class: "button wide" })],
    };
  }
  const says = messages(ctx);
  const fund = field(say("change_fund"), {
    class: "money",
    inputmode: "decimal",
    enterkeyhint: "done",
    placeholder: "0.00",
    hint: say("pesos_coins"),
  });
  const pad = numpad();
  pad.serve(fund.input);
  const open = button(
    say("open_registry"),
    async () => {
      pad.close();
      const { value, problem } = typedAmount(fund.input.value);
      fund.wrong(problem || (value === null ? say("type_change") : ""));
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
    title: say("start_day"),
    lead: say("start_lead", { date: day(today(new Date())) }),
    back: null,
    nav: "collection",
    body: [h("div", { class: "stack" }, fund.node, says.node), gate.node, pinCard(ctx)],
    bar: h("div", {}, pad.node, open),
  };
}

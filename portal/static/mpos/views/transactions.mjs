// @ts-check
/** Transactions: every receipt of the registry, newest first, with where it stands, its void and whether paper came out; earlier ones on demand. */
import { button, fill, h, notice, pill } from "./dom.mjs";
import { messages, reasons } from "./errors.mjs";
import { day, show, showPesos, stateWord, tenderName, timeOn, voidWord, voidWords } from "./format.mjs";
import { put } from "./printing.mjs";
import { receiptPaper } from "../paper.mjs";
import { say } from "../words.mjs";

const STEP = 50;

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function transactionsScreen(ctx) {
  const { phone } = ctx;
  const says = messages(ctx);
  const summary = h("p", { class: "facts" });
  const list = h("ul", { class: "transactions" });
  const more = h("div", { class: "more" });
  let withEarlier = false;
  let shown = STEP;
  let drawn = "";

  async function draw() {
    const rows = await phone.transactions();
    const earlier = withEarlier ? await phone.earlierTransactions() : [];
    const all = [...rows, ...earlier];
    const print = JSON.stringify([shown, withEarlier, phone.state.registry?.z_done, all.map((/** @type {any} */ one) => [one.payment, one.status, one.printed, one.unseen, one.reason, one.void])]);
    if (print === drawn) return;
    drawn = print;
    const total = rows.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.amount, 0);
    const voided = rows.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + (one.void?.state === "approved" ? one.amount : 0), 0);
    const { registry } = phone.state;
    fill(summary, rows.length > 0 ? [`${say("n_payments", { count: rows.length })}, `, h("strong", {}, showPesos(total)), voided > 0 && say("of_it_voided", { amount: showPesos(voided) }),
      registry ? say("of_date", { date: day(registry.business_date) }) : say("of_last_registry")] : "");
    fill(list, all.slice(0, shown).map(line));
    fill(more, rows.length === 0 && nothing(), all.length > shown ? plain(say("show_more", { n: Math.min(STEP, all.length - shown) }), () => (shown += STEP))
      : !withEarlier ? plain(say("earlier_payments"), () => (withEarlier = true)) : earlier.length === 0 && h("p", { class: "hint" }, say("no_earlier")));
  }

  /** @param {string} text @param {() => unknown} change */
  function plain(text, change) {
    return button(text, () => {
      change();
      return draw();
    }, { class: "button plain wide" });
  }

  function nothing() {
    return h("div", { class: "empty" }, h("p", {}, say("no_payments")), h("p", { class: "hint" }, say("no_payments_hint")),
      button(say("collection"), () => ctx.go("collection"), { class: "button" }));
  }

  /** @param {any} one */
  function line(one) {
    const word = stateWord(one.status);
    const mark = one.void && voidWord(one.void);
    const number = h("strong", { class: "number", id: `t-${one.payment}` }, one.receipt_number);
    return h("li", { class: "transaction" },
      h("button", { type: "button", class: "line", onclick: () => ctx.go("receipt", one.payment) },
        h("span", { class: "line-text" },
          number, " ", h("span", {}, one.customer_name), " ",
          h("span", { class: "hint" }, `${timeOn(one.at, (phone.state.registry ?? phone.state.last_registry)?.business_date)}, ${tenderName(one.tender, one.channel)}${one.reference ? ` ${one.reference}` : ""}`)), " ",
        h("span", { class: `line-amount ${one.void?.state === "approved" ? "voided" : ""}` }, show(one.amount))),
      h("div", { class: "pills" }, pill(word.tone, word.text), !one.printed ? pill("person", say("unprinted_pill")) : one.unseen && pill("plain", say("paper_not")), mark && pill(mark.tone, mark.text)),
      one.reason && h("p", { class: "hint" }, one.reason),
      one.void && h("p", { class: "hint" }, voidWords(one.void)),
      h("div", { class: "line-foot" },
        button(say("reprint"), () => reprint(one), { class: "button small", "aria-describedby": `t-${one.payment}` }),
        button(one.void && one.void.state !== "refused" ? say("void_slip") : say("void"), () => ctx.go("void", one.payment), { class: "button small", "aria-describedby": `t-${one.payment}` })));
  }

  /** @param {any} one */
  async function reprint(one) {
    await put(ctx, says, {
      make: async () => {
        const { reprint: count, code } = await phone.recordPrint(one.payment, "customer");
        return receiptPaper({ ...(await phone.receipt(one.payment)), code }, { copy: "customer", reprint: count ?? 0, origin: location.origin });
      },
      came: () => phone.paperCame(one.payment),
      next: () => say("as_reprint"),
    });
    await draw();
  }

  await draw();
  const held = phone.state.problems ?? [];
  return {
    title: say("transactions"),
    lead: null,
    back: null,
    nav: "transactions",
    body: [
      held.length > 0 && notice("person", say("must_look", { count: held.length, reasons: reasons(held) })),
      says.node, summary, list, more,
    ],
    update: draw,
  };
}

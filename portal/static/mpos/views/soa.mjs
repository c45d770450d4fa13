// @ts-check
/** One SOA: what is due, its invoices, what was collected on this phone. */
import { button, h, notice, pill } from "./dom.mjs";
import { mapLink } from "./map.mjs";
import { day, dayTime, doneWords, dueWords, isLate, overdueWords, show, showPesos, stateWord, tenderName, timeOn, today, visitWords, voidWord } from "./format.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function soaScreen(ctx) {
  const { phone } = ctx;
  const soa = phone.soa(ctx.route.id);
  if (!soa) return missing(ctx);
  const { registry, snapshot } = phone.state;
  const overdue = overdueWords(phone.state);
  const open = registry && !registry.z_done && !overdue;
  const date = today(new Date());
  const route = await phone.route();
  const onRoute = route.indexOf(soa.id);
  const known = new Map((await phone.transactions()).map((/** @type {any} */ one) => [one.payment, one]));
  return {
    title: soa.customer_name,
    lead: null,
    back: { name: "collection", text: say("collection") },
    nav: "collection",
    body: [
      h("div", { class: "headline" },
        h("p", { class: "figure" }, showPesos(soa.amount_due)),
        h("p", { class: "hint" },
          h("span", { class: isLate(soa) ? "late" : "" }, dueWords(soa, date)),
          soa.penalty > 0 ? say("with_penalty", { amount: show(soa.penalty) }) : "",
          soa.amount_due === 0 ? say("more_advance") : "")),
      !open && notice("person", overdue ?? doneWords(phone.state) ?? closedWords(registry), button(registry ? say("readings") : say("collection"), () => ctx.go(registry ? "readings" : "collection"), { class: "button small" })),
      soa.outdated && notice("person", say("soa_outdated"),
        button(say("collection"), () => ctx.go("collection"), { class: "button small" })),
      soa.visit && notice(soa.visit.kind === "promise" && soa.visit.payload.promised_on < date ? "person" : "info", say("visit_noted", { visit: visitWords(soa.visit), at: dayTime(soa.visit.at), note: soa.visit.payload.note ? ` ${soa.visit.payload.note}` : "" })),
      soa.payments.length > 0 && h("section", {}, h("h2", {}, say("collected")),
        h("ul", { class: "lines" }, soa.payments.map((/** @type {any} */ record) => paymentLine(ctx, date, { ...record, ...record.payload, ...known.get(record.payment) })))),
      h("section", {}, h("h2", {}, say("invoices")),
        soa.invoices.length === 0 ? h("p", { class: "hint" }, say("no_invoices")) :
          h("ul", { class: "lines" }, soa.invoices.map((/** @type {any} */ invoice) => invoiceLine(invoice, date)))),
      h("section", {}, h("h2", {}, say("account")),
        h("dl", { class: "facts-list" },
          fact(say("account_number"), soa.account_number), fact(say("soa_number"), soa.soa_number),
          soa.address && h("div", {}, h("dt", {}, say("address")), h("dd", {}, soa.address, " ", mapLink(soa.address, soa.customer_name))),
          soa.contact_number && h("div", {}, h("dt", {}, say("contact_number")), h("dd", {}, h("a", { href: `tel:${soa.contact_number.replace(/[^+0-9]/g, "")}` }, soa.contact_number))),
          fact(say("tin"), soa.tin), fact(say("collector_code"), soa.collector_code), fact(say("as_of"), dayTime(snapshot?.as_of))),
        h("div", { class: "ways" },
          onRoute < 0 ? button(say("add_my_route"), async () => {
            await phone.setRoute([...route, soa.id]);
            ctx.again();
          }, { class: "button small" }) : button(say("on_route", { n: onRoute + 1 }), () => ctx.go("route"), { class: "button small" }),
          open && button(say("or_entry"), () => ctx.go("or-entry", soa.id), { class: "button small" }))),
    ],
    corner: button(say("history"), () => ctx.go("history", soa.id), { class: "button small" }),
    bar: h("div", { class: "bar-grid even" },
      open && button(say("collect_payment"), () => ctx.go("pay", soa.id), { class: "button primary wide" }),
      button(say("cannot_collect"), () => ctx.go("no-collection", soa.id), { class: "button" }),
      button(say("promise_pay"), () => ctx.go("promise", soa.id), { class: "button" })),
  };
}

/** @param {string} name @param {string | null} value */
function fact(name, value) {
  return value ? h("div", {}, h("dt", {}, name), h("dd", {}, value)) : null;
}

/** @param {any} registry */
function closedWords(registry) {
  return registry
    ? say("z_closed")
    : say("not_open");
}

/** @param {any} invoice @param {string} date */
function invoiceLine(invoice, date) {
  const open = invoice.balance + invoice.penalty;
  return h("li", { class: "line" },
    h("div", { class: "line-text" },
      h("strong", {}, invoice.invoice_number), " ",
      h("span", { class: "hint" }, invoice.description || ""), " ",
      h("span", { class: `hint ${open > 0 && invoice.due_date < date ? "late" : ""}` }, say("due", { when: day(invoice.due_date) })), " ",
      invoice.penalty > 0 && h("span", { class: "hint" }, say("and_penalty", { balance: show(invoice.balance), penalty: show(invoice.penalty) }))),
    h("span", { class: "line-amount" }, open === 0 ? pill("safe", say("paid")) : show(open)));
}

/** @param {import("../app.mjs").Context} ctx @param {string} date today in Manila @param {any} payment */
function paymentLine(ctx, date, payment) {
  const word = stateWord(payment.status);
  const mark = payment.void && voidWord(payment.void);
  return h("li", {}, h("button", { type: "button", class: "line", onclick: () => ctx.go("receipt", payment.payment) },
    h("span", { class: "line-text" },
      h("strong", {}, payment.receipt_number), " ",
      h("span", { class: "hint" }, [timeOn(payment.at, date), tenderName(payment.tender, payment.channel)].filter(Boolean).join(", ")), " ",
      payment.status && pill(word.tone, word.text), " ", mark && pill(mark.tone, mark.text)), " ",
    h("span", { class: `line-amount ${payment.void?.state === "approved" ? "voided" : ""}` }, show(payment.amount))));
}

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
function missing(ctx) {
  return {
    title: say("soa_not_here"),
    lead: say("soa_not_lead"),
    back: { name: "collection", text: say("collection") },
    nav: "collection",
    body: [button(say("back_list"), () => ctx.replace("collection"), { class: "button wide" })],
  };
}

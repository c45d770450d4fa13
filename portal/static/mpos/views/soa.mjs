// @ts-check
/** One SOA: what is due, its invoices, what was collected on this phone. */
import { button, h, notice, pill } from "./dom.mjs";
import { mapLink } from "./map.mjs";
import { day, dayTime, doneWords, dueWords, isLate, overdueWords, show, showPesos, stateWord, tenderName, timeOn, today, visitWords, voidWord } from "./format.mjs";

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
    back: { name: "collection", text: "Collection" },
    nav: "collection",
    body: [
      h("div", { class: "headline" },
        h("p", { class: "figure" }, showPesos(soa.amount_due)),
        h("p", { class: "hint" },
          h("span", { class: isLate(soa) ? "late" : "" }, dueWords(soa, date)),
          soa.penalty > 0 ? `, penalty of ${show(soa.penalty)} included` : "",
          soa.amount_due === 0 ? "; more becomes an advance" : "")),
      !open && notice("person", overdue ?? doneWords(phone.state) ?? closedWords(registry), button(registry ? "Readings" : "Collection", () => ctx.go(registry ? "readings" : "collection"), { class: "button small" })),
      soa.outdated && notice("person", "A payment on this SOA was voided after the list was downloaded: the figures here are still less that payment. Download SOA again to see what is owed.",
        button("Collection", () => ctx.go("collection"), { class: "button small" })),
      soa.visit && notice(soa.visit.kind === "promise" && soa.visit.payload.promised_on < date ? "person" : "info", `${visitWords(soa.visit)}. Noted ${dayTime(soa.visit.at)}.${soa.visit.payload.note ? ` ${soa.visit.payload.note}` : ""}`),
      soa.payments.length > 0 && h("section", {}, h("h2", {}, "Collected on this phone"),
        h("ul", { class: "lines" }, soa.payments.map((/** @type {any} */ record) => paymentLine(ctx, date, { ...record, ...record.payload, ...known.get(record.payment) })))),
      h("section", {}, h("h2", {}, "Invoices"),
        soa.invoices.length === 0 ? h("p", { class: "hint" }, "This SOA lists no invoices. A payment becomes an advance.") :
          h("ul", { class: "lines" }, soa.invoices.map((/** @type {any} */ invoice) => invoiceLine(invoice, date)))),
      h("section", {}, h("h2", {}, "Account"),
        h("dl", { class: "facts-list" },
          fact("Account number", soa.account_number), fact("SOA number", soa.soa_number),
          soa.address && h("div", {}, h("dt", {}, "Address"), h("dd", {}, soa.address, " ", mapLink(soa.address, soa.customer_name))),
          soa.contact_number && h("div", {}, h("dt", {}, "Contact number"), h("dd", {}, h("a", { href: `tel:${soa.contact_number.replace(/[^+0-9]/g, "")}` }, soa.contact_number))),
          fact("TIN", soa.tin), fact("Collector code", soa.collector_code), fact("As of", dayTime(snapshot?.as_of))),
        h("div", { class: "ways" },
          onRoute < 0 ? button("Add to my route", async () => {
            await phone.setRoute([...route, soa.id]);
            ctx.again();
          }, { class: "button small" }) : button(`Number ${onRoute + 1} on my route`, () => ctx.go("route"), { class: "button small" }),
          open && button("OR Entry", () => ctx.go("or-entry", soa.id), { class: "button small" }))),
    ],
    corner: button("History", () => ctx.go("history", soa.id), { class: "button small" }),
    bar: h("div", { class: "bar-grid even" },
      open && button("Collect payment", () => ctx.go("pay", soa.id), { class: "button primary wide" }),
      button("Cannot collect", () => ctx.go("no-collection", soa.id), { class: "button" }),
      button("Promise to pay", () => ctx.go("promise", soa.id), { class: "button" })),
  };
}

/** @param {string} name @param {string | null} value */
function fact(name, value) {
  return value ? h("div", {}, h("dt", {}, name), h("dd", {}, value)) : null;
}

/** @param {any} registry */
function closedWords(registry) {
  return registry
    ? "The Z-Reading is made, so this registry takes no more payments. Close it under Readings; then a new one can be opened."
    : "No registry is open, so no payment can be taken. Open one under Collection.";
}

/** @param {any} invoice @param {string} date */
function invoiceLine(invoice, date) {
  const open = invoice.balance + invoice.penalty;
  return h("li", { class: "line" },
    h("div", { class: "line-text" },
      h("strong", {}, invoice.invoice_number), " ",
      h("span", { class: "hint" }, invoice.description || ""), " ",
      h("span", { class: `hint ${open > 0 && invoice.due_date < date ? "late" : ""}` }, `Due ${day(invoice.due_date)}`), " ",
      invoice.penalty > 0 && h("span", { class: "hint" }, `${show(invoice.balance)} and penalty ${show(invoice.penalty)}`)),
    h("span", { class: "line-amount" }, open === 0 ? pill("safe", "Paid") : show(open)));
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
    title: "This SOA is not on the phone",
    lead: "It is not in the list that was downloaded last: it may be paid, closed or given to another collector.",
    back: { name: "collection", text: "Collection" },
    nav: "collection",
    body: [button("Back to the list", () => ctx.replace("collection"), { class: "button wide" })],
  };
}

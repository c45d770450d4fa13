// @ts-check
/** OR Entry: an official receipt that was written by hand from a booklet. First what its paper says; then the payment as ever. */
import { button, field, h, notice, setText } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { overdueWords, showPesos, today } from "./format.mjs";
import { isDate, unlistedId } from "../confirm.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function orEntryScreen(ctx) {
  const { phone } = ctx;
  const { registry } = phone.state;
  const back = { name: "collection", text: "Collection" };
  const stop = overdueWords(phone.state) ?? (registry && !registry.z_done ? null : "No registry is open, so no payment can be entered. Open one under Collection.");
  if (stop) return { title: "OR Entry", lead: null, back, nav: "collection", body: [notice("person", stop)] };
  const soa = ctx.route.id ? phone.soa(ctx.route.id) : null;
  const form = /** @type {any} */ (ctx.place.draft) ?? { number: "", date: today(new Date()), account: soa?.account_number ?? "", customer: "" };
  const says = messages(ctx);
  const number = field("Number of the official receipt", { autocapitalize: "characters", spellcheck: "false", maxlength: 30, value: form.number, hint: "As printed on the booklet." });
  const date = field("Date on the paper", { type: "date", max: today(new Date()), value: form.date });
  const account = field("Account number", { autocapitalize: "characters", spellcheck: "false", maxlength: 80, value: form.account });
  const customer = field("Customer", { maxlength: 200, value: form.customer, hint: "This account is not in your list. The office looks for it; the money becomes an advance until then." });
  const found = h("p", { class: "hint", role: "status" });
  for (const [key, one] of Object.entries({ number, date, account, customer })) {
    one.input.addEventListener("input", () => {
      form[key] = one.input.value;
      one.wrong("");
      ctx.keep({ ...form });
      draw();
    });
  }

  function listed() {
    return phone.soaOfAccount(form.account);
  }

  function draw() {
    const known = listed();
    setText(found, known ? `${known.customer_name}, due ${showPesos(known.amount_due)}` : "");
    customer.node.hidden = Boolean(known) || !form.account.trim();
  }

  async function next() {
    const known = listed();
    const used = form.number.trim() ? await phone.orUsed(form.number) : null;
    number.wrong(!/[0-9A-Za-z]/.test(form.number) ? "Type the number printed on the official receipt." : used ? `This number is entered already, under ${used}. Look at the paper again.` : "");
    date.wrong(!isDate(form.date) ? "Choose the date written on the official receipt." : form.date > today(new Date()) ? "That day has not come yet." : "");
    account.wrong(form.account.trim() ? "" : "Type the account number.");
    customer.wrong(known || !form.account.trim() || form.customer.trim() ? "" : "Type the customer's name as it is on the paper.");
    const wrong = [number, date, account, customer].find((one) => one.input.getAttribute("aria-invalid") === "true");
    if (wrong) return wrong.input.focus();
    ctx.memory.booklet = { number: form.number.trim(), date: form.date, account: form.account.trim(), customer: form.customer.trim() };
    ctx.go("or-pay", known ? known.id : unlistedId(form.account));
  }

  draw();
  return {
    title: "OR Entry",
    lead: "For an official receipt you wrote by hand.",
    back,
    nav: "collection",
    body: [h("div", { class: "stack" }, number.node, date.node, account.node, found, customer.node), says.node],
    bar: button("Next: the payment", next, { class: "button primary wide" }),
  };
}

// @ts-check
/** OR Entry: an official receipt that was written by hand from a booklet. First what its paper says; then the payment as ever. */
import { button, field, h, notice, setText } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { overdueWords, showPesos, today } from "./format.mjs";
import { isDate, unlistedId } from "../confirm.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function orEntryScreen(ctx) {
  const { phone } = ctx;
  const { registry } = phone.state;
  const back = { name: "collection", text: say("collection") };
  const stop = overdueWords(phone.state) ?? (registry && !registry.z_done ? null : say("or_closed"));
  if (stop) return { title: say("or_entry"), lead: null, back, nav: "collection", body: [notice("person", stop)] };
  const soa = ctx.route.id ? phone.soa(ctx.route.id) : null;
  const form = /** @type {any} */ (ctx.place.draft) ?? { number: "", date: today(new Date()), account: soa?.account_number ?? "", customer: "" };
  const says = messages(ctx);
  const number = field(say("or_number"), { autocapitalize: "characters", spellcheck: "false", maxlength: 30, value: form.number, hint: say("printed_booklet") });
  const date = field(say("date_paper"), { type: "date", max: today(new Date()), value: form.date });
  const account = field(say("account_number"), { autocapitalize: "characters", spellcheck: "false", maxlength: 80, value: form.account });
  const customer = field(say("customer"), { maxlength: 200, value: form.customer, hint: say("account_not") });
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
    setText(found, known ? say("or_found", { name: known.customer_name, amount: showPesos(known.amount_due) }) : "");
    customer.node.hidden = Boolean(known) || !form.account.trim();
  }

  async function next() {
    const known = listed();
    const used = form.number.trim() ? await phone.orUsed(form.number) : null;
    number.wrong(!/[0-9A-Za-z]/.test(form.number) ? say("type_or") : used ? say("or_number_used", { used }) : "");
    date.wrong(!isDate(form.date) ? say("choose_or_date") : form.date > today(new Date()) ? say("future_day") : "");
    account.wrong(form.account.trim() ? "" : say("type_account"));
    customer.wrong(known || !form.account.trim() || form.customer.trim() ? "" : say("type_customers"));
    const wrong = [number, date, account, customer].find((one) => one.input.getAttribute("aria-invalid") === "true");
    if (wrong) return wrong.input.focus();
    ctx.memory.booklet = { number: form.number.trim(), date: form.date, account: form.account.trim(), customer: form.customer.trim() };
    ctx.go("or-pay", known ? known.id : unlistedId(form.account));
  }

  draw();
  return {
    title: say("or_entry"),
    lead: say("or_lead"),
    back,
    nav: "collection",
    body: [h("div", { class: "stack" }, number.node, date.node, account.node, found, customer.node), says.node],
    bar: button(say("next_payment"), next, { class: "button primary wide" }),
  };
}

// @ts-check
/** Collect payment: amount, tender, where the money goes, Confirm. Nothing is stored before Confirm; the form survives a reload. */
import { button, field, fill, freshId, h, icon, notice, pill, radios, setText } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { day, overdueWords, show, showPesos, TENDERS, today, typedAmount } from "./format.mjs";
import { numpad } from "./numpad.mjs";
import { startPlace } from "./place.mjs";
import { unlistedSoa } from "../confirm.mjs";
import { say } from "../words.mjs";

const WALLETS = ["GCash", "Maya", ""];
const BANKS = ["BDO", "BPI", "China Bank", "EastWest", "LandBank", "Metrobank", "PNB", "PSBank", "RCBC", "Security Bank", "UnionBank"];
const PAUSE = 600;
const LARGE_ADVANCE = 2_000_000;

/** @typedef {{number: string, date: string, account: string, customer: string}} Booklet what an OR entry says of its paper */
/** @typedef {{intent: string, user: string, amount: string, tender: string, wallet: string, channel: string, branch: string, checkDate: string, reference: string, tendered: string, directed: string[], or: Booklet | null}} Form */

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function paymentScreen(ctx) {
  const { phone } = ctx;
  const { state } = phone;
  const entering = ctx.route.name === "or-pay";
  /** @type {Booklet | null} */
  const booklet = entering ? (restored(ctx)?.or ?? ctx.memory.booklet ?? null) : null;
  const soa = entering && !booklet ? null : (phone.soa(ctx.route.id) ?? (booklet && unlistedSoa({ intent: "", soa: ctx.route.id, amount: 0, tender: "", or: booklet })));
  if (!soa || !state.registry || state.registry.z_done) {
    ctx.later(() => (soa && !entering ? ctx.replace("soa", ctx.route.id) : ctx.replace("collection")));
    return { title: say("payment"), lead: null, back: null, nav: "collection", body: [] };
  }
  const overdue = overdueWords(state);
  if (overdue) return closed(ctx, soa, overdue);
  const form = restored(ctx) ?? newForm(state.user?.name ?? "", booklet);
  const place = startPlace(phone);
  const says = messages(ctx);
  let tried = false;
  let storing = false;
  /** what was already agreed to: an over-payment as amount and surplus, a reference used before; any change asks again */
  const agreed = new Set();

  const amount = field(say("amount"), { class: "money", inputmode: "decimal", enterkeyhint: "done", placeholder: "0.00", value: form.amount });
  amount.input.addEventListener("input", () => set("amount", amount.input.value));
  amount.input.addEventListener("blur", () => {
    const { value } = typedAmount(form.amount);
    if (value !== null) amount.input.value = show(value);
  });
  const quick = h("div", { class: "quick-amounts" }, quickAmounts(soa).map(({ name, value }) =>
    h("button", { type: "button", class: "chip", onclick: () => {
      amount.input.value = show(value);
      set("amount", amount.input.value);
    } }, h("span", {}, name), " ", h("strong", {}, show(value)))));

  const tender = radios(say("paid_by"), TENDERS.map((value) => ({ value, text: say(value) })), form.tender, (value) => {
    set("tender", value);
    showTender();
  }, "tenders");

  const tendered = field(say("cash_tendered"), {
    class: "money half", inputmode: "decimal", enterkeyhint: "done", placeholder: say("exact"), value: form.tendered,
  });
  tendered.input.addEventListener("input", () => set("tendered", tendered.input.value));
  const change = h("output", { class: "figure small-figure" });
  const cash = h("div", { class: "cash" }, tendered.node, h("div", { class: "field half" }, h("span", { class: "label" }, say("change")), change));

  const pad = numpad();
  pad.serve(amount.input);
  pad.serve(tendered.input);

  const reference = field(say("reference"), { autocapitalize: "characters", spellcheck: "false", maxlength: 60, value: form.reference });
  reference.input.addEventListener("input", () => set("reference", reference.input.value));
  const walletId = freshId("wallet");
  const walletChoice = h("select", { id: walletId }, WALLETS.map((value) => h("option", { value, selected: value === form.wallet }, value || say("other"))));
  walletChoice.addEventListener("change", () => {
    set("wallet", walletChoice.value);
    showTender();
  });
  const wallet = h("div", { class: "field" }, h("label", { for: walletId }, say("wallet")), walletChoice);
  const banks = h("datalist", { id: freshId("banks") }, BANKS.map((name) => h("option", { value: name })));
  const channel = field(say("bank"), { maxlength: 40, value: form.channel, list: banks.id });
  channel.input.addEventListener("input", () => set("channel", channel.input.value));
  const channelLabel = /** @type {Element} */ (channel.node.querySelector("label"));
  const clearing = h("p", { class: "hint" });
  const branch = field(say("branch"), { maxlength: 60, value: form.branch });
  branch.input.addEventListener("input", () => set("branch", branch.input.value));
  const checkDate = field(say("check_date"), { type: "date", value: form.checkDate });
  checkDate.input.addEventListener("input", () => set("checkDate", checkDate.input.value));
  const ofCheck = h("div", { class: "stack tight" }, branch.node, checkDate.node, clearing);
  const other = h("div", { class: "stack tight" }, wallet, channel.node, reference.node, ofCheck, banks);

  const allocation = h("section", { class: "allocation", "aria-label": say("allocation"), "aria-live": "polite" });
  const over = h("div", { class: "over", "aria-live": "assertive" });
  // The number keys cover the allocation on a small phone; the reader of a screen has heard it already.
  const inShort = h("p", { class: "in-short", "aria-hidden": "true" });
  const confirm = h("button", { type: "button", class: "button primary wide", onclick: press }, say("confirm_payment"));

  /** @param {Exclude<keyof Form, "directed" | "or">} key @param {string} value */
  function set(key, value) {
    form[key] = value;
    changed();
  }

  function changed() {
    agreed.clear();
    fill(over);
    says.clear();
    confirm.classList.remove("person");
    ctx.keep({ ...form, directed: [...form.directed] });
    draw();
  }

  function showTender() {
    const isCash = form.tender === "cash";
    cash.hidden = !isCash;
    other.hidden = isCash;
    wallet.hidden = form.tender !== "e_wallet";
    ofCheck.hidden = form.tender !== "check";
    channel.node.hidden = form.tender === "e_wallet" && form.wallet !== "";
    setText(channelLabel, form.tender === "e_wallet" ? say("name_wallet") : say("bank"));
    reference.tell({ check: say("check_hint"), e_wallet: say("wallet_hint"), bank_transfer: say("bank_hint") }[form.tender] ?? "");
  }

  /** The draft as it stands, or null while there is no usable amount. */
  function draft() {
    const typed = typedAmount(form.amount);
    const given = typedAmount(form.tendered);
    const isCash = form.tender === "cash";
    const named = form.tender === "e_wallet" && form.wallet ? form.wallet : form.channel.trim();
    return {
      typed,
      given,
      value: {
        intent: form.intent,
        soa: soa.id,
        amount: typed.value ?? 0,
        tender: form.tender,
        channel: isCash ? null : named || null,
        reference: isCash ? null : form.reference.trim() || null,
        branch: form.tender === "check" ? form.branch.trim() || null : null,
        check_date: form.tender === "check" ? form.checkDate || null : null,
        or: form.or,
        tendered: isCash ? (given.value ?? typed.value ?? 0) : null,
        mode: form.directed.length > 0 ? "directed" : "oldest_first",
        directed: [...form.directed],
      },
    };
  }

  function draw() {
    const { typed, given, value } = draft();
    const usable = typed.value !== null && typed.value > 0;
    const preview = usable ? phone.preview(value) : null;
    const problems = preview?.problems ?? [];
    const wrong = (/** @type {string} */ name) => problems.find((/** @type {any} */ problem) => problem.field === name)?.message ?? "";
    const missing = usable || !tried ? "" : say("type_amount");
    amount.wrong((tried || form.amount.trim().length > 1 ? typed.problem : "") || missing || wrong("amount"));
    tendered.wrong(form.tender === "cash" ? given.problem || (tried || !short(given.value, typed.value) ? wrong("tendered") : "") : "");
    reference.wrong(tried && form.tender !== "cash" ? wrong("reference") : "");
    channel.wrong(tried && form.tender !== "cash" ? wrong("channel") : "");
    branch.wrong(wrong("branch"));
    checkDate.wrong(wrong("check_date"));
    setText(clearing, form.checkDate > today(new Date()) ? say("post_dated", { date: day(form.checkDate) }) : say("check_subject"));
    setText(change, preview && preview.change !== null && preview.change >= 0 ? showPesos(preview.change) : "–");
    drawAllocation(preview);
    return { preview, problems, usable, given, value };
  }

  /** @param {any} preview */
  function drawAllocation(preview) {
    setText(inShort, preview ? shortWords(preview) : say("type_to_see"));
    if (!preview) {
      fill(allocation, totals(soa.amount_due, 0), h("p", { class: "hint" }, say("type_to_see_list")));
      return;
    }
    fill(allocation,
      totals(preview.balance_after, preview.over),
      h("ul", { class: "lines slim" }, preview.allocations.map((/** @type {any} */ part) =>
        h("li", { class: `line ${part.kind}` },
          h("span", { class: "line-text" }, part.kind === "advance" ? say("advance") : `${part.invoice_number} ${say(part.kind)}`), " ",
          h("span", { class: "line-amount" }, show(part.amount))))));
  }

  async function press() {
    if (storing || confirm.getAttribute("aria-disabled") === "true") return;
    tried = true;
    pad.close();
    const { preview, problems, usable, given, value } = draw();
    if (!preview || !usable || given.problem || problems.length > 0) {
      const first = [amount, tendered, channel, reference, branch, checkDate].find((one) => one.input.getAttribute("aria-invalid") === "true");
      if (first) first.input.focus();
      else says.say("danger", problems[0]?.message ?? say("incomplete"));
      return;
    }
    const surplus = `${value.amount}/${preview.over}`;
    if (preview.over > 0 && !agreed.has(surplus)) return askOver(preview.over, surplus);
    storing = true;
    confirm.setAttribute("aria-disabled", "true");
    setText(confirm, say("saving"));
    try {
      const used = agreed.has("reference") ? null : await phone.referenceUsed(value);
      if (used) {
        storing = false;
        setText(confirm, say("confirm_payment"));
        return askAgain("reference", h("p", {}, h("strong", {}, say("reference_used", { reference: value.reference, used })), say("reference_again")));
      }
      const stored = await phone.confirm({ ...value, place: place.now() });
      ctx.replace("receipt", stored.payment, { done: true });
    } catch (error) {
      storing = false;
      confirm.removeAttribute("aria-disabled");
      setText(confirm, say("confirm_payment"));
      says.fail(error);
    }
  }

  /** @param {number} surplus @param {string} key */
  function askOver(surplus, key) {
    const much = isLargeAdvance(surplus, typedAmount(form.amount).value ?? 0) ? say("much") : "";
    askAgain(key, h("p", {}, h("strong", {}, say("more_than_due", { surplus: showPesos(surplus) })), say("over_again", { much })));
  }

  /** Something unusual wants a second press. @param {string} key @param {Element} words */
  function askAgain(key, words) {
    agreed.add(key);
    fill(over, words);
    confirm.classList.add("person");
    // A double tap must not count as the second answer.
    confirm.setAttribute("aria-disabled", "true");
    setTimeout(() => {
      if (!storing) confirm.removeAttribute("aria-disabled");
    }, PAUSE);
  }

  showTender();
  draw();
  showIfStored(ctx, form.intent);
  return {
    title: soa.customer_name,
    lead: booklet ? say("or_of", { number: booklet.number, date: day(booklet.date) }) : say("due_amount", { amount: showPesos(soa.amount_due) }),
    back: entering ? { name: "or-entry", text: say("or_entry") } : { name: "soa", id: soa.id, text: say("soa") },
    nav: "collection",
    look: "payment",
    alone: true,
    body: [
      amount.node, quick, tender, cash, other,
      chooser(soa, form.directed, changed),
      allocation, place.node, says.node,
    ],
    bar: h("div", {}, over, inShort, pad.node, confirm),
  };
}

/** `Pays 2 invoices, advance 50.00, remaining 0.00`. @param {any} preview */
function shortWords(preview) {
  const numbers = [...new Set(preview.allocations.map((/** @type {any} */ part) => part.invoice_number).filter(Boolean))];
  return [
    numbers.length > 0 && say("pays", { what: numbers.length === 1 ? numbers[0] : say("n_invoices", { n: numbers.length }) }),
    preview.over > 0 && say(numbers.length > 0 ? "and_advance" : "an_advance", { amount: show(preview.over) }),
    say("remaining", { amount: showPesos(preview.balance_after) }),
  ].filter(Boolean).join(", ");
}

/** @param {number | null} given @param {number | null} due */
function short(given, due) {
  return given !== null && due !== null && given < due;
}

/** @param {number} balance @param {number} over */
function totals(balance, over) {
  return h("dl", { class: "totals" },
    h("div", {}, h("dt", {}, say("remaining_balance")), h("dd", {}, showPesos(balance))),
    over > 0 && h("div", { class: "advance" }, h("dt", {}, pill("person", say("advance"))), h("dd", {}, showPesos(over))));
}

/** @param {any} soa @returns {{name: string, value: number}[]} */
function quickAmounts(soa) {
  const date = today(new Date());
  const open = soa.invoices.map((/** @type {any} */ one) => ({ due: one.due_date, number: one.invoice_number, value: one.balance + one.penalty }))
    .filter((/** @type {any} */ one) => one.value > 0)
    .sort((/** @type {any} */ a, /** @type {any} */ b) => (a.due + a.number < b.due + b.number ? -1 : 1));
  const overdue = open.filter((/** @type {any} */ one) => one.due < date).reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.value, 0);
  const amounts = [
    { name: say("full_amount"), value: soa.amount_due },
    { name: say("overdue_only"), value: overdue },
    { name: say("next_instalment"), value: open[0]?.value ?? 0 },
  ].filter(({ value }) => value > 0);
  return amounts.filter(({ value }, index) => amounts.findIndex((one) => one.value === value) === index);
}

/** Choose invoices: what the customer ticks is paid first, in the order ticked. @param {any} soa @param {string[]} directed @param {() => void} changed */
function chooser(soa, directed, changed) {
  const id = freshId("invoices");
  const open = soa.invoices.filter((/** @type {any} */ one) => one.balance + one.penalty > 0);
  const orders = new Map();
  const list = h("ul", { class: "checks", id }, open.map((/** @type {any} */ invoice) => {
    const order = h("span", { class: "order", "aria-hidden": "true" });
    orders.set(invoice.id, order);
    const box = h("input", { type: "checkbox", checked: directed.includes(invoice.id), onchange: () => {
      const at = directed.indexOf(invoice.id);
      if (at >= 0) directed.splice(at, 1);
      if (box.checked) directed.push(invoice.id);
      number();
      changed();
    } });
    return h("li", {}, h("label", { class: "check" }, box,
      h("span", { class: "line-text" }, h("strong", {}, invoice.invoice_number), " ", h("span", { class: "hint" }, say("due_on", { date: day(invoice.due_date) }))), " ", order,
      h("span", { class: "line-amount" }, show(invoice.balance + invoice.penalty))));
  }));
  const summary = h("h2", {});
  const toggle = h("button", { type: "button", class: "disclosure", "aria-expanded": "false", "aria-controls": id },
    h("span", {}, say("choose_invoices")), icon("chevron"));
  toggle.addEventListener("click", () => {
    const opened = toggle.getAttribute("aria-expanded") === "true";
    toggle.setAttribute("aria-expanded", String(!opened));
    list.hidden = opened;
  });
  list.hidden = directed.length === 0;
  toggle.setAttribute("aria-expanded", String(directed.length > 0));
  function number() {
    setText(summary, directed.length > 0 ? say("pays_chosen", { count: directed.length }) : say("pays_oldest"));
    for (const [key, order] of orders) setText(order, directed.length > 1 && directed.includes(key) ? String(directed.indexOf(key) + 1) : "");
  }
  number();
  return h("div", { class: "chooser" }, h("div", { class: "chooser-head" }, summary, open.length > 0 && toggle), list);
}

/** The phone may have been killed between storing and showing the receipt: then this form is already a receipt. @param {import("../app.mjs").Context} ctx @param {string} intent */
function showIfStored(ctx, intent) {
  ctx.later(async () => {
    const stored = (await ctx.phone.transactions()).find((/** @type {any} */ one) => one.payment === intent);
    if (stored && ctx.isCurrent()) ctx.replace("receipt", intent, { done: true });
  });
}

/** Says why nothing can be taken, before anything is typed; what was typed yesterday stays in the history. @param {import("../app.mjs").Context} ctx @param {any} soa @param {string} words @returns {import("../app.mjs").Screen} */
function closed(ctx, soa, words) {
  const form = restored(ctx);
  if (form) showIfStored(ctx, form.intent);
  return {
    title: soa.customer_name,
    lead: null,
    back: { name: "soa", id: soa.id, text: say("soa") },
    nav: "collection",
    body: [notice("person", words, button(say("readings"), () => ctx.go("readings"), { class: "button small" }))],
  };
}

/** Whether so much of a payment is an advance that the office looks at it: as portal/domain/payments.py says. @param {number} surplus @param {number} amount */
function isLargeAdvance(surplus, amount) {
  return surplus >= LARGE_ADVANCE && surplus * 2 > amount;
}

/** @param {string} user @param {Booklet | null} or @returns {Form} */
function newForm(user, or) {
  return { intent: crypto.randomUUID(), user, amount: "", tender: "cash", wallet: "GCash", channel: "", branch: "", checkDate: "", reference: "", tendered: "", directed: [], or };
}

/** The form this history entry held before a reload, if it was this user's. @param {import("../app.mjs").Context} ctx @returns {Form | null} */
function restored(ctx) {
  const draft = /** @type {Form | undefined} */ (ctx.place.draft);
  const own = draft && draft.user === ctx.phone.state.user?.name && Array.isArray(draft.directed);
  // A form kept by an older version of the app has fewer fields.
  return own ? { ...newForm(draft.user, null), ...draft, directed: [...draft.directed] } : null;
}

// @ts-check
/** Cash that leaves the hand before the remittance: the list, the forms Expense and Cash drop, and their slip. */
import { button, field, h, notice, pill } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { dayTime, show, showPesos, stateWord, typedAmount } from "./format.mjs";
import { photoPart } from "./photo.mjs";
import { put } from "./printing.mjs";
import { LONGEST } from "../cash_out.mjs";
import { cashPaper } from "../paper.mjs";
import { drawPaper } from "../printer.mjs";
import { say } from "../words.mjs";

/** @typedef {{intent: string, amount: string, category: string, given_to: string, reference: string, note: string}} Form */

/** What is offered until the office's own kinds were heard. */
const KINDS = ["Fuel", "Fare", "Meals", "Parking and toll", "Mobile load", "Repair"];
const toList = () => ({ name: "cash-out", text: say("cash_out") });

/** What became of an expense. @param {any} item @returns {{tone: "plain" | "safe" | "person" | "danger", text: string}} */
function answerWord(item) {
  if (item.state === "requested") return { tone: "person", text: say(item.answer ? "heard_next" : "waits_office") };
  return item.state === "approved" ? { tone: "safe", text: say("approved") } : { tone: "danger", text: say("refused") };
}

/** @param {any} item */
const named = (item) => (item.kind === "expense" ? item.category || item.description : item.given_to || item.description) ?? "";

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function cashOutScreen(ctx) {
  const { phone } = ctx;
  const items = await phone.cashOut();
  const open = phone.state.registry && !phone.state.registry.z_done;
  const line = (/** @type {any} */ item) => {
    const place = stateWord(item.status);
    const word = item.kind === "expense" ? answerWord(item) : null;
    return h("li", {}, h("button", { type: "button", class: "line", onclick: () => ctx.go("cash-slip", String(item.seq)) },
      h("span", { class: "line-text" }, h("strong", {}, say(item.kind)), " ", h("span", {}, named(item)), " ", h("span", { class: "hint" }, dayTime(item.at)), " ",
        word && pill(word.tone, word.text), " ", pill(place.tone, place.text), item.why && h("span", { class: "hint" }, item.why)), " ",
      h("span", { class: "line-amount" }, show(item.amount))));
  };
  return {
    title: say("cash_out"),
    lead: say("cash_out_lead"),
    back: { name: "readings", text: say("readings") },
    nav: "readings",
    body: [open ? null : notice("info", say("open_registry_1st")), items.length ? h("ul", { class: "lines" }, items.map(line)) : h("p", { class: "hint" }, say("no_cash_out"))],
    bar: open ? h("div", { class: "bar-grid" }, button(say("expense"), () => ctx.go("expense"), { class: "button" }), button(say("cash_drop"), () => ctx.go("cash-drop"), { class: "button" })) : null,
  };
}

/** @param {import("../app.mjs").Context} ctx */
export const expenseScreen = (ctx) => form(ctx, "expense");

/** @param {import("../app.mjs").Context} ctx */
export const cashDropScreen = (ctx) => form(ctx, "cash_drop");

/** @param {import("../app.mjs").Context} ctx @param {"expense" | "cash_drop"} kind @returns {import("../app.mjs").Screen} */
function form(ctx, kind) {
  const { phone } = ctx;
  const says = messages(ctx);
  const spent = kind === "expense";
  const kept = /** @type {Form | undefined} */ (ctx.place.draft);
  /** @type {Form} */
  const draft = kept ? { ...kept } : { intent: crypto.randomUUID(), amount: "", category: "", given_to: "", reference: "", note: "" };
  const one = (/** @type {keyof Form} */ name, /** @type {string} */ label, more = {}) => field(label, { value: draft[name], maxlength: LONGEST[name], enterkeyhint: "next", ...more });
  /** @type {Record<string, ReturnType<typeof field>>} */
  const fields = {
    amount: one("amount", say("amount"), { inputmode: "decimal", maxlength: 16 }),
    ...(spent ? { note: one("note", say("note"), { hint: say("expense_note") }) } : { given_to: one("given_to", say("given_to"), { hint: say("given_hint") }), reference: one("reference", say("reference"), { hint: say("may_be_empty") }) }),
  };
  const wrongKind = h("p", { class: "problem", role: "alert" });
  const chips = (spent ? (phone.state.business?.expense_kinds ?? KINDS) : []).map((/** @type {string} */ text) => h("button", { type: "button", class: "chip", onclick: () => {
    draft.category = text;
    changed();
  } }, text));
  function draw() {
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.textContent === draft.category));
    wrongKind.hidden = !wrongKind.textContent;
  }
  function changed() {
    for (const [name, { input, wrong }] of Object.entries(fields)) {
      draft[/** @type {keyof Form} */ (name)] = input.value;
      wrong("");
    }
    wrongKind.textContent = "";
    ctx.keep(draft);
    draw();
  }
  async function save() {
    const typed = typedAmount(draft.amount);
    if (typed.problem) {
      fields.amount.wrong(typed.problem);
      return fields.amount.input.focus();
    }
    try {
      const stored = await phone.noteCash({ ...draft, kind, amount: typed.value ?? 0 });
      ctx.keep(undefined);
      ctx.replace("cash-slip", String(stored.seq), { done: true });
    } catch (error) {
      const wrong = /** @type {any} */ (error)?.fields ?? [];
      for (const { field: name, message } of wrong) {
        if (name === "category") wrongKind.textContent = message;
        fields[name]?.wrong(message);
      }
      draw();
      if (wrong.length) (fields[wrong[0].field]?.input ?? chips[0])?.focus();
      else says.fail(error);
    }
  }
  for (const { input } of Object.values(fields)) input.addEventListener("input", changed);
  draw();
  const [amount, ...rest] = Object.values(fields);
  return {
    title: say(kind),
    lead: say(spent ? "expense_lead" : "drop_lead"),
    back: toList(),
    nav: "readings",
    body: [
      h("div", { class: "stack" }, amount.node,
        spent && h("div", { class: "suggestions", role: "group", "aria-label": say("expense_kind") }, chips), wrongKind, rest.map(({ node }) => node)),
      says.node,
    ],
    bar: button(say(spent ? "save_expense" : "save_drop"), save, { class: "button primary wide" }),
  };
}

/** The slip of an expense or a cash drop. @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function cashSlipScreen(ctx) {
  const { phone } = ctx;
  const item = (await phone.cashOut()).find((/** @type {any} */ one) => String(one.seq) === ctx.route.id);
  if (!item) return { title: say("slip_unknown"), lead: null, back: toList(), nav: "readings", body: [] };
  const says = messages(ctx);
  const { state } = phone;
  const spent = item.kind === "expense";
  const word = spent ? answerWord(item) : { tone: /** @type {"safe"} */ ("safe"), text: say("saved") };
  const paper = () => cashPaper(item, { business: state.business, demo: state.demo, collector: state.user?.display_name || state.user?.name || "" });
  const key = JSON.stringify([item.state, item.answer, item.status]);
  return {
    title: say(item.kind),
    lead: null,
    back: toList(),
    nav: "readings",
    look: "receipt",
    body: [
      h("div", { class: "headline" }, h("p", { class: "state", role: "status" }, pill(word.tone, word.text)), h("p", { class: "figure" }, showPesos(item.amount)),
        h("p", { class: "hint" }, say(!spent ? "drop_counts" : item.state === "approved" ? "expense_counts" : item.state === "refused" ? "expense_refused" : "expense_waits")),
        item.answer?.reason && h("p", {}, item.answer.reason), item.why && h("p", { class: "hint" }, item.why)),
      says.node,
      spent && photoPart(phone, item.expense, say("photo_paper"), (image) => phone.addExpensePhoto(item.expense, image)),
      h("div", { class: "preview" }, drawPaper(paper())),
    ],
    bar: h("div", { class: "bar-grid" },
      button(say("print_slip"), () => put(ctx, says, { make: paper }), { icon: "printer", class: "button primary wide" }),
      button(say("done"), () => ctx.back("cash-out"), { class: "button" })),
    async update() {
      const now = (await phone.cashOut()).find((/** @type {any} */ one) => one.seq === item.seq);
      if (JSON.stringify([now?.state, now?.answer, now?.status]) !== key) ctx.refresh();
    },
  };
}

// @ts-check
/** Visits without money: Cannot collect, Promise to pay, and the history of an account on this phone. */
import { button, field, h, notice, pill } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { day, dayTime, show, showPesos, stateWord, tenderName, today, typedAmount, visitWords, voidWord } from "./format.mjs";
import { LONGEST } from "../visits.mjs";
import { say } from "../words.mjs";

/** @typedef {{visit: string, reason: string, other: boolean, promised_on: string, amount: string, note: string}} Form */

/** What is offered until the office's own reasons were heard. */
const REASONS = ["Nobody home", "Cannot pay today", "Already paid at the office", "Address not found", "Moved away", "Disputes the amount"];
const DAY = 86_400_000;

/** @param {import("../app.mjs").Context} ctx */
export function noCollectionScreen(ctx) {
  return form(ctx, "no_collection");
}

/** @param {import("../app.mjs").Context} ctx */
export function promiseScreen(ctx) {
  return form(ctx, "promise");
}

/** @param {import("../app.mjs").Context} ctx @param {"no_collection" | "promise"} kind @returns {import("../app.mjs").Screen} */
function form(ctx, kind) {
  const { phone } = ctx;
  const promise = kind === "promise";
  const other = say("other");
  const title = promise ? say("promise_pay") : say("cannot_collect");
  const soa = phone.soa(ctx.route.id);
  if (!soa) {
    return { title, lead: say("soa_not_listed"), back: { name: "collection", text: say("collection") }, nav: "collection", body: [] };
  }
  const date = today(new Date());
  const says = messages(ctx);
  const kept = /** @type {Form | undefined} */ (ctx.place.draft);
  /** @type {Form} */
  const draft = kept ? { ...kept } : { visit: crypto.randomUUID(), reason: "", other: false, promised_on: "", amount: "", note: "" };

  const reason = field(say("reason"), { value: draft.reason, maxlength: LONGEST.reason, enterkeyhint: "done", hint: say("reason_hint") });
  const when = field(say("promised_for"), { type: "date", value: draft.promised_on, min: date });
  const amount = field(say("amount_promised"), { value: draft.amount, inputmode: "decimal", enterkeyhint: "next", maxlength: 16, hint: say("may_be_empty") });
  const note = field(say("note"), { value: draft.note, maxlength: LONGEST.note, enterkeyhint: "done", hint: say("note_hint") });
  const fields = { reason, promised_on: when, amount, note };
  const inOrder = promise ? [when, amount, note] : [reason, note];

  const days = [{ text: say("tomorrow"), value: later(date, 1) }, { text: say("in_3_days"), value: later(date, 3) }, { text: say("in_a_week"), value: later(date, 7) }, { text: say("the_15th"), value: nextDay(date, 15) }, { text: say("the_30th"), value: nextDay(date, 30) }];
  const chips = promise
    ? days.map(({ text, value }) => chip(text, () => value === draft.promised_on, () => set(when, value)))
    : [...(phone.state.business?.no_collection_reasons ?? REASONS), other].map((text) => chip(text, () => (text === other ? draft.other : text === draft.reason), () => {
      set(reason, text === other ? "" : text);
      if (text === other) {
        draft.other = true;
        changed();
        reason.input.focus();
      }
    }));

  /** @param {string} text @param {() => boolean} chosen @param {() => void} work */
  function chip(text, chosen, work) {
    return { node: h("button", { type: "button", class: "chip", onclick: work }, text), chosen };
  }

  /** @param {{input: HTMLInputElement}} one @param {string} value */
  function set(one, value) {
    one.input.value = value;
    draft.other = false;
    changed();
  }

  function changed() {
    draft.reason = reason.input.value;
    draft.promised_on = when.input.value;
    draft.amount = amount.input.value;
    draft.note = note.input.value;
    for (const one of inOrder) one.wrong("");
    ctx.keep(draft);
    draw();
  }

  function draw() {
    for (const one of chips) one.node.setAttribute("aria-pressed", String(one.chosen()));
  }

  async function save() {
    const typed = typedAmount(draft.amount);
    if (promise && typed.problem) {
      amount.wrong(typed.problem);
      return amount.input.focus();
    }
    try {
      const given = promise ? { promised_on: draft.promised_on, amount: typed.value } : { reason: draft.reason };
      await phone.noteVisit({ visit: draft.visit, kind, soa: soa.id, note: draft.note, ...given });
      ctx.keep(undefined);
      ctx.toList();
    } catch (error) {
      const wrong = /** @type {any} */ (error)?.fields ?? [];
      for (const { field: name, message } of wrong) fields[/** @type {keyof typeof fields} */ (name)]?.wrong(message);
      if (wrong.length) fields[/** @type {keyof typeof fields} */ (wrong[0].field)]?.input.focus();
      else says.fail(error);
    }
  }

  for (const one of inOrder) one.input.addEventListener("input", changed);
  draw();
  return {
    title,
    lead: null,
    back: { name: "soa", id: soa.id, text: soa.customer_name },
    nav: "collection",
    body: [
      h("div", { class: "headline" }, h("p", {}, h("strong", {}, soa.customer_name)), h("p", { class: "figure" }, showPesos(soa.amount_due))),
      h("div", { class: "stack" }, inOrder[0].node,
        h("div", { class: "suggestions", role: "group", "aria-label": promise ? say("days") : say("reasons") }, chips.map((one) => one.node)),
        inOrder.slice(1).map((one) => one.node)),
      says.node,
    ],
    bar: button(promise ? say("save_promise") : say("save_visit"), save, { class: "button primary wide" }),
  };
}

/** @param {string} date @param {number} days */
function later(date, days) {
  return new Date(Date.parse(date) + days * DAY).toISOString().slice(0, 10);
}

/** The next such day of a month after `date`; in a shorter month its last. @param {string} date @param {number} wanted */
function nextDay(date, wanted) {
  const [year, month] = date.split("-").map(Number);
  const inMonth = (/** @type {number} */ number) => {
    const last = new Date(Date.UTC(year, number, 0)).getUTCDate();
    return new Date(Date.UTC(year, number - 1, Math.min(wanted, last))).toISOString().slice(0, 10);
  };
  return inMonth(month) > date ? inMonth(month) : inMonth(month + 1);
}

/** What this phone collected and noted on an account. @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function historyScreen(ctx) {
  const { phone } = ctx;
  const soa = phone.soa(ctx.route.id);
  const items = await phone.history(ctx.route.id);
  return {
    title: say("history"),
    lead: soa ? soa.customer_name : null,
    back: { name: "soa", id: ctx.route.id, text: soa?.customer_name ?? say("soa") },
    nav: "collection",
    body: [
      items.length === 0
        ? notice("info", say("no_history"))
        : h("ul", { class: "lines" }, items.map((/** @type {any} */ item) => (item.kind === "payment" ? paymentItem(ctx, item) : visitItem(item)))),
    ],
  };
}

/** @param {import("../app.mjs").Context} ctx @param {any} payment */
function paymentItem(ctx, payment) {
  const word = stateWord(payment.status);
  const mark = payment.void && voidWord(payment.void);
  return h("li", {}, h("button", { type: "button", class: "line", onclick: () => ctx.go("receipt", payment.payment) },
    h("span", { class: "line-text" }, h("strong", {}, payment.receipt_number), " ",
      h("span", { class: "hint" }, `${dayTime(payment.at)}, ${tenderName(payment.tender, payment.channel)}`), " ",
      pill(word.tone, word.text), " ", mark && pill(mark.tone, mark.text)), " ",
    h("span", { class: `line-amount ${payment.void?.state === "approved" ? "voided" : ""}` }, show(payment.amount))));
}

/** @param {any} visit */
function visitItem(visit) {
  const word = stateWord(visit.status);
  return h("li", { class: "line" }, h("div", { class: "line-text" },
    h("strong", {}, visit.kind === "promise" ? say("promise_on", { date: day(visit.payload.promised_on) }) : say("not_collected")), " ",
    h("span", {}, visitWords(visit)), " ",
    h("span", { class: "hint" }, dayTime(visit.at)), " ",
    visit.payload.note && h("span", { class: "hint" }, visit.payload.note), " ", pill(word.tone, word.text)));
}

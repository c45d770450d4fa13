// @ts-check
/** Void: ask the office to void a payment, with a reason and a second look, and see what became of it. */
import { button, field, h, notice, pill } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { dayTime, showPesos, tenderName, voidWord, voidWords } from "./format.mjs";
import { put } from "./printing.mjs";
import { receiptOf } from "./receipt.mjs";
import { plausible } from "../domain/void_codes.mjs";
import { closedForVoids, LONGEST_REASON } from "../domain/voids.mjs";
import { voidPaper } from "../paper.mjs";
import { drawPaper } from "../printer.mjs";
import { say } from "../words.mjs";

/** @typedef {{intent: string, reason: string, sure: boolean, code?: string, wrong?: number}} Form  sure: the second look was asked for; wrong: how many codes did not fit */

/** What is offered until the office's own reasons were heard. */
const SUGGESTIONS = ["Wrong amount", "Wrong customer", "Wrong tender", "Customer changed their mind"];
/** After so many mistyped codes the office decides: the portal itself looks at no more than five wrong ones a day. */
const MOST_CODES = 5;

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function voidScreen(ctx) {
  const { phone } = ctx;
  const receipt = await receiptOf(phone, ctx.route.id);
  if (!receipt) {
    return { title: say("receipt_unknown"), lead: say("void_elsewhere"), back: { name: "transactions", text: say("transactions") }, nav: "transactions", body: [] };
  }
  const key = voidKey(receipt);
  const screen = receipt.void && receipt.void.state !== "refused" ? stands(ctx, receipt) : form(ctx, receipt, await phone.voidCodeFacts(receipt.payment));
  return {
    lead: null,
    back: { name: "transactions", text: say("transactions") },
    nav: "transactions",
    look: "receipt",
    ...screen,
    async update() {
      if (voidKey(await receiptOf(phone, ctx.route.id)) !== key) ctx.refresh();
    },
  };
}

/** What of a void the screen shows. @param {any} receipt */
function voidKey(receipt) {
  const { void_number, state, heard, status } = receipt?.void ?? {};
  return JSON.stringify([void_number, state, heard, status]);
}

/** @param {any} receipt @param {string} reason @param {string} [code] */
function facts(receipt, reason, code) {
  const fact = (/** @type {string} */ name, /** @type {string} */ value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return h("dl", { class: "facts-list" },
    fact(say("receipt"), receipt.receipt_number), fact(say("date"), dayTime(receipt.at)), fact(say("customer"), receipt.customer_name),
    fact(say("paid_by"), `${tenderName(receipt.tender, receipt.channel)}${receipt.reference ? `, ${receipt.reference}` : ""}`), fact(say("reason"), reason), ...(code ? [fact(say("supervisor_code"), code)] : []));
}

/** A void that waits or is approved, with its slip. @param {import("../app.mjs").Context} ctx @param {any} receipt */
function stands(ctx, receipt) {
  const item = receipt.void;
  const word = voidWord(item);
  const says = messages(ctx);
  const cash = receipt.tender === "cash" && item.state === "approved";
  const next = item.state === "approved"
    ? say(cash ? "counts_no_more_cash" : "counts_no_more", { amount: showPesos(receipt.amount) })
    : item.by_code && item.status === "saved"
      ? say("counts_code")
      : say("counts_until");
  return {
    title: say("void_n", { number: item.void_number }),
    body: [
      h("div", { class: "headline" }, h("p", { class: "state", role: "status" }, pill(word.tone, word.text)), h("p", { class: "figure" }, showPesos(receipt.amount)),
        h("p", { class: "hint" }, voidWords(item)), h("p", {}, next)),
      says.node,
      h("div", { class: "preview" }, drawPaper(voidPaper(receipt))),
    ],
    bar: h("div", { class: "bar-grid" },
      button(say("print_void"), () => put(ctx, says, { make: () => voidPaper(receipt) }), { icon: "printer", class: "button primary wide" }),
      button(say("receipt"), () => ctx.go("receipt", receipt.payment), { class: "button" }),
      button(say("done"), () => ctx.back("transactions"), { class: "button" })),
  };
}

/**
 * The request: a reason first, and the code when a supervisor is near, then everything once more before it is stored.
 * @param {import("../app.mjs").Context} ctx @param {any} receipt @param {{void_number: string, challenge: string}} asked
 */
function form(ctx, receipt, asked) {
  const { phone } = ctx;
  const other = say("other");
  const says = messages(ctx);
  const closed = closedForVoids(phone.state);
  const kept = /** @type {Form | undefined} */ (ctx.place.draft);
  /** @type {Form} */
  const draft = kept && kept.intent !== receipt.void?.intent ? { ...kept } : { intent: crypto.randomUUID(), reason: "", sure: false };
  const refused = receipt.void && notice("person", say("void_again", { words: voidWords(receipt.void) }), button(say("print_void"), () => put(ctx, says, { make: () => voidPaper(receipt) }), { class: "button small" }));
  const figure = h("p", { class: "figure" }, showPesos(receipt.amount));
  const headline = h("div", { class: "headline" }, figure, h("p", {}, h("strong", {}, receipt.customer_name)),
    h("p", { class: "hint" }, `${receipt.receipt_number}, ${tenderName(receipt.tender, receipt.channel)}, ${dayTime(receipt.at)}`));
  if (closed) {
    return { title: say("void"), body: [headline, refused, notice("person", closed.message, button(say("readings"), () => ctx.go("readings"), { class: "button small" }))] };
  }
  if (draft.sure) {
    return {
      title: draft.code ? say("void_code_sure") : say("void_sure"),
      lead: draft.code ? say("void_code_lead") : say("void_sure_lead"),
      alone: true,
      body: [figure, facts(receipt, draft.reason, draft.code), says.node],
      bar: h("div", { class: "bar-grid" },
        button(say("confirm_void"), async () => {
          try {
            await phone.requestVoid(receipt.payment, draft.reason, draft.intent, draft.code ? { code: draft.code, void_number: asked.void_number } : null);
            ctx.keep(undefined);
            ctx.refresh();
          } catch (error) {
            says.fail(error, /** @type {any} */ (error)?.fields?.some((/** @type {any} */ one) => one.field === "supervisor_code") && button(say("change_code"), () => ask(false), { class: "button small" }));
          }
        }, { class: "button primary wide danger" }),
        button(say("do_not_void"), () => ctx.back("transactions"), { class: "button" }),
        button(say("change_it"), () => ask(false), { class: "button" })),
    };
  }

  /** @param {boolean} sure */
  function ask(sure) {
    ctx.keep({ ...draft, sure });
    ctx.refresh();
  }

  const reason = field(say("reason"), { value: draft.reason, maxlength: LONGEST_REASON, enterkeyhint: "done", hint: say("reason_hint") });
  const suggestions = phone.state.business?.void_reasons ?? SUGGESTIONS;
  const chips = [...suggestions, other].map((text) => h("button", { type: "button", class: "chip", onclick: () => choose(text) }, text));
  function draw() {
    const chosen = suggestions.includes(draft.reason) ? draft.reason : draft.reason && other;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.textContent === chosen));
  }
  /** @param {string} text */
  function choose(text) {
    reason.input.value = text === other ? "" : text;
    changed();
    if (text === other) reason.input.focus();
  }
  function changed() {
    draft.reason = reason.input.value.trim();
    reason.wrong("");
    ctx.keep(draft);
    draw();
  }
  reason.input.addEventListener("input", changed);
  draw();
  const spelled = `${asked.challenge.slice(0, 4)}-${asked.challenge.slice(4)}`;
  const fact = (/** @type {string} */ name, /** @type {string} */ value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  const code = field(say("supervisor_code"), {
    value: draft.code ?? "", maxlength: 20, inputmode: "numeric", enterkeyhint: "done",
    hint: say("code_hint"),
  });
  code.input.addEventListener("input", () => {
    draft.code = code.input.value.replace(/[\s-]/g, "");
    code.wrong("");
    ctx.keep(draft);
  });
  /** Whether the form may go on: without a code, or with one that can be right. */
  async function codeFits() {
    if (!draft.code || plausible(draft.code, asked.challenge)) return true;
    draft.wrong = (draft.wrong ?? 0) + 1;
    if (draft.wrong >= MOST_CODES) draft.code = "";
    ctx.keep(draft);
    if (draft.wrong >= MOST_CODES) {
      code.input.value = "";
      code.input.disabled = true;
    }
    code.wrong(draft.wrong >= MOST_CODES ? say("no_code_fits") : say("code_wrong"));
    if (!code.input.disabled) code.input.focus();
    return false;
  }
  if ((draft.wrong ?? 0) >= MOST_CODES) code.input.disabled = true;
  const near = h("section", { class: "void-code", "aria-label": say("when_supervisor") },
    h("dl", { class: "facts-list" }, fact(say("void_number"), asked.void_number), fact(say("amount"), showPesos(receipt.amount)), fact(say("challenge"), spelled)), code.node);
  return {
    title: say("void_payment"),
    body: [headline, refused, h("div", { class: "stack" }, reason.node, h("div", { class: "suggestions", role: "group", "aria-label": say("suggestions") }, chips)), near, says.node],
    bar: button(say("ask_void"), async () => {
      if (!draft.reason) {
        reason.wrong(say("say_why"));
        reason.input.focus();
      } else if (await codeFits()) ask(true);
    }, { class: "button primary wide" }),
  };
}

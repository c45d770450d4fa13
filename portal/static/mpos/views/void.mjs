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

/** @typedef {{intent: string, reason: string, sure: boolean, code?: string, wrong?: number}} Form  sure: the second look was asked for; wrong: how many codes did not fit */

const BACK = { name: "transactions", text: "Transactions" };
/** What is offered until the office's own reasons were heard. */
const SUGGESTIONS = ["Wrong amount", "Wrong customer", "Wrong tender", "Customer changed their mind"];
const OTHER = "Other";
/** After so many mistyped codes the office decides: the portal itself looks at no more than five wrong ones a day. */
const MOST_CODES = 5;

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function voidScreen(ctx) {
  const { phone } = ctx;
  const receipt = await receiptOf(phone, ctx.route.id);
  if (!receipt) {
    return { title: "This receipt is not on the phone", lead: "Only the phone that issued a receipt can void it.", back: BACK, nav: "transactions", body: [] };
  }
  const key = voidKey(receipt);
  const screen = receipt.void && receipt.void.state !== "refused" ? stands(ctx, receipt) : form(ctx, receipt, await phone.voidCodeFacts(receipt.payment));
  return {
    lead: null,
    back: BACK,
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
    fact("Receipt", receipt.receipt_number), fact("Date", dayTime(receipt.at)), fact("Customer", receipt.customer_name),
    fact("Paid by", `${tenderName(receipt.tender, receipt.channel)}${receipt.reference ? `, ${receipt.reference}` : ""}`), fact("Reason", reason), ...(code ? [fact("Supervisor code", code)] : []));
}

/** A void that waits or is approved, with its slip. @param {import("../app.mjs").Context} ctx @param {any} receipt */
function stands(ctx, receipt) {
  const item = receipt.void;
  const word = voidWord(item);
  const says = messages(ctx);
  const cash = receipt.tender === "cash" && item.state === "approved";
  const next = item.state === "approved"
    ? `This payment counts no more.${cash ? ` ${showPesos(receipt.amount)} less cash is expected.` : ""}`
    : item.by_code && item.status === "saved"
      ? "The payment counts until the portal has checked the code. Upload Payments when there is a connection."
      : "The payment counts until a supervisor approves. This phone hears of it by itself when it is online.";
  return {
    title: `Void ${item.void_number}`,
    body: [
      h("div", { class: "headline" }, h("p", { class: "state", role: "status" }, pill(word.tone, word.text)), h("p", { class: "figure" }, showPesos(receipt.amount)),
        h("p", { class: "hint" }, voidWords(item)), h("p", {}, next)),
      says.node,
      h("div", { class: "preview" }, drawPaper(voidPaper(receipt))),
    ],
    bar: h("div", { class: "bar-grid" },
      button("Print void slip", () => put(ctx, says, { make: () => voidPaper(receipt) }), { icon: "printer", class: "button primary wide" }),
      button("Receipt", () => ctx.go("receipt", receipt.payment), { class: "button" }),
      button("Done", () => ctx.back("transactions"), { class: "button" })),
  };
}

/**
 * The request: a reason first, and the code when a supervisor is near, then everything once more before it is stored.
 * @param {import("../app.mjs").Context} ctx @param {any} receipt @param {{void_number: string, challenge: string}} asked
 */
function form(ctx, receipt, asked) {
  const { phone } = ctx;
  const says = messages(ctx);
  const closed = closedForVoids(phone.state);
  const kept = /** @type {Form | undefined} */ (ctx.place.draft);
  /** @type {Form} */
  const draft = kept && kept.intent !== receipt.void?.intent ? { ...kept } : { intent: crypto.randomUUID(), reason: "", sure: false };
  const refused = receipt.void && notice("person", `${voidWords(receipt.void)} It can be asked for again.`, button("Print void slip", () => put(ctx, says, { make: () => voidPaper(receipt) }), { class: "button small" }));
  const figure = h("p", { class: "figure" }, showPesos(receipt.amount));
  const headline = h("div", { class: "headline" }, figure, h("p", {}, h("strong", {}, receipt.customer_name)),
    h("p", { class: "hint" }, `${receipt.receipt_number}, ${tenderName(receipt.tender, receipt.channel)}, ${dayTime(receipt.at)}`));
  if (closed) {
    return { title: "Void", body: [headline, refused, notice("person", closed.message, button("Readings", () => ctx.go("readings"), { class: "button small" }))] };
  }
  if (draft.sure) {
    return {
      title: draft.code ? "Void this by the supervisor’s code?" : "Ask the office to void this?",
      lead: draft.code ? "The portal checks the code at the next upload. Until then the payment counts. It cannot be taken back." : "A supervisor decides. Until then the payment counts. A request cannot be taken back.",
      alone: true,
      body: [figure, facts(receipt, draft.reason, draft.code), says.node],
      bar: h("div", { class: "bar-grid" },
        button("Confirm void request", async () => {
          try {
            await phone.requestVoid(receipt.payment, draft.reason, draft.intent, draft.code ? { code: draft.code, void_number: asked.void_number } : null);
            ctx.keep(undefined);
            ctx.refresh();
          } catch (error) {
            says.fail(error, /** @type {any} */ (error)?.fields?.some((/** @type {any} */ one) => one.field === "supervisor_code") && button("Change the code", () => ask(false), { class: "button small" }));
          }
        }, { class: "button primary wide danger" }),
        button("Do not void", () => ctx.back("transactions"), { class: "button" }),
        button("Change", () => ask(false), { class: "button" })),
    };
  }

  /** @param {boolean} sure */
  function ask(sure) {
    ctx.keep({ ...draft, sure });
    ctx.refresh();
  }

  const reason = field("Reason", { value: draft.reason, maxlength: LONGEST_REASON, enterkeyhint: "done", hint: "Choose one, or type why." });
  const suggestions = phone.state.business?.void_reasons ?? SUGGESTIONS;
  const chips = [...suggestions, OTHER].map((text) => h("button", { type: "button", class: "chip", onclick: () => choose(text) }, text));
  function draw() {
    const chosen = suggestions.includes(draft.reason) ? draft.reason : draft.reason && OTHER;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.textContent === chosen));
  }
  /** @param {string} text */
  function choose(text) {
    reason.input.value = text === OTHER ? "" : text;
    changed();
    if (text === OTHER) reason.input.focus();
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
  const code = field("Supervisor code", {
    value: draft.code ?? "", maxlength: 20, inputmode: "numeric", enterkeyhint: "done",
    hint: "Only when a supervisor is near: under Voids, Give a code, they type what stands here and read you eight digits. Otherwise leave it empty.",
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
    code.wrong(draft.wrong >= MOST_CODES ? "No code fitted. Go on without one: the office decides." : "This is not the code for this void. Compare the eight digits, and what the supervisor typed, with this screen; or leave it empty.");
    if (!code.input.disabled) code.input.focus();
    return false;
  }
  if ((draft.wrong ?? 0) >= MOST_CODES) code.input.disabled = true;
  const near = h("section", { class: "void-code", "aria-label": "When a supervisor is near" },
    h("dl", { class: "facts-list" }, fact("Void number", asked.void_number), fact("Amount", showPesos(receipt.amount)), fact("Challenge", spelled)), code.node);
  return {
    title: "Void this payment",
    body: [headline, refused, h("div", { class: "stack" }, reason.node, h("div", { class: "suggestions", role: "group", "aria-label": "Suggestions" }, chips)), near, says.node],
    bar: button("Ask for the void", async () => {
      if (!draft.reason) {
        reason.wrong("Say why: choose a reason or type one.");
        reason.input.focus();
      } else if (await codeFits()) ask(true);
    }, { class: "button primary wide" }),
  };
}

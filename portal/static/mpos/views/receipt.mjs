// @ts-check
/** A stored receipt: its number, what happened to it, and paper. */
import { button, fill, h, pill, setText } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { dayTime, showPesos, stateWord, tenderName, voidWord, voidWords } from "./format.mjs";
import { photoSection } from "./photo.mjs";
import { put } from "./printing.mjs";
import { sharing } from "./sharing.mjs";
import { receiptPaper } from "../paper.mjs";
import { drawPaper } from "../printer.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function receiptScreen(ctx) {
  const { phone } = ctx;
  const id = ctx.route.id;
  let receipt = await receiptOf(phone, id);
  if (!receipt) {
    return {
      title: say("receipt_unknown"),
      lead: say("receipt_where"),
      back: { name: "transactions", text: say("transactions") },
      nav: "transactions",
      body: [button(say("transactions"), () => ctx.replace("transactions"), { class: "button wide" })],
    };
  }
  const fresh = Boolean(ctx.place.done);
  const says = messages(ctx);
  const state = h("p", { class: "state", role: "status" });
  const prints = h("p", { class: "hint" });
  const preview = h("div", { class: "preview" });
  const voiding = h("div", { class: "voiding" });

  async function refresh() {
    receipt = await phone.receipt(id);
    draw();
    drawPreview();
  }

  function draw() {
    const { status, reason, void: item } = receipt;
    const word = stateWord(status);
    const mark = item && voidWord(item);
    const drawn = JSON.stringify([word.text, reason, item]);
    if (state.dataset.drawn !== drawn) {
      fill(state, pill(word.tone, word.text), " ", mark && pill(mark.tone, mark.text), reason ? ` ${reason}` : "");
      fill(voiding, item && h("p", { class: "hint" }, voidWords(item)),
        button(item && item.state !== "refused" ? say("void_slip") : say("void_payment"), () => ctx.go("void", id), { class: "button small" }));
    }
    state.dataset.drawn = drawn;
    const next = receipt.printed ? receipt.reprints + 1 : 0;
    setText(prints, !receipt.printed ? say("unprinted") : say("printed_next", { how: say(receipt.unseen ? "printed_unseen" : "printed"), times: receipt.reprints > 0 ? say("reprinted", { count: receipt.reprints }) : "", next }));
  }

  function drawPreview() {
    const reprint = receipt.printed ? receipt.reprints + 1 : 0;
    fill(preview, drawPaper(receiptPaper(receipt, { copy: "customer", reprint, origin: location.origin })));
  }

  /** Noted before it leaves the phone: whatever the printer does, no second unmarked original can appear. @param {"customer" | "collector"} copy */
  async function noted(copy) {
    const { reprint, code } = await phone.recordPrint(id, copy);
    return receiptPaper({ ...receipt, code }, { copy, reprint: reprint ?? 0, origin: location.origin });
  }

  /** @param {"customer" | "collector"} copy */
  async function printed(copy) {
    await put(ctx, says, { make: () => noted(copy), came: () => phone.paperCame(id), next: () => (copy === "customer" ? `REPRINT ${receipt.reprints + 1}` : say("as_reprint")) });
    await refresh();
  }

  async function shared() {
    await phone.paperCame(id); // the other app has it, whole
    await refresh();
  }

  draw();
  ctx.later(() => void setTimeout(drawPreview)); // the number first: drawing the paper with its QR takes a slow phone longer than all the rest
  const change = receipt.change ?? 0;
  return {
    title: fresh ? say("payment_received") : say("receipt"),
    lead: null,
    back: fresh ? null : { name: "transactions", text: say("back") },
    nav: fresh ? "collection" : "transactions",
    look: "receipt",
    body: [
      h("div", { class: "headline" },
        h("p", { id: "receipt-number", class: "receipt-number" }, receipt.receipt_number),
        state,
        h("p", { class: "figure" }, showPesos(receipt.amount)),
        h("p", {}, tenderName(receipt.tender, receipt.channel), receipt.reference ? `, ${receipt.reference}` : "", h("br"),
          h("strong", {}, receipt.customer_name), h("br"), h("span", { class: "hint" }, dayTime(receipt.at)))),
      receipt.tender === "cash" && h("p", { class: "change" }, h("span", {}, say("change")), " ", h("strong", { class: change > 0 ? "figure" : "" }, showPesos(change))),
      h("p", { class: "balance" }, h("span", {}, say("remaining_balance")), " ", h("strong", {}, showPesos(receipt.balance_after))),
      receipt.or_number && h("p", {}, say("or_is", { number: receipt.or_number })),
      says.node,
      prints,
      photoSection(phone, receipt),
      voiding,
      preview,
      sharing(says, () => noted("customer"), shared),
    ],
    bar: h("div", { class: "bar-grid" },
      button(say("print_receipt"), () => printed("customer"), { icon: "printer", class: "button primary wide" }),
      button(say("collectors_copy"), () => printed("collector"), { class: "button" }),
      button(say("done"), () => ctx.toList(), { class: "button" })),
    update: refresh,
  };
}

/** The receipt, or null when this phone does not hold it. @param {any} phone @param {string} id */
export async function receiptOf(phone, id) {
  try {
    return await phone.receipt(id);
  } catch (error) {
    if (/** @type {any} */ (error)?.code !== "not_found") throw error;
    return null;
  }
}

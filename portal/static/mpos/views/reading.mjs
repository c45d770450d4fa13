// @ts-check
/** An X- or Z-reading and the Collection Report, as they stand on paper. */
import { button, h, notice } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { counted, day, showPesos, timeOn, waitingVoids } from "./format.mjs";
import { put } from "./printing.mjs";
import { sharing } from "./sharing.mjs";
import { readingPaper, reportPaper } from "../paper.mjs";
import { drawPaper } from "../printer.mjs";

const BACK = { name: "readings", text: "Readings" };

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function xReadingScreen(ctx) {
  const reading = await ctx.phone.reading("x");
  if (!reading) return none("No X-Reading yet", "Make one under Readings.");
  return shown(ctx, `X-Reading, ${timeOn(reading.period_end, reading.business_date)}`, "x", reading);
}

/** Asks before it makes the Z; shows the one that was made. @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function zReadingScreen(ctx) {
  const { phone } = ctx;
  const { registry, unsent } = phone.state;
  const made = await phone.reading("z");
  if (made && (!registry || registry.z_done)) return shown(ctx, `Z-Reading ${made.z_counter}`, "z", made);
  if (!registry) return none("No Z-Reading yet", "A registry has to be open first.");
  const count = await phone.lastCount();
  const says = messages(ctx);
  if (!count || count.outdated) {
    return {
      title: count ? "The count is outdated" : "The Z-Reading needs a count",
      lead: count ? "Cash was collected or voided after the last count. Count the cash again; then make the Z-Reading." : "Count the cash first; then the reading can say whether it is short or over.",
      back: BACK,
      nav: "readings",
      body: [button("Count cash", () => ctx.go("count"), { class: "button primary wide" })],
    };
  }
  return {
    title: "Close the day’s figures?",
    lead: `Business date ${day(registry.business_date)}. After this no more payments can be taken in this registry. It cannot be undone.`,
    back: BACK,
    nav: "readings",
    body: [
      h("p", {}, "Counted cash ", h("strong", {}, showPesos(count.total))),
      waitingNotice(phone.state),
      unsent.count > 0 && notice("person", `${counted(unsent.count, "entry is", "entries are")} not uploaded yet. The Z-Reading can be made all the same; it says so.`),
      says.node,
    ],
    bar: button("Confirm Z-Reading", async () => {
      try {
        await phone.zReading();
        ctx.again();
      } catch (error) {
        says.fail(error, error && /** @type {any} */ (error).code === "count_outdated" ? button("Count cash", () => ctx.go("count"), { class: "button small" }) : null);
      }
    }, { class: "button primary wide" }),
  };
}

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function reportScreen(ctx) {
  const report = await ctx.phone.collectionReport();
  if (!report) return none("No Collection Report yet", "It lists the payments of a registry; open one under Collection.");
  const paper = reportPaper(report);
  const says = messages(ctx);
  return {
    title: "Collection Report",
    lead: `${counted(report.rows.length, "payment")}, ${showPesos(report.totals.amount)}${report.totals.less_void > 0 ? `, less void ${showPesos(report.totals.less_void)}` : ""}`,
    back: BACK,
    nav: "readings",
    look: "receipt",
    body: [says.node, h("div", { class: "preview" }, drawPaper(paper)), sharing(says, () => paper)],
    bar: button("Print report", () => put(ctx, says, { make: () => paper }), { icon: "printer", class: "button primary wide" }),
  };
}

/** @param {import("../app.mjs").Context} ctx @param {string} title @param {"x" | "z"} kind @param {any} reading @returns {import("../app.mjs").Screen} */
function shown(ctx, title, kind, reading) {
  const { business, demo, user } = ctx.phone.state;
  const paper = readingPaper(kind, reading, { business, demo, collector: user?.display_name || user?.name || reading.collector });
  const says = messages(ctx);
  return {
    title,
    lead: null,
    back: BACK,
    nav: "readings",
    look: "receipt",
    body: [waitingNotice(ctx.phone.state), says.node, h("div", { class: "preview" }, drawPaper(paper)), sharing(says, () => paper)],
    bar: button("Print reading", () => put(ctx, says, { make: () => paper }), { icon: "printer", class: "button primary wide" }),
  };
}

/** What a reading of the open registry leaves out. @param {any} state */
function waitingNotice({ registry, voids_waiting: count }) {
  return registry && count > 0 ? notice("person", waitingVoids(count)) : null;
}

/** @param {string} title @param {string} lead @returns {import("../app.mjs").Screen} */
function none(title, lead) {
  return { title, lead, back: BACK, nav: "readings", body: [] };
}

// @ts-check
/** An X- or Z-reading and the Collection Report, as they stand on paper. */
import { button, h, notice } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { day, showPesos, timeOn, waitingVoids } from "./format.mjs";
import { put } from "./printing.mjs";
import { sharing } from "./sharing.mjs";
import { readingPaper, reportPaper } from "../paper.mjs";
import { drawPaper } from "../printer.mjs";
import { say } from "../words.mjs";

const readings = () => ({ name: "readings", text: say("readings") });

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function xReadingScreen(ctx) {
  const reading = await ctx.phone.reading("x");
  if (!reading) return none(say("no_x_reading"), say("no_x_lead"));
  return shown(ctx, `X-Reading, ${timeOn(reading.period_end, reading.business_date)}`, "x", reading);
}

/** Asks before it makes the Z; shows the one that was made. @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function zReadingScreen(ctx) {
  const { phone } = ctx;
  const { registry, unsent } = phone.state;
  const made = await phone.reading("z");
  if (made && (!registry || registry.z_done)) return shown(ctx, say("z_reading_n", { n: String(made.z_counter) }), "z", made);
  if (!registry) return none(say("no_z_reading"), say("no_z_lead"));
  const count = await phone.lastCount();
  const says = messages(ctx);
  if (!count || count.outdated) {
    return {
      title: count ? say("count_outdated") : say("z_needs_count"),
      lead: count ? say("outdated_lead") : say("needs_count_lead"),
      back: readings(),
      nav: "readings",
      body: [button(say("count_cash"), () => ctx.go("count"), { class: "button primary wide" })],
    };
  }
  return {
    title: say("z_title"),
    lead: say("z_lead", { date: day(registry.business_date) }),
    back: readings(),
    nav: "readings",
    body: [
      h("p", {}, say("counted_cash"), " ", h("strong", {}, showPesos(count.total))),
      waitingNotice(phone.state),
      unsent.count > 0 && notice("person", say("z_unsent", { count: unsent.count })),
      says.node,
    ],
    bar: button(say("confirm_z"), async () => {
      try {
        await phone.zReading();
        ctx.again();
      } catch (error) {
        says.fail(error, error && /** @type {any} */ (error).code === "count_outdated" ? button(say("count_cash"), () => ctx.go("count"), { class: "button small" }) : null);
      }
    }, { class: "button primary wide" }),
  };
}

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function reportScreen(ctx) {
  const report = await ctx.phone.collectionReport();
  if (!report) return none(say("no_report"), say("no_report_lead"));
  const paper = reportPaper(report);
  const says = messages(ctx);
  return {
    title: say("collection_report"),
    lead: `${say("n_payments", { count: report.rows.length })}, ${showPesos(report.totals.amount)}${report.totals.less_void > 0 ? say("less_void", { amount: showPesos(report.totals.less_void) }) : ""}`,
    back: readings(),
    nav: "readings",
    look: "receipt",
    body: [says.node, h("div", { class: "preview" }, drawPaper(paper)), sharing(says, () => paper)],
    bar: button(say("print_report"), () => put(ctx, says, { make: () => paper }), { icon: "printer", class: "button primary wide" }),
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
    back: readings(),
    nav: "readings",
    look: "receipt",
    body: [waitingNotice(ctx.phone.state), says.node, h("div", { class: "preview" }, drawPaper(paper)), sharing(says, () => paper)],
    bar: button(say("print_reading"), () => put(ctx, says, { make: () => paper }), { icon: "printer", class: "button primary wide" }),
  };
}

/** What a reading of the open registry leaves out. @param {any} state */
function waitingNotice({ registry, voids_waiting: count }) {
  return registry && count > 0 ? notice("person", waitingVoids(count)) : null;
}

/** @param {string} title @param {string} lead @returns {import("../app.mjs").Screen} */
function none(title, lead) {
  return { title, lead, back: readings(), nav: "readings", body: [] };
}

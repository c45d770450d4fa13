// @ts-check
/** Readings: the end of the day as a task list, from Upload Payments to Close Registry. */
import { button, fill, freshId, h, icon, notice, pill } from "./dom.mjs";
import { messages, othersNotice, reasons } from "./errors.mjs";
import { age, counted, day, doneWords, overdueWords, showPesos } from "./format.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function readingsScreen(ctx) {
  const { phone } = ctx;
  const says = messages(ctx);
  const others = othersNotice(ctx);
  const facts = h("p", { class: "facts" });
  const tasks = h("ol", { class: "tasks" });
  let drawn = "";

  /** @param {string} name @param {any} status a pill or words @param {() => unknown} work @param {string} [symbol] */
  function task(name, status, work, symbol = "chevron") {
    const id = freshId("task");
    const act = button(name, work, { class: "task-button", "aria-describedby": id });
    return h("li", { class: "task" }, act, h("span", { class: "task-status", id }, status), icon(symbol));
  }

  async function draw() {
    others.draw();
    const { registry, unsent, uploading } = phone.state;
    const count = registry ? await phone.lastCount() : null;
    const z = await phone.reading("z");
    const key = JSON.stringify([phone.state.today, registry, unsent.count, phone.state.others.length, uploading, count?.total, count?.outdated, z?.z_counter]);
    if (key === drawn) return;
    drawn = key;
    const last = registry ? null : await phone.collectionReport();
    const idle = last ? `${doneWords(phone.state) ?? "No registry is open."} Its readings and report can still be read and printed.` : "No registry was opened on this phone yet. Open one under Collection.";
    fill(facts, registry ? ["Business date ", h("strong", {}, day(registry.business_date)), `, change fund ${showPesos(registry.change_fund)}.`, overdueWords(phone.state) && h("strong", {}, " Finish this day before you collect for today.")] : idle);
    const upload = task("Upload Payments", unsent.count > 0 ? unsentWords(unsent) : pill("safe", phone.state.others.length > 0 ? "All of yours uploaded" : "All uploaded"), startUpload, "upload");
    if (!registry) {
      fill(tasks, upload, last && task("Collection Report", "last registry", () => ctx.go("report")), z && task("Z-Reading", `Z ${z.z_counter}`, () => ctx.go("z-reading")));
      return;
    }
    fill(tasks,
      upload,
      registry.z_done ? null : task("Count cash", countWords(count), () => ctx.go("count")),
      registry.z_done ? null : task("X-Reading", "interim", makeX),
      task("Collection Report", "every payment", () => ctx.go("report")),
      task("Z-Reading", registry.z_done ? pill("safe", "Made") : !count ? "needs a count" : count.outdated ? "needs a new count" : "closes the figures", () => ctx.go("z-reading")),
      registry.z_done ? task("Close Registry", "ends the day", close) : h("li", { class: "task later" }, h("span", {}, "Then close the registry"), h("span", { class: "task-status" }, "needs the Z-Reading")));
  }

  async function startUpload() {
    const before = phone.state.unsent.count;
    says.say("info", before > 0 ? `Uploading ${counted(before, "entry", "entries")} …` : "Asking the portal …");
    try {
      const result = await phone.upload();
      const left = phone.state.unsent.count;
      const held = result.problems ?? [];
      const whose = phone.state.others.length > 0 ? "of yours" : "of this phone";
      if (result.problem) return says.fail(result.problem, button("Try again", startUpload, { class: "button small" }));
      if (held.length > 0) {
        says.say("person", `Uploaded. The office must look at ${counted(held.length, "entry", "entries")}: ${reasons(held)} You need not collect again.`);
      } else if (left > 0) {
        says.say("person", `${counted(result.acknowledged, "entry", "entries")} uploaded, ${left.toLocaleString("en-US")} still on this phone.`, button("Try again", startUpload, { class: "button small" }));
      } else {
        says.say("safe", result.sent > 0 ? `Uploaded ${counted(result.sent, "entry", "entries")}. The portal has everything ${whose}.` : `Nothing to upload: the portal has everything ${whose}.`);
      }
    } catch (error) {
      says.fail(error, button("Try again", startUpload, { class: "button small" }));
    }
    await draw();
  }

  async function makeX() {
    try {
      await phone.xReading();
      ctx.go("x-reading");
    } catch (error) {
      says.fail(error);
    }
  }

  async function close() {
    try {
      const date = phone.state.registry?.business_date;
      await phone.closeRegistry();
      const next = doneWords(phone.state) ? "" : " Then open today's registry under Collection.";
      says.say("safe", `The registry of ${day(date)} is closed. Hand over the cash with the Z-Reading.${next}`);
    } catch (error) {
      says.fail(error);
    }
    await draw();
  }

  await draw();
  return {
    title: "Readings",
    lead: null,
    back: null,
    nav: "readings",
    body: [
      facts, says.node, others.node, tasks,
      phone.state.problems.length > 0 && notice("person", `Held for the office: ${reasons(phone.state.problems)}`),
    ],
    update: draw,
  };
}

/** @param {{total: number, outdated: boolean} | null} count */
function countWords(count) {
  if (!count) return "not counted yet";
  return count.outdated ? pill("person", `Outdated: cash taken or voided after counting ${showPesos(count.total)}`) : pill("safe", `Counted ${showPesos(count.total)}`);
}

/** @param {{count: number, oldest_at: string | null}} unsent */
function unsentWords(unsent) {
  return `${unsent.count.toLocaleString("en-US")} unsent${unsent.oldest_at ? `, oldest ${age(unsent.oldest_at, new Date())}` : ""}`;
}

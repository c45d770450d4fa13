// @ts-check
/** Readings: the end of the day as a task list, from Upload Payments to Close Registry. */
import { button, fill, freshId, h, icon, notice, pill } from "./dom.mjs";
import { messages, othersNotice, reasons } from "./errors.mjs";
import { age, day, doneWords, overdueWords, showPesos } from "./format.mjs";
import { say, text } from "../words.mjs";

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
    const key = JSON.stringify([phone.state.today, registry, unsent.count, phone.state.others.length, phone.state.expenses_waiting, uploading, count?.total, count?.outdated, z?.z_counter]);
    if (key === drawn) return;
    drawn = key;
    const last = registry ? null : await phone.collectionReport();
    const idle = last ? say("still_printed", { why: doneWords(phone.state) ?? say("no_registry") }) : say("no_registry_yet");
    fill(facts, registry ? [say("business_date"), h("strong", {}, day(registry.business_date)), say("with_fund", { amount: showPesos(registry.change_fund) }), overdueWords(phone.state) && h("strong", {}, say("finish_first"))] : idle);
    const upload = task(say("upload_payments"), unsent.count > 0 ? unsentWords(unsent) : pill("safe", phone.state.others.length > 0 ? say("all_yours") : say("all_uploaded")), startUpload, "upload");
    if (!registry) {
      fill(tasks, upload, last && task(say("collection_report"), say("last_registry"), () => ctx.go("report")), z && task(say("z_reading"), `Z ${z.z_counter}`, () => ctx.go("z-reading")));
      return;
    }
    fill(tasks,
      upload,
      task(say("cash_out"), phone.state.expenses_waiting ? say("n_expenses_wait", { count: phone.state.expenses_waiting }) : say("spent_and_dropped"), () => ctx.go("cash-out")),
      registry.z_done ? null : task(say("count_cash"), countWords(count), () => ctx.go("count")),
      registry.z_done ? null : task(say("x_reading"), say("interim"), makeX),
      task(say("collection_report"), say("every_payment"), () => ctx.go("report")),
      task(say("z_reading"), registry.z_done ? pill("safe", say("made")) : !count ? say("needs_count") : count.outdated ? say("needs_new") : say("closes_figures"), () => ctx.go("z-reading")),
      registry.z_done ? task(say("close_registry"), say("ends_day"), close) : h("li", { class: "task later" }, h("span", {}, say("then_close")), h("span", { class: "task-status" }, say("needs_z_reading"))));
  }

  async function startUpload() {
    const before = phone.state.unsent.count;
    says.say("info", before > 0 ? say("uploading_n", { count: before }) : say("asking_portal"));
    try {
      const result = await phone.upload();
      const left = phone.state.unsent.count;
      const held = result.problems ?? [];
      const whose = say(phone.state.others.length > 0 ? "of_yours" : "of_phone");
      if (result.problem) return says.fail(result.problem, button(say("try_again"), startUpload, { class: "button small" }));
      if (held.length > 0) {
        says.say("person", say("uploaded_held", { count: held.length, reasons: reasons(held) }));
      } else if (left > 0) {
        says.say("person", say("uploaded_part", { count: result.acknowledged, left }), button(say("try_again"), startUpload, { class: "button small" }));
      } else {
        says.say("safe", result.sent > 0 ? say("uploaded_all", { count: result.sent, whose }) : say("uploaded_none", { whose }));
      }
    } catch (error) {
      says.fail(error, button(say("try_again"), startUpload, { class: "button small" }));
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
      const next = doneWords(phone.state) ? "" : say("then_open");
      says.say("safe", say("closed", { date: day(date), next }));
    } catch (error) {
      says.fail(error);
    }
    await draw();
  }

  await draw();
  return {
    title: say("readings"),
    lead: null,
    back: null,
    nav: "readings",
    body: [
      facts, says.node, others.node, tasks,
      phone.state.problems.length > 0 && notice("person", say("held_for_office", { reasons: reasons(phone.state.problems) })),
    ],
    update: draw,
  };
}

/** @param {{total: number, outdated: boolean} | null} count */
function countWords(count) {
  if (!count) return say("not_counted");
  return count.outdated ? pill("person", say("count_old", { total: showPesos(count.total) })) : pill("safe", say("counted_total", { total: showPesos(count.total) }));
}

/** @param {{count: number, oldest_at: string | null}} unsent */
function unsentWords(unsent) {
  return `${text(unsent.count)} ${unsent.oldest_at ? say("unsent_oldest", { age: age(unsent.oldest_at, new Date()) }) : say("unsent")}`;
}

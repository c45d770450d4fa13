// @ts-check
/** Settings: printer, this phone, rescue file, update, Log out. */
import { button, fill, h, notice } from "./dom.mjs";
import { messages, othersNotice } from "./errors.mjs";
import { day, dayTime, showPesos, today } from "./format.mjs";
import { languageChoice } from "./language.mjs";
import { lockSection } from "./lock_settings.mjs";
import { placeSection } from "./place.mjs";
import { printerSection } from "./printer_settings.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function settingsScreen(ctx) {
  const { phone } = ctx;
  const says = messages(ctx);
  const others = othersNotice(ctx);
  const facts = h("dl", { class: "facts-list" });
  const update = h("div", {});
  const session = h("div", {});
  const leaving = h("div", { class: "messages" });

  function draw() {
    const { state } = phone;
    others.draw();
    fill(facts, [
      fact(say("collector"), state.user ? `${state.user.display_name || state.user.name} (${state.user.name})` : say("nobody_in")),
      fact(say("terminal"), state.terminal ? `${state.terminal.code}, ${state.terminal.name}` : say("not_enrolled")),
      fact(say("registry"), state.registry ? say("open_on", { date: day(state.registry.business_date) }) : say("none_open")),
      fact(say("soas"), state.snapshot ? say("list_facts", { count: state.snapshot.count, amount: showPesos(state.snapshot.amount_due), as_of: dayTime(state.snapshot.as_of) }) : say("none_downloaded")),
      fact(say("unsent_label"), say("n_entries", { count: state.unsent.count })),
      fact(say("storage"), storageWords(state.storage_persistent)),
      fact(say("app_version"), ctx.version),
    ]);
    fill(update, state.update_ready && notice("info", say("update_ready"), button(say("update_now"), () => phone.applyUpdate(), { class: "button small primary" })));
    fill(session, state.user && state.online && !state.signed_in &&
      notice("person", say("portal_unknown"), button(say("log_in_again"), () => ctx.go("log-in"), { class: "button small" })));
  }

  async function rescue() {
    try {
      const blob = await phone.rescueFile();
      const link = h("a", { href: URL.createObjectURL(blob), download: `rescue-${phone.state.terminal?.code ?? "phone"}-${today(new Date())}.json` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      says.say("safe", say("rescue_done"));
    } catch (error) {
      says.fail(error);
    }
  }

  /** @param {boolean} force */
  async function logOut(force) {
    try {
      await phone.logOut({ force });
      if (ctx.isCurrent()) ctx.replace("collection"); // else the next log-in is on the screen already, and may be typed into
    } catch (error) {
      if (/** @type {any} */ (error)?.code !== "unsent_entries") return says.fail(error);
      const count = phone.state.unsent.count;
      fill(leaving, notice("danger", say("unsent_stay", { count }),
        button(say("upload_first"), () => ctx.go("readings"), { class: "button small primary" }),
        button(say("log_out_anyway"), () => logOut(true), { class: "button small danger" })));
      leaving.scrollIntoView({ block: "nearest" });
    }
  }

  draw();
  return {
    title: say("settings"),
    lead: null,
    back: null,
    nav: "settings",
    body: [
      update, session, others.node,
      printerSection(ctx),
      lockSection(ctx),
      phone.state.user && placeSection(phone),
      h("section", {}, languageChoice(ctx)),
      h("section", {}, h("h2", {}, say("phone")), facts),
      h("section", {}, h("h2", {}, say("rescue_file")),
        h("p", { class: "hint" }, say("rescue_hint")),
        button(say("save_rescue"), rescue, { class: "button" }), says.node),
      h("section", { class: "last" }, button(say("log_out"), () => logOut(false), { class: "button danger" }), leaving),
    ],
    update: draw,
  };
}

/** @param {string} name @param {string} value */
function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

/** @param {boolean | null} persistent */
function storageWords(persistent) {
  if (persistent === true) return say("storage_safe");
  if (persistent === false) return say("storage_unsafe");
  return say("not_known");
}

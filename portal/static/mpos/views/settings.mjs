// @ts-check
/** Settings: printer, this phone, rescue file, update, Log out. */
import { button, fill, h, notice } from "./dom.mjs";
import { messages, othersNotice } from "./errors.mjs";
import { counted, day, dayTime, showPesos, today } from "./format.mjs";
import { languageChoice } from "./language.mjs";
import { lockSection } from "./lock_settings.mjs";
import { placeSection } from "./place.mjs";
import { printerSection } from "./printer_settings.mjs";

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
      fact("Collector", state.user ? `${state.user.display_name || state.user.name} (${state.user.name})` : "nobody"),
      fact("Terminal", state.terminal ? `${state.terminal.code}, ${state.terminal.name}` : "not enrolled"),
      fact("Registry", state.registry ? `open, business date ${day(state.registry.business_date)}` : "none open"),
      fact("SOAs", state.snapshot ? `${counted(state.snapshot.count, "SOA")}, ${showPesos(state.snapshot.amount_due)}, as of ${dayTime(state.snapshot.as_of)}` : "none downloaded"),
      fact("Unsent", counted(state.unsent.count, "entry", "entries")),
      fact("Storage", storageWords(state.storage_persistent)),
      fact("App version", ctx.version),
    ]);
    fill(update, state.update_ready && notice("info", "A new version of the app is ready. Unsent payments stay on this phone.", button("Update now", () => phone.applyUpdate(), { class: "button small primary" })));
    fill(session, state.user && state.online && !state.signed_in &&
      notice("person", "The portal does not know you at the moment, so nothing can be uploaded or downloaded.", button("Log in again", () => ctx.go("log-in"), { class: "button small" })));
  }

  async function rescue() {
    try {
      const blob = await phone.rescueFile();
      const link = h("a", { href: URL.createObjectURL(blob), download: `rescue-${phone.state.terminal?.code ?? "phone"}-${today(new Date())}.json` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      says.say("safe", "The rescue file was handed to the browser's downloads. Give it to the office only; it holds customer data.");
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
      fill(leaving, notice("danger", `${counted(count, "entry", "entries")} on this phone ${count === 1 ? "is" : "are"} not uploaded. ${count === 1 ? "It stays here and only you can send it" : "They stay here and only you can send them"}, after logging in again on this phone.`,
        button("Upload first", () => ctx.go("readings"), { class: "button small primary" }),
        button("Log out anyway", () => logOut(true), { class: "button small danger" })));
      leaving.scrollIntoView({ block: "nearest" });
    }
  }

  draw();
  return {
    title: "Settings",
    lead: null,
    back: null,
    nav: "settings",
    body: [
      update, session, others.node,
      printerSection(ctx),
      lockSection(ctx),
      phone.state.user && placeSection(phone),
      h("section", {}, languageChoice(ctx)),
      h("section", {}, h("h2", {}, "This phone"), facts),
      h("section", {}, h("h2", {}, "Rescue file"),
        h("p", { class: "hint" }, "A copy of your unsent entries, for the day this phone cannot upload any more."),
        button("Save rescue file", rescue, { class: "button" }), says.node),
      h("section", { class: "last" }, button("Log out", () => logOut(false), { class: "button danger" }), leaving),
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
  if (persistent === true) return "protected: the browser keeps payments until they are uploaded";
  if (persistent === false) return "not protected: the browser may clear it when space is short. Upload often, and add this app to the home screen";
  return "not known";
}

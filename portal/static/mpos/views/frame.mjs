// @ts-check
/** The permanent strip (terminal, registry, unsent, connection) and the tabs. */
import { setText } from "./dom.mjs";
import { age, day } from "./format.mjs";
import { language, say } from "../words.mjs";

/** @type {import("../words.mjs").Key[]} */
const TABS = ["collection", "transactions", "readings", "settings"];
/** Elements of the page, and what stands in them. @type {[string, import("../words.mjs").Key][]} */
const LABELS = [["offline", "offline"], ["session", "log_in_again"], ["toast-close", "close"]];
const MINUTE = 60000;
/** After a start or a new connection the portal is given this long to know us before the strip asks for a new log-in. */
const GRACE = 5000;

/** @param {any} phone */
export function startFrame(phone) {
  const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const [unsent, unsentWords, offline, online, session, demo, toast, toastText] =
    ["unsent", "unsent-words", "offline", "online", "session", "demo", "toast", "toast-text"].map(part);
  let unknownSince = 0;
  let dismissed = "";
  let alone = false;

  part("toast-close").addEventListener("click", () => {
    dismissed = toastText.textContent ?? "";
    toast.hidden = true;
  });

  let labelled = "";
  /** What the page itself says, in the language spoken now. */
  function label() {
    if (labelled === language()) return;
    labelled = language();
    for (const name of TABS) setText(/** @type {Element} */ (part(`tab-${name}`).lastElementChild), say(name));
    for (const [id, key] of LABELS) setText(part(id), say(key));
    part("bar").setAttribute("aria-label", say("main_action"));
    part("tabs").setAttribute("aria-label", say("main"));
  }

  function update() {
    label();
    const { state } = phone;
    setText(part("strip-terminal"), state.terminal?.code ?? (state.user ? say("strip_new") : say("app_name")));
    setText(part("strip-registry"), registryWords(state));
    setText(unsent, String(state.unsent.count));
    setText(unsentWords, ` ${state.unsent.count > 0 && state.unsent.oldest_at ? say("unsent_oldest", { age: age(state.unsent.oldest_at, new Date()) }) : say("unsent")}`);
    part("strip").classList.toggle("has-unsent", state.unsent.count > 0);
    const unknown = Boolean(state.user) && state.online && !state.signed_in;
    if (unknown && !unknownSince) {
      unknownSince = Date.now();
      setTimeout(update, GRACE + 100);
    }
    if (!unknown) unknownSince = 0;
    const lost = unknown && Date.now() - unknownSince > GRACE;
    offline.hidden = state.online;
    session.hidden = !lost;
    online.hidden = !state.online || lost;
    setText(online, state.uploading ? say("uploading") : say("online"));
    demo.hidden = !state.demo;
    part("tab-settings").classList.toggle("has-news", state.update_ready);
    const problem = state.problem ?? "";
    setText(toastText, problem);
    toast.hidden = !problem || problem === dismissed;
    part("tabs").hidden = !state.user || alone;
  }

  update();
  setInterval(update, MINUTE / 2);
  return {
    update,
    /** Marks the tab a screen belongs to. @param {string | null} name @param {boolean} without no tabs on this screen */
    tab(name, without) {
      alone = without;
      part("tabs").hidden = !phone.state.user || alone;
      for (const tab of part("tabs").querySelectorAll("a")) {
        if (tab.id === `tab-${name}`) tab.setAttribute("aria-current", "page");
        else tab.removeAttribute("aria-current");
      }
    },
  };
}

/** @param {any} state */
function registryWords(state) {
  if (state.locked) return say("locked");
  if (!state.user) return say("logged_out");
  if (!state.terminal) return "";
  if (!state.registry) return say("registry_not");
  return `${state.registry.z_done ? say("z_made") : say("open")} ${day(state.registry.business_date)}`;
}

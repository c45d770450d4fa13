// @ts-check
/** Entry of the phone app: opens the phone, keeps strip and tabs, shows one screen at a time. The only module that acts when imported. */
import { PhoneError } from "./errors.mjs";
import { openPhone } from "./phone.mjs";
import { clearPrinter } from "./printer.mjs";
import { address, startRouting } from "./routing.mjs";
import { cashDropScreen, cashOutScreen, cashSlipScreen, expenseScreen } from "./views/cash_out.mjs";
import { collectionScreen } from "./views/collection.mjs";
import { countScreen } from "./views/count.mjs";
import { button, fill, h, icon, notice, quiet } from "./views/dom.mjs";
import { enrollScreen } from "./views/enroll.mjs";
import { wordsFor } from "./views/errors.mjs";
import { startFrame } from "./views/frame.mjs";
import { logInScreen } from "./views/log_in.mjs";
import { openRegistryScreen } from "./views/open_registry.mjs";
import { orEntryScreen } from "./views/or_entry.mjs";
import { paymentScreen } from "./views/payment.mjs";
import { reportScreen, xReadingScreen, zReadingScreen } from "./views/reading.mjs";
import { readingsScreen } from "./views/readings.mjs";
import { pinScreen, unlockScreen } from "./views/pin.mjs";
import { receiptScreen } from "./views/receipt.mjs";
import { routeScreen } from "./views/route.mjs";
import { settingsScreen } from "./views/settings.mjs";
import { startShield } from "./views/shield.mjs";
import { soaScreen } from "./views/soa.mjs";
import { transactionsScreen } from "./views/transactions.mjs";
import { historyScreen, noCollectionScreen, promiseScreen } from "./views/visit.mjs";
import { voidScreen } from "./views/void.mjs";
import { say } from "./words.mjs";

/**
 * @typedef {object} Screen what a view hands over to be shown
 * @property {string} title the h1
 * @property {string | null} lead a sentence under it
 * @property {{name: string, id?: string, text: string} | null} back
 * @property {"collection" | "transactions" | "readings" | "settings" | null} nav the tab it belongs to
 * @property {any[]} body
 * @property {Node} [corner] a lesser action beside the h1
 * @property {Node | null} [bar] the main action, at the thumb
 * @property {string} [look] a class of its own
 * @property {boolean} [alone] one decision only: the tabs step aside
 * @property {number} [scroll] where to start
 * @property {() => void | Promise<void>} [update] called after every change of the phone's state
 * @property {() => void} [leave] called before another screen comes
 */
/**
 * @typedef {object} Context what a view may use
 * @property {any} phone the facade of phone.mjs
 * @property {import("./routing.mjs").Route} route
 * @property {import("./routing.mjs").Place} place
 * @property {string} version
 * @property {Record<string, any>} memory lives as long as the page
 * @property {(name: string, id?: string) => void} go
 * @property {(name: string, id?: string, mark?: {done?: boolean}) => void} replace
 * @property {(name: string, id?: string) => void} back
 * @property {() => void} toList
 * @property {(draft: unknown) => void} keep
 * @property {() => void} again builds this screen anew
 * @property {() => void} relabel another language is spoken now: strip, tabs and screen are drawn anew
 * @property {() => void} refresh like again, by another name for views that wait for the gate
 * @property {() => boolean} isCurrent
 * @property {(work: () => unknown) => void} later runs after the screen is shown
 * @property {() => number} scrollTop
 */

/** @type {Record<string, (ctx: Context) => Screen | Promise<Screen>>} */
const SCREENS = {
  soa: soaScreen,
  pay: paymentScreen,
  receipt: receiptScreen,
  transactions: transactionsScreen,
  readings: readingsScreen,
  count: countScreen,
  "x-reading": xReadingScreen,
  "z-reading": zReadingScreen,
  report: reportScreen,
  void: voidScreen,
  "cash-out": cashOutScreen,
  expense: expenseScreen,
  "cash-drop": cashDropScreen,
  "cash-slip": cashSlipScreen,
  "no-collection": noCollectionScreen,
  promise: promiseScreen,
  history: historyScreen,
  "or-entry": orEntryScreen,
  "or-pay": paymentScreen,
  route: routeScreen,
  settings: settingsScreen,
};
const GATED = new Set(["collection", "soa", "pay", "or-entry", "or-pay", "log-in"]);

const main = /** @type {HTMLElement} */ (document.getElementById("screen"));
const bar = /** @type {HTMLElement} */ (document.getElementById("bar"));
const tabs = /** @type {HTMLElement} */ (document.getElementById("tabs"));

/** The screen for a route, given what this phone may do already. @param {any} state @param {string} name */
function screenFor(state, name) {
  if (state.locked && name !== "log-in") return unlockScreen;
  if (!state.user || name === "log-in") return logInScreen;
  if (state.new_pin || name === "pin") return pinScreen;
  if (name === "settings") return settingsScreen;
  if (!state.terminal) return enrollScreen;
  if (name !== "collection") return SCREENS[name] ?? collectionScreen;
  if (state.terminal.state !== "active") return enrollScreen;
  return state.registry ? collectionScreen : openRegistryScreen;
}

/** What decides which screen a gated route shows. @param {any} state */
function gate(state) {
  return JSON.stringify([state.user?.name, state.new_pin, state.terminal?.code, state.terminal?.state, state.registry?.id, state.registry?.z_done, state.today]);
}

async function start() {
  const phone = await openPhone();
  const version = document.querySelector("meta[name=mpos-version]")?.getAttribute("content") || "unknown";
  /** @type {Record<string, any>} */ const memory = {};
  /** @type {Screen | null} */ let screen = null;
  let turn = 0;
  let shownGate = "";
  let shownUser = phone.state.user?.name ?? (phone.state.locked && `${phone.state.locked.name}, locked`);
  const frame = startFrame(phone);
  const shield = startShield(document);

  let kept = 0;
  /** @type {Promise<void>} until what was typed last is kept */ let sealing = Promise.resolve();
  /**
   * Keep a form in the history entry, sealed where there is a PIN; what was typed last wins.
   * @param {unknown} form @param {() => boolean} isCurrent
   */
  function keep(form, isCurrent) {
    const nth = (kept += 1);
    const sealed = phone.sealDraft(form);
    if (!(sealed instanceof Promise)) return routing.keep(sealed);
    sealing = sealed.then((draft) => {
      if (nth === kept && isCurrent()) routing.keep(draft);
    });
  }

  /** @param {import("./routing.mjs").Route} route @param {import("./routing.mjs").Place} place */
  async function show(route, place) {
    turn += 1;
    const mine = turn;
    shield.raise();
    screen?.leave?.();
    screen = null;
    clearPrinter();
    shownGate = gate(phone.state);
    const draft = await phone.openDraft(place.draft);
    if (mine !== turn) return;
    /** @type {(() => unknown)[]} */ const after = [];
    /** @type {Context} */
    const ctx = {
      phone, route, version, memory,
      place: { ...place, draft },
      go: (name, id) => routing.go(name, id),
      replace: (name, id, mark) => routing.replace(name, id, mark),
      back: (name, id) => routing.back(name, id),
      toList: () => routing.toList(),
      keep: (form) => { if (mine === turn) keep(form, () => mine === turn); },
      again: () => void sealing.then(() => { if (mine === turn) routing.again(); }),
      refresh: () => void sealing.then(() => { if (mine === turn) routing.again(); }),
      relabel: () => {
        frame.update();
        ctx.again();
      },
      isCurrent: () => mine === turn,
      later: (work) => after.push(work),
      scrollTop: () => main.scrollTop,
    };
    /** @type {Screen} */ let built;
    try {
      built = await screenFor(phone.state, route.name)(ctx);
    } catch (error) {
      built = brokenScreen(error, ctx);
    }
    if (mine !== turn) return;
    draw(built, ctx);
    screen = built;
    for (const work of after) await work();
  }

  /** @param {Screen} built @param {Context} ctx */
  function draw(built, ctx) {
    const heading = h("h1", { tabindex: "-1" }, built.title);
    const { back } = built;
    const backLink = back && h("a", { class: "back", href: address(back.name, back.id), onclick: (/** @type {Event} */ event) => {
      event.preventDefault();
      ctx.back(back.name, back.id);
    } }, icon("back"), quiet(say("back_to", { text: back.text })));
    main.className = `screen ${built.look ?? ""}`;
    fill(main, h("div", { class: "page" }, h("div", { class: "top" }, backLink, heading, built.corner), built.lead && h("p", { class: "lead" }, built.lead), built.body.flat()));
    shield.raise();
    fill(bar, built.bar ?? null);
    bar.hidden = !built.bar;
    main.scrollTop = built.scroll ?? 0;
    heading.focus({ preventScroll: true });
    document.title = `${built.title} - ${say("app_name")}`;
    frame.tab(built.nav, Boolean(built.alone));
  }

  /** Lets the screen follow the phone; a screen that is gone by then needs no answer. */
  async function renew() {
    const shown = screen;
    try {
      await shown?.update?.();
    } catch (error) {
      if (shown === screen) throw error;
    }
  }

  const routing = startRouting(/** @type {any} */ (window), (route, place) => void show(route, place));

  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href^='#/']") : null;
    if (!link || event.defaultPrevented) return;
    event.preventDefault();
    const [, name, id = ""] = (link.getAttribute("href") ?? "").split("/");
    routing.go(name, decodeURIComponent(id));
  });

  phone.subscribe(() => {
    frame.update();
    const user = phone.state.user?.name ?? (phone.state.locked && `${phone.state.locked.name}, locked`);
    if (user !== shownUser) {
      shownUser = user;
      for (const key of Object.keys(memory)) delete memory[key];
      if (user) routing.again();
      else routing.replace("collection"); // whoever logs in next begins there
    } else if (gate(phone.state) !== shownGate && GATED.has(routing.current().route.name)) {
      routing.again();
    } else {
      void renew();
    }
  });
}

/** @param {unknown} error @param {Context} ctx @returns {Screen} */
function brokenScreen(error, ctx) {
  return {
    title: say("not_shown"),
    lead: null,
    back: null,
    nav: null,
    body: [notice("danger", wordsFor(error), button(say("try_again"), () => ctx.again(), { class: "button small" }), button(say("transactions"), () => ctx.go("transactions"), { class: "button small" }))],
  };
}

try {
  await start();
} catch (error) {
  console.error(error);
  fill(main, h("div", { class: "page" }, h("h1", {}, say("not_started")),
    notice("danger", say("start_failed", { why: error instanceof PhoneError ? error.message : say("stores_nothing") }),
      button(say("try_again"), () => location.reload(), { class: "button small" }))));
}

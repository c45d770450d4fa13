// @ts-check
/** Where a payment is taken: asked for once, with its reason; never waited for. */
import { button, fill, h, notice } from "./dom.mjs";
import { say } from "../words.mjs";

/** Key of the choice among the settings of this user: `on`, `off`, or none so far. */
const CHOICE = "place";
const WAIT = { enableHighAccuracy: true, timeout: 20_000, maximumAge: 60_000 };
const MILLION = 1_000_000;

/** @typedef {{latitude: number, longitude: number, accuracy: number}} Place millionths of a degree, metres */

/** What a payment's entry carries of a position. @param {GeolocationPosition} position @returns {Place} */
export function placeOf({ coords }) {
  return { latitude: Math.round(coords.latitude * MILLION), longitude: Math.round(coords.longitude * MILLION), accuracy: Math.min(Math.max(Math.round(coords.accuracy), 0), 10 * MILLION) };
}

/**
 * Looks for the place while a payment is typed. `now()` is what is known so far: a payment never waits for it.
 * @param {any} phone
 * @param {Geolocation | undefined} [finder]
 */
export function startPlace(phone, finder = navigator.geolocation) {
  /** @type {Place | null} */ let known = null;
  const node = h("div", {});

  function look() {
    finder?.getCurrentPosition((position) => {
      known = placeOf(position);
    }, (error) => {
      if (error.code === error.PERMISSION_DENIED) void phone.setChoice(CHOICE, "off");
    }, WAIT);
  }

  /** @param {"on" | "off"} choice */
  async function choose(choice) {
    fill(node);
    await phone.setChoice(CHOICE, choice);
    if (choice === "on") look();
  }

  async function begin() {
    const choice = finder ? await phone.choice(CHOICE) : "off";
    if (choice === "on") look();
    else if (choice !== "off") {
      fill(node, notice("info", say("place_ask"),
        button(say("note_place"), () => choose("on"), { class: "button small" }), button(say("no"), () => choose("off"), { class: "button small" })));
    }
  }

  void begin();
  return { node, now: () => known };
}

/** The choice, to be changed later. @param {any} phone */
export function placeSection(phone) {
  const box = h("input", { type: "checkbox", onchange: () => phone.setChoice(CHOICE, box.checked ? "on" : "off") });
  void phone.choice(CHOICE).then((/** @type {string | null} */ choice) => {
    box.checked = choice === "on";
  });
  return h("section", {}, h("h2", {}, say("place")), h("label", { class: "check" }, box, h("span", { class: "line-text" }, say("note_where"))),
    h("p", { class: "hint" }, say("place_hint")));
}

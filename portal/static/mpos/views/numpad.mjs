// @ts-check
/** Big number keys for amounts under a finger: the phone's own keyboard stays away, so the main button keeps its place. A real keyboard types as ever. */
import { h, icon, quiet } from "./dom.mjs";
import { say } from "../words.mjs";

const KEYS = ["7", "8", "9", "4", "5", "6", "1", "2", "3", "00", "0", "."];
const LARGEST_PESOS = 10;
/** Long enough for the tap that left the field to reach what it was meant for before anything moves. */
const LINGER = 300;

/** What an amount becomes when a key is pressed; grouped as it grows, never more than two decimals. @param {string} text @param {string} key */
export function typed(text, key) {
  const plain = text.replace(/,/g, "");
  if (key === "delete") return grouped(plain.slice(0, -1));
  if (key === ".") return plain.includes(".") ? grouped(plain) : `${plain || "0"}.`;
  const next = plain === "0" ? key : plain + key;
  const [pesos, centavos = ""] = next.split(".");
  if (pesos.length > LARGEST_PESOS || centavos.length > 2) return grouped(plain);
  return grouped(/^0+$/.test(next) ? "0" : next);
}

/** @param {string} plain */
function grouped(plain) {
  if (plain.endsWith(".")) return plain;
  const [pesos, centavos] = plain.split(".");
  const whole = pesos.replace(/\B(?=(\d{3})+$)/g, ",");
  return centavos === undefined ? whole : `${whole}.${centavos}`;
}

/** A set of keys, hidden until a finger touches one of the fields it serves. */
export function numpad() {
  /** @type {HTMLInputElement | null} */ let target = null;
  let closing = 0;
  const keys = KEYS.map((key) => keyButton(key, key));
  const node = h("div", { class: "numpad", role: "group", "aria-label": say("number_keys") },
    h("div", { class: "numpad-digits" }, keys),
    h("div", { class: "numpad-side" },
      keyButton("delete", icon("delete"), quiet(say("delete"))),
      keyButton("clear", say("clear")),
      keyButton("done", say("done"))));
  node.hidden = true;

  /** @param {string} key @param {...any} face */
  function keyButton(key, ...face) {
    const element = h("button", { type: "button", class: `key ${key === "done" ? "done" : ""}`, tabindex: "-1" }, face);
    // The field keeps the focus; a press must not take it away.
    element.addEventListener("pointerdown", (/** @type {Event} */ event) => event.preventDefault());
    element.addEventListener("mousedown", (/** @type {Event} */ event) => event.preventDefault());
    element.addEventListener("click", () => press(key));
    return element;
  }

  /** @param {string} key */
  function press(key) {
    if (!target) return;
    if (key === "done") {
      target.blur();
      return close();
    }
    const all = target.value.length > 0 && target.selectionStart === 0 && target.selectionEnd === target.value.length;
    target.value = key === "clear" ? "" : typed(all ? "" : target.value, key);
    target.setSelectionRange(target.value.length, target.value.length);
    target.dispatchEvent(new Event("input"));
  }

  function close() {
    clearTimeout(closing);
    node.hidden = true;
    target?.setAttribute("inputmode", "decimal");
    target = null;
  }

  /** Lets a finger on `input` bring the keys. @param {HTMLInputElement} input */
  function serve(input) {
    input.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") return;
      clearTimeout(closing);
      if (target && target !== input) target.setAttribute("inputmode", "decimal");
      input.setAttribute("inputmode", "none");
      target = input;
      // Shown after the tap is over, so that it lands where it was aimed.
      setTimeout(() => {
        if (target !== input) return;
        node.hidden = false;
        input.select();
        input.scrollIntoView({ block: "nearest" });
      }, LINGER);
    });
    input.addEventListener("blur", () => {
      if (target !== input) return;
      clearTimeout(closing);
      closing = setTimeout(() => {
        if (target === input) close();
      }, LINGER);
    });
  }

  return { node, serve, close };
}

// @ts-check
/** Small helpers that build the screens' DOM from text only; no markup is ever parsed. */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element with attributes, listeners (`onclick: fn`) and children; text becomes text nodes.
 * @param {string} tag @param {Record<string, any>} [props] @param {...(Child | Child[])} children @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "htmlFor") /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

/** @param {Node} parent @param {(Child | Child[])[]} children */
function add(parent, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replaces what an element holds. @param {Element} element @param {...(Child | Child[])} children */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/** Sets text only when it changed, so that live regions stay quiet. @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An icon of the shell's sprite, silent to screen readers. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.appendChild(use);
  return svg;
}

let serial = 0;
/** An id no other element of the page has. @param {string} stem */
export function freshId(stem) {
  serial += 1;
  return `${stem}-${serial}`;
}

/** Words for screen readers only. @param {string} text */
export function quiet(text) {
  return h("span", { class: "quiet" }, text);
}

/** A status word in a pill. @param {"plain" | "safe" | "person" | "danger"} tone @param {string} text */
export function pill(tone, text) {
  return h("span", { class: `pill ${tone}` }, text);
}

/**
 * A button that cannot be pressed twice: while its work runs, further taps do nothing.
 * @param {string} text @param {(button: HTMLElement) => unknown} work @param {Record<string, any>} [props]
 */
export function button(text, work, props = {}) {
  const { icon: name, ...rest } = props;
  const element = h("button", { type: "button", class: "button", ...rest }, name && icon(name), h("span", {}, text));
  element.addEventListener("click", async () => {
    if (element.getAttribute("aria-disabled") === "true") return;
    element.setAttribute("aria-disabled", "true");
    try {
      await work(element);
    } finally {
      element.removeAttribute("aria-disabled");
    }
  });
  return element;
}

/**
 * A labelled text field with room for a hint and for what is wrong with it.
 * @param {string} label @param {Record<string, any>} [props] `hint` and `class` besides the input's own attributes
 */
export function field(label, props = {}) {
  const { hint, class: look = "", ...rest } = props;
  const id = freshId("field");
  const help = h("p", { class: "hint", id: `${id}-hint` }, hint || "");
  help.hidden = !hint;
  const problem = h("p", { class: "problem", id: `${id}-problem` });
  problem.hidden = true;
  const input = h("input", { id, type: "text", autocomplete: "off", "aria-describedby": `${id}-hint ${id}-problem`, ...rest });
  const node = h("div", { class: `field ${look}` }, h("label", { for: id }, label), help, input, problem);
  return {
    node,
    input: /** @type {HTMLInputElement} */ (input),
    /** Shows or clears what is wrong. @param {string} text */
    wrong(text) {
      setText(problem, text);
      problem.hidden = !text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
    /** @param {string} text */
    tell(text) {
      setText(help, text);
      help.hidden = !text;
    },
  };
}

/**
 * A set of big radio buttons.
 * @param {string} legend @param {{value: string, text: string}[]} choices @param {string} chosen @param {(value: string) => void} changed @param {string} [look]
 */
export function radios(legend, choices, chosen, changed, look = "") {
  const name = freshId("choice");
  return h(
    "fieldset",
    { class: `choices ${look}` },
    h("legend", {}, legend),
    h(
      "div",
      { class: "segments" },
      choices.map(({ value, text }) =>
        h(
          "label",
          { class: "segment" },
          h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => changed(value) }),
          h("span", {}, text),
        ),
      ),
    ),
  );
}

/**
 * A message with a way out. Errors are announced at once.
 * @param {"info" | "safe" | "person" | "danger"} tone @param {string} text @param {...Child} actions
 */
export function notice(tone, text, ...actions) {
  return h(
    "div",
    { class: `notice ${tone}`, role: tone === "danger" ? "alert" : "status" },
    h("p", {}, text),
    actions.length > 0 && h("div", { class: "notice-actions" }, actions),
  );
}

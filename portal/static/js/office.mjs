// Small comforts of the office pages. Every page works without this file, as plain links and forms.

const AWAY = "The portal did not answer. Nothing was lost: check the connection, then try again.";

/** Show an error that stays until it is dismissed. @param {Node[]} content what to say */
function complain(content) {
  const toasts = document.getElementById("toasts");
  const form = document.getElementById("toast-form");
  if (!toasts || !(form instanceof HTMLTemplateElement)) return;
  const toast = /** @type {DocumentFragment} */ (form.content.cloneNode(true));
  const line = /** @type {HTMLElement} */ (toast.firstElementChild);
  /** @type {HTMLElement} */ (line.querySelector("[data-words]")).append(...content);
  const same = [...toasts.children].find((other) => other.textContent?.trim() === line.textContent?.trim());
  same?.remove(); // a panel that asks every two seconds must not fill the screen with one trouble
  toasts.append(line);
}

/** @param {string} words */
function paragraph(words) {
  const element = document.createElement("p");
  element.textContent = words;
  return element;
}

/** The server's own words in an error answer, as nodes; a plain sentence when the answer is not ours. @param {XMLHttpRequest} xhr */
function errorOf(xhr) {
  const parsed = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("[data-error]");
  if (!parsed) return [paragraph(xhr.status === 0 ? AWAY : `The portal's answer could not be read (status ${xhr.status}). Try again.`)];
  return [...parsed.children].map((child) => {
    const copy = paragraph(child.textContent?.trim() ?? "");
    if (child.querySelector("strong")) copy.className = "fw-semibold";
    return copy;
  });
}

document.addEventListener("htmx:configRequest", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  const token = /** @type {HTMLMetaElement | null} */ (document.querySelector('meta[name="csrf-token"]'));
  if (detail.verb !== "get" && token) detail.headers["X-CSRFToken"] = token.content;
  if (detail.verb === "get" && detail.elt.matches("[data-live]")) {
    for (const [name, value] of [...detail.formData.entries()]) if (value === "") detail.formData.delete(name); // short addresses
  }
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  if (detail.xhr.status === 422 && detail.xhr.responseText.includes("data-error")) {
    detail.shouldSwap = false;
    complain(errorOf(detail.xhr));
  }
});
document.addEventListener("htmx:responseError", (event) => complain(errorOf(/** @type {CustomEvent} */ (event).detail.xhr)));
for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, () => complain([paragraph(AWAY)]));

document.addEventListener("htmx:afterSettle", () => {
  const news = /** @type {HTMLElement | null} */ (document.querySelector("#now [data-announce], #results [data-announce]"))?.dataset.announce;
  const spoken = document.getElementById("spoken");
  if (news && spoken && spoken.textContent !== news) spoken.textContent = news;
  dismissLater();
});

// Leaving the search box is a `change` too; what was typed has been asked for already.
document.addEventListener("change", (event) => {
  if (event.target instanceof HTMLInputElement && event.target.type === "search" && event.target.form?.matches("[data-live]")) {
    event.stopPropagation();
  }
}, true);

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  target?.closest("[data-dismiss]")?.closest("[data-toast]")?.remove();
  if (target?.closest("[data-go-back]")) history.back();
  if (target?.closest("[data-print]")) print();
  const copy = target?.closest("[data-copy]");
  if (copy instanceof HTMLElement) void copyText(copy);
  if (target?.closest("[data-theme-toggle]")) toggleTheme();
  const fold = target?.closest("[data-fold]");
  fold?.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") === "false"));
});

/** Say on the button that hides filters how many of them are set. */
function countFilters() {
  const button = document.querySelector("[data-fold]");
  const form = button?.closest("form");
  const fields = [...(form?.elements ?? [])].filter((field) => field instanceof HTMLSelectElement || (field instanceof HTMLInputElement && field.type !== "search"));
  const set = fields.filter((field) => (field instanceof HTMLSelectElement ? field.selectedIndex > 0 : field.type === "checkbox" ? field.checked : field.type === "date" && field.value));
  const words = button?.querySelector("[data-chosen]");
  if (words) words.textContent = set.length ? ` (${set.length})` : "";
}
document.addEventListener("change", countFilters);
document.addEventListener("htmx:load", countFilters);
countFilters();

/** @param {HTMLElement} source */
async function toClipboard(source) {
  try {
    await navigator.clipboard.writeText(source.textContent ?? "");
    return true;
  } catch {
    // Without HTTPS the browser keeps the clipboard to itself; what is selected may still be copied.
    source.closest("details")?.setAttribute("open", "");
    getSelection()?.selectAllChildren(source);
    return document.execCommand("copy");
  }
}

/** Put the text of the element a button names into the clipboard; the button says for a moment how that went. @param {HTMLElement} button */
async function copyText(button) {
  const words = /** @type {HTMLElement} */ (button.querySelector("[data-copy-words]") ?? button);
  const before = button.dataset.before ?? words.textContent ?? "";
  button.dataset.before = before;
  const source = document.getElementById(button.dataset.copy ?? "");
  words.textContent = source && (await toClipboard(source)) ? "Copied" : "Not copied: select the text by hand";
  const spoken = document.getElementById("spoken");
  if (spoken) spoken.textContent = words.textContent;
  setTimeout(() => { words.textContent = before; }, 3000);
}

function toggleTheme() {
  const next = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
  document.documentElement.dataset.bsTheme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // storage is forbidden: the choice lasts for this page
  }
}

document.addEventListener("keydown", (event) => {
  const typing = event.target instanceof Element && event.target.closest("input, select, textarea");
  const box = document.getElementById("q");
  if (event.key === "/" && !typing && box instanceof HTMLInputElement && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// Ticking many rows: one box for all, and the button says how many.
document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || !box.form || !box.matches("[data-pick-all], [data-pick]")) return;
  const boxes = [...box.form.querySelectorAll("[data-pick]")].filter((each) => each instanceof HTMLInputElement);
  if (box.matches("[data-pick-all]")) boxes.forEach((each) => { each.checked = box.checked; });
  const ticked = boxes.filter((each) => each.checked).length;
  const count = box.form.querySelector("[data-picked]");
  if (count) count.textContent = ticked ? ` (${ticked})` : "";
});

function dismissLater() {
  for (const toast of document.querySelectorAll("[data-leaves]:not(.leaving)")) {
    toast.removeAttribute("data-leaves");
    setTimeout(() => toast.classList.add("leaving"), 6000);
    setTimeout(() => toast.remove(), 6400);
  }
}
dismissLater();

// @ts-check
/** Collection: download the SOAs, find a customer. */
import { button, fill, h, icon, notice, setText } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { counted, day, dayTime, dueWords, isLate, overdueWords, show, showPesos, today, visitWords } from "./format.mjs";
import { isVoided } from "../domain/voids.mjs";

const STEP = 50;

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function collectionScreen(ctx) {
  const { phone } = ctx;
  const date = today(new Date());
  /** @type {{text: string, list: "due" | "all" | null, shown: number, scroll: number, order: "due" | "address"}} */
  const kept = ctx.memory.list ?? (ctx.memory.list = { text: "", list: null, shown: STEP, scroll: 0, order: "due" });
  const says = messages(ctx);

  const facts = h("p", { class: "facts" });
  const progress = h("progress", { class: "progress", "aria-label": "Download", hidden: true });
  const stage = h("p", { class: "hint", role: "status" });
  const download = button("Download SOA", startDownload, { class: "button wide" });

  const search = h("input", {
    type: "search", id: "search", autocomplete: "off", autocapitalize: "none", spellcheck: "false", enterkeyhint: "search",
    placeholder: "Name, account, SOA, phone, address", value: kept.text,
  });
  const due = h("button", { type: "button", class: "segment-button" });
  const all = h("button", { type: "button", class: "segment-button" });
  const found = h("p", { class: "found", role: "status" });
  const order = h("select", { id: "order", onchange: () => {
    kept.order = order.value === "address" ? "address" : "due";
    kept.shown = STEP;
    void phone.setChoice("order", kept.order);
    draw();
  } }, h("option", { value: "due" }, "Due date"), h("option", { value: "address" }, "Address"));
  const ways = h("div", { class: "ways" }, h("label", { class: "quiet", for: "order" }, "Order"), order,
    button("My route", () => ctx.go("route"), { class: "button small" }), button("OR Entry", () => ctx.go("or-entry"), { class: "button small" }));
  const asOf = h("p", { class: "as-of" });
  const list = h("ul", { class: "soas" });
  const more = h("div", { class: "more" });
  const finder = h(
    "div",
    { class: "finder" },
    h("label", { class: "searchbox", for: "search" }, h("span", { class: "quiet" }, "Search"), icon("search"), search),
    h("div", { class: "segments two", role: "group", "aria-label": "Which customers" }, due, all),
    asOf,
  );

  const top = h("div", { class: "download" }, facts);
  const corner = h("div", { class: "corner" });

  search.addEventListener("input", () => {
    kept.text = search.value;
    kept.list = null;
    kept.shown = STEP;
    draw();
  });
  due.addEventListener("click", () => choose("due"));
  all.addEventListener("click", () => choose("all"));

  /** @param {"due" | "all"} which */
  function choose(which) {
    kept.list = which;
    kept.shown = STEP;
    draw();
  }

  async function startDownload() {
    says.clear();
    progress.hidden = false;
    progress.removeAttribute("value");
    setText(stage, "Asking the portal …");
    try {
      await phone.download(({ received, total, stage: word }) => {
        if (total) {
          progress.setAttribute("max", String(total));
          progress.setAttribute("value", String(Math.min(received, total)));
        }
        setText(stage, downloadWords(word, received, total));
      });
      setText(stage, `Downloaded ${counted(phone.state.snapshot?.count ?? 0, "SOA")}.`);
    } catch (error) {
      setText(stage, "");
      if (/** @type {any} */ (error)?.code === "offline") {
        says.say("person", `The portal cannot be reached, so nothing was downloaded. ${phone.state.snapshot ? "The list you have stays in use; download" : "Download"} again when there is a connection.`);
      } else {
        says.fail(error);
      }
    } finally {
      progress.hidden = true;
      draw();
    }
  }

  function draw() {
    const { snapshot } = phone.state;
    finder.hidden = found.hidden = ways.hidden = !snapshot;
    download.classList.toggle("primary", !snapshot);
    download.classList.toggle("wide", !snapshot);
    download.classList.toggle("small", Boolean(snapshot));
    (snapshot ? corner : top).append(download);
    if (!snapshot) {
      setText(facts, "No SOAs on this phone yet. Download them while you have a connection; then you can collect all day without one.");
      fill(list);
      fill(more);
      return;
    }
    fill(facts, h("strong", {}, `${counted(snapshot.count, "SOA")}, ${showPesos(snapshot.amount_due)}`));
    setText(asOf, `As of ${dayTime(snapshot.as_of)}`);
    order.value = kept.order;
    const text = kept.text.trim();
    const matches = phone.find(text, kept.order);
    const which = kept.list ?? (text || matches.due.count === 0 ? "all" : "due");
    const { count, amount } = matches[which];
    setText(due, `Due ${matches.due.count.toLocaleString("en-US")}`);
    setText(all, `All ${matches.all.count.toLocaleString("en-US")}`);
    due.setAttribute("aria-pressed", String(which === "due"));
    all.setAttribute("aria-pressed", String(which === "all"));
    setText(found, count ? `${counted(count, "SOA")}, ${showPesos(amount)}` : "");
    fill(list, matches.rows(which, 0, kept.shown).map((/** @type {any} */ soa) => h("li", {}, soaButton(soa))));
    fill(more, count === 0 ? nothing(text, which) : count > kept.shown ? showMore(count) : null);
  }

  /** @param {number} total */
  function showMore(total) {
    const next = Math.min(STEP, total - kept.shown);
    return button(`Show ${next} more of ${(total - kept.shown).toLocaleString("en-US")}`, () => {
      const first = kept.shown;
      kept.shown += STEP;
      draw();
      list.children[first]?.querySelector("button")?.focus({ preventScroll: true });
    }, { class: "button plain wide" });
  }

  /** @param {string} text @param {"due" | "all"} which */
  function nothing(text, which) {
    if (text) {
      return h("div", { class: "empty" },
        h("p", {}, `Nobody found for “${text}”${which === "due" ? " among those due" : ""}.`),
        h("p", { class: "hint" }, "Try fewer letters, the account number or the street."),
        button("Clear search", () => {
          search.value = kept.text = "";
          kept.list = null;
          draw();
          search.focus();
        }, { class: "button" }));
    }
    if (which === "due") {
      return h("div", { class: "empty" }, h("p", {}, "Nothing is due today or before."), button("Show all", () => choose("all"), { class: "button" }));
    }
    return h("div", { class: "empty" },
      h("p", {}, "The downloaded list is empty: no account is assigned to your collector codes."),
      h("p", { class: "hint" }, "Ask the office to assign you a collector code, then download again."));
  }

  /** @param {any} soa */
  function soaButton(soa) {
    const paid = soa.payments.some((/** @type {any} */ one) => !isVoided(one));
    return h("button", { type: "button", class: "soa", onclick: () => ctx.go("soa", soa.id) },
      h("span", { class: "soa-name" }, soa.customer_name), " ",
      h("span", { class: "soa-meta" },
        h("span", { class: isLate(soa) ? "late" : "" }, dueWords(soa, date)), " ",
        h("span", {}, soa.account_number), " ",
        paid && h("span", { class: "paid" }, "Paid on this phone"),
        !paid && soa.visit && h("span", { class: "visited" }, visitWords(soa.visit))), " ",
      h("span", { class: "soa-amount" }, show(soa.amount_due)));
  }

  draw();
  if (ctx.memory.ordered === undefined) {
    ctx.memory.ordered = true;
    void phone.choice("order").then((/** @type {string | null} */ choice) => {
      if (choice !== "address" || !ctx.isCurrent()) return;
      kept.order = "address";
      draw();
    });
  }
  const { registry } = phone.state;
  const made = registry?.z_done
    ? `The Z-Reading of ${day(registry.business_date)} is made: its registry takes no more payments. Close it under Readings${registry.business_date < date ? "; then open today's registry" : ""}.`
    : null;
  const stop = overdueWords(phone.state) ?? made;
  const warning = stop && notice("person", stop, button("Readings", () => ctx.go("readings"), { class: "button small" }));
  let seen = phone.state.snapshot;
  return {
    title: "Collection",
    corner,
    lead: null,
    back: null,
    nav: "collection",
    body: [warning, h("div", { class: "stack tight" }, top, progress, stage, says.node), finder, ways, found, list, more],
    scroll: kept.scroll,
    update() {
      if (phone.state.snapshot === seen) return;
      seen = phone.state.snapshot;
      draw();
    },
    leave() {
      kept.scroll = ctx.scrollTop();
    },
  };
}

/** @param {string} word @param {number} received @param {number | null} total */
function downloadWords(word, received, total) {
  const size = (/** @type {number} */ bytes) => `${Math.ceil(bytes / 1024).toLocaleString("en-US")} kB`;
  if (word === "storing" || word === "saving") return "Storing on this phone …";
  if (!received) return "Asking the portal …";
  return total ? `Received ${size(received)} of ${size(total)} …` : `Received ${size(received)} …`;
}

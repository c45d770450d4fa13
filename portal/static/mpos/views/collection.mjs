// @ts-check
/** Collection: download the SOAs, find a customer. */
import { button, fill, h, icon, notice, setText } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { day, dayTime, dueWords, isLate, overdueWords, show, showPesos, today, visitWords } from "./format.mjs";
import { isVoided } from "../domain/voids.mjs";
import { say } from "../words.mjs";

const STEP = 50;

/** @param {import("../app.mjs").Context} ctx @returns {import("../app.mjs").Screen} */
export function collectionScreen(ctx) {
  const { phone } = ctx;
  const date = today(new Date());
  /** @type {{text: string, list: "due" | "all" | null, shown: number, scroll: number, order: "due" | "address"}} */
  const kept = ctx.memory.list ?? (ctx.memory.list = { text: "", list: null, shown: STEP, scroll: 0, order: "due" });
  const says = messages(ctx);

  const facts = h("p", { class: "facts" });
  const progress = h("progress", { class: "progress", "aria-label": say("download"), hidden: true });
  const stage = h("p", { class: "hint", role: "status" });
  const download = button(say("download_soa"), startDownload, { class: "button wide" });

  const search = h("input", {
    type: "search", id: "search", autocomplete: "off", autocapitalize: "none", spellcheck: "false", enterkeyhint: "search",
    placeholder: say("search_hint"), value: kept.text,
  });
  const due = h("button", { type: "button", class: "segment-button" });
  const all = h("button", { type: "button", class: "segment-button" });
  const found = h("p", { class: "found", role: "status" });
  const order = h("select", { id: "order", onchange: () => {
    kept.order = order.value === "address" ? "address" : "due";
    kept.shown = STEP;
    void phone.setChoice("order", kept.order);
    draw();
  } }, h("option", { value: "due" }, say("due_date")), h("option", { value: "address" }, say("address")));
  const ways = h("div", { class: "ways" }, h("label", { class: "quiet", for: "order" }, say("order")), order,
    button(say("my_route"), () => ctx.go("route"), { class: "button small" }), button(say("or_entry"), () => ctx.go("or-entry"), { class: "button small" }));
  const asOf = h("p", { class: "as-of" });
  const list = h("ul", { class: "soas" });
  const more = h("div", { class: "more" });
  const finder = h(
    "div",
    { class: "finder" },
    h("label", { class: "searchbox", for: "search" }, h("span", { class: "quiet" }, say("search")), icon("search"), search),
    h("div", { class: "segments two", role: "group", "aria-label": say("which_customers") }, due, all),
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
    setText(stage, say("asking_portal"));
    try {
      await phone.download(({ received, total, stage: word }) => {
        if (total) {
          progress.setAttribute("max", String(total));
          progress.setAttribute("value", String(Math.min(received, total)));
        }
        setText(stage, downloadWords(word, received, total));
      });
      setText(stage, say("downloaded", { count: phone.state.snapshot?.count ?? 0 }));
    } catch (error) {
      setText(stage, "");
      if (/** @type {any} */ (error)?.code === "offline") {
        says.say("person", say(phone.state.snapshot ? "download_later_old" : "download_later"));
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
      setText(facts, say("no_soas"));
      fill(list);
      fill(more);
      return;
    }
    fill(facts, h("strong", {}, `${say("n_soas", { count: snapshot.count })}, ${showPesos(snapshot.amount_due)}`));
    setText(asOf, say("as_of_when", { when: dayTime(snapshot.as_of) }));
    order.value = kept.order;
    const text = kept.text.trim();
    const matches = phone.find(text, kept.order);
    const which = kept.list ?? (text || matches.due.count === 0 ? "all" : "due");
    const { count, amount } = matches[which];
    setText(due, say("due_n", { count: matches.due.count }));
    setText(all, say("all", { count: matches.all.count }));
    due.setAttribute("aria-pressed", String(which === "due"));
    all.setAttribute("aria-pressed", String(which === "all"));
    setText(found, count ? `${say("n_soas", { count })}, ${showPesos(amount)}` : "");
    fill(list, matches.rows(which, 0, kept.shown).map((/** @type {any} */ soa) => h("li", {}, soaButton(soa))));
    fill(more, count === 0 ? nothing(text, which) : count > kept.shown ? showMore(count) : null);
  }

  /** @param {number} total */
  function showMore(total) {
    const next = Math.min(STEP, total - kept.shown);
    return button(say("show_more_of", { next, total: total - kept.shown }), () => {
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
        h("p", {}, say(which === "due" ? "nobody_due" : "nobody", { text })),
        h("p", { class: "hint" }, say("try_fewer")),
        button(say("clear_search"), () => {
          search.value = kept.text = "";
          kept.list = null;
          draw();
          search.focus();
        }, { class: "button" }));
    }
    if (which === "due") {
      return h("div", { class: "empty" }, h("p", {}, say("nothing_due")), button(say("show_all"), () => choose("all"), { class: "button" }));
    }
    return h("div", { class: "empty" },
      h("p", {}, say("list_empty")),
      h("p", { class: "hint" }, say("ask_code")));
  }

  /** @param {any} soa */
  function soaButton(soa) {
    const paid = soa.payments.some((/** @type {any} */ one) => !isVoided(one));
    return h("button", { type: "button", class: "soa", onclick: () => ctx.go("soa", soa.id) },
      h("span", { class: "soa-name" }, soa.customer_name), " ",
      h("span", { class: "soa-meta" },
        h("span", { class: isLate(soa) ? "late" : "" }, dueWords(soa, date)), " ",
        h("span", {}, soa.account_number), " ",
        paid && h("span", { class: "paid" }, say("paid_phone")),
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
    ? say(registry.business_date < date ? "z_made_close_open" : "z_made_close", { date: day(registry.business_date) })
    : null;
  const stop = overdueWords(phone.state) ?? made;
  const warning = stop && notice("person", stop, button(say("readings"), () => ctx.go("readings"), { class: "button small" }));
  let seen = phone.state.snapshot;
  return {
    title: say("collection"),
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
  if (word === "storing" || word === "saving") return say("storing_phone");
  if (!received) return say("asking_portal");
  return total ? say("received_of", { received: size(received), total: size(total) }) : say("received", { received: size(received) });
}

// @ts-check
/** Count cash: one field per denomination. The count is blind: what should be there appears only after it was saved. */
import { button, freshId, h, notice, setText } from "./dom.mjs";
import { messages } from "./errors.mjs";
import { dayTime, show, showPesos } from "./format.mjs";
import { DENOMINATIONS } from "../domain/readings.mjs";
import { say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx @returns {Promise<import("../app.mjs").Screen>} */
export async function countScreen(ctx) {
  const { phone } = ctx;
  const { registry } = phone.state;
  if (!registry || registry.z_done) {
    return {
      title: say("count_cash"),
      lead: registry ? say("count_stands") : say("count_closed"),
      back: { name: "readings", text: say("readings") },
      nav: "readings",
      body: [],
    };
  }
  const says = messages(ctx);
  const last = await phone.lastCount();
  const kept = /** @type {Record<string, string>} */ (ctx.place.draft ?? {});
  const total = h("output", { class: "figure" });
  const lines = DENOMINATIONS.map(({ value, kind }) => {
    const name = denominationName(value, kind);
    const id = freshId("count");
    const sum = h("output", { class: "count-sum", for: id }, "–");
    const problem = h("p", { class: "problem", id: `${id}-problem` });
    problem.hidden = true;
    const input = h("input", { id, type: "text", inputmode: "numeric", enterkeyhint: "next", autocomplete: "off", maxlength: 5, placeholder: "0", "aria-describedby": problem.id, value: kept[name] ?? "" });
    input.addEventListener("input", changed);
    input.addEventListener("input", () => (problem.hidden = true));
    input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const next = lines[lines.findIndex((line) => line.input === input) + 1];
      (next?.input ?? input).focus();
    });
    return { value, kind, name, input, sum, problem, node: h("div", { class: "count-line" }, h("label", { for: id }, name), h("span", { class: "times", "aria-hidden": "true" }, "×"), input, sum, problem) };
  });

  /** Pieces typed in one line, null when it is not a whole number. @param {{input: HTMLInputElement}} line */
  function pieces(line) {
    const typed = line.input.value.trim();
    if (!typed) return 0;
    return /^[0-9]{1,5}$/.test(typed) ? Number(typed) : null;
  }

  function draw() {
    let sum = 0;
    for (const line of lines) {
      const count = pieces(line);
      if (count === null) line.input.setAttribute("aria-invalid", "true");
      else line.input.removeAttribute("aria-invalid");
      setText(line.sum, count ? show(count * line.value) : count === null ? "?" : "–");
      sum += (count ?? 0) * line.value;
    }
    setText(total, showPesos(sum));
    return sum;
  }

  function changed() {
    ctx.keep(Object.fromEntries(lines.filter((line) => line.input.value).map((line) => [line.name, line.input.value])));
    draw();
  }

  async function save() {
    const bad = lines.find((line) => pieces(line) === null);
    if (bad) {
      setText(bad.problem, say("not_number", { value: bad.input.value, name: bad.name }));
      bad.problem.hidden = false;
      return bad.input.focus();
    }
    try {
      const saved = await phone.saveCount(lines.map((line) => ({ value: line.value, kind: line.kind, count: pieces(line) ?? 0 })));
      ctx.keep(undefined);
      says.say("safe", say("count_saved", { total: showPesos(saved?.total ?? draw()) }), outcome(saved), button(say("back_readings"), () => ctx.back("readings"), { class: "button small" }));
      says.node.scrollIntoView({ block: "center" });
    } catch (error) {
      says.fail(error);
    }
  }

  draw();
  return {
    title: say("count_the_cash"),
    lead: say("count_everything"),
    back: { name: "readings", text: say("readings") },
    nav: "readings",
    look: "count",
    body: [
      last && notice(last.outdated ? "person" : "info", say("last_count", { total: showPesos(last.total), at: last.at ? `, ${dayTime(last.at)}` : "", outdated: last.outdated ? say("cash_after") : "" })),
      h("fieldset", { class: "counts" }, h("legend", {}, say("bills")), lines.filter((line) => line.kind === "bill").map((line) => line.node)),
      h("fieldset", { class: "counts" }, h("legend", {}, say("coins")), lines.filter((line) => line.kind === "coin").map((line) => line.node)),
      says.node,
    ],
    bar: h("div", { class: "bar-total" }, h("p", {}, h("span", {}, say("counted")), " ", total), button(say("save_count"), save, { class: "button primary" })),
  };
}

/** `1000`, `20`, `20 coin`, `0.25`: the 20 is the only one that is both bill and coin. @param {number} value centavos @param {string} kind */
export function denominationName(value, kind) {
  const pesos = value % 100 === 0 ? String(value / 100) : `0.${String(value).padStart(2, "0")}`;
  return kind === "coin" && value === 2000 ? say("coin", { pesos }) : pesos;
}

/** @param {any} saved */
function outcome(saved) {
  if (!saved || typeof saved.expected_cash !== "number") return null;
  return h("dl", { class: "totals" },
    h("div", {}, h("dt", {}, say("expected_cash")), h("dd", {}, showPesos(saved.expected_cash))),
    h("div", {}, h("dt", {}, say(saved.short_over < 0 ? "short" : saved.short_over > 0 ? "over" : "short_over")), h("dd", { class: saved.short_over < 0 ? "late" : "" }, showPesos(Math.abs(saved.short_over)))));
}

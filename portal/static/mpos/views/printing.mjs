// @ts-check
/** Puts a document on paper and says how it went; where nobody but the user can tell, asks whether the paper came out. */
import { button } from "./dom.mjs";
import { choosePrinter, print, printerSettings, readyToPrint } from "../printer.mjs";
import { say } from "../words.mjs";

/** @typedef {import("../app.mjs").Context} Context */
/** @typedef {import("../paper.mjs").PaperDocument} PaperDocument */
/** @typedef {ReturnType<typeof import("./errors.mjs").messages>} Says */
/**
 * One thing to print. `make` notes the print and answers the document, and is not called before the printer is ready; `came` notes that the paper was seen,
 * left out where a second copy does no harm; `next` says what the next print will be marked as.
 * @typedef {{make: () => Promise<PaperDocument> | PaperDocument, came?: () => Promise<unknown>, next?: () => string}} Job
 */

const BROKE = new Set(["printer_broke", "paper_ran_out"]);

/** Prints one thing. @param {Context} ctx @param {Says} says @param {Job} job */
export async function put(ctx, says, job) {
  says.clear();
  try {
    await readyToPrint();
    const { sure, low } = await print(await job.make());
    if (sure) await job.came?.();
    if (low) says.say("person", say("paper_low"));
    else if (!sure && job.came) seen(ctx, says, job, "");
  } catch (error) {
    const code = /** @type {any} */ (error)?.code;
    if (BROKE.has(code)) seen(ctx, says, job, /** @type {Error} */ (error).message);
    else says.fail(error, ...waysOut(ctx, says, job, code));
  }
}

/** Asks whether the paper came out: half a receipt is no receipt. @param {Context} ctx @param {Says} says @param {Job} job @param {string} words what went wrong */
function seen(ctx, says, job, words) {
  says.say("person", [words, say("paper_came")].join(" ").trim(),
    button(say("yes"), async () => {
      try {
        await job.came?.();
        says.clear();
      } catch (error) {
        says.fail(error);
      }
    }, { class: "button small" }),
    button(say("no"), () => {
      const mark = job.next?.();
      says.say("person", say(mark ? "print_marked" : "print_stored", { mark }),
        button(say("print_again"), () => put(ctx, says, job), { class: "button small primary" }), ...others(ctx));
    }, { class: "button small" }));
  says.node.scrollIntoView({ block: "nearest" });
}

/** @param {Context} ctx @param {Says} says @param {Job} job @param {string} code */
function waysOut(ctx, says, job, code) {
  if (!code?.startsWith("printer_") && code !== "paper_out") return [];
  const again = button(say("print_again"), () => put(ctx, says, job), { class: "button small primary" });
  const choose = button(say("choose_printer"), async () => {
    try {
      if (await choosePrinter(printerSettings().way)) await put(ctx, says, job);
    } catch (error) {
      says.fail(error, ...others(ctx));
    }
  }, { class: "button small primary" });
  return [code === "printer_not_chosen" ? choose : again, ...others(ctx)];
}

/** @param {Context} ctx */
function others(ctx) {
  return [button(say("printer_settings"), () => ctx.go("settings"), { class: "button small" })];
}

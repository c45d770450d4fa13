// @ts-check
/** The row of buttons that shares a paper as PDF, image or text. */
import { button, h } from "./dom.mjs";
import { share } from "../share.mjs";
import { say } from "../words.mjs";

/** @type {import("../share.mjs").ShareForm[]} */
const FORMS = ["pdf", "image", "text"];

/**
 * @param {ReturnType<typeof import("./errors.mjs").messages>} says
 * @param {() => Promise<import("../paper.mjs").PaperDocument> | import("../paper.mjs").PaperDocument} make notes the copy, when copies are counted, and answers the document
 * @param {() => unknown} [after] notes that somebody has it
 */
export function sharing(says, make, after) {
  return h("div", { class: "sharing", role: "group", "aria-label": say("share_without") },
    h("span", { class: "hint" }, say("share")),
    FORMS.map((form) => button(say(form), async () => {
      says.clear();
      try {
        const done = await share(await make(), form);
        if (done === "cancelled") return;
        await after?.();
        says.say("safe", say(done === "shared" ? "share_shared" : "share_saved"));
      } catch (error) {
        says.fail(error);
      }
    }, { class: "button small", "aria-label": say("share_as_form", { form: form === "pdf" ? say(form) : say(form).toLowerCase() }) })));
}

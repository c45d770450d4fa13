// @ts-check
/** The row of buttons that shares a paper as PDF, image or text. */
import { button, h } from "./dom.mjs";
import { share } from "../share.mjs";

/** @type {{form: import("../share.mjs").ShareForm, text: string}[]} */
const FORMS = [{ form: "pdf", text: "PDF" }, { form: "image", text: "Image" }, { form: "text", text: "Text" }];
const SAID = { shared: "Handed over: what it holds is exactly what the paper says.", saved: "Saved among this phone's downloads: it holds exactly what the paper says.", cancelled: "" };

/**
 * @param {ReturnType<typeof import("./errors.mjs").messages>} says
 * @param {() => Promise<import("../paper.mjs").PaperDocument> | import("../paper.mjs").PaperDocument} make notes the copy, when copies are counted, and answers the document
 * @param {() => unknown} [after] notes that somebody has it
 */
export function sharing(says, make, after) {
  return h("div", { class: "sharing", role: "group", "aria-label": "Share without a printer" },
    h("span", { class: "hint" }, "Share as"),
    FORMS.map(({ form, text }) => button(text, async () => {
      says.clear();
      try {
        const words = SAID[await share(await make(), form)];
        if (!words) return;
        await after?.();
        says.say("safe", words);
      } catch (error) {
        says.fail(error);
      }
    }, { class: "button small", "aria-label": `Share as ${form === "pdf" ? "PDF" : text.toLowerCase()}` })));
}

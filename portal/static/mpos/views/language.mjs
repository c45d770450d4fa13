// @ts-check
/** The choice of the app's language: it holds for this phone, at once and before anybody logs in. */
import { radios } from "./dom.mjs";
import { choose, language, LANGUAGES, say } from "../words.mjs";

/** @param {import("../app.mjs").Context} ctx */
export function languageChoice(ctx) {
  const node = radios(say("language"), Object.entries(LANGUAGES).map(([value, text]) => ({ value, text })), language(), async (name) => {
    await choose(name);
    ctx.memory.spoke = true;
    ctx.relabel();
  }, "languages");
  for (const [place, input] of node.querySelectorAll(".segment").entries()) input.lang = Object.keys(LANGUAGES)[place];
  // The screen is drawn anew; the finger, or the key, stays where it was.
  if (ctx.memory.spoke) ctx.later(() => node.querySelector("input:checked")?.focus({ preventScroll: true }));
  ctx.memory.spoke = false;
  return node;
}

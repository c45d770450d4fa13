// @ts-check
/** Keeps the second tap of a double tap from pressing what the next screen puts under the finger. */
import { h } from "./dom.mjs";

const DOUBLE_TAP = 400;
const RECENT = 2000;
/** Half of a thumb's width, in CSS pixels. */
const REACH = 40;

/**
 * Watches where the phone is tapped. `raise()` covers that place, and only that, for a moment; the rest of the screen and the keyboard are free at once.
 * @param {Document} document
 */
export function startShield(document) {
  const shield = h("div", { class: "shield", "aria-hidden": "true", hidden: true });
  /** @type {{x: number, y: number, at: number} | null} */ let tap = null;
  let timer = 0;
  document.body.append(shield);
  document.addEventListener("click", (event) => {
    // A click from the keyboard or a screen reader has no place.
    tap = event.detail ? { x: event.clientX, y: event.clientY, at: event.timeStamp } : null;
  }, { capture: true });

  return {
    raise() {
      if (!tap || performance.now() - tap.at > RECENT) return;
      shield.style.left = `${tap.x - REACH}px`;
      shield.style.top = `${tap.y - REACH}px`;
      shield.hidden = false;
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        shield.hidden = true;
      }, DOUBLE_TAP);
    },
  };
}

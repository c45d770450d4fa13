// @ts-check
/** Ordering the rows of a list by dragging a handle. */

/** A copy with one item at another place. @template T @param {readonly T[]} items @param {number} from @param {number} to @returns {T[]} */
export function moved(items, from, to) {
  const next = items.filter((_, place) => place !== from);
  next.splice(to, 0, items[from]);
  return next;
}

/** Where a row dragged down by `offset` lands: past each row whose middle its edge passed, never outside the list. @param {number[]} heights @param {number} from @param {number} offset */
export function landing(heights, from, offset) {
  const step = offset < 0 ? -1 : 1;
  let to = from;
  let room = 0;
  for (let next = from + step; next in heights; next += step) {
    if (room + heights[next] / 2 < offset * step) to = next;
    room += heights[next];
  }
  return { to, offset: Math.min(offset * step, room) * step };
}

/**
 * Each `.handle` drags its row; Escape, a lost pointer and `stop` put it back.
 * @param {HTMLElement} list @param {(from: number, to: number) => unknown} dropped draws the rows anew @param {() => void} putBack
 */
export function dragRows(list, dropped, putBack) {
  let end = (/** @type {boolean} */ _drop) => {};
  list.addEventListener("pointerdown", (event) => {
    const handle = /** @type {HTMLElement} */ (event.target);
    if (!handle.matches(".handle") || !event.isPrimary || event.button) return;
    event.preventDefault();
    end(false);
    const rows = /** @type {HTMLElement[]} */ ([...list.children]);
    const from = rows.findIndex((row) => row.contains(handle));
    const heights = rows.map((row) => row.getBoundingClientRect().height);
    const screen = /** @type {HTMLElement} */ (list.closest(".screen"));
    const top = () => list.getBoundingClientRect().top;
    const grip = event.clientY - top();
    let y = event.clientY;
    let to = from;
    let live = true;
    let begun = false;

    function follow() {
      if (!begun || !live) return;
      const at = landing(heights, from, y - top() - grip);
      to = at.to;
      rows.forEach((row, n) => {
        const shift = n === from ? at.offset : n > from && n <= to ? -heights[from] : n < from && n >= to ? heights[from] : 0;
        row.classList.toggle("held", n === from);
        row.style.transform = `translateY(${shift}px)`;
      });
    }
    function frame() {
      if (!live) return;
      const box = screen.getBoundingClientRect();
      if (begun) screen.scrollTop += (Math.max(0, y - box.bottom + 56) - Math.max(0, box.top + 56 - y)) / 5;
      follow();
      requestAnimationFrame(frame);
    }
    /** @param {KeyboardEvent} pressed */
    const key = (pressed) => pressed.key === "Escape" && end(false);
    end = (drop) => {
      if (!live) return;
      live = false;
      document.removeEventListener("keydown", key);
      if (drop && to !== from) return dropped(from, to);
      for (const row of rows) {
        row.classList.remove("held");
        row.style.transform = "";
      }
      if (begun && !drop) putBack();
    };
    document.addEventListener("keydown", key);
    handle.onpointermove = (at) => {
      y = at.clientY;
      begun ||= Math.abs(y - event.clientY) > 4;
    };
    handle.onpointerup = () => (follow(), end(true));
    handle.onlostpointercapture = () => end(false);
    handle.setPointerCapture(event.pointerId);
    frame();
  });
  return { stop: () => end(false) };
}

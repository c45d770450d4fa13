// @ts-check
/** A photo of a check or slip, after the payment is stored: optional, never waited for. */
import { fill, freshId, h, setText } from "./dom.mjs";
import { wordsFor } from "./errors.mjs";
import { compress } from "../photos.mjs";
import { say } from "../words.mjs";

/** @param {any} phone @param {any} receipt */
export function photoSection(phone, receipt) {
  if (receipt.tender === "cash" && !receipt.or_number) return null;
  return photoPart(phone, receipt.payment, say(receipt.tender === "check" ? "photo_check" : "photo_slip"), (image) => phone.addPhoto(receipt.payment, image));
}

/** A button that takes a photo, and where the photos of one thing are. @param {any} phone @param {string} of @param {string} label @param {(image: Uint8Array) => Promise<unknown>} add */
export function photoPart(phone, of, label, add) {
  const id = freshId("photo");
  const told = h("p", { class: "hint", role: "status" });
  const input = h("input", { id, type: "file", accept: "image/*", capture: "environment", class: "quiet" });
  const node = h("section", { class: "photo" }, h("label", { for: id, class: "button" }, label), input, told);

  async function tell() {
    const waiting = await phone.photos(of);
    const refused = waiting.find((/** @type {any} */ one) => one.refused);
    const open = waiting.filter((/** @type {any} */ one) => !one.refused).length;
    setText(told, refused ? say("photo_refused", { why: refused.refused }) : open ? say("photos_wait", { count: open }) : "");
  }

  input.addEventListener("change", async () => {
    const [file] = input.files ?? [];
    if (!file) return;
    setText(told, say("making_photo"));
    try {
      const canvas = (/** @type {number} */ width, /** @type {number} */ height) => Object.assign(document.createElement("canvas"), { width, height });
      await add(await compress(file, { createImageBitmap: (/** @type {any} */ source) => createImageBitmap(source), canvas }));
      await tell();
    } catch (error) {
      fill(told, wordsFor(error));
    } finally {
      input.value = "";
    }
  });
  void tell();
  return node;
}

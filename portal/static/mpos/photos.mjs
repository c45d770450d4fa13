/** Photos of checks and slips: made small on the phone, kept beside the money and never before it, sent when all money is uploaded. */

import { PortalError } from "./api.mjs";
import { PhoneError } from "./errors.mjs";
import { told } from "./words.mjs";

/** Bytes of a photo that the portal takes. */
export const LARGEST = 200_000;
const SIDES = [1600, 1280, 1024, 800];
const QUALITIES = [0.8, 0.65, 0.5, 0.35];
const LIST = "photos";
/** Photos of one payment. */
const MOST = 3;

/** @typedef {{payment: string, name: string, of?: "expenses", refused: string|import("./words.mjs").Told|null}} Waiting `name`: SHA-256 of the bytes, hex; `refused`: why the portal will never take it; `of`: `payment` is an expense */

/**
 * A JPEG small enough for the portal: smaller and smaller until it fits. Throws PhoneError when what was chosen is no picture.
 * @param {Blob} file
 * @param {{createImageBitmap: typeof createImageBitmap, canvas: (width: number, height: number) => HTMLCanvasElement}} browser
 * @returns {Promise<Uint8Array>}
 */
export async function compress(file, browser) {
  let bitmap;
  try {
    bitmap = await browser.createImageBitmap(file);
  } catch {
    throw new PhoneError("not_a_photo", told("not_a_photo"));
  }
  try {
    for (const side of SIDES) {
      const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
      const canvas = browser.canvas(Math.max(Math.round(bitmap.width * scale), 1), Math.max(Math.round(bitmap.height * scale), 1));
      canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      for (const quality of QUALITIES) {
        const blob = await new Promise((/** @type {(blob: Blob|null) => void} */ resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
        if (blob && blob.type === "image/jpeg" && blob.size <= LARGEST) return new Uint8Array(await blob.arrayBuffer());
      }
    }
  } finally {
    bitmap.close();
  }
  throw new PhoneError("not_a_photo", told("photo_large"));
}

/**
 * Keep a photo until it is sent. The same again is kept once.
 * @param {import("./db.mjs").Store} store
 * @param {SubtleCrypto} subtle
 * @param {string} payment
 * @param {Uint8Array} image
 * @param {"expenses"} [of] what `payment` is, when it is none
 */
export async function keepPhoto(store, subtle, payment, image, of) {
  const digest = new Uint8Array(await subtle.digest("SHA-256", /** @type {BufferSource} */ (image)));
  const name = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const list = await waitingPhotos(store);
  const own = list.filter((one) => one.payment === payment);
  if (own.some((one) => one.name === name)) return;
  if (own.length >= MOST) throw new PhoneError("enough_photos", told("photos_enough", { most: MOST }));
  await store.setMeta(placeOf(payment, name), image);
  await store.setMeta(LIST, [...list, { payment, name, refused: null, ...(of && { of }) }]);
}

/** @param {import("./db.mjs").Store} store @returns {Promise<Waiting[]>} photos on this phone that the portal has not taken */
export async function waitingPhotos(store) {
  return (await store.meta(LIST)) ?? [];
}

/**
 * Send what waits, one after the other, and drop what was taken. A photo the portal will never take is let go with its reason; anything else that
 * goes wrong ends the round, and the next one tries again.
 * @param {import("./db.mjs").Store} store
 * @param {{putPhoto: (payment: string, name: string, image: Uint8Array, of?: "expenses") => Promise<unknown>}} api
 * @returns {Promise<number>} how many the portal took
 */
export async function sendPhotos(store, api) {
  let sent = 0;
  for (const { payment, name, refused, of } of await waitingPhotos(store)) {
    if (refused) continue;
    const image = await store.meta(placeOf(payment, name));
    let why = null;
    try {
      if (image) await api.putPhoto(payment, name, image, of);
      sent += image ? 1 : 0;
    } catch (error) {
      if (!(error instanceof PhoneError)) throw error;
      const never = error instanceof PortalError && [400, 409, 413, 422].includes(error.status ?? 0);
      if (!never) return sent; // the payment is not uploaded yet, or the line is gone: the money comes first
      why = error.words;
    }
    await store.setMeta(placeOf(payment, name), undefined);
    const others = (await waitingPhotos(store)).filter((one) => one.payment !== payment || one.name !== name);
    await store.setMeta(LIST, why ? [...others, { payment, name, refused: why, ...(of && { of }) }] : others);
  }
  return sent;
}

/** @param {string} payment @param {string} name */
function placeOf(payment, name) {
  return `photo ${payment} ${name}`;
}

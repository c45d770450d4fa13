// @ts-check
/** A receipt printer over Bluetooth Low Energy, through Web Bluetooth: a service with a characteristic that can be written. */

import { say } from "../words.mjs";

/** @typedef {import("./device.mjs").Connection} Connection */
/** @typedef {import("./device.mjs").Way} Way */

/** Services that portable receipt printers are known to print through; a browser opens none that was not named when the printer was chosen. */
const SERVICES = [
  0x18f0, 0xff00, 0xffe0, 0xfff0, 0xae30,
  "49535343-fe7d-4ae5-8fa9-9fafd205e455",
  "e7810a71-73ae-499d-8c15-faa9aef0c3f2",
  "6e400001-b5a3-f393-e0a9-e50e24dcca9e",
];
/** A confirmed write is cut up by the phone itself; one nobody confirms must fit the smallest packet (23 less 3), or its end is lost. */
const CONFIRMED = 180;
const UNCONFIRMED = 20;

/** @param {any} bluetooth navigator.bluetooth @returns {Way} */
export function bluetoothWay(bluetooth) {
  return {
    choose: () => bluetooth.requestDevice({ acceptAllDevices: true, optionalServices: SERVICES }),
    known: async () => (await bluetooth.getDevices?.())?.[0] ?? null,
    open: (device) => openDevice(device),
    nameOf: (device) => device.name || say("bt_printer"),
  };
}

/** @param {any} device @returns {Promise<Connection>} */
async function openDevice(device) {
  const server = await device.gatt.connect();
  const { out, back } = await pipes(server);
  if (!out) {
    server.disconnect();
    throw new Error(say("bt_no_printer"));
  }
  let gone = false;
  const lost = () => (gone = true);
  device.addEventListener?.("gattserverdisconnected", lost);
  const confirmed = Boolean(out.properties.write);
  /** @type {Uint8Array[]} */
  const heard = [];
  /** @type {((bytes: Uint8Array) => void) | null} */
  let waiting = null;
  back?.addEventListener("characteristicvaluechanged", () => {
    const { value } = back;
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (waiting) waiting(bytes);
    else heard.push(bytes);
    waiting = null;
  });
  const listening = await back?.startNotifications().then(() => true, () => false);
  return {
    chunk: confirmed ? CONFIRMED : UNCONFIRMED,
    get gone() {
      return gone || !server.connected;
    },
    write: (bytes) => (confirmed ? out.writeValueWithResponse(bytes) : out.writeValueWithoutResponse(bytes)),
    read: listening
      ? () => new Promise((resolve) => {
          const first = heard.shift();
          if (first) resolve(first);
          else waiting = resolve;
        })
      : null,
    async close() {
      device.removeEventListener?.("gattserverdisconnected", lost);
      server.disconnect();
    },
  };
}

/** The first characteristic that can be written, and one of the same service that tells of changes. @param {any} server */
async function pipes(server) {
  for (const service of await server.getPrimaryServices()) {
    const all = await service.getCharacteristics();
    const out = all.find((/** @type {any} */ one) => one.properties.write) ?? all.find((/** @type {any} */ one) => one.properties.writeWithoutResponse);
    if (out) return { out, back: all.find((/** @type {any} */ one) => one.properties.notify) ?? null };
  }
  return { out: null, back: null };
}

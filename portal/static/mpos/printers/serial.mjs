// @ts-check
/** A receipt printer on a serial port: a USB or classic Bluetooth port of the device, through Web Serial. */

import { say } from "../words.mjs";

/** @typedef {import("./device.mjs").Connection} Connection */
/** @typedef {import("./device.mjs").Way} Way */

/** What a browser takes at once; small enough that a slow line shows its end soon. */
const CHUNK = 512;

/** @param {any} serial navigator.serial @returns {Way} */
export function serialWay(serial) {
  return {
    choose: () => serial.requestPort(),
    known: async () => (await serial.getPorts())[0] ?? null,
    open: (port, { speed }) => openPort(port, speed),
    nameOf: () => say("serial_printer"),
  };
}

/** @param {any} port @param {number} speed bits a second @returns {Promise<Connection>} */
async function openPort(port, speed) {
  if (!port.writable) await port.open({ baudRate: speed, bufferSize: 4096 });
  /** What a reader that was left behind still brings. @type {Promise<Uint8Array> | null} */
  let coming = null;
  /** @type {any} */
  let reader = null;
  /** @type {any} */
  let writer = null;
  let gone = false;
  const lost = () => (gone = true);
  port.addEventListener?.("disconnect", lost);
  return {
    chunk: CHUNK,
    get gone() {
      return gone || !port.writable;
    },
    async write(bytes) {
      const mine = (writer = port.writable.getWriter());
      try {
        await mine.write(bytes);
      } finally {
        mine.releaseLock();
        if (writer === mine) writer = null;
      }
    },
    read: port.readable
      ? () => {
          coming ??= readOnce().finally(() => (coming = null));
          return coming;
        }
      : null,
    async close() {
      port.removeEventListener?.("disconnect", lost);
      // A port with a waiting reader or an unfinished write does not close.
      await Promise.all([reader?.cancel(), writer?.abort()]);
      await port.close();
    },
  };

  /** @returns {Promise<Uint8Array>} */
  async function readOnce() {
    reader = port.readable.getReader();
    try {
      const { value } = await reader.read();
      return value ?? new Uint8Array();
    } finally {
      reader.releaseLock();
      reader = null;
    }
  }
}

// @ts-check
/** A receipt printer on a USB cable, through WebUSB: the bulk pipes of its printer interface. */

import { say } from "../words.mjs";

/** @typedef {import("./device.mjs").Connection} Connection */
/** @typedef {import("./device.mjs").Way} Way */

const PRINTER_CLASS = 7;
const CHUNK = 4096;
const MOST_OF_AN_ANSWER = 64;

/** @param {any} usb navigator.usb @returns {Way} */
export function usbWay(usb) {
  return {
    choose: () => usb.requestDevice({ filters: [{ classCode: PRINTER_CLASS }] }),
    known: async () => (await usb.getDevices()).find((/** @type {any} */ device) => printerOf(device)) ?? null,
    open: (device) => openDevice(device),
    nameOf: (device) => device.productName || say("usb_printer"),
  };
}

/** The printer's interface and its pipes, or null. @param {any} device */
function printerOf(device) {
  for (const configuration of device.configurations ?? []) {
    for (const part of configuration.interfaces) {
      const found = part.alternates.find((/** @type {any} */ one) => one.interfaceClass === PRINTER_CLASS);
      const pipe = (/** @type {string} */ direction) => found?.endpoints.find((/** @type {any} */ end) => end.direction === direction && end.type === "bulk")?.endpointNumber ?? null;
      if (found && pipe("out") !== null) {
        return { configuration: configuration.configurationValue, number: part.interfaceNumber, alternate: found.alternateSetting, out: pipe("out"), back: pipe("in") };
      }
    }
  }
  return null;
}

/** @param {any} device @returns {Promise<Connection>} */
async function openDevice(device) {
  const found = printerOf(device);
  if (!found) throw new Error(say("usb_no_printer"));
  if (!device.opened) await device.open();
  if (device.configuration?.configurationValue !== found.configuration) await device.selectConfiguration(found.configuration);
  await device.claimInterface(found.number);
  if (found.alternate) await device.selectAlternateInterface(found.number, found.alternate);
  /** @type {Promise<Uint8Array> | null} */
  let coming = null;
  return {
    chunk: CHUNK,
    get gone() {
      return !device.opened;
    },
    async write(bytes) {
      const answer = await device.transferOut(found.out, bytes);
      if (answer.status !== "ok" || answer.bytesWritten !== bytes.length) throw new Error(say("printer_took", { bytes_written: answer.bytesWritten, length: bytes.length }));
    },
    read: found.back === null
      ? null
      : () => {
          coming ??= readOnce(device, found.back).finally(() => (coming = null));
          return coming;
        },
    close: () => device.close(),
  };
}

/** @param {any} device @param {number} pipe @returns {Promise<Uint8Array>} */
async function readOnce(device, pipe) {
  const { data } = await device.transferIn(pipe, MOST_OF_AN_ANSWER);
  return data ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array();
}

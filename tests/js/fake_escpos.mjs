/**
 * A receipt printer that reads ESC/POS strictly: it keeps what it prints, refuses every byte it does not know, and answers status questions. `paper` is
 * "enough", "low" or "out".
 */
import { inLetters } from "../../portal/static/mpos/escpos.mjs";

const WIDTH = { 58: { columns: 32, dots: 384 }, 80: { columns: 48, dots: 576 } };

/** Bytes 128 to 255 of the tables, read back through the standard names where node knows one. */
const TABLES = {
  0: (byte) => CP437[byte - 128],
  16: (byte) => new TextDecoder("windows-1252").decode(Uint8Array.of(byte)),
};
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

export class FakePrinter {
  constructor(width = 58) {
    this.width = width;
    this.paper = "enough";
    this.answers = true;
    this.pending = [];
    /** @type {{text: string, bold: boolean, wide: boolean, tall: boolean}[]} */
    this.lines = [];
    this.codes = [];
    this.pictures = [];
    this.cuts = 0;
    /** Lines after which the paper is at its end. */
    this.paperLines = Infinity;
    this._reset();
  }

  _reset() {
    this.line = "";
    this.bold = false;
    this.size = 0;
    this.align = 0;
    this.table = null;
    this.module = 3;
    this.level = null;
    this.stored = null;
    this.picture = [];
  }

  /** Takes bytes as they come, in pieces of any length; answers what it says back. @param {Uint8Array} bytes @returns {number[]} */
  take(bytes) {
    this.pending.push(...bytes);
    /** @type {number[]} */
    const said = [];
    for (;;) {
      const used = this._command(said);
      if (used === 0) return this.answers ? said : [];
      this.pending.splice(0, used);
    }
  }

  /** Bytes that the first command takes; 0 while it is not whole. @param {number[]} said */
  _command(said) {
    const b = this.pending;
    const name = b.slice(0, 3).map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    if (b.length === 0) return 0;
    if (b[0] === 0x10) return b.length < 3 ? 0 : this._asked(b[2], said);
    if (b[0] === 0x0a) return this._print();
    if (b[0] >= 0x20 && b[0] <= 0x7e) return this._letter(String.fromCharCode(b[0]));
    if (b[0] >= 0x80) {
      if (this.table === null) throw new Error(`letter ${b[0]} before a table was chosen`);
      return this._letter(TABLES[this.table](b[0]));
    }
    if (b.length < 2) return 0;
    if (b[0] === 0x1c && b[1] === 0x2e) return 2;
    if (b[0] === 0x1b && b[1] === 0x40) {
      this._reset();
      return 2;
    }
    if (b.length < 3) return 0;
    if (b[0] === 0x1b && b[1] === 0x74) {
      if (!(b[2] in TABLES)) throw new Error(`no table ${b[2]}`);
      this.table = b[2];
      return 3;
    }
    if (b[0] === 0x1b && b[1] === 0x45) {
      this.bold = b[2] === 1;
      return 3;
    }
    if (b[0] === 0x1b && b[1] === 0x61) {
      this._startOfLine("ESC a");
      this.align = b[2];
      return 3;
    }
    if (b[0] === 0x1b && b[1] === 0x64) {
      this._endPicture();
      for (let count = 0; count < b[2]; count += 1) this._print();
      return 3;
    }
    if (b[0] === 0x1d && b[1] === 0x21) {
      this.size = b[2];
      return 3;
    }
    if (b[0] === 0x1d && b[1] === 0x72) {
      said.push(this.paper === "out" ? 0x0c : this.paper === "low" ? 0x03 : 0);
      return 3;
    }
    if (b[0] === 0x1d && b[1] === 0x56) {
      if (b[2] !== 0x42) throw new Error(`unknown cut ${b[2]}`);
      if (b.length < 4) return 0;
      this._endPicture();
      this.cuts += 1;
      return 4;
    }
    if (b[0] === 0x1d && b[1] === 0x28 && b[2] === 0x6b) return this._code(b);
    if (b[0] === 0x1d && b[1] === 0x76 && b[2] === 0x30) return this._picture(b);
    throw new Error(`unknown command ${name}`);
  }

  _asked(what, said) {
    if (what === 4) said.push(0x12 | (this.paper === "out" ? 0x60 : 0) | (this.paper === "low" ? 0x0c : 0));
    else if (what === 1) said.push(0x12);
    else throw new Error(`unknown question ${what}`);
    return 3;
  }

  _startOfLine(what) {
    if (this.line !== "") throw new Error(`${what} in the middle of a line`);
  }

  _letter(letter) {
    if (this.paper === "out") return 1;
    this.line += letter;
    const room = WIDTH[this.width].columns / (this.size & 0x10 ? 2 : 1);
    if (this.line.length > room) throw new Error(`"${this.line}" is longer than ${room} letters`);
    return 1;
  }

  _print() {
    if (this.paper !== "out") this.lines.push({ text: this.line, bold: this.bold, wide: Boolean(this.size & 0x10), tall: Boolean(this.size & 1) });
    this.line = "";
    if (this.lines.length >= this.paperLines) this.paper = "out";
    return 1;
  }

  _code(b) {
    if (b.length < 5) return 0;
    const length = b[3] + b[4] * 256;
    if (b.length < 5 + length) return 0;
    const [kind, what, ...rest] = b.slice(5, 5 + length);
    if (kind !== 0x31) throw new Error(`code of another kind: ${kind}`);
    if (what === 0x41 && rest[0] !== 0x32) throw new Error("not model 2");
    if (what === 0x43) this.module = rest[0];
    if (what === 0x45) this.level = rest[0];
    if (what === 0x50) this.stored = new TextDecoder().decode(Uint8Array.from(rest.slice(1)));
    if (what === 0x51) {
      if (this.stored === null || this.level !== 0x31 || this.align !== 1) throw new Error("a code before it was set up");
      this.codes.push({ text: this.stored, module: this.module });
    }
    if (![0x41, 0x43, 0x45, 0x50, 0x51].includes(what)) throw new Error(`unknown code command ${what}`);
    return 5 + length;
  }

  _picture(b) {
    if (b.length < 8) return 0;
    const [across, rows] = [b[4] + b[5] * 256, b[6] + b[7] * 256];
    if (across * 8 > WIDTH[this.width].dots) throw new Error("the picture is wider than the paper");
    if (b.length < 8 + across * rows) return 0;
    for (let row = 0; row < rows; row += 1) {
      this.picture.push(b.slice(8 + row * across, 8 + (row + 1) * across).flatMap((byte) => [...byte.toString(2).padStart(8, "0")].map(Number)));
    }
    return 8 + across * rows;
  }

  _endPicture() {
    if (this.picture.length > 0) this.pictures.push(this.picture);
    this.picture = [];
  }

  /** The text that came out, a line each, without blanks at the end. */
  get text() {
    return this.lines.map(({ text }) => text).join("\n");
  }
}

/** What a browser would have sent: letters as a table holds them. */
export const printable = (text) => inLetters(text, "pc437");

/** `navigator.serial` with one port that leads to the printer. @param {FakePrinter} printer */
export function fakeSerial(printer, { known = true, breakAfter = Infinity, hang = false } = {}) {
  const log = { opened: 0, closed: 0, asked: 0, sizes: [], sent: 0 };
  let push = () => undefined;
  const port = {
    readable: null,
    writable: null,
    addEventListener() {},
    removeEventListener() {},
    async open({ baudRate }) {
      log.opened += 1;
      log.baudRate = baudRate;
      port.readable = new ReadableStream({ start: (controller) => void (push = (bytes) => controller.enqueue(bytes)) });
      port.writable = new WritableStream({
        write(bytes) {
          log.sizes.push(bytes.length);
          log.sent += bytes.length;
          if (log.sent > breakAfter) throw new DOMException("The device has been lost.", "NetworkError");
          if (hang) return new Promise(() => undefined);
          const said = printer.take(bytes);
          if (said.length > 0) push(Uint8Array.from(said));
          return undefined;
        },
      });
    },
    async close() {
      if (port.readable.locked) throw new TypeError("a locked stream cannot be closed");
      log.closed += 1;
      port.readable = null;
      port.writable = null;
    },
  };
  return {
    log,
    port,
    serial: {
      async requestPort() {
        log.asked += 1;
        known = true;
        return port;
      },
      async getPorts() {
        return known ? [port] : [];
      },
    },
  };
}

/** `navigator.bluetooth` with one printer whose characteristic takes `most` bytes at once. @param {FakePrinter} printer */
export function fakeBluetooth(printer, { properties = { write: true }, most = 512, notifies = false, breakAfter = Infinity, wait = 0 } = {}) {
  const log = { sizes: [], connects: 0, sent: 0 };
  const back = new EventTarget();
  Object.assign(back, { properties: { notify: true }, value: null, startNotifications: async () => back });
  const listeners = new Set();
  async function write(bytes) {
    if (bytes.length > most) throw new DOMException("GATT operation failed for unknown reason.", "NotSupportedError");
    if (wait) await new Promise((done) => setTimeout(done, wait));
    log.sent += bytes.length;
    if (log.sent > breakAfter) {
      server.connected = false;
      for (const listener of listeners) listener();
      throw new DOMException("GATT Server is disconnected.", "NetworkError");
    }
    log.sizes.push(bytes.length);
    const said = printer.take(bytes);
    if (said.length > 0) {
      back.value = new DataView(Uint8Array.from(said).buffer);
      back.dispatchEvent(new Event("characteristicvaluechanged"));
    }
  }
  const out = { properties, writeValueWithResponse: write, writeValueWithoutResponse: write };
  const server = {
    connected: false,
    disconnect() { this.connected = false; },
    async getPrimaryServices() {
      return [{ getCharacteristics: async () => [{ properties: { read: true } }] }, { getCharacteristics: async () => (notifies ? [out, back] : [out]) }];
    },
  };
  const device = {
    name: "MTP-II",
    addEventListener: (_, listener) => listeners.add(listener),
    removeEventListener: (_, listener) => listeners.delete(listener),
    gatt: { async connect() { log.connects += 1; server.connected = true; return server; } },
  };
  return { log, server, bluetooth: { requestDevice: async (wish) => ((log.wish = wish), device), getDevices: async () => [device] } };
}

/** `navigator.usb` with one printer. @param {FakePrinter} printer */
export function fakeUsb(printer, { short = Infinity } = {}) {
  const log = { sizes: [], claimed: [], sent: 0 };
  const answers = [];
  let waiting = null;
  const device = {
    productName: "POS-80",
    opened: false,
    configuration: null,
    configurations: [{ configurationValue: 1, interfaces: [{ interfaceNumber: 2, alternates: [{ alternateSetting: 0, interfaceClass: 7, endpoints: [{ direction: "in", type: "bulk", endpointNumber: 1 }, { direction: "out", type: "bulk", endpointNumber: 3 }] }] }] }],
    async open() { device.opened = true; },
    async close() { device.opened = false; },
    async selectConfiguration(value) { device.configuration = { configurationValue: value }; },
    async claimInterface(number) { log.claimed.push(number); },
    async transferOut(pipe, bytes) {
      if (pipe !== 3) throw new Error("the wrong pipe");
      const taken = Math.min(bytes.length, Math.max(short - log.sent, 0));
      log.sizes.push(bytes.length);
      log.sent += taken;
      const said = printer.take(bytes.subarray(0, taken));
      if (said.length > 0) {
        if (waiting) waiting(said);
        else answers.push(said);
        waiting = null;
      }
      return { status: "ok", bytesWritten: taken };
    },
    async transferIn(pipe) {
      if (pipe !== 1) throw new Error("the wrong pipe");
      const said = answers.shift() ?? (await new Promise((resolve) => (waiting = resolve)));
      return { data: new DataView(Uint8Array.from(said).buffer) };
    },
  };
  return { log, device, usb: { requestDevice: async () => device, getDevices: async () => [device] } };
}

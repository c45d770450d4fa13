/** QR codes (ISO/IEC 18004, model 2): bytes, error correction level M, the smallest version that holds them. Pure; vectors of another encoder: tests/vectors/qr.json. */

/** Error correction codewords of each block at level M, versions 1 to 40. */
const CHECKS = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, ...Array(19).fill(28)];
/** How many blocks at level M, versions 1 to 40. */
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49];
const LEVEL_M = 0;

/** @type {((row: number, column: number) => boolean)[]} */
const MASKS = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => ((row >> 1) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power += 1) {
  EXP[power] = EXP[power + 255] = value;
  LOG[value] = power;
  value = (value << 1) ^ (value & 128 ? 0x11d : 0);
}

/**
 * The modules of a QR code, rows of 1 (dark) and 0, without the quiet zone of four modules. Throws RangeError when no version holds the bytes.
 * @param {Uint8Array} bytes
 * @param {number} [mask] 0 to 7; left out, the one that reads best by the standard's four rules
 * @returns {Uint8Array[]}
 */
export function qr(bytes, mask) {
  const version = smallest(bytes.length);
  const size = version * 4 + 17;
  const { modules, fixed } = frame(version, size);
  place(modules, fixed, interleaved(codewords(bytes, version), version));
  const drawn = (/** @type {number} */ choice) => masked(modules, fixed, choice);
  if (mask !== undefined) return drawn(mask);
  const all = MASKS.map((_, choice) => drawn(choice));
  const costs = all.map(penalty);
  return all[costs.indexOf(Math.min(...costs))];
}

/**
 * The dark modules as one SVG path in units of a module, each run of a row a rectangle; the quiet zone of four modules is to its left and above.
 * @param {Uint8Array[]} modules
 */
export function svgPath(modules) {
  let path = "";
  modules.forEach((row, y) => {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue;
      let end = x;
      while (row[end + 1]) end += 1;
      path += `M${x + 4} ${y + 4}h${end - x + 1}v1h-${end - x + 1}z`;
      x = end;
    }
  });
  return path;
}

/** Codewords of a version, data and checks together. @param {number} version */
function capacity(version) {
  const places = centres(version).length;
  const alignment = places ? 25 * places * places - 10 * places - 55 : 0;
  return Math.floor((16 * version * version + 128 * version + 64 - alignment - (version >= 7 ? 36 : 0)) / 8);
}

/** Codewords for data alone. @param {number} version */
const dataWords = (version) => capacity(version) - CHECKS[version - 1] * BLOCKS[version - 1];

/** Bits that say how many bytes follow. @param {number} version */
const lengthBits = (version) => (version < 10 ? 8 : 16);

/** @param {number} length bytes */
function smallest(length) {
  for (let version = 1; version <= 40; version += 1) {
    if (4 + lengthBits(version) + 8 * length <= 8 * dataWords(version)) return version;
  }
  throw new RangeError("This text is too long for a QR code.");
}

/** @param {Uint8Array} bytes @param {number} version */
function codewords(bytes, version) {
  /** @type {number[]} */
  const bits = [];
  const put = (/** @type {number} */ value, /** @type {number} */ count) => {
    for (let bit = count - 1; bit >= 0; bit -= 1) bits.push((value >> bit) & 1);
  };
  const room = dataWords(version);
  put(4, 4);
  put(bytes.length, lengthBits(version));
  for (const byte of bytes) put(byte, 8);
  put(0, Math.min(4, room * 8 - bits.length));
  while (bits.length % 8) bits.push(0);
  for (let filler = 0xec; bits.length < room * 8; filler ^= 0xfd) put(filler, 8); // 236 and 17 in turn
  return Uint8Array.from({ length: room }, (_, index) => bits.slice(index * 8, index * 8 + 8).reduce((value, bit) => value * 2 + bit, 0));
}

/** Blocks with their checks, one codeword of each in turn. @param {Uint8Array} words @param {number} version */
function interleaved(words, version) {
  const count = BLOCKS[version - 1];
  const short = Math.floor(words.length / count);
  const firstLong = count - (words.length % count);
  const divisor = generator(CHECKS[version - 1]);
  const data = [];
  for (let block = 0, from = 0; block < count; block += 1) {
    const length = short + (block >= firstLong ? 1 : 0);
    data.push(words.subarray(from, from + length));
    from += length;
  }
  const checks = data.map((block) => remainder(block, divisor));
  const result = [];
  for (let index = 0; index <= short; index += 1) for (const block of data) if (index < block.length) result.push(block[index]);
  for (let index = 0; index < divisor.length; index += 1) for (const block of checks) result.push(block[index]);
  return Uint8Array.from(result);
}

/** @param {number} a @param {number} b */
const times = (a, b) => (a && b ? EXP[LOG[a] + LOG[b]] : 0);

/** The generator polynomial without its leading 1, the highest power first. @param {number} degree */
function generator(degree) {
  const result = new Uint8Array(degree);
  result[degree - 1] = 1;
  for (let power = 0; power < degree; power += 1) {
    for (let index = 0; index < degree; index += 1) result[index] = times(result[index], EXP[power]) ^ (result[index + 1] ?? 0);
  }
  return result;
}

/** @param {Uint8Array} block @param {Uint8Array} divisor */
function remainder(block, divisor) {
  const result = new Uint8Array(divisor.length);
  for (const word of block) {
    const factor = word ^ result[0];
    result.copyWithin(0, 1);
    result[result.length - 1] = 0;
    divisor.forEach((value, index) => (result[index] ^= times(value, factor)));
  }
  return result;
}

/** Where alignment patterns have their centres, in both directions. @param {number} version */
function centres(version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const last = version * 4 + 10;
  const step = version === 32 ? 26 : Math.ceil((last - 6) / (count - 1) / 2) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, index) => last - (count - 2 - index) * step)];
}

/** Everything but data and format, and which modules data may not use. @param {number} version @param {number} size */
function frame(version, size) {
  const modules = Array.from({ length: size }, () => new Uint8Array(size));
  const fixed = Array.from({ length: size }, () => new Uint8Array(size));
  const set = (/** @type {number} */ row, /** @type {number} */ column, /** @type {boolean|number} */ dark) => {
    if (row < 0 || column < 0 || row >= size || column >= size) return;
    modules[row][column] = dark ? 1 : 0;
    fixed[row][column] = 1;
  };
  for (let index = 0; index < size; index += 1) {
    set(6, index, index % 2 === 0);
    set(index, 6, index % 2 === 0);
  }
  const square = (/** @type {number} */ row, /** @type {number} */ column, /** @type {number} */ reach, /** @type {(ring: number) => boolean} */ dark) => {
    for (let y = -reach; y <= reach; y += 1) for (let x = -reach; x <= reach; x += 1) set(row + y, column + x, dark(Math.max(Math.abs(x), Math.abs(y))));
  };
  for (const [row, column] of [[3, 3], [3, size - 4], [size - 4, 3]]) square(row, column, 4, (ring) => ring !== 2 && ring !== 4);
  const places = centres(version);
  const end = places.length - 1;
  places.forEach((row, y) => places.forEach((column, x) => {
    if ((y === 0 && (x === 0 || x === end)) || (y === end && x === 0)) return; // finder patterns are there
    square(row, column, 2, (ring) => ring !== 1);
  }));
  format(size, 0, set); // keeps their places; the true ones follow with the mask
  if (version >= 7) {
    const bits = (version << 12) | check(version, 12, 0x1f25);
    for (let bit = 0; bit < 18; bit += 1) {
      const [long, short] = [size - 11 + (bit % 3), Math.floor(bit / 3)];
      set(long, short, (bits >> bit) & 1);
      set(short, long, (bits >> bit) & 1);
    }
  }
  return { modules, fixed };
}

/** The remainder of a binary polynomial division: the check bits of format and version. @param {number} value @param {number} degree @param {number} divisor */
function check(value, degree, divisor) {
  let rest = value << degree;
  for (let bit = 31 - Math.clz32(rest); rest >> degree; bit = 31 - Math.clz32(rest)) rest ^= divisor << (bit - degree);
  return rest;
}

/** @param {number} size @param {number} mask @param {(row: number, column: number, dark: boolean|number) => void} set */
function format(size, mask, set) {
  const value = (LEVEL_M << 3) | mask;
  const bits = ((value << 10) | check(value, 10, 0x537)) ^ 0x5412;
  for (let bit = 0; bit < 15; bit += 1) {
    const dark = (bits >> bit) & 1;
    set(bit < 6 ? bit : bit < 8 ? bit + 1 : size - 15 + bit, 8, dark);
    set(8, bit < 8 ? size - 1 - bit : bit < 9 ? 7 : 14 - bit, dark);
  }
  set(size - 8, 8, 1);
}

/** Two columns at a time from the right, upwards and downwards in turn, passing over the vertical timing pattern. @param {Uint8Array[]} modules @param {Uint8Array[]} fixed @param {Uint8Array} words */
function place(modules, fixed, words) {
  const size = modules.length;
  let bit = 0;
  let upwards = true;
  for (let right = size - 1; right > 0; right -= 2, upwards = !upwards) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const row = upwards ? size - 1 - step : step;
      for (const column of [right, right - 1]) {
        if (fixed[row][column]) continue;
        modules[row][column] = bit < words.length * 8 ? (words[bit >> 3] >> (7 - (bit & 7))) & 1 : 0;
        bit += 1;
      }
    }
  }
}

/** @param {Uint8Array[]} modules @param {Uint8Array[]} fixed @param {number} mask */
function masked(modules, fixed, mask) {
  const result = modules.map((cells, row) => cells.map((dark, column) => (fixed[row][column] || !MASKS[mask](row, column) ? dark : dark ^ 1)));
  format(modules.length, mask, (row, column, dark) => {
    result[row][column] = dark ? 1 : 0;
  });
  return result;
}

/** How hard a code is to read, by the standard's four rules. @param {Uint8Array[]} modules */
function penalty(modules) {
  const size = modules.length;
  let cost = 0;
  let darks = 0;
  const turned = modules.map((_, column) => Uint8Array.from(modules, (row) => row[column]));
  for (const line of [...modules, ...turned]) {
    for (let from = 0, to = 0; from < size; from = to) {
      while (to < size && line[to] === line[from]) to += 1;
      if (to - from >= 5) cost += to - from - 2;
    }
    const text = line.join("");
    for (const pattern of ["10111010000", "00001011101"]) {
      for (let at = text.indexOf(pattern); at !== -1; at = text.indexOf(pattern, at + 1)) cost += 40;
    }
  }
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const dark = modules[row][column];
      darks += dark;
      if (row + 1 < size && column + 1 < size && dark === modules[row][column + 1] && dark === modules[row + 1][column] && dark === modules[row + 1][column + 1]) cost += 3;
    }
  }
  return cost + 10 * Math.floor(Math.abs(darks * 20 - size * size * 10) / (size * size));
}

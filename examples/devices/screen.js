// @ts-check
/**
 * A text screen as a PCI card. BAR 0 is its memory: 25 rows of 80 characters, one byte each. A
 * while after a write, and at the end, the rows that have changed are printed on standard error.
 * BAR 1 has its registers. Try it with Debian:
 *
 *     ./upcall run debian --device examples/devices/screen.js@pci:00:07.0 \
 *       --overlay examples/debian --run 'sh /screen.sh Hello'
 */

const [ROWS, COLUMNS] = [25, 80];
const MEMORY_BYTES = 2048;
const [SIZE, FRAMES, CONTROL] = [0x0, 0x4, 0x8];
const CLEAR = 1;
const BLANK = 0x20;

export default class Screen {
  name = 'screen';
  /** @type {import('upcall').PciDescription} */
  pci = {
    vendor: 0x1234,
    device: 0x0d0b,
    class: 0x038000,
    bars: [
      { type: 'memory', size: MEMORY_BYTES, prefetchable: true },
      { type: 'memory', size: 16 },
    ],
  };
  /** @type {import('upcall').RegisterMap} */
  registers = {
    source: 'examples/devices/screen.js',
    registers: [
      { bar: 1, offset: SIZE, size: 4, name: 'SIZE', access: 'r', meaning: 'columns, and rows in the upper half' },
      { bar: 1, offset: FRAMES, size: 4, name: 'FRAMES', access: 'r', meaning: 'how often it was printed' },
      { bar: 1, offset: CONTROL, size: 4, name: 'CONTROL', access: 'w', meaning: '1: clear the memory' },
    ],
  };
  #memory = new DataView(new ArrayBuffer(MEMORY_BYTES));
  /** @type {string[]} */
  #printed = [];
  #frames = 0;
  #clock;
  #print;
  #everyMs;
  /** @type {import('upcall').ClockTimer | undefined} */
  #timer;

  /**
   * @param {Pick<import('upcall').DeviceContext, 'clock'>} context
   * @param {{ every?: number, print?: (line: string) => void } | undefined} options `every`: in ms.
   */
  constructor(context, options) {
    this.#clock = context.clock;
    this.#everyMs = options?.every ?? 100;
    // The terminal may be in raw mode, where a line feed alone does not return.
    this.#print = options?.print ?? ((line) => process.stderr.write(`${line}\r\n`));
    this.reset();
  }

  /** @param {number} bar @param {number} offset @param {import('upcall').AccessSize} size */
  read(bar, offset, size) {
    return this.peek(bar, offset, size);
  }

  /** @param {number} bar @param {number} offset @param {import('upcall').AccessSize} size */
  peek(bar, offset, size) {
    if (bar === 0) {
      if (size === 1) return this.#memory.getUint8(offset);
      return size === 2 ? this.#memory.getUint16(offset, true) : this.#memory.getUint32(offset, true);
    }
    if (size !== 4) return -1;
    if (offset === SIZE) return COLUMNS | (ROWS << 16);
    return offset === FRAMES ? this.#frames : -1;
  }

  /**
   * @param {number} bar @param {number} offset @param {import('upcall').AccessSize} size
   * @param {number} value
   */
  write(bar, offset, size, value) {
    if (bar === 0) {
      if (size === 1) this.#memory.setUint8(offset, value);
      else if (size === 2) this.#memory.setUint16(offset, value, true);
      else this.#memory.setUint32(offset, value, true);
      this.#timer ??= this.#clock.schedule(this.#clock.now() + this.#everyMs, () => this.#show());
    } else if (size === 4 && offset === CONTROL && (value & CLEAR) !== 0) this.#clear();
  }

  reset() {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#clear();
    this.#printed = [];
    this.#frames = 0;
  }

  #clear() {
    for (let at = 0; at < MEMORY_BYTES; at++) this.#memory.setUint8(at, BLANK);
  }

  #show() {
    this.#timer = undefined;
    this.#frames++;
    for (let row = 0; row < ROWS; row++) {
      const text = this.#row(row);
      if (text === (this.#printed[row] ?? '')) continue;
      this.#printed[row] = text;
      this.#print(`${String(row).padStart(2)}: ${text}`);
    }
  }

  /** @param {number} row */
  #row(row) {
    const codes = Array.from({ length: COLUMNS }, (_, column) => this.#memory.getUint8(row * COLUMNS + column));
    return codes
      .map((code) => String.fromCharCode(code >= BLANK && code < 0x7f ? code : BLANK))
      .join('')
      .trimEnd();
  }
}

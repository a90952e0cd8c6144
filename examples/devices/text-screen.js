// @ts-check
/**
 * A PC's text screen: the screen memory at 0xA0000, whose text begins at 0xB8000, 25 rows of 80
 * characters with an attribute each. Some time after a write, and at the end, the rows are printed
 * on standard error. From the command line:
 *
 *     upcall run monitor --device examples/devices/text-screen.js@mmio:0xa0000-0xbffff,every=1000
 *
 * and then, in the monitor: wr16 b8000 0748; wr16 b8002 0769
 */

const BYTES = 0x2_0000;
const TEXT = 0x1_8000;
const [ROWS, COLUMNS] = [25, 80];

export default class TextScreen {
  name = 'text-screen';
  #memory = new DataView(new ArrayBuffer(BYTES));
  #clock;
  #everyMs;
  /** @type {import('upcall').ClockTimer | undefined} */
  #timer;

  /**
   * @param {Pick<import('upcall').DeviceContext, 'clock'>} context
   * @param {{ every?: number } | undefined} options `every`: in ms.
   */
  constructor(context, options) {
    this.#clock = context.clock;
    this.#everyMs = options?.every ?? 500;
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size */
  read(offset, size) {
    if (size === 1) return this.#memory.getUint8(offset);
    return size === 2 ? this.#memory.getUint16(offset, true) : this.#memory.getUint32(offset, true);
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size @param {number} value */
  write(offset, size, value) {
    if (size === 1) this.#memory.setUint8(offset, value);
    else if (size === 2) this.#memory.setUint16(offset, value, true);
    else this.#memory.setUint32(offset, value, true);
    this.#timer ??= this.#clock.schedule(this.#clock.now() + this.#everyMs, () => this.#print());
  }

  close() {
    if (this.#timer !== undefined) this.#print();
  }

  /** The rows that are not blank. */
  #print() {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (let row = 0; row < ROWS; row++) {
      const codes = Array.from({ length: COLUMNS }, (_, column) =>
        this.#memory.getUint8(TEXT + 2 * (row * COLUMNS + column)),
      );
      const text = codes.map((code) => (code > 0x20 && code < 0x7f ? String.fromCharCode(code) : ' ')).join('');
      // The terminal may be in raw mode, where a line feed alone does not return.
      if (text.trim() !== '') process.stderr.write(`${String(row).padStart(2)}: ${text.trimEnd()}\r\n`);
    }
  }
}

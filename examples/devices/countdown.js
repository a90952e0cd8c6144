// @ts-check
/**
 * A countdown of eight ports, with all that a device may have: registers that people can look at,
 * an interrupt line, a clock, a reset. docs/write-a-device.md explains it, test-a-device.js tests
 * it. From the command line:
 *
 *     upcall run monitor --device examples/devices/countdown.js@0x500+8,line=5
 *
 * and then, in the monitor: out32 500 2000; in32 500; in8 504
 */

const MS = 0;
const STATUS = 4;
const EXPIRED = 0x01;
/** Longer countdowns saturate: the guest may write any number. */
const MAX_MS = 60_000;

export default class Countdown {
  name = 'countdown';
  /** @type {import('upcall').RegisterMap} */
  registers = {
    source: 'examples/devices/countdown.js',
    registers: [
      { offset: MS, size: 4, name: 'MS', access: 'rw', meaning: 'milliseconds left; a write starts the countdown' },
      {
        offset: STATUS,
        size: 1,
        name: 'STATUS',
        access: 'r',
        meaning: 'a read clears it and lowers the interrupt line',
        fields: [{ bits: [0, 0], name: 'EXPIRED', meaning: 'the countdown has reached zero', access: 'rc' }],
      },
    ],
  };
  #clock;
  #interrupt;
  #endMs = 0;
  #status = 0;
  /** @type {import('upcall').ClockTimer | undefined} */
  #timer;

  /**
   * @param {Pick<import('upcall').DeviceContext, 'clock' | 'interruptLine'>} context
   * @param {{ line?: number } | undefined} options
   */
  constructor(context, options) {
    this.#clock = context.clock;
    this.#interrupt = context.interruptLine(options?.line ?? 5);
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size */
  read(offset, size) {
    const value = this.peek(offset, size);
    if (offset === STATUS) this.#setStatus(0);
    return value;
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size */
  peek(offset, size) {
    if (offset === MS && size === 4) return Math.ceil(Math.max(0, this.#endMs - this.#clock.now()));
    if (offset === STATUS) return this.#status;
    return -1;
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size @param {number} value */
  write(offset, size, value) {
    if (offset !== MS || size !== 4) return;
    this.close();
    this.#setStatus(0);
    this.#endMs = this.#clock.now() + Math.min(value, MAX_MS);
    this.#timer = this.#clock.schedule(this.#endMs, () => this.#setStatus(EXPIRED));
  }

  reset() {
    this.close();
    this.#endMs = 0;
    this.#setStatus(0);
  }

  save() {
    return { leftMs: Math.max(0, this.#endMs - this.#clock.now()), status: this.#status };
  }

  restore(/** @type {{ leftMs: number, status: number }} */ { leftMs, status }) {
    if (leftMs > 0) this.write(MS, 4, leftMs);
    else this.#setStatus(status);
  }

  close() {
    this.#timer?.cancel();
  }

  #setStatus(/** @type {number} */ status) {
    this.#status = status;
    this.#interrupt.set(status !== 0);
  }
}

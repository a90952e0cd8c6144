// @ts-check
/**
 * A watchdog as a PCI card: one memory BAR, a timer, and an interrupt. A driver starts it and kicks
 * it again and again. If it fails to, the card interrupts. docs/write-a-device.md explains it,
 * test-a-card.js tests it. From Debian's shell:
 *
 *     upcall run debian --device examples/devices/watchdog.js@pci:00:05.0
 *     # cd /sys/bus/pci/devices/0000:00:05.0; echo 1 > enable; read base end flags < resource
 *     # devmem $((base + 4)) 32 50; devmem $base 32 1; sleep 1; devmem $((base + 12))
 *
 * The last line prints 0x00000001: EXPIRED.
 */

const CONTROL = 0x0;
const TIMEOUT = 0x4;
const LEFT = 0x8;
const STATUS = 0xc;
const KICK = 0x10;
const ENABLED = 0x1;
const EXPIRED = 0x1;
/** What a kick writes. A stray store is not one. */
const KICK_VALUE = 0x5a;
const DEFAULT_MS = 1000;
/** Longer times saturate: the guest may write any number. */
const MAX_MS = 60_000;

export default class Watchdog {
  name = 'watchdog';
  /** @type {import('upcall').PciDescription} */
  pci = {
    vendor: 0x1234,
    device: 0x0d09,
    class: 0x08_80_00,
    bars: [{ type: 'memory', size: 0x1000 }],
    msi: 1,
    interruptPin: 'A',
  };
  /** @type {import('upcall').RegisterMap} */
  registers = {
    source: 'examples/devices/watchdog.js',
    registers: [
      {
        offset: CONTROL,
        size: 4,
        name: 'CONTROL',
        access: 'rw',
        meaning: 'control; a write of ENABLED starts the time',
        fields: [{ bits: [0, 0], name: 'ENABLED', meaning: 'the time runs' }],
      },
      { offset: TIMEOUT, size: 4, name: 'TIMEOUT', access: 'rw', meaning: 'milliseconds between two kicks, at most' },
      { offset: LEFT, size: 4, name: 'LEFT', access: 'r', meaning: 'milliseconds left' },
      {
        offset: STATUS,
        size: 4,
        name: 'STATUS',
        access: 'rw',
        meaning: 'status; a write of 1 clears a bit',
        fields: [{ bits: [0, 0], name: 'EXPIRED', meaning: 'no kick came in time: interrupt' }],
      },
      { offset: KICK, size: 4, name: 'KICK', access: 'w', meaning: 'a write of 0x5a restarts the time' },
    ],
  };
  #clock;
  #control = 0;
  #timeoutMs = DEFAULT_MS;
  #endMs = 0;
  #status = 0;
  /** @type {import('upcall').CardHandle | undefined} */
  #card;
  /** @type {import('upcall').ClockTimer | undefined} */
  #timer;

  /** @param {Pick<import('upcall').DeviceContext, 'clock'>} context */
  constructor(context) {
    this.#clock = context.clock;
  }

  /** @param {import('upcall').CardHandle} card */
  connect(card) {
    this.#card = card;
  }

  /** @param {number} bar @param {number} offset @param {import('upcall').AccessSize} size */
  read(bar, offset, size) {
    return this.peek(bar, offset, size);
  }

  /** @param {number} _bar @param {number} offset @param {import('upcall').AccessSize} size */
  peek(_bar, offset, size) {
    if (size !== 4) return -1;
    if (offset === CONTROL) return this.#control;
    if (offset === TIMEOUT) return this.#timeoutMs;
    if (offset === LEFT) return this.#control === 0 ? 0 : Math.ceil(Math.max(0, this.#endMs - this.#clock.now()));
    return offset === STATUS ? this.#status : -1;
  }

  /**
   * @param {number} _bar @param {number} offset @param {import('upcall').AccessSize} size
   * @param {number} value
   */
  write(_bar, offset, size, value) {
    if (size !== 4) return;
    if (offset === TIMEOUT) this.#timeoutMs = Math.min(value, MAX_MS);
    else if (offset === STATUS) {
      this.#status &= ~value;
      if (this.#status === 0) this.#card?.lower();
    } else if (offset === CONTROL) {
      this.#control = value & ENABLED;
      this.#restart();
    } else if (offset === KICK && value === KICK_VALUE) this.#restart();
  }

  reset() {
    this.close();
    this.#control = this.#status = 0;
    this.#timeoutMs = DEFAULT_MS;
  }

  close() {
    this.#timer?.cancel();
  }

  #restart() {
    this.#timer?.cancel();
    if (this.#control === 0) return;
    this.#endMs = this.#clock.now() + this.#timeoutMs;
    this.#timer = this.#clock.schedule(this.#endMs, () => {
      this.#control = 0;
      this.#status |= EXPIRED;
      this.#card?.interrupt();
    });
  }
}

// @ts-check
/**
 * Counts the accesses of many vCPUs: a register that all share, and one for each vCPU that checks
 * their order. A read of MEET waits until all vCPUs read it: then all their slots are busy at once.
 * For the guest `smp`, which uses one at ports and one in memory:
 *
 *     upcall run smp --hypervisor kvm --vcpus 4 \
 *       --device examples/devices/smp-counters.js@0x600+0x80 \
 *       --device examples/devices/smp-counters.js@mmio:0xd0000000+0x80
 *
 * Option `hold`: milliseconds that a meeting of all vCPUs lasts, for people who watch the live
 * page.
 */

const TOTAL = 0x00;
const COUNT = 0x04;
const MEET = 0x08;
const ERRORS = 0x0c;
const OWN = 0x40;
const VCPUS = 16;

export default class SmpCounters {
  name = 'smp-counters';
  /** @type {import('upcall').RegisterMap} */
  registers = {
    source: 'examples/devices/smp-counters.js',
    registers: [
      { offset: TOTAL, size: 4, name: 'TOTAL', access: 'rw', meaning: 'sum of what was written' },
      { offset: COUNT, size: 4, name: 'COUNT', access: 'rw', meaning: 'vCPUs that meet; a write clears the others' },
      { offset: MEET, size: 4, name: 'MEET', access: 'r', meaning: 'a read waits until all vCPUs read' },
      { offset: ERRORS, size: 4, name: 'ERRORS', access: 'r', meaning: 'writes to OWN that were out of order' },
      { offset: OWN, size: 4, name: 'OWN0', access: 'rw', meaning: 'of vCPU 0: each write is one more than the last' },
    ],
  };
  #clock;
  #holdMs;
  #total = 0;
  #count = 1;
  #errors = 0;
  #own = new Uint32Array(VCPUS);
  /** @type {(() => void)[]} */
  #waiting = [];

  /**
   * @param {Pick<import('upcall').DeviceContext, 'clock'>} context
   * @param {{ hold?: number } | undefined} options
   */
  constructor(context, options) {
    this.#clock = context.clock;
    this.#holdMs = options?.hold ?? 0;
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size */
  read(offset, size) {
    return offset === MEET && size === 4 ? this.#meet() : this.peek(offset, size);
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size */
  peek(offset, size) {
    if (size !== 4) return -1;
    if (offset === TOTAL) return this.#total;
    if (offset === COUNT) return this.#count;
    if (offset === ERRORS) return this.#errors;
    return this.#own[(offset - OWN) / 4] ?? -1;
  }

  /** @param {number} offset @param {import('upcall').AccessSize} size @param {number} value */
  write(offset, size, value) {
    const vcpu = (offset - OWN) / 4;
    const last = this.#own[vcpu];
    if (size !== 4) return;
    if (offset === TOTAL) this.#total = (this.#total + value) >>> 0;
    else if (offset === COUNT) {
      this.reset();
      this.#count = Math.min(Math.max(value, 1), VCPUS);
    } else if (last !== undefined) {
      if (value !== last + 1) this.#errors++;
      this.#own[vcpu] = value;
    }
  }

  reset() {
    this.#total = 0;
    this.#count = 1;
    this.#errors = 0;
    this.#own.fill(0);
    this.#release();
  }

  close() {
    this.#release();
  }

  /** @returns {Promise<number>} */
  #meet() {
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(this.#count));
      if (this.#waiting.length < this.#count) return;
      if (this.#holdMs === 0) this.#release();
      else this.#clock.schedule(this.#clock.now() + this.#holdMs, () => this.#release());
    });
  }

  #release() {
    for (const go of this.#waiting.splice(0)) go();
  }
}

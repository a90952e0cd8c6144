// @ts-check
/**
 * A guest that only reads one port, through the product's IoHandler as any other vCPU. The scripted
 * hypervisor would add work to each access (it creates a bigint for each value).
 */

import { countAllocation } from './allocation-counter.js';

/**
 * @typedef {object} Loop what each vCPU does, as plain data
 * @property {number} warmUpMs accesses before the measurement; longer than the VM lives for a case
 *   that measures the loop from outside
 * @property {number} measureMs
 * @property {number} [gapUs] how long the guest computes after each access, if it is timed
 * @property {boolean} [isTimed] times each access, otherwise only all together
 * @property {boolean} [countsAllocation]
 * @property {boolean} [sleepsAtOnce] whether the vCPU parks without spinning (sleep-at-once.js)
 *
 * @typedef {object} LoopResult of the measured time
 * @property {number} accesses
 * @property {number} elapsedMs
 * @property {Float64Array} latencies of the first SAMPLES accesses in µs, sorted, if each was timed
 * @property {number} bytes allocated
 * @property {number} collections
 */

/** The port that the guest reads, and its value. */
export const PORT = 0x500;
export const ANSWER = 0x5a;
/** Latencies that are kept. */
const SAMPLES = 1 << 18;
/** Accesses between two reads of the clock. */
const BATCH = 64;
/** The same while allocations are counted: a read of the clock allocates, and must not count. */
const COUNTED_BATCH = 1024;

/**
 * @param {import('../dist/hypervisor/vcpu-thread.js').VcpuContext} context
 * @param {number} haltedForever the result that ends the vCPU's loop
 * @returns {import('../dist/hypervisor/vcpu-loop.js').VcpuProgram}
 */
export function loopProgram({ program, handler, report }, haltedForever) {
  const loop = /** @type {Loop} */ (program);
  const gapMs = (loop.gapUs ?? 0) / 1000;
  const batch = gapMs > 0 ? 1 : loop.countsAllocation === true ? COUNTED_BATCH : BATCH;
  const latencies = new Float64Array(loop.isTimed ? SAMPLES : 0);
  /** @type {(() => { bytes: number, collections: number }) | undefined} */
  let endOfCount;
  let isMeasuring = false;
  let accesses = 0;
  let startMs = 0;

  const accessTimed = () => {
    const before = performance.now();
    const value = handler.portRead(PORT, 1);
    const after = performance.now();
    if (accesses < SAMPLES) latencies[accesses] = (after - before) * 1000;
    while (performance.now() - after < gapMs);
    return value;
  };
  const access = () => handler.portRead(PORT, 1);
  const one = loop.isTimed ? accessTimed : access;

  return {
    start() {
      startMs = performance.now();
    },
    run() {
      const elapsedMs = performance.now() - startMs;
      if (!isMeasuring && elapsedMs >= loop.warmUpMs) {
        isMeasuring = true;
        accesses = 0;
        if (loop.countsAllocation) endOfCount = countAllocation();
        startMs = performance.now();
      } else if (isMeasuring && elapsedMs >= loop.measureMs) {
        const { bytes, collections } = endOfCount?.() ?? { bytes: 0, collections: 0 };
        const sorted = latencies.slice(0, accesses).sort();
        report(/** @type {LoopResult} */ ({ accesses, elapsedMs, latencies: sorted, bytes, collections }));
        return haltedForever;
      }
      for (let i = 0; i < batch; i++) {
        if (one() !== ANSWER) throw new Error('the access did not reach the device');
        accesses++;
      }
      return 0;
    },
  };
}

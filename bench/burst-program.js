// @ts-check
/**
 * A guest that reads one port in bursts, and halts between them for the time of a pause.
 */

import { ANSWER, PORT } from './loop-program.js';

/**
 * @typedef {object} Bursts plain data
 * @property {number} accesses of a burst
 * @property {boolean} [sleepsAtOnce] whether the vCPU parks without spinning (sleep-at-once.js)
 * @property {readonly { pauseMs: number, bursts: number }[]} plan parts, each with so many bursts
 *   and pauses of one length before them; the very first burst comes at once
 *
 * @typedef {number[][]} BurstTimes how long each burst took, in ms, by part of the plan
 */

/**
 * @param {import('../dist/hypervisor/vcpu-thread.js').VcpuContext} context
 * @param {number} haltedForever the result that ends the vCPU's loop
 * @returns {import('../dist/hypervisor/vcpu-loop.js').VcpuProgram}
 */
export function burstProgram({ program, handler, report }, haltedForever) {
  const { plan, accesses } = /** @type {Bursts} */ (program);
  /** @type {BurstTimes} */
  const times = plan.map(() => []);
  let part = 0;
  return {
    start() {},
    run() {
      const startMs = performance.now();
      for (let i = 0; i < accesses; i++)
        if (handler.portRead(PORT, 1) !== ANSWER) throw new Error('the access did not reach the device');
      const done = /** @type {number[]} */ (times[part]);
      done.push(performance.now() - startMs);
      const { bursts, pauseMs } = /** @type {Bursts['plan'][number]} */ (plan[part]);
      if (done.length === bursts) part++;
      // The vCPU halts for as long.
      if (part < plan.length) return pauseMs;
      report(times);
      return haltedForever;
    },
  };
}

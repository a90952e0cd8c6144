// @ts-check
/**
 * Waits until other programs use little processor time, because they would disturb a measurement.
 */

import { cpus } from 'node:os';

/** Share of the processor time that others may use. */
const BUSY_SHARE = 0.15;
const SAMPLE_MS = 100;

/**
 * Time of all processors since the system started, in ms. All 0 if the system does not report it.
 */
function times() {
  let busy = 0;
  let idle = 0;
  for (const { times: one } of cpus()) {
    idle += one.idle;
    busy += one.user + one.nice + one.sys + one.irq;
  }
  return { busy, idle };
}

/**
 * @param {number} limitMs how long to wait at most
 * @param {AbortSignal} [signal] ends the wait
 * @returns {Promise<boolean>} false if the machine did not become quiet in time
 */
export async function waitForQuiet(limitMs, signal) {
  const end = performance.now() + limitMs;
  for (;;) {
    const before = times();
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    const after = times();
    const busy = after.busy - before.busy;
    if (busy / Math.max(1, busy + after.idle - before.idle) < BUSY_SHARE) return true;
    if (performance.now() > end || signal?.aborted === true) return false;
  }
}

// @ts-check
/**
 * 1 to 16 vCPU threads that only make accesses: requests served per second, latency of the slowest,
 * fairness between vCPUs, and delay of a timer in the Service VM's thread.
 */

import { createMachine, percentile } from '../machine.js';

export const title = 'Many vCPUs, one Service VM';

const VCPUS = [1, 2, 4, 8, 16];
/**
 * Twice the vCPUs must not serve fewer requests. Lowest ratio that counts as that: medians of a few
 * rounds differ by as much.
 */
const SAME = 0.95;
/** @type {import('../rows.js').Row[]} */
export const rows = VCPUS.flatMap((vcpus) => {
  const process = { file: 'cases/many-vcpus.js', args: [String(vcpus)] };
  const quick = vcpus === 4;
  const nameOf = (/** @type {number} */ count, /** @type {string} */ what) =>
    `${count} ${count === 1 ? 'vCPU' : 'vCPUs'}, ${what}`;
  const perSecond = 'requests each second';
  return [
    {
      name: nameOf(vcpus, perSecond),
      unit: '/s',
      process,
      value: 'perSecond',
      compare: vcpus === 1 ? [] : [{ to: nameOf(vcpus / 2, perSecond), min: SAME }],
      quick,
    },
    { name: nameOf(vcpus, 'p99'), unit: 'µs', process, value: 'p99Us', quick },
    { name: nameOf(vcpus, 'largest share to smallest'), unit: '', process, value: 'shares', max: 2, quick },
    { name: nameOf(vcpus, 'latest timer'), unit: 'ms', process, value: 'lateMs', max: 20, quick },
  ];
});

/**
 * Warm-up: each thread compiles for itself in its share of the cores, so more threads need longer.
 */
const warmUpMs = (/** @type {number} */ vcpus) => 400 * Math.max(1, vcpus / 2);
const MEASURE_MS = 1200;
const TIMER_MS = 1;

/** @param {string} vcpusText */
export async function measure(vcpusText) {
  const vcpus = Number(vcpusText);
  const machine = await createMachine({
    vcpus,
    loop: { warmUpMs: warmUpMs(vcpus), measureMs: MEASURE_MS, isTimed: true },
  });
  let lateMs = 0;
  let lastMs = performance.now();
  const warmMs = lastMs + warmUpMs(vcpus);
  const timer = setInterval(() => {
    const now = performance.now();
    if (now > warmMs) lateMs = Math.max(lateMs, now - lastMs - TIMER_MS);
    lastMs = now;
  }, TIMER_MS);
  const results = await machine.run();
  clearInterval(timer);
  const rates = results.map(({ accesses, elapsedMs }) => (accesses * 1000) / elapsedMs);
  const latencies = Float64Array.from(results.flatMap((result) => [...result.latencies])).sort();
  return {
    perSecond: rates.reduce((sum, rate) => sum + rate, 0),
    p99Us: percentile(latencies, 0.99),
    shares: Math.max(...rates) / Math.min(...rates),
    lateMs,
  };
}

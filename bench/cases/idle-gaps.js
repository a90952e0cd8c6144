// @ts-check
/**
 * A guest that computes between accesses: shows up to which gap the other side still spins when the
 * next access comes.
 */

import { createMachine, percentile } from '../machine.js';

export const title = 'A request after a gap';

const GAPS_US = [20, 50, 100, 200, 500, 1000];
/** @type {import('../rows.js').Row[]} */
export const rows = GAPS_US.flatMap((gapUs) => {
  const process = { file: 'cases/idle-gaps.js', args: [String(gapUs)], cores: 2 };
  const quick = gapUs === 20;
  return [
    {
      name: `gap of ${gapUs} µs, p50`,
      unit: 'µs',
      process,
      value: 'p50Us',
      ...(gapUs === 20 ? { max: 1 } : {}),
      quick,
    },
    { name: `gap of ${gapUs} µs, p99`, unit: 'µs', process, value: 'p99Us', quick },
  ];
});

/** @param {string} gapUs */
export async function measure(gapUs) {
  const machine = await createMachine({
    vcpus: 1,
    loop: { warmUpMs: 600, measureMs: 600, isTimed: true, gapUs: Number(gapUs) },
  });
  const [result] = await machine.run();
  const latencies = result?.latencies ?? new Float64Array();
  return { p50Us: percentile(latencies, 0.5), p99Us: percentile(latencies, 0.99) };
}

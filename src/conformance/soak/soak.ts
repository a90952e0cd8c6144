/**
 * The soak test: rounds in which vCPU threads read from devices in threads. At random points the
 * devices throw, block for a while, are removed or terminated. After each round every vCPU must
 * have each answer: that of the right device and round, or all ones where the device had a fault.
 * After each VM it samples what is in use: threads, open files, heap.
 *
 * `npm run soak` (scripts/soak.mjs) runs it for long, and limits how much more is in use at the end
 * than after the first VM. A test runs it for a moment. The seed decides which faults there are,
 * and the threads decide where they strike.
 */

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { resourcesInUse, type Resources } from './resources.js';
import { SoakVm, type Chance, type SoakCounts } from './soak-vm.js';
import { Threads } from './threads.js';

/** Default rounds of one VM. It is then destroyed, and another is created. */
const ROUNDS_PER_VM = 50;
/** The soak stops after this many problems. */
const MAX_PROBLEMS = 10;
/** How long the threads of a destroyed VM may take to end. */
const THREADS_END_MS = 10_000;

export interface SoakOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly roundsPerVm?: number;
  readonly onProgress?: (report: SoakReport) => void;
}

export interface SoakReport extends SoakCounts {
  readonly seed: number;
  rounds: number;
  vms: number;
  /** Wrong answers and rounds or threads that did not end; not what is in use more than before. */
  readonly problems: string[];
  /** After the first VM and after the last. */
  first: Resources | undefined;
  last: Resources | undefined;
}

export async function soak({
  rounds,
  seed,
  roundsPerVm = ROUNDS_PER_VM,
  onProgress,
}: SoakOptions): Promise<SoakReport> {
  const random = xoroshiro128plus(seed);
  const chance: Chance = (count) => uniformInt(random, 0, count - 1);
  const report: SoakReport = {
    seed,
    rounds: 0,
    vms: 0,
    reads: 0,
    allOnes: 0,
    faults: 0,
    threadsLost: 0,
    deviceErrors: 0,
    problems: [],
    first: undefined,
    last: undefined,
  };
  const threads = new Threads();
  try {
    while (report.rounds < rounds && report.problems.length < MAX_PROBLEMS) {
      const vm = await SoakVm.create(chance, threads, report);
      try {
        for (let left = Math.min(roundsPerVm, rounds - report.rounds); left > 0; left--) {
          const canGoOn = await vm.round();
          report.rounds++;
          if (!canGoOn) break;
        }
      } finally {
        await vm.close();
      }
      report.vms++;
      if (!(await threads.ended(THREADS_END_MS))) report.problems.push(`${threads.count} threads outlive their VM`);
      report.last = resourcesInUse();
      // The first VM loads what later ones have.
      report.first ??= report.last;
      onProgress?.(report);
    }
  } finally {
    threads.close();
  }
  return report;
}

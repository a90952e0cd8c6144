// @ts-check
/**
 * Interleaved rounds: each round runs every process once, after waiting for a quiet machine.
 * Machines differ and drift, so only results of the same round are compared.
 */

import { keyOf, runProcess } from './process.js';
import { waitForQuiet } from './quiet.js';

/** Longest wait of one start for a quiet machine. */
const QUIET_LIMIT_MS = 15_000;

/**
 * @typedef {object} Results
 * @property {Map<string, (Record<string, number> | undefined)[]>} values by process key, then by
 *   round
 * @property {Map<string, { reason: string, isFailure: boolean }>} missing why a process has no
 *   numbers
 * @property {number} rounds completed
 * @property {number} noisyStarts starts while other programs used the processor
 *
 * @typedef {object} RoundsOptions
 * @property {readonly import('./rows.js').Row[]} rows
 * @property {number} rounds
 * @property {number} quietBudgetMs longest wait of all starts together for a quiet machine
 * @property {(progress: { round: number, at: number, of: number, key: string }) => void} [onProgress]
 * @property {AbortSignal} [signal] ends the rounds; results so far are kept
 */

/** @param {RoundsOptions} options @returns {Promise<Results>} */
export async function runRounds({ rows, rounds, quietBudgetMs, onProgress, signal }) {
  const processes = new Map(rows.map((row) => [keyOf(row.process), row.process]));
  /** @type {Results} */
  const results = { values: new Map(), missing: new Map(), rounds: 0, noisyStarts: 0 };
  for (const key of processes.keys()) results.values.set(key, []);
  let budgetMs = quietBudgetMs;
  for (let round = 0; round < rounds; round++) {
    let at = 0;
    for (const [key, one] of processes) {
      at++;
      if (results.missing.has(key)) continue;
      onProgress?.({ round: round + 1, at, of: processes.size, key });
      const waitsFrom = performance.now();
      const isQuiet = await waitForQuiet(Math.min(budgetMs, QUIET_LIMIT_MS), signal);
      if (!isQuiet) budgetMs -= performance.now() - waitsFrom;
      if (signal?.aborted) return results;
      const outcome = await runProcess(one, signal);
      if (signal?.aborted) return results;
      if (!isQuiet) results.noisyStarts++;
      if ('values' in outcome) {
        const values = results.values.get(key) ?? [];
        values[round] = outcome.values;
      } else if ('unavailable' in outcome) results.missing.set(key, { reason: outcome.unavailable, isFailure: false });
      else results.missing.set(key, { reason: outcome.failure, isFailure: true });
    }
    results.rounds++;
  }
  return results;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soak } from './soak.js';

test('a short soak finds nothing wrong, and has real faults', { timeout: 120_000 }, async () => {
  const seed = Number(process.env['SOAK_SEED'] ?? 20_260_722);
  console.log(`soak with seed ${seed}; SOAK_SEED=N tries another`);
  const report = await soak({ rounds: 30, roundsPerVm: 10, seed });
  assert.deepEqual(report.problems, []);
  assert.equal(report.rounds, 30);
  assert.ok(report.reads >= 30 * 24 && report.faults > 0, JSON.stringify(report));
  assert.equal(report.last?.threads, report.first?.threads);
});

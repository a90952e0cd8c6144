import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadCompiler } from '../engine/compiler.js';
import { exploreRandomly } from '../engine/explore.js';
import { CONFIGURATIONS } from './configurations.js';
import { acrnModel } from './model.js';
import { acrnProgram } from './program.js';

const SEED = Number(process.env['UPCALL_SEED'] ?? 1);

test('a large world with many things at once holds in random schedules', async (t) => {
  const large = CONFIGURATIONS.find(({ name }) => name === 'large');
  assert.ok(large);
  const program = acrnProgram(loadCompiler());
  const { schedule, runs, moves, seed } = await exploreRandomly(program, acrnModel(large.plan), {
    seed: SEED,
    runs: 12,
  });
  t.diagnostic(`${runs} schedules from seed ${SEED} on, ${moves} moves; set UPCALL_SEED for others`);
  assert.equal(schedule?.violation, undefined, `seed ${seed}`);
  assert.equal(runs, 12);
  assert.ok(moves > 12 * 1000);
});

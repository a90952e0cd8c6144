import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadCompiler } from '../engine/compiler.js';
import { CONFIGURATIONS } from './configurations.js';
import { exploreRandomly } from './explore.js';
import { ExploredProgram } from './explored-world.js';
import { randomNumbers } from './random-search.js';

const SEED = Number(process.env['UPCALL_SEED'] ?? 1);

test('a large world, everything at once, by random schedules', async (t) => {
  const large = CONFIGURATIONS.find(({ name }) => name === 'large');
  assert.ok(large);
  const program = new ExploredProgram(loadCompiler());
  const { schedule, runs, moves, seed } = await exploreRandomly(program, large.plan, { seed: SEED, runs: 12 });
  t.diagnostic(`${runs} schedules from seed ${SEED} on, ${moves} moves; set UPCALL_SEED for others`);
  assert.equal(schedule?.violation, undefined, `seed ${seed}`);
  assert.equal(runs, 12);
  assert.ok(moves > 12 * 1000);
});

test('the numbers of a seed are its own, and cover what they should', () => {
  const [a, b, c] = [randomNumbers(1), randomNumbers(1), randomNumbers(2)];
  const draw = (random: (below: number) => number): number[] => Array.from({ length: 100 }, () => random(10));
  const first = draw(a);
  assert.deepEqual(draw(b), first);
  assert.notDeepEqual(draw(c), first);
  assert.equal(new Set(first).size, 10);
});

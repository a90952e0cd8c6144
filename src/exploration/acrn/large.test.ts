import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadCompiler } from '../engine/compiler.js';
import { ExploredWorld } from '../engine/explored-world.js';
import { exploreRandomly } from '../engine/explore.js';
import type { WorldParts } from '../engine/model.js';
import { CONFIGURATIONS } from './configurations.js';
import { acrnModel } from './model.js';
import { acrnProgram } from './program.js';

const SEED = Number(process.env['UPCALL_SEED'] ?? 1);

const large = CONFIGURATIONS.find(({ name }) => name === 'large');
assert.ok(large);

test('each device thread of several VMs has an exit number of its own', () => {
  const model = acrnModel(large.plan);
  let parts: WorldParts | undefined;
  const world = new ExploredWorld(acrnProgram(loadCompiler()), {
    ...model,
    parts: (shared) => (parts = model.parts(shared as never)),
  });
  const exits = parts?.threads.flatMap(({ exit }) => (exit === undefined ? [] : [exit])) ?? [];
  assert.equal(world.model.plan, large.plan);
  assert.equal(exits.length, 2);
  assert.equal(new Set(exits).size, 2);
});

test('a large world with many things at once holds in random schedules', async (t) => {
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

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadCompiler } from '../engine/compiler.js';
import { drop } from '../engine/change/code-change.js';
import { loop } from '../engine/change/selector.js';
import type { WorldPlan } from './world.js';
import { CONFIGURATIONS, planOf, SMALLEST } from './configurations.js';
import { choiceOf, threadOf } from '../engine/search/move.js';
import { ExhaustiveSearch } from '../engine/search/exhaustive-search.js';
import { explore, warmUp } from '../engine/explore.js';
import { ExploredWorld } from '../engine/explored-world.js';
import { acrnModel } from './model.js';
import { acrnProgram } from './program.js';
import { randomNumbers } from '../engine/search/random-search.js';

const program = acrnProgram(loadCompiler());

describe('no schedule of a configuration breaks an invariant, and each can end', () => {
  for (const configuration of CONFIGURATIONS.filter(({ isForRandom }) => isForRandom !== true))
    test(`${configuration.name}: ${configuration.summary}`, async (t) => {
      const { result, seconds } = await explore(program, acrnModel(planOf(configuration, true)));
      t.diagnostic(`${result.states} states, ${result.schedules.toExponential(1)} schedules, ${seconds.toFixed(1)} s`);
      assert.equal(result.violation?.message, undefined);
      assert.ok(result.isComplete && result.ends > 0 && result.states > 100);
    });
});

describe('reduction', () => {
  const plans: [string, WorldPlan][] = [
    ['one request', SMALLEST],
    ['a client destroyed', { ...SMALLEST, clients: ['later'], acts: ['destroy-client'] }],
    ['a stray upcall', { ...SMALLEST, spuriousUpcalls: 1 }],
    ['polling', { ...SMALLEST, isPolling: true, requests: 2 }],
    ['a device in its own thread', { ...SMALLEST, clients: ['thread'] }],
    ['an interrupt', { ...SMALLEST, interrupts: 1 }],
    ['CLEAR, and a request for later', { ...SMALLEST, clients: ['later'], acts: ['clear'] }],
    ['a reset', { ...SMALLEST, acts: ['reset'] }],
  ];
  for (const [name, plan] of plans)
    test(`leaves out states and keeps every end: ${name}`, async (t) => {
      const world = new ExploredWorld(program, acrnModel(plan));
      const { space } = world;
      warmUp(world);
      const search = async (reduces: boolean): Promise<ReadonlySet<string>> => {
        space.reduces = reduces;
        space.disarms = reduces;
        for (;;) {
          space.state.back(0);
          space.uses.learn();
          const result = await new ExhaustiveSearch(space).run();
          assert.equal(result.violation, undefined);
          if (space.uses.hasNewUse) continue;
          assert.ok(result.isComplete);
          counts.push(result.states);
          return result.endHashes;
        }
      };
      const counts: number[] = [];
      const full = await search(false);
      const reduced = await search(true);
      t.diagnostic(`${counts.join(' states, ')} reduced, ${reduced.size} ends`);
      assert.deepEqual([...reduced].sort(), [...full].sort());
      assert.ok((counts[1] as number) < (counts[0] as number));
    });
});

describe('learned threads', () => {
  const SEED = Number(process.env['UPCALL_SEED'] ?? 1);
  for (const name of ['reset', 'destroy-vm', 'device-dies', 'time-limit'])
    test(`take the path of the code itself: ${name}`, async (t) => {
      t.diagnostic(`seed ${SEED}; set UPCALL_SEED for another`);
      const configuration = CONFIGURATIONS.find((one) => one.name === name);
      assert.ok(configuration);
      const model = acrnModel(planOf(configuration, true));
      const learned = new ExploredWorld(program, model, { reduces: false });
      // A doorbell's word is held otherwise once it is known as one; that must be the same for
      // both.
      warmUp(learned);
      await new ExhaustiveSearch(learned.space).run();
      const { eventCounts } = learned.space;
      const random = randomNumbers(SEED);
      let steps = 0;
      for (let walk = 0; walk < 40; walk++) {
        learned.space.state.back(0);
        const live = new ExploredWorld(program, model, { reduces: false, learns: false, eventCounts });
        for (;;) {
          const moves: number[] = [];
          learned.space.moves(moves);
          const same: number[] = [];
          live.space.moves(same);
          assert.deepEqual(moves, same);
          const move = moves[random(moves.length || 1)];
          if (move === undefined) break;
          for (const { space } of [learned, live]) space.move(threadOf(move), choiceOf(move));
          const thread = threadOf(move);
          assert.deepEqual(learned.space.at(thread).operation, live.space.at(thread).operation);
          steps++;
        }
      }
      assert.ok(steps > 1000, `${steps} steps`);
    });
});

test('threads that loop forever are reported', async () => {
  // No client answers, and the reset waits for a vCPU that is never woken.
  const change = {
    module: 'hypervisor/threaded-vm',
    in: 'ThreadedVm.resetVm',
    edit: drop(loop('ring')),
  };
  const broken = acrnProgram(loadCompiler(), [change]);
  const { result } = await explore(broken, acrnModel({ ...SMALLEST, clients: ['later'], acts: ['reset'] }));
  assert.match(result.violation?.message ?? '', /no end can be reached from here/);
});

test('a search stops on demand and says that it is not complete', async () => {
  const plan = { ...SMALLEST, vcpuCount: 2 };
  const { result } = await explore(program, acrnModel(plan), { onProgress: () => false });
  assert.equal(result.isComplete, false);
  assert.equal(result.violation, undefined);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadCompiler } from '../engine/compiler.js';
import { DEFECTS } from './defects.js';
import { explore, warmUp } from '../engine/explore.js';
import { ExploredWorld } from '../engine/explored-world.js';
import { acrnModel } from './model.js';
import { acrnProgram } from './program.js';
import { exploreRandomly } from '../engine/explore.js';
import { parseSchedule, replay } from '../engine/schedule.js';
import { scheduleTable } from '../engine/schedule-table.js';
import { searchShortest } from '../engine/search/shortest-search.js';
import { choiceOf, threadOf } from '../engine/search/move.js';
import { Violation } from '../engine/search/violation.js';

const ts = loadCompiler();
const LOOP = /no end can be reached from here/;

describe('each seeded defect is found, and its schedule runs again', () => {
  test('there are at least twenty', () => {
    assert.ok(DEFECTS.length >= 20);
    assert.equal(new Set(DEFECTS.map(({ name }) => name)).size, DEFECTS.length);
  });

  for (const defect of DEFECTS)
    test(`${defect.name}: ${defect.sentence}`, async (t) => {
      const program = acrnProgram(ts, [defect]);
      const { result, schedule, seconds } = await explore(program, acrnModel(defect.plan));
      assert.ok(schedule, 'the defect was not found');
      t.diagnostic(
        `after ${result.runs} runs, ${result.states} states, ${seconds.toFixed(1)} s: ${schedule.violation}`,
      );
      const again = replay(program, acrnModel(defect.plan), parseSchedule(JSON.stringify(schedule)));
      if (LOOP.test(schedule.violation)) assert.equal(again.steps.length, schedule.steps.length);
      else assert.equal(again.violation, schedule.violation);
    });
});

const lostWakeUp = DEFECTS.find(({ name }) => name === 'no-last-poll');
assert.ok(lostWakeUp);
const lostModel = acrnModel(lostWakeUp.plan);

test('the shortest schedule is the shortest: no schedule with fewer moves breaks a rule', () => {
  const world = new ExploredWorld(acrnProgram(ts, [lostWakeUp]), lostModel);
  warmUp(world);
  const { space } = world;
  const shortest = searchShortest(space, 100_000);
  assert.ok(shortest);
  // Every schedule, move by move, without remembering states.
  const isBroken = (depth: number): boolean => {
    const moves: number[] = [];
    const mark = space.state.mark;
    try {
      space.moves(moves);
      if (moves.length === 0) space.watcher?.end();
      if (depth === 0) return false;
      for (const move of moves) {
        space.move(threadOf(move), choiceOf(move));
        if (isBroken(depth - 1)) return true;
        space.state.back(mark);
      }
      return false;
    } catch (error) {
      if (error instanceof Violation) return true;
      throw error;
    }
  };
  space.state.back(0);
  assert.equal(isBroken(shortest.moves.length), true);
  space.state.back(0);
  assert.equal(isBroken(shortest.moves.length - 1), false);
});

test('the table of a schedule names the threads, the words and the operations', async () => {
  const program = acrnProgram(ts, [lostWakeUp]);
  const { schedule } = await explore(program, lostModel, { shortestWithin: 100_000 });
  assert.ok(schedule);
  const table = scheduleTable(replay(program, lostModel, schedule));
  assert.match(table, /^ +Service VM +vCPU 0\n/);
  assert.match(table, /moves slot 0 state: FREE → PENDING/);
  assert.match(table, /loads doorbell of vCPU 0 asleep: 0/);
  assert.match(table, /sleeps on or wakes by doorbell of vCPU 0 rings$/);
});

test('a schedule of other code is refused at the step that does not fit', async () => {
  const { schedule } = await explore(acrnProgram(ts, [lostWakeUp]), lostModel);
  assert.ok(schedule);
  assert.throws(() => replay(acrnProgram(ts), lostModel, schedule), /does not fit this code from step \d+ on/);
  for (const text of ['', 'null', '{}', '{"steps":[{"thread":"x"}]}'])
    assert.throws(() => parseSchedule(text), /this is not a schedule/);
});

test('random schedules find a defect too, and a seed finds the same again', async () => {
  const program = acrnProgram(ts, [lostWakeUp]);
  const first = await exploreRandomly(program, lostModel, { seed: 1, runs: 2000 });
  assert.ok(first.schedule && first.seed !== undefined, `${first.runs} schedules found nothing`);
  assert.equal(replay(program, lostModel, first.schedule).violation, first.schedule.violation);
  const options = { seed: 1, runs: first.runs };
  const second = await exploreRandomly(program, lostModel, options);
  assert.deepEqual(second.schedule, first.schedule);
});

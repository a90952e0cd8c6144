import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OperationKind, WaitResult, wordOperation, type Operation } from '../machine/operation.js';
import type { Suspendable } from '../machine/shared-memory.js';
import { LearnedThread } from './learned-thread.js';
import { StateSpace } from './state-space.js';

const COUNT = 1;
const count = (kind: OperationKind, value = 0, other = 0): Operation => wordOperation(kind, COUNT, 0, value, other);
const elsewhere = wordOperation(OperationKind.STORE, COUNT + 1, 0, 1);
const read = count(OperationKind.LOAD);
const wait = count(OperationKind.WAIT, 0, Infinity);
const notify = [count(OperationKind.ADD, 1), count(OperationKind.NOTIFY)];

/** A waiter and a notifier that do just this, then end. Results of the operations are kept. */
function spaceOf(
  waits: readonly Operation[],
  notifies: readonly Operation[],
): { space: StateSpace; results: number[] } {
  const options = { threadCount: 2, mortals: 0, exitOf: () => undefined, safetyNetsFire: false, isOwned: () => false };
  const space = new StateSpace(options, 0);
  const results: number[] = [];
  const thread = (name: string, operations: readonly Operation[]): LearnedThread => {
    const begin = () => ({
      run: (function* (): Suspendable<never> {
        for (const operation of operations) results.push(yield operation);
        for (;;) yield wordOperation(OperationKind.DONE, -1, -1);
      })(),
      activate: () => undefined,
      fingerprint: () => '',
    });
    return new LearnedThread(name, begin, (operation) => space.placeOf(operation), false);
  };
  space.addEventCount({ buffer: COUNT, index: 0, thread: 0 });
  space.addThread(thread('waiter', waits));
  space.addThread(thread('notifier', notifies));
  space.reduces = false;
  return { space, results };
}

const isOver = (space: StateSpace): boolean => {
  const moves: number[] = [];
  space.moves(moves);
  return moves.length === 0;
};

describe('an event count', () => {
  test('an addition between reading and waiting keeps the waiter awake', () => {
    const { space, results } = spaceOf([read, wait], notify);
    for (const thread of [0, 1, 1, 0]) space.step(thread, 0);
    assert.deepEqual(results.at(-1), WaitResult.NOT_EQUAL);
  });

  test('an addition before the waiter has read it leaves the state as it was, and the waiter sleeps', () => {
    const { space } = spaceOf([read, wait], notify);
    const place = space.place(COUNT, 0);
    const before = space.words[place];
    space.step(1, 0);
    assert.equal(space.words[place], before);
    for (const thread of [1, 0, 0]) space.step(thread, 0);
    assert.ok(space.sleepers.isAsleep(0));
    assert.ok(isOver(space));
  });

  test('a notification wakes the sleeper', () => {
    const { space, results } = spaceOf([read, wait], notify);
    for (const thread of [0, 0, 1, 1]) space.step(thread, 0);
    assert.ok(!space.sleepers.isAsleep(0));
    space.step(0, 0);
    assert.equal(results.at(-1), WaitResult.OK);
  });

  test('a waiter that writes does not wait: the state forgets what it read', () => {
    const { space } = spaceOf([read, elsewhere, read], notify);
    space.disarms = true;
    const place = space.place(COUNT, 0);
    const unread = space.words[place];
    space.step(0, 0);
    assert.notEqual(space.words[place], unread);
    space.step(0, 0);
    assert.equal(space.words[place], unread);
  });

  test('a waiter that writes and waits is noticed, and the state keeps what it read from then on', () => {
    const { space, results } = spaceOf([read, elsewhere, wait], notify);
    space.disarms = true;
    space.uses.learn();
    const schedule = [0, 0, 1, 1, 0];
    for (const thread of schedule) space.step(thread, 0);
    assert.ok(space.uses.hasNewUse, 'the search has to begin again');
    const again = spaceOf([read, elsewhere, wait], notify);
    again.space.disarms = true;
    again.space.uses.keepArmed(again.space.place(COUNT, 0));
    for (const thread of schedule) again.space.step(thread, 0);
    assert.equal(again.results.at(-1), WaitResult.NOT_EQUAL);
    assert.ok(results.length > 0);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OperationKind, WaitResult, wordOperation, type Operation } from '../machine/operation.js';
import type { Suspendable } from '../machine/shared-memory.js';
import { LearnedThread } from './learned-thread.js';
import { StateSpace } from './state-space.js';

const BELL = 1;
const count = (kind: OperationKind, value = 0, other = 0): Operation => wordOperation(kind, BELL, 0, value, other);
const elsewhere = wordOperation(OperationKind.STORE, BELL + 1, 0, 1);
const read = count(OperationKind.LOAD);
const wait = count(OperationKind.WAIT, 0, Infinity);
const ring = [count(OperationKind.ADD, 1), count(OperationKind.NOTIFY)];

/** A waiter and a ringer that do just this, then end. Results of the waiter's operations are kept. */
function spaceOf(waits: readonly Operation[], rings: readonly Operation[]): { space: StateSpace; results: number[] } {
  const options = { threadCount: 2, mortals: 0, exitOf: () => undefined, netsFire: false, isOwned: () => false };
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
  space.addBell({ buffer: BELL, index: 0, thread: 0 });
  space.addThread(thread('waiter', waits));
  space.addThread(thread('ringer', rings));
  space.reduces = false;
  return { space, results };
}

const isOver = (space: StateSpace): boolean => {
  const moves: number[] = [];
  space.moves(moves);
  return moves.length === 0;
};

describe('the count of a doorbell’s rings', () => {
  test('a ring between reading and waiting keeps the waiter awake', () => {
    const { space, results } = spaceOf([read, wait], ring);
    for (const thread of [0, 1, 1, 0]) space.step(thread, 0);
    assert.deepEqual(results.at(-1), WaitResult.NOT_EQUAL);
  });

  test('a ring before the waiter has read it leaves the state as it was, and the waiter sleeps', () => {
    const { space } = spaceOf([read, wait], ring);
    const place = space.place(BELL, 0);
    const before = space.words[place];
    space.step(1, 0);
    assert.equal(space.words[place], before);
    for (const thread of [1, 0, 0]) space.step(thread, 0);
    assert.ok(space.sleepers.isAsleep(0));
    assert.ok(isOver(space));
  });

  test('a ring wakes who sleeps', () => {
    const { space, results } = spaceOf([read, wait], ring);
    for (const thread of [0, 0, 1, 1]) space.step(thread, 0);
    assert.ok(!space.sleepers.isAsleep(0));
    space.step(0, 0);
    assert.equal(results.at(-1), WaitResult.OK);
  });

  test('a waiter that writes does not wait: what it has read is no state any more', () => {
    const { space } = spaceOf([read, elsewhere, read], ring);
    space.disarms = true;
    const place = space.place(BELL, 0);
    const unread = space.words[place];
    space.step(0, 0);
    assert.notEqual(space.words[place], unread);
    space.step(0, 0);
    assert.equal(space.words[place], unread);
  });

  test('one that waits all the same is found out, and its count is kept from then on', () => {
    const { space, results } = spaceOf([read, elsewhere, wait], ring);
    space.disarms = true;
    space.uses.learn();
    const schedule = [0, 0, 1, 1, 0];
    for (const thread of schedule) space.step(thread, 0);
    assert.ok(space.uses.hasNewUse, 'the search has to begin again');
    const again = spaceOf([read, elsewhere, wait], ring);
    again.space.disarms = true;
    again.space.uses.keepArmed(again.space.place(BELL, 0));
    for (const thread of schedule) again.space.step(thread, 0);
    assert.equal(again.results.at(-1), WaitResult.NOT_EQUAL);
    assert.ok(results.length > 0);
  });
});

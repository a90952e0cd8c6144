/** SimulatedPromise settles once, as a native promise does. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedPromise, type DueReaction, type ReactionQueue } from './simulated-promise.js';

class Queue implements ReactionQueue {
  readonly due: DueReaction[] = [];
  readonly rejected: SimulatedPromise[] = [];

  react(due: DueReaction): void {
    this.due.push(due);
  }

  callNow(fn: unknown, values: readonly unknown[]): unknown {
    return (fn as (...values: unknown[]) => unknown)(...values);
  }

  unhandled(promise: SimulatedPromise): void {
    this.rejected.push(promise);
  }
}

test('a rejection after the promise was resolved is ignored', () => {
  const queue = new Queue();
  const promise = new SimulatedPromise(queue, (resolve: (value: number) => void, reject: (error: Error) => void) => {
    resolve(1);
    reject(new Error('late'));
  });
  assert.deepEqual([promise.state, promise.value, queue.rejected], ['ok', 1, []]);
});

test('an executor that throws after it has resolved does not reject', () => {
  const queue = new Queue();
  const promise = new SimulatedPromise(queue, (resolve: (value: number) => void) => {
    resolve(1);
    throw new Error('late');
  });
  assert.deepEqual([promise.state, queue.rejected], ['ok', []]);
});

test('a rejection without a reaction is reported once', () => {
  const queue = new Queue();
  const promise = new SimulatedPromise(queue);
  promise.reject(new Error('first'));
  promise.reject(new Error('second'));
  assert.deepEqual(queue.rejected, [promise]);
  assert.equal((promise.value as Error).message, 'first');
});

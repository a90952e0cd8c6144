import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ThreadPeek } from './thread-peek.js';

/** One that counts how often the thread was asked. */
function looking(limitMs: number): { readonly look: ThreadPeek; asked: number } {
  const counted = {
    asked: 0,
    look: new ThreadPeek(() => {
      counted.asked++;
    }, limitMs),
  };
  return counted;
}

test('all who look at the same time share one question and its answer', async () => {
  const counted = looking(60_000);
  const both = Promise.all([counted.look.values(), counted.look.values()]);
  counted.look.answer([1, undefined]);
  assert.deepEqual(await both, [
    [1, undefined],
    [1, undefined],
  ]);
  assert.equal(counted.asked, 1);
  const next = counted.look.values();
  counted.look.answer([2]);
  assert.deepEqual([await next, counted.asked], [[2], 2]);
});

test('a thread that does not answer is asked once, however often somebody looks, and its late answer is for who waits then', async () => {
  const counted = looking(0);
  // The look's own timer keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  try {
    for (let i = 0; i < 3; i++) assert.equal(await counted.look.values(), undefined);
    assert.equal(counted.asked, 1);
    const waiting = counted.look.values();
    counted.look.answer([3]);
    assert.deepEqual(await waiting, [3]);
    // Nobody waits: that is nobody's.
    counted.look.answer([4]);
  } finally {
    clearInterval(alive);
  }
});

test('the end of the thread is an answer, too', async () => {
  const { look } = looking(60_000);
  const waiting = look.values();
  look.answer(undefined);
  assert.equal(await waiting, undefined);
});

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { replaceTiming } from '../../sync/fixtures/fake-timing.js';
import { backgroundTiming } from '../../sync/host-timing.js';
import { JUDGE_MS } from '../../sync/timer-lateness.js';
import { ThreadPeek } from './thread-peek.js';

/** A peek that counts the requests to the thread. */
function counting(limitMs: number): { readonly peek: ThreadPeek; requests: number } {
  const counted = {
    requests: 0,
    peek: new ThreadPeek(() => {
      counted.requests++;
    }, limitMs),
  };
  return counted;
}

test('concurrent peeks share one request and its answer', async () => {
  const counted = counting(60_000);
  const both = Promise.all([counted.peek.values(), counted.peek.values()]);
  counted.peek.answer([1, undefined]);
  assert.deepEqual(await both, [
    [1, undefined],
    [1, undefined],
  ]);
  assert.equal(counted.requests, 1);
  const next = counted.peek.values();
  counted.peek.answer([2]);
  assert.deepEqual([await next, counted.requests], [[2], 2]);
});

test('a thread that does not answer gets one request for many peeks, and its late answer goes to the peek that waits then', async () => {
  const counted = counting(0);
  // The peek's own timer does not keep the process alive.
  const alive = setInterval(() => undefined, 1000);
  try {
    for (let i = 0; i < 3; i++) assert.equal(await counted.peek.values(), undefined);
    assert.equal(counted.requests, 1);
    const waiting = counted.peek.values();
    counted.peek.answer([3]);
    assert.deepEqual(await waiting, [3]);
    // An answer that no peek waits for has no effect.
    counted.peek.answer([4]);
  } finally {
    clearInterval(alive);
  }
});

test('the end of the thread is an answer, too', async () => {
  const { peek } = counting(60_000);
  const waiting = peek.values();
  peek.answer(undefined);
  assert.equal(await waiting, undefined);
});

test('a peek waits for its limit, and leaves no timer behind', async () => {
  const timing = replaceTiming(backgroundTiming);
  try {
    const { peek } = counting(60_000);
    const first = peek.values();
    peek.answer([1]);
    assert.deepEqual([await first, timing.running], [[1], 0]);
    let values: unknown = 'none yet';
    const second = peek.values().then((given) => (values = given));
    timing.pass(60_000);
    await Promise.resolve();
    assert.equal(values, 'none yet');
    timing.pass(JUDGE_MS);
    assert.equal(await second, undefined);
    assert.equal(timing.running, 0);
  } finally {
    mock.restoreAll();
  }
});

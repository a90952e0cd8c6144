import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startFairTimeout } from './fair-timeout.js';
import { FakeTiming } from './fixtures/fake-timing.js';
import { JUDGE_MS, MAX_FRESH_PERIODS } from './timer-lateness.js';

function started(limitMs: number): { timing: FakeTiming; fired: () => number; stop: () => void } {
  const timing = new FakeTiming();
  let count = 0;
  const timeout = startFairTimeout(() => count++, limitMs, timing);
  return { timing, fired: () => count, stop: () => timeout.stop() };
}

test('a fair timeout calls back once, after its limit and one more turn', () => {
  const { timing, fired } = started(1000);
  timing.pass(1000);
  assert.equal(fired(), 0);
  timing.pass(JUDGE_MS);
  assert.equal(fired(), 1);
  timing.pass(5000);
  assert.deepEqual([fired(), timing.running], [1, 0]);
});

test('a hold of the thread begins the limit again, whenever it comes', () => {
  for (const beforeMs of [0, 600, 1000]) {
    const { timing, fired } = started(1000);
    timing.pass(beforeMs);
    timing.hold(3000);
    timing.pass(999);
    assert.equal(fired(), 0, `held after ${beforeMs} ms`);
    timing.pass(300);
    assert.equal(fired(), 1);
  }
});

test('a timer that is a little late is no hold', () => {
  const { timing, fired } = started(1000);
  for (let beat = 0; beat < 4; beat++) {
    timing.hold(270);
    timing.pass(0);
  }
  timing.pass(JUDGE_MS);
  assert.equal(fired(), 1);
});

test('a thread that is held again and again does not keep the limit from expiring', () => {
  const { timing, fired } = started(1000);
  let holds = 0;
  for (; fired() === 0 && holds < 100; holds++) {
    timing.hold(600);
    timing.pass(0);
  }
  timing.pass(JUDGE_MS);
  assert.equal(fired(), 1);
  assert.ok(holds >= MAX_FRESH_PERIODS && holds < MAX_FRESH_PERIODS + 8, `${holds} holds`);
});

test('a limit longer than setTimeout’s does not fire at once, and a stopped one never', () => {
  const { timing, fired, stop } = started(2 ** 40);
  timing.pass(10_000);
  stop();
  timing.pass(10_000);
  assert.deepEqual([fired(), timing.running], [0, 0]);
});

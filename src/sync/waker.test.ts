import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Doorbell } from './doorbell.js';
import { FakePlacement } from './fixtures/fake-placement.js';
import { OrderedPoll } from './poll.js';
import { PlacingWaker, PLAIN_WAKER } from './waker.js';

describe('PlacingWaker', () => {
  const rings = (waker: PlacingWaker, sleeper: number): number => {
    let count = 0;
    waker.wake(sleeper, () => count++);
    return count;
  };

  test('wakes a known thread apart while it spins afterwards and each thread has a CPU', () => {
    const placement = new FakePlacement();
    const waker = new PlacingWaker(placement);
    assert.equal(rings(waker, 5), 1);
    assert.deepEqual(placement.apart, [5]);
    waker.willSpin = false;
    assert.equal(rings(waker, 6), 1);
    waker.willSpin = true;
    waker.isOn = false;
    assert.equal(rings(waker, 7), 1);
    waker.isOn = true;
    assert.equal(rings(waker, PLAIN_WAKER.thread), 1);
    assert.deepEqual(placement.apart, [5]);
    assert.equal(rings(waker, 8), 1);
    assert.deepEqual(placement.apart, [5, 8]);
  });

  test('wakes a known thread here if this thread parks next, and does not spin', () => {
    const placement = new FakePlacement();
    const waker = new PlacingWaker(placement);
    waker.parksNext = true;
    assert.equal(rings(waker, 5), 1);
    assert.deepEqual([placement.apart, placement.here], [[5], []]);
    waker.willSpin = false;
    assert.equal(rings(waker, 6), 1);
    assert.deepEqual(placement.here, [6]);
    assert.equal(rings(waker, PLAIN_WAKER.thread), 1);
    waker.isOn = false;
    assert.equal(rings(waker, 7), 1);
    waker.isOn = true;
    waker.parksNext = false;
    assert.equal(rings(waker, 8), 1);
    assert.deepEqual([placement.apart, placement.here], [[5], [6]]);
  });

  test('knows whether the waiter that it rang last was awake', () => {
    const waker = new PlacingWaker(new FakePlacement());
    waker.wake(5, () => undefined);
    assert.equal(waker.wasAwake, false);
    waker.foundAwake();
    assert.equal(waker.wasAwake, true);
  });
});

describe('a doorbell with wakers', () => {
  test('is armed with the number of the thread that parks, which its ringer wakes', async () => {
    const placement = new FakePlacement();
    const waiter = new Doorbell();
    const ringer = new Doorbell(waiter.buffer);
    waiter.waker = new PlacingWaker(new FakePlacement(1234));
    ringer.waker = new PlacingWaker(placement);
    let isDue = false;
    assert.equal(ringer.ring(), false);
    const found = waiter.waitAsync(new OrderedPoll(() => isDue));
    isDue = true;
    assert.equal(ringer.ring(), true);
    assert.equal(await found, true);
    assert.deepEqual(placement.apart, [1234]);
    assert.equal(ringer.ring(), false);
  });
});

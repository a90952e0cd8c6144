import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CpuPlacement } from '../host/host.js';
import { Doorbell } from './doorbell.js';
import { OrderedPoll } from './poll.js';
import { ApartWaker, PLAIN_WAKER } from './waker.js';

const THREAD = 77;

class FakePlacement implements CpuPlacement {
  readonly thread = THREAD;
  readonly woken: number[] = [];

  wakeApart(sleeper: number, wake: () => void): void {
    this.woken.push(sleeper);
    wake();
  }

  pin(): boolean {
    throw new Error('not used');
  }

  unpin(): void {
    throw new Error('not used');
  }
}

describe('ApartWaker', () => {
  const rings = (waker: ApartWaker, sleeper: number): number => {
    let count = 0;
    waker.wake(sleeper, () => count++);
    return count;
  };

  test('wakes a known thread apart while it spins afterwards and each thread has a CPU', () => {
    const placement = new FakePlacement();
    const waker = new ApartWaker(placement);
    assert.equal(rings(waker, 5), 1);
    assert.deepEqual(placement.woken, [5]);
    waker.willSpin = false;
    assert.equal(rings(waker, 6), 1);
    waker.willSpin = true;
    waker.isOn = false;
    assert.equal(rings(waker, 7), 1);
    waker.isOn = true;
    assert.equal(rings(waker, PLAIN_WAKER.thread), 1);
    assert.deepEqual(placement.woken, [5]);
    assert.equal(rings(waker, 8), 1);
    assert.deepEqual(placement.woken, [5, 8]);
  });

  test('knows whether the waiter that it rang last was awake', () => {
    const waker = new ApartWaker(new FakePlacement());
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
    waiter.waker = new ApartWaker({
      thread: 1234,
      wakeApart: () => undefined,
      pin: () => true,
      unpin: () => undefined,
    });
    ringer.waker = new ApartWaker(placement);
    let isDue = false;
    assert.equal(ringer.ring(), false);
    const found = waiter.waitAsync(new OrderedPoll(() => isDue));
    isDue = true;
    assert.equal(ringer.ring(), true);
    assert.equal(await found, true);
    assert.deepEqual(placement.woken, [1234]);
    assert.equal(ringer.ring(), false);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../clock.js';
import { FakeDriver, type FakeQueue } from '../fixtures/fake-queue.js';
import {
  ENTROPY_PERIOD_BYTES,
  ENTROPY_PERIOD_MS,
  EntropyDevice,
  MAX_ENTROPY_BUFFER_BYTES,
  MIN_ENTROPY_BUFFER_COST,
} from './entropy-device.js';

/** A source whose bytes count from 1, and a clock that stands. */
function makeDevice() {
  const clock = new ManualClock();
  let next = 0;
  const device = new EntropyDevice({
    clock,
    source: (bytes) => {
      for (let index = 0; index < bytes.length; index++) bytes[index] = ++next;
    },
  });
  return { clock, device, filled: () => next };
}

test('a buffer gets the bytes of the source, in order', async () => {
  const driver = new FakeDriver(makeDevice().device);
  assert.deepEqual(await driver.send(0, [], 3), Uint8Array.of(1, 2, 3));
  assert.deepEqual(await driver.send(0, [], 2), Uint8Array.of(4, 5));
});

test("by default the bytes are the host's random ones", async () => {
  const driver = new FakeDriver(new EntropyDevice());
  const [a, b] = [await driver.send(0, [], 64), await driver.send(0, [], 64)];
  assert.equal(a.length, 64);
  assert.notDeepEqual(a, b);
  assert.ok(new Set(a).size > 20, `${new Set(a).size} different values in 64 bytes`);
});

test('a large buffer gets a bounded number of bytes, and one without room gets 0', async () => {
  const { device, filled } = makeDevice();
  const driver = new FakeDriver(device);
  assert.equal((await driver.send(0, [], 2 ** 20)).length, MAX_ENTROPY_BUFFER_BYTES);
  assert.equal((await driver.send(0, [1, 2, 3], 0)).length, 0);
  assert.equal(filled(), MAX_ENTROPY_BUFFER_BYTES);
});

test('the bytes of a period are bounded, and later periods serve the rest', () => {
  const { clock, device, filled } = makeDevice();
  const driver = new FakeDriver(device);
  const queue = driver.queue(0) as FakeQueue;
  for (let buffer = 0; buffer < 20; buffer++) void driver.send(0, [], MAX_ENTROPY_BUFFER_BYTES);
  assert.equal(filled(), ENTROPY_PERIOD_BYTES);
  clock.advance(ENTROPY_PERIOD_MS - 1);
  device.notified();
  assert.equal(filled(), ENTROPY_PERIOD_BYTES, 'notifications do not add to the budget');
  clock.advance(1);
  assert.equal(filled(), 2 * ENTROPY_PERIOD_BYTES);
  clock.advance(ENTROPY_PERIOD_MS);
  assert.equal(filled(), 20 * MAX_ENTROPY_BUFFER_BYTES);
  assert.equal(queue.availableCount, 0);
  assert.equal(clock.pending, 0);
});

test('buffers without room use up a period, too', () => {
  const { clock, device } = makeDevice();
  const driver = new FakeDriver(device);
  const queue = driver.queue(0) as FakeQueue;
  const perPeriod = ENTROPY_PERIOD_BYTES / MIN_ENTROPY_BUFFER_COST;
  for (let buffer = 0; buffer < perPeriod + 5; buffer++) void queue.add([], 0);
  device.notified();
  assert.equal(queue.availableCount, 5);
  clock.advance(ENTROPY_PERIOD_MS);
  assert.equal(queue.availableCount, 0);
});

test('after a reset no buffer is taken, and the next driver does not get a new period', () => {
  const { clock, device, filled } = makeDevice();
  const first = new FakeDriver(device);
  for (let buffer = 0; buffer < 20; buffer++) void first.send(0, [], MAX_ENTROPY_BUFFER_BYTES);
  first.reset();
  assert.equal(clock.pending, 0, 'no timer is left');
  clock.advance(1);
  device.notified();
  const second = new FakeDriver(device);
  void second.send(0, [], 8);
  assert.equal(filled(), ENTROPY_PERIOD_BYTES);
  clock.advance(ENTROPY_PERIOD_MS - 1);
  assert.equal(filled(), ENTROPY_PERIOD_BYTES + 8);
});

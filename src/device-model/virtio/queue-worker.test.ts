import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { FakeQueue } from './fixtures/fake-queue.js';
import { QueueWorker } from './queue-worker.js';
import type { VirtqueueBuffer } from './virtqueue.js';

test('a driver that adds a buffer for each one taken leaves turns to others', async () => {
  const queue = new FakeQueue(0, 8);
  let total = 0;
  const served = (): number => total;
  let isHostile = true;
  const worker = new QueueWorker({
    queue,
    serve: (buffer) => {
      total++;
      if (isHostile) void queue.add([1], 0);
      queue.push(buffer, 0);
      return false;
    },
  });
  void queue.add([1], 0);
  worker.kick();
  assert.equal(served(), 8);
  worker.kick();
  // The second notification gets its own share, and both continue in one later turn.
  assert.equal(served(), 16);
  await setImmediate();
  await setImmediate();
  assert.ok(served() > 16 && served() % 8 === 0, `${served()}`);
  isHostile = false;
  while (queue.availableCount > 0) await setImmediate();
  assert.ok(served() < 100, `${served()}`);
});

test('buffers that are kept count against the limit until they are done', () => {
  const queue = new FakeQueue(0, 8);
  const kept: VirtqueueBuffer[] = [];
  const worker = new QueueWorker({ queue, limit: 2, serve: (buffer) => kept.push(buffer) > 0 });
  for (let count = 0; count < 5; count++) void queue.add([count], 0);
  worker.kick();
  worker.kick();
  assert.equal(kept.length, 2);
  worker.done();
  assert.equal(kept.length, 3);
  worker.stop();
  worker.done();
  worker.kick();
  assert.equal(kept.length, 3, 'a stopped worker takes nothing');
});

/** Buffers that are given back together, by `pushAll`, as a driver on another vCPU sees them. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { PackedDriver, SplitDriver, testMemory } from './fixtures/test-driver.js';
import { PackedQueue } from './packed-queue.js';
import { RingMemory } from './ring-memory.js';
import { SplitQueue } from './split-queue.js';
import type { VirtqueueBuffer } from './virtqueue.js';

const SIZE = 8;
const BASE = 0x1000;
const DATA = 0x8000;

for (const [name, Driver, Queue] of [
  ['split', SplitDriver, SplitQueue],
  ['packed', PackedDriver, PackedQueue],
] as const)
  describe(`in a ${name} ring, buffers that are given back together`, () => {
    const memory = testMemory();
    const driver = new Driver({ memory, size: SIZE, base: BASE, hasEventIndex: false });
    const { descriptors, device } = driver;
    const setup = { index: 0, size: SIZE, descriptors, driver: driver.driver, device, hasEventIndex: false };
    let interrupts = 0;
    /** What the driver finds after each store that publishes something. */
    const found: number[][] = [];
    class Watched extends RingMemory {
      override store32(address: number, value: number): void {
        super.store32(address, value);
        const used: number[] = [];
        for (let one = driver.takeUsed(); one !== undefined; one = driver.takeUsed()) used.push(one.length);
        if (used.length > 0) found.push(used);
      }
    }
    const queue = new Queue(setup, {
      memory: new Watched({ memory, isAllowed: () => true }),
      interrupt: () => {
        interrupts++;
      },
      onCorrupt: (reason) => assert.fail(reason),
    });

    function take(count: number): VirtqueueBuffer[] {
      return Array.from({ length: count }, (_, i) => {
        driver.add([{ address: DATA + 64 * i, length: 64, isWritable: true }]);
        return queue.pop() as VirtqueueBuffer;
      });
    }

    test('become visible at once, with one interrupt, also over the end of the ring', () => {
      for (let round = 0; round < 5; round++) {
        const buffers = take(3);
        queue.pushAll(buffers.map((buffer, i) => ({ buffer, writtenBytes: 10 * round + i + 1 })));
        assert.deepEqual(found.splice(0), [[1, 2, 3].map((i) => 10 * round + i)]);
        assert.equal(interrupts, round + 1);
      }
    });

    test('are given back once, and not at all after the end of the queue', () => {
      interrupts = 0;
      const [first, second, third] = take(3) as [VirtqueueBuffer, VirtqueueBuffer, VirtqueueBuffer];
      queue.push(first, 1);
      queue.pushAll([
        { buffer: first, writtenBytes: 9 },
        { buffer: second, writtenBytes: 2 },
      ]);
      queue.pushAll([{ buffer: second, writtenBytes: 9 }]);
      assert.deepEqual(found.splice(0), [[1], [2]]);
      assert.equal(interrupts, 2);
      queue.stop();
      queue.pushAll([{ buffer: third, writtenBytes: 3 }]);
      assert.deepEqual(found, []);
      assert.equal(interrupts, 2);
    });
  });

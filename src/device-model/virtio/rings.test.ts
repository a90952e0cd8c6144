import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DirtyPages } from '../../hypervisor/dirty-pages.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { MAX_SEGMENTS } from './guest-buffer.js';
import { packedProblem, PackedQueue } from './packed-queue.js';
import { RingMemory } from './ring-memory.js';
import type { QueueSetup, RingQueue } from './ring-queue.js';
import { splitProblem, SplitQueue } from './split-queue.js';
import {
  PackedDriver,
  RAM_BYTES,
  SplitDriver,
  testMemory,
  type Segment,
  type TestQueue,
} from './fixtures/test-driver.js';
import type { VirtqueueBuffer } from './virtqueue.js';

const BASE = 0x1_0000;
const TABLES = 0x2_0000;
const DATA = 0x4_0000;

interface Bench {
  readonly memory: ReturnType<typeof testMemory>;
  readonly driver: TestQueue;
  readonly queue: RingQueue;
  readonly interrupts: () => number;
  readonly problems: string[];
  isAllowed: boolean;
}

function bench(isPacked: boolean, size: number, hasEventIndex = true): Bench {
  const memory = testMemory();
  const problems: string[] = [];
  let interrupts = 0;
  const driver = new (isPacked ? PackedDriver : SplitDriver)({ memory, size, base: BASE, hasEventIndex });
  const { descriptors, driver: area, device } = driver;
  const setup: QueueSetup = { index: 0, size, descriptors, driver: area, device, hasEventIndex };
  const ring = new RingMemory({ memory, isAllowed: () => made.isAllowed });
  assert.equal((isPacked ? packedProblem : splitProblem)(ring, setup), undefined);
  const queue = new (isPacked ? PackedQueue : SplitQueue)(setup, {
    memory: ring,
    interrupt: () => interrupts++,
    onCorrupt: (reason) => problems.push(reason),
  });
  const made: Bench = { memory, driver, queue, interrupts: () => interrupts, problems, isAllowed: true };
  return made;
}

const readable = (address: number, length: number): Segment => ({ address, length, isWritable: false });
const writable = (address: number, length: number): Segment => ({ address, length, isWritable: true });

function pop(queue: RingQueue): VirtqueueBuffer {
  const buffer = queue.pop();
  assert.ok(buffer !== undefined);
  return buffer;
}

for (const isPacked of [false, true])
  describe(isPacked ? 'a packed ring' : 'a split ring', () => {
    test('brings a buffer of several segments, and takes it back with the bytes written', () => {
      const { memory, driver, queue } = bench(isPacked, 8);
      memory.write(DATA, Uint8Array.of(1, 2, 3));
      memory.write(DATA + 0x100, Uint8Array.of(4, 5));
      const id = driver.add([
        readable(DATA, 3),
        readable(DATA + 0x100, 2),
        writable(DATA + 0x200, 2),
        writable(DATA + 0x300, 4),
      ]);
      const buffer = pop(queue);
      assert.deepEqual([buffer.readableBytes, buffer.writableBytes], [5, 6]);
      const bytes = new Uint8Array(4);
      assert.equal(buffer.read(2, bytes), 3);
      assert.deepEqual([...bytes], [3, 4, 5, 0]);
      assert.equal(buffer.read(5, bytes), 0);
      assert.equal(buffer.write(1, Uint8Array.of(9, 8, 7)), 3);
      assert.equal(buffer.write(5, Uint8Array.of(6, 5)), 1, 'only what has room');
      assert.deepEqual([...memory.read(DATA + 0x200, 3)], [0, 9, 0]);
      assert.deepEqual([...memory.read(DATA + 0x300, 5)], [8, 7, 0, 6, 0]);
      assert.equal(driver.takeUsed(), undefined);
      queue.push(buffer, 6);
      assert.deepEqual(driver.takeUsed(), { id, length: 6 });
      assert.equal(driver.takeUsed(), undefined);
      assert.equal(buffer.write(0, Uint8Array.of(1)), 0, 'it is the driver’s again');
      assert.equal(buffer.read(0, bytes), 0);
    });

    test('follows an indirect table, and no table of a table', () => {
      const { driver, queue, memory, problems } = bench(isPacked, 4);
      const segments = Array.from({ length: 20 }, (_, index) => writable(DATA + index * 16, 8));
      const id = driver.add(segments, TABLES);
      const buffer = pop(queue);
      assert.equal(buffer.writableBytes, 160);
      queue.push(buffer, 160);
      assert.deepEqual(driver.takeUsed(), { id, length: 160 });
      driver.add([readable(DATA, 16)], TABLES);
      // INDIRECT. In a table of the packed ring this flag is reserved, and ignored.
      memory.writeU16(TABLES + (isPacked ? 14 : 12), 4);
      assert.equal(queue.pop() === undefined, !isPacked);
      assert.deepEqual(problems, isPacked ? [] : ['queue 0: an indirect table has an indirect table']);
    });

    test('gives buffers back in any order, through many laps', () => {
      fc.assert(
        fc.property(
          fc.boolean(),
          fc.constantFrom(1, 2, 4, 8),
          fc.array(fc.record({ segments: fc.integer({ min: 1, max: 4 }), pick: fc.nat(), act: fc.nat(3) }), {
            minLength: 50,
            maxLength: 300,
          }),
          (hasEventIndex, size, steps) => {
            const { driver, queue, memory, problems } = bench(isPacked, size, hasEventIndex);
            const waiting: { id: number; value: number }[] = [];
            const taken: { id: number; buffer: VirtqueueBuffer; value: number }[] = [];
            const used: { id: number; length: number }[] = [];
            let value = 0;
            let armed = true;
            for (const { segments, pick, act } of steps) {
              if (act <= 1) {
                const count = Math.min(segments, size);
                const address = DATA + (value % 64) * 0x100;
                const list = [
                  readable(address, 4),
                  ...Array.from({ length: count - 1 }, (_, index) => writable(address + 8 + index, 1)),
                ];
                memory.writeU32(address, value);
                const id = driver.add(list, pick % 3 === 0 ? TABLES + (value % 64) * 0x40 : undefined);
                if (id === undefined) continue;
                waiting.push({ id, value });
                value++;
                // A device that found its queue empty must want a notification of the next buffer.
                if (driver.mustNotify()) armed = false;
                else assert.ok(!armed, 'the device is not notified of a buffer');
              } else if (act === 2) {
                const buffer = queue.pop();
                const next = waiting.shift();
                assert.equal(buffer === undefined, next === undefined);
                if (buffer === undefined) armed = true;
                if (buffer === undefined || next === undefined) continue;
                const bytes = new Uint8Array(4);
                assert.equal(buffer.read(0, bytes), 4);
                assert.equal(new DataView(bytes.buffer).getUint32(0, true), next.value);
                taken.push({ ...next, buffer });
              } else if (taken.length > 0) {
                const [one] = taken.splice(pick % taken.length, 1) as [(typeof taken)[number]];
                queue.push(one.buffer, one.buffer.writableBytes);
                used.push({ id: one.id, length: one.buffer.writableBytes });
              }
              if (pick % 4 === 0)
                for (let one = driver.takeUsed(); one !== undefined; one = driver.takeUsed())
                  assert.deepEqual(one, used.shift());
            }
            for (let one = driver.takeUsed(); one !== undefined; one = driver.takeUsed())
              assert.deepEqual(one, used.shift());
            assert.deepEqual([used, problems], [[], []]);
          },
        ),
        { numRuns: 200 },
      );
    });

    for (const hasEventIndex of [false, true])
      test(`interrupts where they are wanted, ${hasEventIndex ? 'with' : 'without'} an event index`, () => {
        const { driver, queue, interrupts } = bench(isPacked, 4, hasEventIndex);
        for (let lap = 0; lap < 20; lap++) {
          const before = interrupts();
          driver.setInterrupts(true);
          driver.add([writable(DATA, 4)]);
          driver.add([writable(DATA, 4)]);
          queue.batch(() => {
            queue.push(pop(queue), 4);
            queue.push(pop(queue), 4);
            assert.equal(interrupts(), before, 'not before the batch ends');
          });
          assert.equal(interrupts(), before + 1);
          driver.takeUsed();
          driver.takeUsed();
          driver.setInterrupts(false);
          driver.add([writable(DATA, 4)]);
          queue.push(pop(queue), 4);
          driver.takeUsed();
          assert.equal(interrupts(), before + 1, 'lap ' + String(lap));
        }
      });

    test('wants no notifications while the device takes buffers, and one when it has found none', () => {
      for (const hasEventIndex of [false, true]) {
        const { driver, queue } = bench(isPacked, 4, hasEventIndex);
        driver.add([writable(DATA, 4)]);
        assert.equal(driver.mustNotify(), true, 'the first');
        pop(queue);
        driver.add([writable(DATA, 4)]);
        assert.equal(driver.mustNotify(), false);
        pop(queue);
        assert.equal(queue.pop(), undefined);
        driver.add([writable(DATA, 4)]);
        assert.equal(driver.mustNotify(), true);
      }
    });

    test('touches no memory while the transport forbids it, nor after a stop', () => {
      const made = bench(isPacked, 4);
      const { driver, queue, memory, interrupts } = made;
      driver.add([readable(DATA, 4), writable(DATA + 16, 4)]);
      driver.add([writable(DATA, 4)]);
      made.isAllowed = false;
      assert.equal(queue.pop(), undefined);
      made.isAllowed = true;
      const buffer = pop(queue);
      made.isAllowed = false;
      assert.equal(buffer.write(0, Uint8Array.of(1)), 0);
      assert.equal(buffer.read(0, new Uint8Array(1)), 0);
      made.isAllowed = true;
      const other = pop(queue);
      queue.stop();
      const before = memory.read(0, RAM_BYTES);
      assert.equal(other.write(0, Uint8Array.of(1)), 0);
      assert.equal(other.read(0, new Uint8Array(1)), 0);
      queue.push(buffer, 0);
      queue.push(other, 4);
      assert.equal(queue.pop(), undefined);
      assert.deepEqual(memory.read(0, RAM_BYTES), before);
      assert.equal(interrupts(), 0);
    });

    test('a buffer that is given back twice is given back once', () => {
      const { driver, queue } = bench(isPacked, 4);
      driver.add([writable(DATA, 4)]);
      const buffer = pop(queue);
      queue.push(buffer, 4);
      queue.push(buffer, 4);
      assert.ok(driver.takeUsed() !== undefined);
      assert.equal(driver.takeUsed(), undefined);
    });

    test('more bytes than a buffer has are not said to be written', () => {
      const { driver, queue } = bench(isPacked, 4);
      driver.add([writable(DATA, 4)]);
      queue.push(pop(queue), 400);
      assert.equal(driver.takeUsed()?.length, 4);
    });

    test('never reads or writes outside of RAM, whatever is in the ring', () => {
      fc.assert(
        fc.property(
          fc.constantFrom(1, 4, 16),
          fc.boolean(),
          fc.array(fc.tuple(fc.nat(0x5fff), fc.nat(0xffff)), { maxLength: 60 }),
          fc.array(fc.nat(2), { minLength: 20, maxLength: 60 }),
          (size, hasEventIndex, writes, acts) => {
            const { driver, queue, memory, problems } = bench(isPacked, size, hasEventIndex);
            driver.add([readable(DATA, 4), ...(size > 1 ? [writable(DATA + 16, 4)] : [])]);
            const taken: VirtqueueBuffer[] = [];
            const writesLeft = [...writes];
            for (const act of acts) {
              const [offset, value] = writesLeft.pop() ?? [0, 0];
              // Indices, flags, and descriptors near the start of each area.
              const place = BASE + (offset & 0x4000) + ((offset & 0x1000) !== 0 ? 0x1000 : 0) + (offset % 64) * 2;
              memory.writeU16(place, value);
              if (act < 2) {
                const buffer = queue.pop();
                if (buffer === undefined) continue;
                taken.push(buffer);
                assert.ok(taken.length <= size, 'more buffers than entries');
                buffer.read(0, new Uint8Array(64));
                buffer.write(buffer.writableBytes - 4, new Uint8Array(64));
              } else {
                const buffer = taken.pop();
                if (buffer !== undefined) queue.push(buffer, 1);
              }
            }
            assert.ok(problems.length <= 1);
          },
        ),
        { numRuns: 500 },
      );
    });
  });

describe('a split ring that is corrupt needs a reset', () => {
  const cases: readonly (readonly [name: string, corrupt: (made: Bench) => void, reason: string])[] = [
    ['an index too far ahead', ({ memory, driver }) => memory.writeU16(driver.driver + 2, 5), 'the driver’s index'],
    ['a head past the table', ({ memory, driver }) => memory.writeU16(driver.driver + 4, 4), 'descriptor 4 of 4'],
    ['a next past the table', ({ memory }) => memory.writeU16(BASE + 14, 9), 'descriptor 9 of 4'],
    ['a loop', ({ memory }) => memory.writeU16(BASE + 14, 0), 'loop'],
    ['an address above RAM', ({ memory }) => memory.writeU32(BASE, RAM_BYTES - 3), 'outside of RAM'],
    ['an address above 4 GiB', ({ memory }) => memory.writeU32(BASE + 4, 1), 'outside of RAM'],
    ['no bytes', ({ memory }) => memory.writeU32(BASE + 8, 0), 'no bytes'],
    ['to write, then to read', ({ memory }) => memory.writeU16(BASE + 12, 3), 'to read follows one to write'],
    ['indirect with a next one', ({ memory }) => memory.writeU16(BASE + 12, 5), 'indirect and has a next one'],
    ['a table of 4 bytes', ({ memory }) => memory.writeU16(BASE + 12, 4), 'an indirect table has 4 bytes'],
  ];
  for (const [name, corrupt, reason] of cases)
    test(name, () => {
      const made = bench(false, 4);
      made.driver.add([readable(DATA, 4), readable(DATA, 4)]);
      corrupt(made);
      assert.equal(made.queue.pop(), undefined);
      assert.equal(made.problems.length, 1);
      assert.ok(made.problems[0]?.includes(reason.replace('’', "'")), made.problems[0]);
      assert.equal(made.queue.pop(), undefined);
      assert.equal(made.problems.length, 1, 'it is said once');
    });

  test('an indirect table outside of RAM, or with too many descriptors', () => {
    for (const [address, count, reason] of [
      [RAM_BYTES - 16, 2, 'outside of RAM'],
      [TABLES, MAX_SEGMENTS + 1, `more than ${MAX_SEGMENTS} descriptors`],
    ] as const) {
      const { queue, driver, memory, problems } = bench(false, 4);
      for (let index = 0; index < count && index < 2000; index++) {
        const at = Math.min(TABLES + index * 16, RAM_BYTES - 16);
        memory.writeU32(at, DATA);
        memory.writeU32(at + 8, 1);
        memory.writeU16(at + 12, 1);
        memory.writeU16(at + 14, index + 1);
      }
      driver.add([readable(DATA, 4)]);
      memory.writeU32(BASE, address);
      memory.writeU32(BASE + 8, count * 16);
      memory.writeU16(BASE + 12, 4);
      assert.equal(queue.pop(), undefined);
      assert.ok(problems[0]?.includes(reason), problems[0]);
    }
  });

  test('more buffers than entries', () => {
    const { queue, memory, driver, problems } = bench(false, 4);
    for (let count = 0; count < 4; count++) driver.add([readable(DATA, 4)]);
    for (let count = 0; count < 4; count++) pop(queue);
    // The device has given nothing back.
    memory.writeU16(driver.driver + 2, 5);
    assert.equal(queue.pop(), undefined);
    assert.ok(problems[0]?.includes('more buffers available than the queue has entries'));
  });
});

/** A packed descriptor that is available in the first lap. */
const TABLE_OUTSIDE = Uint8Array.of(0, 0, RAM_BYTES >>> 16, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0x84, 0);

describe('a packed ring that is corrupt needs a reset', () => {
  const cases: readonly (readonly [name: string, corrupt: (made: Bench) => void, reason: string])[] = [
    ['a chain without an end', ({ memory }) => memory.writeU16(BASE + 16 + 14, 0x81), 'longer than its ring'],
    ['an address above RAM', ({ memory }) => memory.writeU32(BASE, RAM_BYTES), 'outside of RAM'],
    ['indirect in a chain', ({ memory }) => memory.writeU16(BASE + 16 + 14, 0x84), 'part of a chain'],
    [
      'a table outside of RAM',
      ({ memory }) => {
        memory.write(BASE, TABLE_OUTSIDE);
      },
      'an indirect table is outside of RAM',
    ],
  ];
  for (const [name, corrupt, reason] of cases)
    test(name, () => {
      const made = bench(true, 2);
      made.driver.add([readable(DATA, 4), readable(DATA, 4)]);
      corrupt(made);
      assert.equal(made.queue.pop(), undefined);
      assert.equal(made.problems.length, 1);
      assert.ok(made.problems[0]?.includes(reason), made.problems[0]);
    });
});

test('each word that is written is announced', () => {
  const dirty = DirtyPages.create(RAM_BYTES);
  const ring = new RingMemory({
    memory: new GuestMemory({ ...testMemory().handle, dirty }),
    isAllowed: () => true,
  });
  ring.store32(0x1000, 1);
  ring.write32(0x3ffc, 1);
  ring.write16(0x5000, 1);
  ring.fence(0x7000);
  const starts: number[] = [];
  new DirtyPages(dirty).take((start) => starts.push(start));
  assert.deepEqual(starts, [0x1000, 0x3000, 0x5000]);
});

test('areas outside of RAM and wrong alignments are refused', () => {
  const ring = new RingMemory({ memory: testMemory(), isAllowed: () => true });
  const good = { index: 0, size: 8, descriptors: 0x1000, driver: 0x2000, device: 0x3000, hasEventIndex: true };
  assert.equal(splitProblem(ring, good), undefined);
  assert.equal(packedProblem(ring, { ...good, size: 7 }), undefined, 'a packed ring may have any size');
  assert.ok(splitProblem(ring, { ...good, size: 7 })?.includes('power of two'));
  for (const bad of [
    { descriptors: 0x1008 },
    { descriptors: RAM_BYTES - 64 },
    { driver: RAM_BYTES - 4 },
    { device: 0x3002 },
    { device: 2 ** 63 },
  ]) {
    assert.ok(splitProblem(ring, { ...good, ...bad }) !== undefined, JSON.stringify(bad));
    if (bad.driver === undefined)
      assert.ok(packedProblem(ring, { ...good, ...bad }) !== undefined, JSON.stringify(bad));
  }
  assert.ok(packedProblem(ring, { ...good, driver: RAM_BYTES }) !== undefined);
});

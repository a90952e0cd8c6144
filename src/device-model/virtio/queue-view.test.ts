import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PackedDriver, SplitDriver, testMemory } from './fixtures/test-driver.js';
import { queueView, SHOWN_DESCRIPTORS, type QueuePlace } from './queue-view.js';

const BASE = 0x4000;
const SIZE = 4;
const memory = testMemory();

function placeOf(ring: { descriptors: number; driver: number; device: number }, isEnabled = true): QueuePlace {
  const { descriptors, driver, device } = ring;
  return {
    index: 0,
    size: SIZE,
    isEnabled,
    descriptors: BigInt(descriptors),
    driver: BigInt(driver),
    device: BigInt(device),
  };
}

test('of a split ring: the indexes of both sides, and the chains that the driver added last, the latest first', () => {
  const ring = new SplitDriver({ memory, size: SIZE, base: BASE, hasEventIndex: true });
  ring.add([{ address: 0x9000, length: 7, isWritable: false }]);
  ring.add([
    { address: 0xa000, length: 16, isWritable: false },
    { address: 0xb000, length: 512, isWritable: true },
  ]);
  const view = queueView(memory, placeOf(ring), false, { next: 1, used: 0 });
  const indexes = Object.fromEntries(view.indexes);
  assert.deepEqual(
    [indexes['avail.idx'], indexes['used.idx'], indexes['device.taken'], indexes['device.returned']],
    [2, 0, 1, 0],
  );
  assert.deepEqual(
    view.shown.map(({ index, address, length, flags, level }) => [index, address, length, flags, level]),
    [
      [1, 0xa000n, 16, 1, 0],
      [2, 0xb000n, 512, 2, 1],
      [0, 0x9000n, 7, 0, 0],
    ],
  );
  const disabled = queueView(memory, placeOf(ring, false), false, undefined);
  assert.deepEqual([disabled.indexes, disabled.shown], [[], []]);
});

test('a head that was used again is shown once, with its indirect table', () => {
  const ring = new SplitDriver({ memory, size: SIZE, base: BASE, hasEventIndex: false });
  const table = [
    { address: 0xa000, length: 16, isWritable: false },
    { address: 0xb000, length: 512, isWritable: true },
  ];
  ring.add(table, 0xe000);
  // The second entry of the ring names the same head.
  memory.writeU16(ring.driver + 4 + 2, 0);
  memory.writeU16(ring.driver + 2, 2);
  const { shown } = queueView(memory, placeOf(ring), false, undefined);
  assert.deepEqual(
    shown.map(({ index, address, length, level }) => [index, address, length, level]),
    [
      [0, 0xe000n, 32, 0],
      [0, 0xa000n, 16, 2],
      [1, 0xb000n, 512, 2],
    ],
  );
});

test('of a packed ring: the positions with their wrap counters, and the descriptors from the next one on', () => {
  const ring = new PackedDriver({ memory, size: SIZE, base: BASE, hasEventIndex: true });
  ring.add([{ address: 0xc000, length: 3, isWritable: true }]);
  const view = queueView(memory, placeOf(ring), true, { next: SIZE, used: 3 });
  const indexes = Object.fromEntries(view.indexes);
  assert.deepEqual(
    ['device.next', 'device.next.wrap', 'device.used', 'device.used.wrap'].map((name) => indexes[name]),
    [0, 0, 3, 1],
  );
  assert.equal(view.shown.length, SIZE);
  const [first] = view.shown;
  assert.deepEqual([first?.index, first?.address, first?.length, (first?.flags ?? 0) & 2], [0, 0xc000n, 3, 2]);
});

test('a loop, an index out of the table and an address above 2^53 are shown as they are, or not at all', () => {
  const ring = new SplitDriver({ memory, size: SIZE, base: BASE, hasEventIndex: false });
  ring.add([{ address: 0x9000, length: 0, isWritable: false }]);
  memory.writeU32(BASE, 0xffff_fff0);
  memory.writeU32(BASE + 4, 0xffff_ffff);
  // A chain of one descriptor that is its own next one.
  memory.writeU16(BASE + 12, 0xffff);
  memory.writeU16(BASE + 14, 0);
  const looped = queueView(memory, placeOf(ring), false, undefined).shown;
  assert.equal(looped.length, SHOWN_DESCRIPTORS);
  assert.deepEqual([looped[0]?.address, looped[0]?.flags], [0xffff_ffff_ffff_fff0n, 0xffff]);
  memory.writeU16(BASE + 14, SIZE);
  assert.equal(queueView(memory, placeOf(ring), false, undefined).shown.length, 1);
});

test('whatever addresses and bytes the guest gives, a view reads within RAM, changes nothing and is short', () => {
  const u64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 0x10_0000n }));
  const size = fc.integer({ min: 1, max: 1024 });
  const bytes = fc.uint8Array({ minLength: 256, maxLength: 256 });
  fc.assert(
    fc.property(u64, u64, u64, size, fc.boolean(), bytes, (descriptors, driver, device, entries, isPacked, seed) => {
      const ram = testMemory(0x1_0000);
      for (let at = 0; at < ram.size; at += seed.length) ram.bytes.set(seed, at);
      const before = ram.bytes.slice();
      const place = { index: 0, size: entries, isEnabled: true, descriptors, driver, device };
      const view = queueView(ram, place, isPacked, { next: entries * 3 + 1, used: 0 });
      assert.ok(view.shown.length <= SHOWN_DESCRIPTORS);
      assert.deepEqual(ram.bytes, before);
    }),
    { seed: 17, numRuns: 300 },
  );
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RegionMemory, type MemoryRegion } from './region-memory.js';

const BYTES = 0x40;

/** Regions at multiples of 4, with gaps, over a memory that the far side has as well. */
function memoryOf(regions: readonly MemoryRegion[]) {
  const buffer = new SharedArrayBuffer(BYTES);
  const far = new Uint8Array(2 * BYTES).map((_, i) => 0x80 + i);
  const memory = new RegionMemory(
    { buffer, byteOffset: 0, byteLength: BYTES },
    {
      readRemote: (address, target) => {
        target.set(far.subarray(address, address + target.length));
        return true;
      },
      writeRemote: (address, source) => {
        far.set(source, address);
        return true;
      },
    },
  );
  memory.regions = regions;
  memory.bytes.forEach((_, i) => (memory.bytes[i] = i));
  return { memory, far };
}

const regionsOf = fc
  .array(fc.record({ gap: fc.nat({ max: 2 }), words: fc.integer({ min: 1, max: 3 }), isMapped: fc.boolean() }), {
    maxLength: 5,
  })
  .map((list) => {
    let at = 0;
    return list.map(({ gap, words, isMapped }): MemoryRegion => {
      const start = at + 4 * gap;
      at = start + 4 * words;
      return { start, end: at, isMapped: isMapped && at <= BYTES, isWritable: true };
    });
  });

describe('memory in regions', () => {
  test('contains what its regions cover, and each byte is of its side', () => {
    fc.assert(
      fc.property(regionsOf, fc.nat({ max: 80 }), fc.nat({ max: 20 }), (regions, address, length) => {
        const { memory, far } = memoryOf(regions);
        const ofByte = (at: number): MemoryRegion | undefined =>
          regions.find(({ start, end }) => at >= start && at < end);
        const all = Array.from({ length }, (_, i) => ofByte(address + i));
        assert.equal(memory.contains(address, length), !all.includes(undefined));
        if (all.includes(undefined)) {
          assert.throws(() => memory.read(address, length), RangeError);
          return;
        }
        const expected = all.map((region, i) => (region?.isMapped === true ? address + i : far[address + i]));
        assert.deepEqual([...memory.read(address, length)], expected);
        memory.write(address, new Uint8Array(length).fill(1));
        all.forEach((region, i) => assert.equal((region?.isMapped === true ? memory.bytes : far)[address + i], 1));
        if (length >= 4) {
          memory.writeU32(address, 0x4433_2211);
          assert.equal(memory.readU32(address), 0x4433_2211);
          assert.equal(memory.readU16(address + 1), 0x3322);
          assert.equal(memory.readU8(address + 3), 0x44);
        }
      }),
    );
  });

  test('without an answer reads as all ones, and counts it', () => {
    const { memory } = memoryOf([{ start: 0, end: 16, isMapped: false, isWritable: true }]);
    memory.remote = { readRemote: () => false, writeRemote: () => false };
    assert.equal(memory.readU32(0), 0xffff_ffff);
    memory.writeU8(0, 1);
    assert.equal(memory.failures, 2);
  });

  test('that is read-only is not written', () => {
    const { memory, far } = memoryOf([{ start: 0, end: 16, isMapped: false, isWritable: false }]);
    memory.writeU32(0, 0);
    assert.equal(far[0], 0x80);
    assert.equal(memory.failures, 1);
  });
});

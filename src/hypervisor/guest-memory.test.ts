import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DirtyPages } from './dirty-pages.js';
import { GuestMemory } from './guest-memory.js';

const MIB = 1024 * 1024;

function memory(byteLength = 0x10000, byteOffset = 0): GuestMemory {
  return new GuestMemory({
    buffer: new SharedArrayBuffer(byteOffset + byteLength + 16),
    byteOffset,
    byteLength,
    dirty: DirtyPages.create(byteLength),
  });
}

function dirtyOf(ram: GuestMemory): string[] {
  const taken: string[] = [];
  new DirtyPages(ram.handle.dirty as SharedArrayBuffer).take((start, end) =>
    taken.push(`${start.toString(16)}-${end.toString(16)}`),
  );
  return taken;
}

describe('guest memory', () => {
  test('addresses start at 0 wherever the RAM lies in its buffer', () => {
    const ram = memory(0x1000, 0x40);
    ram.writeU32(0, 0x1122_3344);
    assert.equal(new DataView(ram.handle.buffer).getUint32(0x40, true), 0x1122_3344);
    assert.deepEqual([ram.readU8(0), ram.readU16(1), ram.readU32(0)], [0x44, 0x2233, 0x1122_3344]);
    assert.equal(ram.size, 0x1000);
  });

  test('a copy is private: what the guest writes afterwards does not change it', () => {
    const ram = memory();
    ram.write(0x100, Uint8Array.of(1, 2, 3));
    const copy = ram.read(0x100, 3);
    ram.writeU8(0x101, 9);
    assert.deepEqual([...copy], [1, 2, 3]);
    assert.ok(copy.buffer instanceof ArrayBuffer);
  });

  test('contains is exact at the end of the RAM and refuses invalid addresses', () => {
    const ram = memory(0x1000);
    assert.equal(ram.contains(0, 0x1000), true);
    assert.equal(ram.contains(0x1000, 0), true);
    assert.equal(ram.contains(0xfff, 1), true);
    assert.equal(ram.contains(0xfff, 2), false);
    assert.equal(ram.contains(1, 0x1000), false);
    for (const address of [-1, 0.5, NaN, Infinity, 2 ** 53, 2 ** 64]) assert.equal(ram.contains(address, 0), false);
    assert.equal(ram.contains(0, -1), false);
    assert.equal(ram.contains(0, NaN), false);
  });

  test('an access outside of the RAM throws RangeError and changes nothing, even where the buffer goes on', () => {
    const ram = memory(0x1000);
    const outside: (() => unknown)[] = [
      () => ram.read(0xffe, 4),
      () => ram.read(-1, 1),
      () => ram.write(0xfff, Uint8Array.of(1, 2)),
      () => ram.fill(1, 0xff0, 0x11),
      () => ram.readU8(0x1000),
      () => ram.readU16(0xfff),
      () => ram.readU32(0xffd),
      () => ram.readU32(-4),
      () => ram.writeU8(0x1000, 1),
      () => ram.writeU16(0xfff, 1),
      () => ram.writeU32(0xffd, 1),
    ];
    for (const access of outside) assert.throws(access, RangeError);
    assert.ok(new Uint8Array(ram.handle.buffer).every((byte) => byte === 0));
    assert.deepEqual(dirtyOf(ram), []);
  });

  test('fill without a range clears all of the RAM and nothing beside it', () => {
    const ram = memory(0x2000, 0x40);
    new Uint8Array(ram.handle.buffer).fill(7);
    ram.fill(0);
    assert.ok(ram.bytes.every((byte) => byte === 0));
    const around = new Uint8Array(ram.handle.buffer);
    assert.equal(around[0x3f], 7);
    assert.equal(around[0x40 + 0x2000], 7);
    assert.deepEqual(dirtyOf(ram), ['0-1000', '1000-2000']);
  });

  test('every write announces the pages that it touched', () => {
    const ram = memory();
    ram.writeU8(0x1fff, 1);
    assert.deepEqual(dirtyOf(ram), ['1000-2000']);
    ram.writeU16(0x2fff, 1);
    assert.deepEqual(dirtyOf(ram), ['2000-3000', '3000-4000']);
    ram.writeU32(0x5ffd, 1);
    assert.deepEqual(dirtyOf(ram), ['5000-6000', '6000-7000']);
    ram.write(0x7000, new Uint8Array(0x1001));
    assert.deepEqual(dirtyOf(ram), ['7000-8000', '8000-9000']);
    ram.write(0x9000, new Uint8Array(0));
    assert.deepEqual(dirtyOf(ram), []);
  });

  test('memory without a list of dirty pages is written all the same', () => {
    const ram = new GuestMemory({ buffer: new SharedArrayBuffer(16), byteOffset: 0, byteLength: 16 });
    ram.writeU32(12, 0xffff_ffff);
    assert.equal(ram.readU32(12), 0xffff_ffff);
  });
});

describe('dirty pages', () => {
  test('are taken once, lowest first, across the words of the bitmap', () => {
    const dirty = new DirtyPages(DirtyPages.create(2 * MIB));
    assert.equal(dirty.any, false);
    dirty.add(33 * 4096, 1);
    dirty.add(31 * 4096, 4097);
    dirty.add(511 * 4096, 4096);
    assert.equal(dirty.any, true);
    const pages: number[] = [];
    dirty.take((start, end) => {
      assert.equal(end - start, 4096);
      pages.push(start / 4096);
    });
    assert.deepEqual(pages, [31, 32, 33, 511]);
    assert.equal(dirty.any, false);
    dirty.take(() => assert.fail('a page was dirty twice'));
  });

  test('a length of zero or less makes no page dirty', () => {
    const dirty = new DirtyPages(DirtyPages.create(MIB));
    dirty.add(0x5000, 0);
    dirty.add(0x5000, -1);
    assert.equal(dirty.any, false);
  });

  test('addresses above 2 GiB have their page', () => {
    const dirty = new DirtyPages(DirtyPages.create(4096 * MIB));
    dirty.add(0xffff_f000, 1);
    const starts: number[] = [];
    dirty.take((start) => starts.push(start));
    assert.deepEqual(starts, [0xffff_f000]);
  });

  test('another view of the same words sees them', () => {
    const buffer = DirtyPages.create(MIB);
    new DirtyPages(buffer).add(0x3000, 1);
    assert.equal(new DirtyPages(buffer).any, true);
  });
});

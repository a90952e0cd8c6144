import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MappedMemory } from './address-space.js';

const BASE = 0x1_0000n;

function twoPieces(): MappedMemory {
  const memory = new MappedMemory();
  memory.map(BASE, new Uint8Array([0, 1, 2, 3]));
  memory.map(BASE + 4n, new Uint8Array([4, 5, 6, 7]));
  return memory;
}

function read(memory: MappedMemory, address: bigint, length: number): number[] | undefined {
  const target = new Uint8Array(length);
  return memory.read(address, target) ? [...target] : undefined;
}

describe('mapped memory', () => {
  test('is read and written across neighbours', () => {
    const memory = twoPieces();
    assert.deepEqual(read(memory, BASE + 2n, 4), [2, 3, 4, 5]);
    assert.equal(memory.write(BASE + 3n, new Uint8Array([9, 8])), true);
    assert.deepEqual(read(memory, BASE, 8), [0, 1, 2, 9, 8, 5, 6, 7]);
  });

  test('a write that runs off the end writes nothing', () => {
    const memory = twoPieces();
    assert.equal(memory.write(BASE + 6n, new Uint8Array([1, 1, 1])), false);
    assert.deepEqual(read(memory, BASE + 6n, 2), [6, 7]);
    assert.equal(read(memory, BASE - 1n, 1), undefined);
    assert.equal(read(memory, (1n << 64n) - 1n, 8), undefined);
  });

  test('a mapping that overlaps another one is refused', () => {
    const memory = twoPieces();
    assert.throws(() => memory.map(BASE + 7n, new Uint8Array(1)), RangeError);
    assert.throws(() => memory.map((1n << 64n) - 1n, new Uint8Array(2)), RangeError);
    memory.map(BASE + 8n, new Uint8Array(1));
  });

  test('allocated memory is zero, in one piece, and has no neighbour', () => {
    const memory = new MappedMemory();
    const first = memory.allocate(100);
    const second = memory.allocate(100);
    assert.equal(first % 4096n, 0n);
    assert.ok(second >= first + 4096n);
    assert.equal(read(memory, first + 99n, 2), undefined);
    assert.equal(memory.bytes(first, 100)?.length, 100);
    assert.equal(memory.bytes(first, 101), undefined);
    assert.equal(memory.bytes(first - 1n, 1), undefined);
  });
});

describe('sharing', () => {
  test('copies the bytes that were there, also across mappings, and leaves the others', () => {
    const memory = twoPieces();
    const target = new Uint8Array(4);
    assert.equal(memory.share(BASE + 2n, target), true);
    assert.deepEqual([...target], [2, 3, 4, 5]);
    target[0] = 77;
    assert.deepEqual(read(memory, BASE, 8), [0, 1, 77, 3, 4, 5, 6, 7]);
    memory.write(BASE + 1n, new Uint8Array([11, 12, 13]));
    assert.deepEqual([...target], [12, 13, 4, 5]);
  });

  test('each write calls back with its offset in the target, also after a part was shared again', () => {
    const memory = twoPieces();
    const writes: [number, number][] = [];
    memory.share(BASE, new Uint8Array(8), (offset, length) => writes.push([offset, length]));
    memory.share(BASE + 2n, new Uint8Array(2));
    memory.write(BASE, new Uint8Array(8));
    assert.deepEqual(writes, [
      [0, 8],
      [0, 2],
      [4, 4],
    ]);
  });

  test('is refused if a part is not mapped', () => {
    const memory = twoPieces();
    assert.equal(memory.share(BASE + 6n, new Uint8Array(4)), false);
    assert.deepEqual(read(memory, BASE, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
  });
});

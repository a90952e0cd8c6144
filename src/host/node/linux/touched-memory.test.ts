import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, writeSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadLibc, requireLibc } from './libc.js';
import { memoryFile } from './memory-files.js';
import { touchedParts } from './touched-memory.js';

const skip = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;
const PAGE = 4096;
const PAGES = 256;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
/** A page that is touched would bring its neighbours along. */
const MADV_NOHUGEPAGE = 15;

/** Maps memory that is readable and writable, and is never unmapped. */
function map(pages: number, flags: number, fd = -1, offset = 0): bigint {
  const mmap = requireLibc().func(
    'int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)',
  );
  const address = BigInt(mmap(0n, pages * PAGE, 3, flags, fd, offset));
  const madvise = requireLibc().func('int madvise(int64_t address, size_t bytes, int advice)');
  assert.equal(madvise(address, pages * PAGE, MADV_NOHUGEPAGE), 0);
  return address;
}

function store(address: bigint, page: number): void {
  requireLibc().func('int64_t memset(int64_t to, int value, size_t count)')(address + BigInt(page * PAGE), 1, 8);
}

/** First page and number of pages of each part. */
function partsOf(address: bigint, pages: number): readonly (readonly [number, number])[] {
  return touchedParts(process.pid, address, pages * PAGE).map(({ offset, length }) => [offset / PAGE, length / PAGE]);
}

describe('the touched parts of memory', { skip }, () => {
  test('of no file are the pages that were written', () => {
    const address = map(PAGES, MAP_PRIVATE | MAP_ANONYMOUS);
    assert.deepEqual(partsOf(address, PAGES), []);
    store(address, 37);
    store(address, 38);
    store(address, 255);
    assert.deepEqual(partsOf(address, PAGES), [
      [37, 2],
      [255, 1],
    ]);
    assert.deepEqual(partsOf(address + BigInt(38 * PAGE), 64), [[0, 1]]);
  });

  test('are one where little is between them', () => {
    const address = map(PAGES, MAP_PRIVATE | MAP_ANONYMOUS);
    store(address, 10);
    store(address, 26);
    store(address, 43);
    assert.deepEqual(partsOf(address, PAGES), [
      [10, 17],
      [43, 1],
    ]);
  });

  test('of a memory file are no holes of it, also those that were written by descriptor', () => {
    const sameName = memoryFile('test', new Uint8Array(3 * PAGES * PAGE).fill(1));
    const fd = memoryFile('test');
    ftruncateSync(fd, 2 * PAGES * PAGE);
    const address = map(PAGES, MAP_SHARED, fd, 100 * PAGE);
    assert.deepEqual(partsOf(address, PAGES), []);
    writeSync(fd, 'x', (100 + 7) * PAGE);
    store(address, 90);
    assert.deepEqual(partsOf(address, PAGES), [
      [7, 1],
      [90, 1],
    ]);
    assert.deepEqual(partsOf(address + BigInt(60 * PAGE), 100), [[30, 1]]);
    closeSync(fd);
    closeSync(sameName);
    assert.deepEqual(partsOf(address, PAGES), [[0, PAGES]], 'a file that is not open is not known');
  });

  test('are what is behind the end of a memory file', () => {
    const fd = memoryFile('test');
    ftruncateSync(fd, 50 * PAGE);
    assert.deepEqual(partsOf(map(PAGES, MAP_SHARED, fd), PAGES), [[50, PAGES - 50]]);
    closeSync(fd);
  });

  test('are all of a file that is mapped privately, because a copy of its pages is in no file', () => {
    const fd = memoryFile('test');
    ftruncateSync(fd, PAGES * PAGE);
    assert.deepEqual(partsOf(map(PAGES, MAP_PRIVATE, fd), PAGES), [[0, PAGES]]);
    closeSync(fd);
  });

  test('are what cannot be read', () => {
    const address = map(PAGES, MAP_PRIVATE | MAP_ANONYMOUS);
    const libc = requireLibc();
    libc.func('int munmap(int64_t address, size_t bytes)')(address + BigInt(64 * PAGE), 32 * PAGE);
    libc.func('int mprotect(int64_t address, size_t bytes, int protection)')(address + BigInt(128 * PAGE), PAGE, 0);
    assert.deepEqual(partsOf(address, PAGES), [
      [64, 32],
      [128, 1],
    ]);
  });

  test('are all of a process that has ended', () => {
    const { pid } = spawnSync('true');
    assert.deepEqual(touchedParts(pid, 0x1000n, 8 * PAGE), [{ offset: 0, length: 8 * PAGE }]);
  });
});

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, readFileSync, readSync, writeSync } from 'node:fs';
import { describe, test, type TestContext } from 'node:test';
import { loadLibc, requireLibc } from './libc.js';
import { openMemoryArena } from './memory-arena.js';
import { memoryFile } from './memory-files.js';

const skip = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;
const PAGE = 4096;
const ARENA = 0x1_0000;
const HUGE_PAGE = 2 * 2 ** 20;
const MFD_ALLOW_SEALING = 2;
const MFD_HUGETLB = 4;
const F_ADD_SEALS = 1033;
const F_SEAL_SHRINK = 2;

/** A memory file of two pages. */
function file(t: TestContext, seals: number): number {
  const fd = memoryFile('test', new Uint8Array(2 * PAGE).fill(7));
  t.after(() => closeSync(fd));
  if (seals !== 0) requireLibc().func('int fcntl(int fd, int command, int argument)')(fd, F_ADD_SEALS, seals);
  return fd;
}

describe('an arena of memory', { skip }, () => {
  test('has the pages of a file that is mapped, and its own afterwards', (t) => {
    const arena = openMemoryArena(ARENA);
    assert.ok(arena);
    const bytes = new Uint8Array(arena.buffer);
    const fd = file(t, F_SEAL_SHRINK);
    assert.equal(arena.map(PAGE, PAGE, fd, PAGE), true);
    assert.deepEqual([bytes[PAGE - 1], bytes[PAGE], bytes[2 * PAGE]], [0, 7, 0]);
    bytes[PAGE] = 9;
    const read = new Uint8Array(1);
    readSync(fd, read, 0, 1, PAGE);
    assert.equal(read[0], 9);
    writeSync(fd, Uint8Array.of(3), 0, 1, PAGE + 1);
    assert.equal(bytes[PAGE + 1], 3);
    arena.unmap(PAGE, PAGE);
    assert.equal(bytes[PAGE], 0);
    bytes[PAGE] = 1;
    readSync(fd, read, 0, 1, PAGE);
    assert.equal(read[0], 9);
  });

  test('a file that can become shorter is not mapped', (t) => {
    const arena = openMemoryArena(ARENA);
    assert.equal(arena?.map(0, PAGE, file(t, 0), 0), false);
  });

  test('nothing is mapped beyond the file or the arena, or that is not whole pages', (t) => {
    const arena = openMemoryArena(ARENA);
    const fd = file(t, F_SEAL_SHRINK);
    for (const [offset, length, fileOffset] of [
      [0, 3 * PAGE, 0],
      [0, PAGE, 2 * PAGE],
      [0, PAGE, -PAGE],
      [ARENA, PAGE, 0],
      [-PAGE, PAGE, 0],
      [1, PAGE, 0],
      [0, 1, 0],
      [0, PAGE, 1],
      [0, 0, 0],
    ] as const)
      assert.equal(arena?.map(offset, length, fd, fileOffset), false, `${offset} ${length} ${fileOffset}`);
  });

  test('a file that the kernel cannot map leaves the arena as it was', (t) => {
    const arena = openMemoryArena(HUGE_PAGE);
    assert.ok(arena);
    const bytes = new Uint8Array(arena.buffer);
    bytes[5] = 5;
    const libc = requireLibc();
    const create = libc.func('int memfd_create(const char *name, uint flags)');
    const huge = Number(create('huge', MFD_ALLOW_SEALING | MFD_HUGETLB));
    if (huge < 0) {
      t.skip('the kernel has no files of huge pages');
      return;
    }
    t.after(() => closeSync(huge));
    ftruncateSync(huge, HUGE_PAGE);
    libc.func('int fcntl(int fd, int command, int argument)')(huge, F_ADD_SEALS, F_SEAL_SHRINK);
    assert.equal(arena.map(0, HUGE_PAGE, huge, 0), false);
    assert.equal(bytes[5], 5);
    const start = libc.address(bytes);
    const mapped = readFileSync('/proc/self/maps', 'latin1')
      .split('\n')
      .flatMap((line) => {
        const found = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
        return found === null ? [] : [{ from: BigInt(`0x${found[1]}`), to: BigInt(`0x${found[2]}`) }];
      });
    let at = start;
    for (const { from, to } of mapped) if (from <= at && to > at) at = to;
    assert.ok(at >= start + BigInt(HUGE_PAGE), 'a part of the arena is not mapped');
  });
});

import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { describe, test } from 'node:test';
import { canTrackWrites } from '../../../acrn-programs/support.js';
import { MinorFaults } from './process-facts.js';
import { MemoryFiles } from './memory-files.js';
import { loadLibc } from './libc.js';
import { SystemCall } from './seccomp-filter.js';
import { USERFAULTFD_FLAGS, WrittenPages } from './written-pages.js';

const skip = canTrackWrites() ? false : 'this kernel has no asynchronous write protection (Linux 6.7), or no koffi';
const PAGE = 4096;
const PAGES = 16;

/** A second mapping of a file of memory, whose stores are noticed. */
function tracked(): {
  /** Stores through the mapping. */
  readonly store: (page: number) => void;
  /** Pages that were written since the last call. */
  readonly written: () => number[];
  /** Reads from /dev/zero into the mapping. */
  readonly read: (page: number) => void;
  /** The other mapping, whose stores are not noticed. */
  readonly other: Uint8Array;
} {
  const libc = loadLibc();
  assert.ok(libc !== undefined);
  const files = new MemoryFiles();
  const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const shared = buffer as unknown as SharedArrayBuffer;
  files.add('test', shared, 0, PAGES * PAGE);
  const other = new Uint8Array(shared, 0, PAGES * PAGE);
  const fd = files.find(other)?.fd ?? -1;
  const mmap = libc.func('int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)');
  const address = BigInt(mmap(0n, PAGES * PAGE, 3, 1, fd, 0n));
  const call = libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)');
  const pages = new WrittenPages(process.pid, Number(call(SystemCall.userfaultfd, USERFAULTFD_FLAGS, 0, 0)));
  pages.add(address, PAGES * PAGE);
  const memset = libc.func('int64_t memset(int64_t to, int value, size_t count)');
  const readInto = libc.func('int64_t read(int fd, int64_t to, size_t count)');
  return {
    other,
    store: (page) => void memset(address + BigInt(page * PAGE), 1, 8),
    read: (page) => {
      const zero = openSync('/dev/zero', 'r');
      assert.equal(Number(readInto(zero, address + BigInt(page * PAGE), 8)), 8);
      closeSync(zero);
    },
    written: () => {
      const found: number[] = [];
      assert.ok(
        pages.scan(address, PAGES * PAGE, (offset, length) => {
          for (let at = offset; at < offset + length; at += PAGE) found.push(at / PAGE);
        }),
      );
      return found;
    },
  };
}

describe('pages that a process has written', { skip }, () => {
  test('are reported once, in order, and again after the next store', () => {
    const { store, written } = tracked();
    written();
    assert.deepEqual(written(), []);
    store(5);
    store(11);
    store(5);
    assert.deepEqual(written(), [5, 11]);
    assert.deepEqual(written(), []);
    store(11);
    assert.deepEqual(written(), [11]);
  });

  test('are also those that the system has written for it', () => {
    const { read, written } = tracked();
    written();
    read(9);
    assert.deepEqual(written(), [9]);
  });

  test('are not those that were written by another mapping', () => {
    const { other, written } = tracked();
    written();
    other[3 * PAGE] = 1;
    assert.deepEqual(written(), []);
  });

  test('make a page fault at the first store, which the process’s count shows', () => {
    const { store, written } = tracked();
    written();
    const faults = new MinorFaults(process.pid);
    const before = faults.count;
    store(2);
    assert.ok(faults.count > before);
    faults.close();
  });
});

test('the count of page faults of a process that has ended is no number', { skip }, () => {
  assert.throws(() => new MinorFaults(0x3fff_ffff), { code: 'ENOENT' });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadLibc, requireLibc } from '../host/node/linux/libc.js';
import { MemoryFiles } from '../host/node/linux/memory-files.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { USERFAULTFD_FLAGS } from '../host/node/linux/written-pages.js';
import { canTrackWrites } from './support.js';
import { WrittenMemory } from './written-memory.js';

const skip = process.platform !== 'linux' || loadLibc() === undefined;

describe('written memory that cannot be watched', { skip }, () => {
  test('closes its descriptor if the process has ended', () => {
    const { pid } = spawnSync('true');
    const notUserfault = openSync('/dev/null', 'r');
    assert.throws(() => new WrittenMemory(pid, notUserfault), /ENOENT|ESRCH/);
    assert.throws(() => closeSync(notUserfault), /EBADF/);
  });

  test('closes all that it has opened if the system has no such descriptor', () => {
    const notUserfault = openSync('/dev/null', 'r');
    const before = readdirSync('/proc/self/fd').length;
    assert.throws(() => new WrittenMemory(process.pid, notUserfault), /ioctl 0x\w+ failed/);
    assert.equal(readdirSync('/proc/self/fd').length, before - 1);
  });
});

test('what is written while the guest is paused is reported when it runs again', { skip: !canTrackWrites() }, () => {
  const libc = requireLibc();
  const files = new MemoryFiles();
  const { fd } = files.find(new Uint8Array(files.allocatePage('test'), 0, 4096)) ?? assert.fail();
  const mmap = libc.func('int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)');
  const address = BigInt(mmap(0n, 4096, 3, 1, fd, 0n));
  const memset = libc.func('int64_t memset(int64_t to, int value, size_t count)');
  const store = (): unknown => memset(address, 1, 8);
  const call = libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)');
  const memory = new WrittenMemory(process.pid, Number(call(SystemCall.userfaultfd, USERFAULTFD_FLAGS, 0, 0)));
  try {
    let count = 0;
    const writes = (): number => {
      count = 0;
      memory.collect();
      return count;
    };
    memory.add(address, 4096, () => (count += 1));
    writes();
    store();
    assert.equal(writes(), 1);
    memory.pause();
    store();
    assert.equal(writes(), 0);
    memory.resume();
    assert.equal(writes(), 1);
    store();
    assert.equal(writes(), 1);
    memory.pause();
    libc.func('int munmap(int64_t address, size_t bytes)')(address, 4096);
    memory.resume();
    assert.equal(writes(), 0);
  } finally {
    memory.close();
  }
});

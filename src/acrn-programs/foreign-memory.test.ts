import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadLibc, requireLibc } from '../host/node/linux/libc.js';
import { MemoryFiles } from '../host/node/linux/memory-files.js';
import { ProcessMemory } from '../host/node/linux/process-memory.js';
import { ForeignMemory } from './foreign-memory.js';

const skip = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;
const PAGE = 4096;
const PAGES = 128;
const BYTES = PAGES * PAGE;
const PRIVATE_ANONYMOUS = 0x22;

/** Memory that the "other" process, which is this one, maps. */
function mapped(): bigint {
  const libc = requireLibc();
  const mmap = libc.func('int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)');
  return BigInt(mmap(0n, BYTES, 3, PRIVATE_ANONYMOUS, -1, 0));
}

test('shared memory has what the process had there, and zeros where it had touched nothing', { skip }, () => {
  const libc = requireLibc();
  const address = mapped();
  const memset = libc.func('int64_t memset(int64_t to, int value, size_t count)');
  memset(address + BigInt(5 * PAGE), 7, PAGE);
  memset(address + BigInt(60 * PAGE + 100), 8, 1);
  const files = new MemoryFiles();
  const { buffer } = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const shared = buffer as unknown as SharedArrayBuffer;
  files.add('ram', shared, 0, buffer.byteLength);
  const ram = new Uint8Array(shared).fill(9);
  const memory = new ForeignMemory(process.pid, new ProcessMemory(), files);
  assert.ok(memory.isMapped(address, BigInt(BYTES)));
  assert.ok(memory.share(address, ram.subarray(16 * PAGE, 16 * PAGE + BYTES)));
  const expected = new Uint8Array(buffer.byteLength).fill(9);
  expected.fill(0, 16 * PAGE, 16 * PAGE + BYTES);
  expected.fill(7, 21 * PAGE, 22 * PAGE);
  expected[76 * PAGE + 100] = 8;
  assert.ok(Buffer.compare(Buffer.from(ram), expected) === 0);
});

test('memory with a hole in it is neither mapped nor shared', { skip }, () => {
  const address = mapped();
  requireLibc().func('int munmap(int64_t address, size_t bytes)')(address + BigInt(90 * PAGE), PAGE);
  const files = new MemoryFiles();
  const { buffer } = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
  const shared = buffer as unknown as SharedArrayBuffer;
  files.add('ram', shared, 0, buffer.byteLength);
  const memory = new ForeignMemory(process.pid, new ProcessMemory(), files);
  assert.ok(!memory.isMapped(address, BigInt(BYTES)));
  assert.ok(!memory.share(address, new Uint8Array(shared, 0, BYTES)));
  assert.ok(memory.isMapped(address, BigInt(90 * PAGE)));
});

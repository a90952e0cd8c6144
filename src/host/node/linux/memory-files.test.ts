import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadLibc, requireLibc } from './libc.js';
import { MemoryFiles, memoryFile } from './memory-files.js';

const skip = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;
const PAGE = 4096;

function fileOf(files: MemoryFiles, bytes: Uint8Array): { readonly fd: number; readonly offset: number } {
  const part = files.find(bytes);
  assert.ok(part !== undefined);
  return part;
}

describe('memory in a file', { skip }, () => {
  test('is common: what one side writes the other reads', () => {
    const files = new MemoryFiles();
    const buffer = files.allocatePage('test');
    const page = new Uint8Array(buffer, 0, PAGE);
    const { fd } = fileOf(files, page);
    page.set([1, 2, 3]);
    const read = new Uint8Array(4);
    readSync(fd, read, 0, 4, 0);
    assert.deepEqual([...read], [1, 2, 3, 0]);
    writeSync(fd, Uint8Array.of(9), 0, 1, 2);
    assert.equal(page[2], 9);
    files.release(buffer);
  });

  test('keeps its content, and knows the offset of a part', () => {
    const files = new MemoryFiles();
    const { buffer } = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
    const shared = buffer as unknown as SharedArrayBuffer;
    const ram = new Uint8Array(shared, PAGE, 0x2_0000);
    ram[0] = 7;
    ram[0x1_5000] = 8;
    files.add('test', shared, PAGE, ram.length);
    assert.deepEqual([ram[0], ram[0x1_5000]], [7, 8]);
    assert.equal(fileOf(files, ram.subarray(0x1_5000, 0x1_6000)).offset, 0x1_5000);
    assert.equal(files.find(new Uint8Array(shared, 0, PAGE)), undefined, 'the page before is in no file');
    assert.equal(files.find(new Uint8Array(shared, PAGE, ram.length + 1)), undefined, 'a byte too many');
    files.release(shared);
    assert.equal(files.find(ram), undefined);
    assert.equal(ram[0], 7, 'what is mapped stays so');
  });

  test('is in no file, and no descriptor stays open, if a call fails', () => {
    const libc = requireLibc();
    const closed: unknown[] = [];
    for (const failing of ['ftruncate', 'fcntl', 'mmap']) {
      const files = new MemoryFiles({
        ...libc,
        func: (declaration) => {
          const name = /(\w+)\(/.exec(declaration)?.[1];
          if (name === failing) return () => -1;
          const call = libc.func(declaration);
          return name === 'close' ? (fd) => (closed.push(fd), call(fd)) : call;
        },
      });
      const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      const shared = buffer as unknown as SharedArrayBuffer;
      assert.throws(() => files.add('test', shared, 0, PAGE), new RegExp(`^Error: ${failing}\\(2\\) failed for test`));
      assert.equal(files.find(new Uint8Array(shared, 0, PAGE)), undefined, failing);
    }
    assert.equal(closed.length, 3);
  });

  test('cannot be made shorter or longer by a process that has it', () => {
    const files = new MemoryFiles();
    const buffer = files.allocatePage('test');
    const { fd } = fileOf(files, new Uint8Array(buffer, 0, PAGE));
    assert.throws(() => ftruncateSync(fd, 0), { code: 'EPERM' });
    assert.throws(() => ftruncateSync(fd, 2 * PAGE), { code: 'EPERM' });
    files.release(buffer);
  });

  test('has to be whole pages of memory that is given back whole', () => {
    const files = new MemoryFiles();
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const shared = buffer as unknown as SharedArrayBuffer;
    for (const [start, length] of [
      [8, PAGE],
      [0, 100],
    ] as const)
      assert.throws(() => files.add('test', shared, start, length), RangeError);
    assert.throws(() => files.add('test', new SharedArrayBuffer(PAGE), 0, PAGE), RangeError);
  });
});

test('a file of memory has the content that it was given', { skip }, () => {
  const fd = memoryFile('test', Buffer.from('text'));
  assert.equal(readFileSync(`/proc/self/fd/${fd}`, 'utf8'), 'text');
  assert.equal(statSync(`/proc/self/fd/${fd}`).size, 4);
  closeSync(fd);
});

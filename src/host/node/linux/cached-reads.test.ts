import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, open, openSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { openDiskFile } from '../disk-file.js';
import { CACHED_BYTES_PER_TURN, NEVER_CACHED, readCached } from './cached-reads.js';
import { loadLibc } from './libc.js';

const skip = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;
const POOL_THREADS = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A file that was just written, so that the system has its bytes. */
async function fileOf(t: TestContext, bytes: Uint8Array): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'disk');
  await writeFile(path, bytes);
  return path;
}

/** Opened for reading. Undefined, and the test is skipped, if its file system has no such reads. */
function descriptorOf(t: TestContext, path: string): number | undefined {
  const fd = openSync(path, 'r');
  t.after(() => closeSync(fd));
  if (readCached(fd, 0, new Uint8Array(1)) !== NEVER_CACHED) return fd;
  t.skip('the file system of temporary files has no reads without waiting');
  return undefined;
}

/** Keeps all threads of Node's pool occupied until the function that it returns is called. */
function occupyPool(path: string): () => Promise<void> {
  execFileSync('mkfifo', [path]);
  // Each waits until the file is opened for writing.
  const opened = Array.from({ length: POOL_THREADS }, () => promisify(open)(path, 'r'));
  return async () => {
    const writer = openSync(path, 'r+');
    for (const fd of await Promise.all(opened)) closeSync(fd);
    closeSync(writer);
  };
}

describe('a read of what the system has in memory', { skip, timeout: 60_000 }, () => {
  test('by a disk file takes no thread of the pool', async (t) => {
    const path = await fileOf(
      t,
      Uint8Array.from({ length: 8192 }, (_, index) => index & 0xff),
    );
    if (descriptorOf(t, path) === undefined) return;
    const file = await openDiskFile(path, 'read');
    const target = new Uint8Array(4096);
    const release = occupyPool(`${path}.fifo`);
    let count: number | undefined;
    const reading = file.read(300, target).then((bytes) => (count = bytes));
    await turn();
    const countBefore = count;
    await release();
    await reading;
    await file.close();
    assert.equal(countBefore, target.length);
    assert.deepEqual([target[0], target[4095]], [300 & 0xff, (300 + 4095) & 0xff]);
  });

  test('by a disk file leaves the end of the file, and what follows it, to the pool', async (t) => {
    const path = await fileOf(t, new Uint8Array(1000).fill(7));
    const file = await openDiskFile(path, 'read');
    const target = new Uint8Array(100).fill(9);
    assert.equal(await file.read(950, target), 50);
    assert.deepEqual([target[49], target[50], target[99]], [7, 0, 0]);
    assert.equal(await file.read(2000, target), 0);
    assert.equal(await file.read(0, new Uint8Array()), 0);
    await file.close();
  });

  test('copies a limited number of bytes in one turn of the event loop', async (t) => {
    const fd = descriptorOf(t, await fileOf(t, new Uint8Array(CACHED_BYTES_PER_TURN)));
    if (fd === undefined) return;
    await turn();
    const half = new Uint8Array(CACHED_BYTES_PER_TURN / 2);
    const counts = [half, half, half.subarray(0, 1)].map((target) => readCached(fd, 0, target));
    assert.deepEqual(counts, [half.length, half.length, 0]);
    await turn();
    assert.equal(readCached(fd, 0, half), half.length);
    await turn();
    assert.equal(readCached(fd, 0, new Uint8Array(CACHED_BYTES_PER_TURN + 1)), 0);
  });

  test('is given up for a descriptor that cannot be read so', (t) => {
    const writer = openSync('/dev/null', 'w');
    t.after(() => closeSync(writer));
    assert.equal(readCached(writer, 0, new Uint8Array(1)), NEVER_CACHED);
  });
});

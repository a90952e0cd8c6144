import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileTooLargeError } from '../file-too-large.js';
import { makeFolder, readFile } from './files.js';

test('a folder is made with those above it, once or twice, by several at a time', async (t) => {
  const base = await mkdtemp(join(tmpdir(), 'upcall-'));
  t.after(() => rm(base, { recursive: true }));
  const folder = join(base, 'a/b/c');
  await Promise.all([makeFolder(folder), makeFolder(folder), makeFolder(join(base, 'a/d'))]);
  await makeFolder(folder);
  assert.ok((await stat(folder)).isDirectory());
  await writeFile(join(base, 'file'), '');
  await assert.rejects(makeFolder(join(base, 'file')), { code: 'EEXIST' });
  await assert.rejects(makeFolder(join(base, 'file/in/it')), { code: 'ENOTDIR' });
});

test(
  'a folder that takes no folders is an error',
  { skip: process.platform !== 'linux' && '/proc is Linux', timeout: 10_000 },
  async () => {
    await assert.rejects(makeFolder('/proc/upcall/a'), { code: 'ENOENT' });
  },
);

function isTooLarge(limitBytes: number, isStream: boolean) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof FileTooLargeError);
    assert.deepEqual([error.limitBytes, error.isStream], [limitBytes, isStream]);
    return true;
  };
}

test('a file of the limit is read, one byte more is refused before it is read', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'file');
  const limits = { fileBytes: 100, streamBytes: 10 };
  await writeFile(file, 'x'.repeat(100));
  assert.equal((await readFile(file, limits)).length, 100);
  // So large that no array would take it.
  for (const size of [101, 2 ** 40]) {
    await truncate(file, size);
    await assert.rejects(readFile(file, limits), isTooLarge(100, false));
  }
  await writeFile(file, '');
  assert.equal((await readFile(file, limits)).length, 0);
  await assert.rejects(readFile(join(folder, 'none'), limits), { code: 'ENOENT' });
  await assert.rejects(readFile(folder, limits), { code: 'EISDIR' });
});

test(
  'a stream is read up to its limit, though it has no end',
  { skip: process.platform !== 'linux' && '/dev and /proc are Linux', timeout: 60_000 },
  async () => {
    const limits = { fileBytes: 10, streamBytes: 3_000_000 };
    await assert.rejects(readFile('/dev/zero', limits), isTooLarge(3_000_000, true));
    assert.equal((await readFile('/dev/null', limits)).length, 0);
    const { length } = await readFile('/proc/version', limits);
    assert.ok(length > 10);
    assert.equal((await readFile('/proc/version', { ...limits, streamBytes: length })).length, length);
    await assert.rejects(
      readFile('/proc/version', { ...limits, streamBytes: length - 1 }),
      isTooLarge(length - 1, true),
    );
  },
);

test(
  'a named pipe is read to its end, and one without a writer keeps no thread',
  { skip: process.platform === 'win32' && 'Windows has no such file' },
  async (t) => {
    const base = await mkdtemp(join(tmpdir(), 'upcall-'));
    t.after(() => rm(base, { recursive: true }));
    const pipe = join(base, 'pipe');
    spawnSync('mkfifo', [pipe]);
    const contents = Buffer.alloc(200_000, 'contents');
    const [read] = await Promise.all([readFile(pipe), writeFile(pipe, contents)]);
    const limits = { fileBytes: 10, streamBytes: 100_000 };
    await Promise.all([
      assert.rejects(readFile(pipe, limits), isTooLarge(100_000, true)),
      writeFile(pipe, contents).catch(() => undefined),
    ]);
    assert.ok(contents.equals(read));
    const files = new URL('./files.js', import.meta.url).href;
    const waiting = `import(${JSON.stringify(files)}).then(({ readFile }) => {
      readFile(${JSON.stringify(pipe)});
      setTimeout(() => process.exit(7), 100);
    });`;
    assert.equal(spawnSync(process.execPath, ['-e', waiting], { timeout: 20_000 }).status, 7);
  },
);

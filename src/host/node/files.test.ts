import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from './files.js';

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

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { cacheFolder } from './cache-folder.js';
import { isRecorded, record } from './recorded-facts.js';

async function useCache(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-'));
  const before = process.env['XDG_CACHE_HOME'];
  process.env['XDG_CACHE_HOME'] = folder;
  t.after(async () => {
    if (before === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = before;
    await rm(folder, { recursive: true });
  });
  return folder;
}

test('the cache is in XDG_CACHE_HOME, or in ~/.cache', () => {
  assert.equal(cacheFolder({ XDG_CACHE_HOME: '/c' }), '/c/upcall');
  assert.match(cacheFolder({ XDG_CACHE_HOME: '' }), /\/\.cache\/upcall$/);
  assert.match(cacheFolder({}), /\/\.cache\/upcall$/);
});

test('a fact is recorded once it is recorded, and no other one', async (t) => {
  await useCache(t);
  assert.equal(await isRecorded('a'), false);
  await record('a');
  assert.equal(await isRecorded('a'), true);
  assert.equal(await isRecorded('b'), false);
});

test('a folder that cannot be written records nothing and is no error', async (t) => {
  const folder = await useCache(t);
  // A file in the place of the folder, so that it holds for root too.
  await writeFile(join(folder, 'upcall'), '');
  await record('a');
  assert.equal(await isRecorded('a'), false);
});

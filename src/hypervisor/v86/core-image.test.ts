import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { CORE_SHA256, CORE_VERSION, coreFile, load, loadCoreImage } from './core-image.js';

test('the core is loaded once in a process', async () => {
  assert.equal(await loadCoreImage(), await loadCoreImage());
});

test('the core is optimised late', async (t) => {
  const compile = t.mock.method(host, 'compileOptimisedLate');
  await load(await coreFile(), () => undefined);
  assert.equal(compile.mock.callCount(), 1);
});

test('a core with one byte changed is refused, with its hash and what to install', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-'));
  t.after(() => rm(folder, { recursive: true }));
  const bytes = await readFile(await coreFile());
  bytes[1000] = (bytes[1000] as number) ^ 1;
  const file = join(folder, 'v86.wasm');
  await writeFile(file, bytes);
  await assert.rejects(load(file), (error) => {
    assert.ok(error instanceof UpcallError);
    assert.equal(error.code, 'CORE_MISMATCH');
    assert.ok(error.message.includes(CORE_SHA256));
    assert.ok(error.remedy?.includes(CORE_VERSION));
    return true;
  });
});

test('the self-test runs on a new engine only: its result is recorded', async (t) => {
  const before = process.env['XDG_CACHE_HOME'];
  const folder = await mkdtemp(join(tmpdir(), 'upcall-'));
  process.env['XDG_CACHE_HOME'] = folder;
  t.after(async () => {
    if (before === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = before;
    await rm(folder, { recursive: true });
  });
  const file = await coreFile();
  let tests = 0;
  const selfTest = (): void => {
    tests++;
  };
  await load(file, selfTest);
  await load(file, selfTest);
  assert.equal(tests, 1);
  await rm(join(folder, 'upcall'), { recursive: true });
  const failing = (): void => {
    throw new Error('the self-test failed');
  };
  await assert.rejects(load(file, failing), /the self-test failed/);
  // A failure is not recorded.
  await load(file, selfTest);
  assert.equal(tests, 2);
});

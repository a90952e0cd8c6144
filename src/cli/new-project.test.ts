import assert from 'node:assert/strict';
import { promises } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createProject } from './new-project.js';

test('a project is created by Node 20.11, whose folder entries have no parentPath', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'upcall-new-project-'));
  t.after(() => rm(folder, { recursive: true }));
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const original = promises.readdir as (...parameters: unknown[]) => Promise<unknown[]>;
  t.mock.method(promises, 'readdir', async (...parameters: unknown[]) => {
    const entries = await original(...parameters);
    for (const entry of entries) if (entry instanceof Object) Reflect.deleteProperty(entry, 'parentPath');
    return entries;
  });
  syncBuiltinESMExports();
  const { files } = await createProject('device', 'thermometer', folder);
  assert.deepEqual(await readdir(folder), [
    '.gitignore',
    '.vscode',
    'README.md',
    'package.json',
    'thermometer.bench.ts',
    'thermometer.test.ts',
    'thermometer.ts',
    'tsconfig.json',
  ]);
  assert.ok(files.includes('.vscode/launch.json'));
});

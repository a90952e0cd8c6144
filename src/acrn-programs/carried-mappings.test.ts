import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ForeignMapping } from './foreign-memory.js';
import { ForeignMemory } from './foreign-memory.js';
import { compileClient, missing } from './fixtures/programs.js';
import { TestServer } from './fixtures/test-server.js';
import { programSupport } from './support.js';

const support = programSupport();
const skip = missing() ?? (support.available ? false : support.reason);

test('memory whose stores cannot be watched is ENOMEM for the program, and is reported', { skip }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-carried-'));
  context.mock.method(ForeignMemory.prototype, 'mapped', (_: number, { written }: ForeignMapping) => {
    if (written !== undefined) throw new Error('a store was missed');
  });
  const server = await TestServer.create(folder);
  try {
    const program = await server.start('filter', compileClient(folder), 'requests');
    assert.match((await program.ended).output, /^SET_MEMSEG -12$/m);
    assert.deepEqual(server.reports, [
      `process ${program.pid}: its stores cannot be noticed: a store was missed. Use --no-translate`,
    ]);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
});

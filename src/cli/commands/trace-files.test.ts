import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Move } from '../../trace/move.js';
import type { TraceExport } from '../../trace/exports/trace-export.js';
import { TraceFiles } from './trace-files.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-trace-files-'));
after(() => rmSync(folder, { recursive: true }));
beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }));
afterEach(() => mock.timers.reset());

const MOVE = {} as Move;
/** A byte for each move. */
const trace: TraceExport = { add: () => Buffer.from('.'), end: () => Buffer.from('end') };

test('a file has what came in the second before, then the rest at its end', async () => {
  const path = join(folder, 'trace');
  const text = (): string => readFileSync(path, 'utf8');
  const files = new TraceFiles([{ path, trace }]);
  await files.add(MOVE);
  assert.equal(text(), '');
  mock.timers.tick(1000);
  assert.equal(text(), '.');
  await files.add(MOVE);
  await files.add(MOVE);
  mock.timers.tick(1000);
  assert.equal(text(), '...');
  await files.close();
  assert.equal(text(), '...end');
});

test(
  'a write of the timer that fails is an error of the next call',
  { skip: process.platform !== 'linux' },
  async () => {
    for (const call of ['add', 'close'] as const) {
      const files = new TraceFiles([{ path: '/dev/full', trace }]);
      await files.add(MOVE);
      mock.timers.tick(1000);
      await setImmediate();
      await assert.rejects(files[call](MOVE), { code: 'OPTION_INVALID', message: /cannot write \/dev\/full/ });
    }
  },
);

test('the timer keeps no process alive', () => {
  mock.timers.reset();
  const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const files = new TraceFiles([{ path: join(folder, 'idle'), trace }]);
  assert.equal(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length, before);
  return files.close();
});

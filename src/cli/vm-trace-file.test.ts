import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { linkOf } from '../host/node/linux/descriptors.js';
import { vmTraceFiles } from './vm-trace-file.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-vm-trace-'));
after(() => rmSync(folder, { recursive: true }));

test('each VM of a program has a file, the first one the name that was given', async () => {
  const open = vmTraceFiles(join(folder, 'trace.jsonl'));
  for (const name of ['first', 'second', 'third']) await (await open({ name })).close();
  assert.deepEqual(readdirSync(folder).sort(), ['trace-2.jsonl', 'trace-3.jsonl', 'trace.jsonl']);
  assert.equal(readFileSync(join(folder, 'trace.jsonl'), 'utf8'), '');
});

test('the format is that of the extension', async () => {
  for (const extension of ['.pftrace', '.parquet']) {
    const path = join(folder, `formats${extension}`);
    await (await vmTraceFiles(path)({ name: 'vm' })).close();
    assert.ok(readFileSync(path).length > 0, extension);
  }
  assert.throws(() => vmTraceFiles(join(folder, 'trace.txt')), { code: 'OPTION_INVALID' });
});

test('the file that was tried is closed again', { skip: process.platform !== 'linux' }, async () => {
  const path = join(folder, 'tried.jsonl');
  const isOpen = (): boolean => readdirSync('/proc/self/fd').some((fd) => linkOf(process.pid, Number(fd)) === path);
  vmTraceFiles(path);
  assert.ok(existsSync(path));
  await setImmediate();
  assert.equal(isOpen(), false);
});

test('a file that cannot be written is an error before there is a VM', () => {
  assert.throws(() => vmTraceFiles(join(folder, 'no-folder/trace.jsonl')), { code: 'OPTION_INVALID' });
});

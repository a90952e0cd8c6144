import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gunzip, gzip } from './gzip.js';
import { replaceFile } from './replace-file.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'upcall-replace-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('a file is replaced as a whole, and is for its owner only', async (t) => {
  const path = folder(t);
  const file = join(path, 'file');
  writeFileSync(file, 'old', { mode: 0o644 });
  await replaceFile(file, [Buffer.from('new '), new Uint8Array(0), Buffer.from('text')]);
  assert.equal(readFileSync(file, 'utf8'), 'new text');
  if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(path), ['file']);
});

test('what fails leaves the old file and nothing else', async (t) => {
  const path = folder(t);
  mkdirSync(join(path, 'taken'));
  await assert.rejects(replaceFile(join(path, 'taken'), [Buffer.from('x')]), /EISDIR|EPERM|ENOTEMPTY|EEXIST/);
  await assert.rejects(replaceFile(join(path, 'none', 'file'), []), /ENOENT/);
  const broken = [Buffer.from('x'), { length: 1 } as unknown as Uint8Array];
  await assert.rejects(replaceFile(join(path, 'file'), broken), /ERR_INVALID_ARG_TYPE|must be/);
  assert.deepEqual(readdirSync(path), ['taken']);
});

test('what was packed is unpacked, up to the limit only, and damage is found', async () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) & 0xff);
  const packed = await gzip(bytes);
  assert.deepEqual(new Uint8Array(await gunzip(packed, bytes.length)), bytes);
  await assert.rejects(gunzip(packed, bytes.length - 1), /larger than/);
  const damaged = packed.slice();
  damaged[packed.length - 6] = (damaged[packed.length - 6] as number) ^ 1;
  await assert.rejects(gunzip(damaged, bytes.length), /incorrect/);
});

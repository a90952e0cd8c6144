import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readDeb } from './deb-file.js';
import { debArchive } from './fixtures/deb-archive.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-deb-file-'));
after(() => rmSync(folder, { recursive: true }));

function packageOf(bytes: Uint8Array): string {
  const file = join(folder, 'x.deb');
  writeFileSync(file, bytes);
  return file;
}

const LONG = `usr/${'long-'.repeat(30)}/${'name-'.repeat(30)}`;
const FILES = [
  ['boot/System.map', Buffer.from('map')],
  ['lib/module.ko', Buffer.alloc(8 * 2 ** 20, 1)],
  [LONG, Buffer.from('long')],
] as const;
const DEB = debArchive(FILES, [['control', Buffer.from('Package: x\n')]]);

test('entries have their paths, kinds, modes and bytes, also with long names', async () => {
  const entries = await readDeb(packageOf(DEB), 'data');
  const files = entries.filter(({ type }) => type === 'file');
  assert.deepEqual(
    files.map(({ path, content }) => [path, Buffer.from(content)]).sort(),
    FILES.map(([path, content]) => [path, content]).sort(),
  );
  const folders = entries.filter(({ type }) => type === 'directory').map(({ path }) => path);
  assert.ok(folders.includes('') && folders.includes('boot'), folders.join());
  const { mode, seconds } = files[0] ?? {};
  assert.equal((mode ?? 0) & 0o600, 0o600);
  assert.ok((seconds ?? 0) > 1e9);
});

test('only what is wanted is read, of either part', async () => {
  const file = packageOf(DEB);
  assert.deepEqual(
    (await readDeb(file, 'data', (path) => path.endsWith('.map'))).map(({ path }) => path),
    ['boot/System.map'],
  );
  const [control] = await readDeb(file, 'control', (path) => path === 'control');
  assert.equal(Buffer.from(control?.content ?? []).toString(), 'Package: x\n');
});

test('a package without compression is read as well', async () => {
  const entries = await readDeb(packageOf(debArchive(FILES, [], false)), 'data', (path) => path === 'boot/System.map');
  assert.equal(entries.length, 1);
});

test('a package that is cut off anywhere, and a file of another kind, are damaged', async () => {
  const small = debArchive([['a', Buffer.from('a')]], [], false);
  // The last 10 KiB of a tar archive are zeros after its end.
  for (let length = 0; length < small.length - 10_240; length += 61)
    await assert.rejects(readDeb(packageOf(small.subarray(0, length)), 'data'), {
      code: 'DOWNLOAD_FAILED',
      message: /^the package x\.deb is damaged: /,
    });
  for (const bytes of [DEB.subarray(0, DEB.length - 5000), Buffer.alloc(4096, 0x41)])
    await assert.rejects(readDeb(packageOf(bytes), 'data'), { code: 'DOWNLOAD_FAILED' });
});

test('an abort ends the reading with its reason, and the next package is read', async () => {
  const file = packageOf(DEB);
  await assert.rejects(
    readDeb(file, 'data', () => true, AbortSignal.abort(new Error('enough'))),
    { message: 'enough' },
  );
  assert.equal((await readDeb(file, 'control')).length > 0, true);
});

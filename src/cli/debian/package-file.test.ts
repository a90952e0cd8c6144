import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { tarArchive } from './fixtures/tar-archive.js';
import { readPackageFile } from './package-file.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-package-file-'));
const path = process.env['PATH'] ?? '';
/** In place of dpkg-deb: the "package" is what it prints. */
const DPKG_DEB = '#!/bin/sh\ncat "$2"\n';

before(() => {
  mkdirSync(join(folder, 'tools'));
  writeFileSync(join(folder, 'tools/dpkg-deb'), DPKG_DEB, { mode: 0o755 });
  process.env['PATH'] = `${join(folder, 'tools')}${delimiter}${path}`;
});
after(() => {
  process.env['PATH'] = path;
  rmSync(folder, { recursive: true });
});

function packageOf(bytes: Uint8Array): string {
  const file = join(folder, 'x.deb');
  writeFileSync(file, bytes);
  return file;
}

const ARCHIVE = tarArchive([
  ['boot/System.map', Buffer.from('map')],
  ['boot/vmlinuz-6.1', Buffer.from('kernel')],
  ['lib/module.ko', Buffer.alloc(8 * 2 ** 20, 1)],
]);

test('a file is found among others, and its bytes are exact', async () => {
  const file = packageOf(ARCHIVE);
  assert.equal((await readPackageFile(file, '*boot/vmlinuz-*'))?.toString(), 'kernel');
  assert.deepEqual(await readPackageFile(file, '*/module.ko'), Buffer.alloc(8 * 2 ** 20, 1));
});

test('a package without the file yields undefined', async () => {
  assert.equal(await readPackageFile(packageOf(ARCHIVE), '*bin/busybox'), undefined);
  assert.equal(await readPackageFile(packageOf(Buffer.alloc(4096, 0x41)), '*bin/busybox'), undefined);
  assert.equal(await readPackageFile(packageOf(Buffer.alloc(0)), '*bin/busybox'), undefined);
});

test('a package that ends inside the file gives no part of it', async () => {
  const file = packageOf(ARCHIVE.subarray(0, ARCHIVE.length - 2 ** 20));
  assert.equal(await readPackageFile(file, '*/module.ko'), undefined);
});

test('without dpkg-deb or tar the error names the missing tool', async () => {
  const file = packageOf(ARCHIVE);
  process.env['PATH'] = join(folder, 'nothing');
  try {
    await assert.rejects(readPackageFile(file, '*'), { code: 'TOOL_MISSING', message: /"dpkg-deb"/ });
  } finally {
    process.env['PATH'] = `${join(folder, 'tools')}${delimiter}${path}`;
  }
});

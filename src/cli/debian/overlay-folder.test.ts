import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { readCpio, type CpioEntry } from './fixtures/read-cpio.js';
import { overlayArchive, MAX_OVERLAY_MIB } from './overlay-folder.js';

let base: string;
let folder: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'upcall-overlay-'));
  folder = join(base, 'overlay');
  mkdirSync(folder);
});
afterEach(() => rmSync(base, { recursive: true }));

const packed = async (prefix?: string): Promise<CpioEntry[]> => readCpio(await overlayArchive(folder, prefix));

test('folders, modes and links are kept, and no link is followed', async () => {
  writeFileSync(join(base, 'secret'), 'secret');
  mkdirSync(join(base, 'outside'));
  writeFileSync(join(base, 'outside/file'), 'secret');
  mkdirSync(join(folder, 'usr/bin'), { recursive: true });
  chmodSync(join(folder, 'usr'), 0o700);
  writeFileSync(join(folder, 'usr/bin/tool'), 'run');
  chmodSync(join(folder, 'usr/bin/tool'), 0o4755);
  symlinkSync('../../../secret', join(folder, 'usr/link'));
  symlinkSync(join(base, 'outside'), join(folder, 'usr/folder'));
  symlinkSync('nowhere', join(folder, 'usr/dangling'));
  const plain = (path: string, mode: number, content = ''): CpioEntry => ({ path, mode, content, device: [0, 0] });
  assert.deepEqual(await packed(), [
    plain('usr', 0o040700),
    plain('usr/bin', 0o040755),
    plain('usr/bin/tool', 0o104755, 'run'),
    plain('usr/dangling', 0o120777, 'nowhere'),
    plain('usr/folder', 0o120777, join(base, 'outside')),
    plain('usr/link', 0o120777, '../../../secret'),
  ]);
});

test('a prefix precedes each name', async () => {
  writeFileSync(join(folder, 'a'), '');
  assert.deepEqual(
    (await packed('over/')).map(({ path }) => path),
    ['over/a'],
  );
});

test('files above the limit are refused before they are read', async () => {
  writeFileSync(join(folder, 'a'), '');
  truncateSync(join(folder, 'a'), 1);
  writeFileSync(join(folder, 'large'), '');
  truncateSync(join(folder, 'large'), MAX_OVERLAY_MIB * 2 ** 20);
  await assert.rejects(packed(), { code: 'OPTION_INVALID', message: /has more than 256 MiB/ });
});

test('a socket, a file instead of a folder, and nothing at all are refused with the path', async () => {
  const file = join(base, 'file');
  writeFileSync(file, '');
  await assert.rejects(overlayArchive(file), { code: 'OPTION_INVALID', message: /file is not a folder/ });
  await assert.rejects(overlayArchive(join(base, 'absent')), { message: /absent cannot be read: ENOENT/ });
  const server = createServer().listen(join(folder, 'socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  await assert.rejects(overlayArchive(folder), { message: /socket is neither a file, a folder nor a link/ });
  await new Promise((resolve) => server.close(resolve));
});

import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { UnfitFileError } from '../disk-file.js';
import { openDiskFile } from './disk-file.js';

const isLinux = process.platform === 'linux';
const hasQemuImg = isLinux && spawnSync('qemu-img', ['--version']).status === 0;
const MIB = 2 ** 20;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'upcall-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function fileOf(t: TestContext, bytes: Uint8Array): Promise<string> {
  const path = join(await folder(t), 'disk');
  await writeFile(path, bytes);
  return path;
}

function isUnfit(reason: UnfitFileError['reason']) {
  return (error: unknown): boolean => error instanceof UnfitFileError && error.reason === reason;
}

/** Opens the file in another process, which exits then. Returns what it prints. */
async function openElsewhere(path: string, access: string, before = ''): Promise<string> {
  const module = new URL('./disk-file.js', import.meta.url).href;
  const script = `${before}
    const { openDiskFile } = await import(${JSON.stringify(module)});
    const open = (access) => openDiskFile(${JSON.stringify(path)}, access).then(
      (file) => { console.log(file.isLocked ? 'locked' : 'open'); return file; },
      (error) => console.log(error.reason ?? error.code));
    ${access}`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return stdout.trim().replaceAll('\n', ' ');
}

describe('a disk file', { timeout: 60_000 }, () => {
  test('is read and written at any place, and is zeros after its end', async (t) => {
    const path = await fileOf(t, new Uint8Array(1000).fill(7));
    const file = await openDiskFile(path, 'write');
    assert.deepEqual([file.size, file.isWritable, file.name], [1000, true, path]);
    const target = new Uint8Array(100).fill(9);
    assert.equal(await file.read(950, target), 50);
    assert.deepEqual(
      target,
      Uint8Array.from({ length: 100 }, (_, index) => (index < 50 ? 7 : 0)),
    );
    assert.equal(await file.read(5000, target), 0);
    assert.deepEqual(target, new Uint8Array(100));
    await Promise.all([file.write(2000, new Uint8Array(10).fill(1)), file.write(10, new Uint8Array(10).fill(2))]);
    assert.equal(file.size, 2010);
    await file.write(0, new Uint8Array());
    await file.sync();
    await file.close();
    const bytes = await readFile(path);
    assert.deepEqual([bytes.length, bytes[9], bytes[10], bytes[19], bytes[20], bytes[2000]], [2010, 7, 2, 2, 7, 1]);
  });

  test('is made by `create` only, and not made shorter', async (t) => {
    const path = join(await folder(t), 'new');
    await assert.rejects(openDiskFile(path, 'write'), { code: 'ENOENT' });
    await assert.rejects(openDiskFile(path, 'read'), { code: 'ENOENT' });
    const file = await openDiskFile(path, 'create');
    await file.write(0, new Uint8Array(512));
    await file.close();
    const again = await openDiskFile(path, 'create');
    assert.equal(again.size, 512);
    await again.close();
  });

  test('that is only read cannot be written', async (t) => {
    const path = await fileOf(t, new Uint8Array(512));
    await chmod(path, 0o444);
    const file = await openDiskFile(path, 'read');
    assert.deepEqual([file.isWritable, file.canDeallocate], [false, false]);
    assert.equal(await file.deallocate(0, 512), false);
    await assert.rejects(file.write(0, new Uint8Array(512)), { code: 'EBADF' });
    await file.close();
  });

  test('is a regular file', async (t) => {
    const base = await folder(t);
    await mkdir(join(base, 'folder'));
    await assert.rejects(openDiskFile(join(base, 'folder'), 'read'), isUnfit('not-regular'));
    await assert.rejects(openDiskFile(join(base, 'folder'), 'write'), { code: 'EISDIR' });
    if (!isLinux) return;
    execFileSync('mkfifo', [join(base, 'pipe')]);
    await assert.rejects(openDiskFile(join(base, 'pipe'), 'read'), isUnfit('not-regular'));
    await assert.rejects(openDiskFile('/dev/zero', 'read'), isUnfit('not-regular'));
    await symlink('loop', join(base, 'loop'));
    await assert.rejects(openDiskFile(join(base, 'loop'), 'read'), { code: 'ELOOP' });
  });

  test('reports an error of the host', { skip: !isLinux && 'its limit is that of Linux' }, async (t) => {
    const path = await fileOf(t, new Uint8Array(512));
    const file = await openDiskFile(path, 'write');
    await assert.rejects(file.write(2 ** 52, new Uint8Array(512)), { code: 'EFBIG' });
    assert.equal(file.size, 512);
    await file.close();
    await assert.rejects(file.read(0, new Uint8Array(512)), { code: 'EBADF' });
  });

  test('gives storage back', { skip: !isLinux && 'holes need Linux' }, async (t) => {
    const path = await fileOf(t, new Uint8Array(MIB).fill(1));
    const file = await openDiskFile(path, 'write');
    assert.ok(file.canDeallocate);
    const before = (await stat(path)).blocks;
    assert.equal(await file.deallocate(65_536, 524_288), true);
    assert.ok((await stat(path)).blocks <= before - 1000);
    const target = new Uint8Array(1024);
    await file.read(65_024, target);
    assert.deepEqual(
      target,
      Uint8Array.from({ length: 1024 }, (_, index) => (index < 512 ? 1 : 0)),
    );
    assert.equal((await stat(path)).size, MIB);
    // The host refuses it, as a file system without holes does.
    assert.equal(await file.deallocate(0, -1), false);
    assert.equal(file.canDeallocate, false);
    await file.close();
  });
});

describe('users of a disk file', { timeout: 60_000 }, () => {
  test('are one writer or several readers in a process', async (t) => {
    const path = await fileOf(t, new Uint8Array(512));
    const other = `${path}-link`;
    await symlink(path, other);
    const writer = await openDiskFile(path, 'write');
    for (const access of ['read', 'write', 'create'] as const)
      await assert.rejects(openDiskFile(other, access), isUnfit('in-use'));
    await writer.close();
    const readers = [await openDiskFile(path, 'read'), await openDiskFile(other, 'read')];
    await assert.rejects(openDiskFile(path, 'write'), isUnfit('in-use'));
    await readers.pop()?.close();
    await assert.rejects(openDiskFile(path, 'write'), isUnfit('in-use'));
    await readers.pop()?.close();
    await (await openDiskFile(path, 'write')).close();
  });

  test('are one writer or several readers of all processes', { skip: !isLinux && 'locks need Linux' }, async (t) => {
    const path = await fileOf(t, new Uint8Array(512));
    const writer = await openDiskFile(path, 'write');
    assert.ok(writer.isLocked);
    assert.equal(await openElsewhere(path, `await open('write'); await open('read');`), 'in-use in-use');
    await writer.close();
    const reader = await openDiskFile(path, 'read');
    assert.equal(await openElsewhere(path, `await open('write'); await open('read');`), 'in-use locked');
    await reader.close();
    // A process that is gone locks nothing.
    await assert.rejects(openElsewhere(path, `await open('write'); process.kill(process.pid, 'SIGKILL');`), {
      signal: 'SIGKILL',
      stdout: 'locked\n',
    });
    await (await openDiskFile(path, 'write')).close();
  });

  test('are refused in one process without locks, too', async (t) => {
    const path = await fileOf(t, new Uint8Array(512));
    // Where koffi is not loaded.
    const elsewhere = `Object.defineProperty(process, 'platform', { value: 'other' });`;
    const script = `const a = await open('read'); const b = await open('read'); await open('write');
      await a.close(); await b.close(); await open('write'); await open('read');`;
    assert.equal(await openElsewhere(path, script, elsewhere), 'open open in-use open in-use');
  });

  test('are known to QEMU', { skip: !hasQemuImg && 'qemu-img is not installed' }, async (t) => {
    const path = await fileOf(t, new Uint8Array(MIB));
    const run = (...parameters: string[]): string => spawnSync('qemu-img', parameters, { encoding: 'utf8' }).stderr;
    const writer = await openDiskFile(path, 'write');
    assert.match(run('convert', '-f', 'raw', path, `${path}-copy`), /Failed to get shared "write" lock/);
    await writer.close();
    const reader = await openDiskFile(path, 'read');
    assert.equal(run('convert', '-f', 'raw', path, `${path}-copy`), '');
    assert.match(run('resize', '-f', 'raw', path, '2M'), /Failed to get "write" lock/);
    await reader.close();
    assert.equal(run('resize', '-f', 'raw', path, '2M'), '');
  });
});

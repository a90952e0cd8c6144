import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { LinuxErrno } from '../../../linux-errno.js';
import type { FolderNode, SharedFolder } from '../../../shared-folder.js';
import { openFolder } from './shared-folder.js';

const options = { skip: process.platform === 'linux' ? false : 'only Linux shares folders' };

function scratch(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'upcall-folder-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const bytes = (name: string): Buffer => Buffer.from(name);
const fails = (name: keyof typeof LinuxErrno, promise: Promise<unknown>): Promise<void> =>
  assert.rejects(promise, { errno: LinuxErrno[name] });
const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Walks down from the root, releasing what it passes. */
async function find(folder: SharedFolder, ...names: readonly string[]): Promise<FolderNode> {
  let node = folder.root.retain();
  for (const name of names) {
    const next = await node.child(bytes(name));
    node.release();
    node = next;
  }
  return node;
}

test('a folder is opened by any path of it, and nothing else is', options, async (context) => {
  const path = scratch(context);
  const before = descriptors();
  mkdirSync(join(path, 'real'));
  writeFileSync(join(path, 'real/file'), '');
  symlinkSync('real', join(path, 'link'));
  const folder = await openFolder(join(path, 'link'));
  (await folder.root.child(bytes('file'))).release();
  await folder.close();
  await folder.close();
  assert.equal(folder.openHandles, 0);
  await fails('ENOENT', openFolder(join(path, 'none')));
  await fails('ENOTDIR', openFolder(join(path, 'real/file')));
  assert.equal(descriptors(), before);
});

test('on other systems, the reason is given', async (context) => {
  const { platform } = process;
  Object.defineProperty(process, 'platform', { value: 'darwin' });
  context.after(() => Object.defineProperty(process, 'platform', { value: platform }));
  await assert.rejects(openFolder('/tmp'), { name: 'FolderUnavailableError', message: /only Linux/ });
});

test('a file keeps its parents open, and is closed with its last holder', options, async (context) => {
  const path = scratch(context);
  mkdirSync(join(path, 'a/b/c'), { recursive: true });
  const folder = await openFolder(path);
  const c = await find(folder, 'a', 'b', 'c');
  assert.equal(folder.openHandles, 4);
  c.retain();
  c.release();
  assert.equal(c.parent?.parent?.kind, 'directory');
  const status = c.status();
  c.release();
  assert.equal((await status).kind, 'directory', 'an operation that has begun is finished');
  await fails('EBADF', c.status());
  await fails('EBADF', c.child(bytes('x')));
  assert.throws(() => c.retain());
  await folder.close();
  assert.equal(folder.openHandles, 0);
  await fails('EBADF', folder.space());
});

test('directories that other processes move into each other are closed all the same', options, async (context) => {
  const path = scratch(context);
  mkdirSync(join(path, 'a'));
  mkdirSync(join(path, 'b/a2'), { recursive: true });
  const folder = await openFolder(path, { isWritable: true });
  const [a, b, inner] = [await find(folder, 'a'), await find(folder, 'b'), await find(folder, 'b', 'a2')];
  // To this folder, a2 lies in b. It is moved to the root, and then b into it.
  renameSync(join(path, 'b/a2'), join(path, 'a2'));
  await folder.root.rename(bytes('b'), inner, bytes('b'));
  await folder.root.rename(bytes('a'), inner, bytes('a'));
  assert.equal(a.parent?.kind, 'directory');
  for (const node of [a, b, inner]) node.release();
  await folder.close();
  assert.equal(folder.openHandles, 0);
});

test('a file system that is mounted below the folder is not part of it', options, async (context) => {
  const folder = await openFolder('/');
  context.after(() => folder.close());
  await fails('EXDEV', find(folder, 'proc'));
  await fails('EXDEV', find(folder, 'proc', 'self'));
  (await find(folder, 'etc', 'passwd')).release();
  assert.ok((await folder.root.statusOf(bytes('proc'))).kind === 'directory');
});

test('a folder takes at most a quarter of the descriptors of the process', options, (context) => {
  const path = scratch(context);
  const program = `
    import { openFolder } from ${JSON.stringify(new URL('shared-folder.js', import.meta.url).href)};
    const folder = await openFolder(${JSON.stringify(path)});
    const nodes = [folder.root];
    try {
      for (;;) {
        nodes.push(await folder.root.child(Buffer.from('d')));
      }
    } catch (error) {
      console.log(error.errno, folder.openHandles);
    }
    for (const node of nodes.slice(1)) node.release();
    await folder.close();
    console.log(folder.openHandles);
  `;
  mkdirSync(join(path, 'd'));
  const { stdout, stderr } = spawnSync(
    'sh',
    ['-c', 'ulimit -n 256; exec "$0" --input-type=module -e "$1"', process.execPath, program],
    { encoding: 'utf8' },
  );
  assert.equal(stdout, `${LinuxErrno.ENFILE} 64\n0\n`, stderr);
});

/**
 * Random operations of a guest in a shared folder, and the same ones by the system's own calls in
 * another folder: both end in the same way, and the folders are equal.
 */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import fc from 'fast-check';

import { O, ShareClient } from './fixtures/share-client.js';
import { ShareError } from './fixtures/share-messages.js';
import { LINUX_ONLY, shareTemp } from './fixtures/shared-temp.js';

const RUNS = 30;
const ENOENT = 2;
const ENOTDIR = 20;

const name = fc.constantFrom('a', 'b', 'ü');
/** Few, so that most operations have what they need. */
const path = fc
  .oneof(
    { weight: 5, arbitrary: fc.tuple(name) },
    { weight: 4, arbitrary: fc.tuple(name, name) },
    fc.tuple(name, name, name),
  )
  .map((names) => names.join('/'));
const offset = fc.nat({ max: 9000 });
const data = fc.uint8Array({ minLength: 1, maxLength: 300 });

/** The fields of each operation are those of its functions below. */
const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ name: fc.constant('mkdir' as const), path, mode: fc.constantFrom(0o700, 0o755) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      name: fc.constant('create' as const),
      path,
      flags: fc.constantFrom(0, O.EXCL, O.TRUNC),
      mode: fc.constantFrom(0o600, 0o644),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ name: fc.constant('write' as const), path, offset, data, appends: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ name: fc.constant('read' as const), path, offset }) },
  fc.record({ name: fc.constant('truncate' as const), path, offset }),
  fc.record({ name: fc.constant('chmod' as const), path, mode: fc.constantFrom(0o600, 0o755, 0o1777) }),
  fc.record({ name: fc.constant('times' as const), path, offset }),
  fc.record({ name: fc.constant('unlink' as const), path }),
  fc.record({ name: fc.constant('rmdir' as const), path }),
  { weight: 3, arbitrary: fc.record({ name: fc.constant('rename' as const), path, to: path }) },
  { weight: 3, arbitrary: fc.record({ name: fc.constant('link' as const), path, to: path }) },
  {
    weight: 2,
    arbitrary: fc.record({
      name: fc.constant('symlink' as const),
      path,
      text: fc.constantFrom('a', '../b', '/etc/passwd'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ name: fc.constant('readlink' as const), path }) },
  fc.record({ name: fc.constant('list' as const), path }),
  fc.record({ name: fc.constant('stat' as const), path }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const split = (whole: string): readonly [string, string] => {
  const at = whole.lastIndexOf('/');
  return [whole.slice(0, Math.max(0, at)), whole.slice(at + 1)];
};

/** By the guest. Fids that it gets are kept in `held`. */
async function byGuest(client: ShareClient, one: Operation, held: number[]): Promise<unknown> {
  const [parent, name] = split(one.path);
  const inParent = <T>(use: (fid: number) => Promise<T>, of = parent): Promise<T> => client.with(of, use);
  const opened = (flags: number, use: (fid: number) => Promise<unknown>): Promise<unknown> =>
    client.with(one.path, async (fid) => {
      await client.open(fid, flags);
      return use(fid);
    });
  switch (one.name) {
    case 'mkdir':
      return inParent((fid) => client.mkdir(fid, name, one.mode).then(() => undefined));
    case 'create':
      return inParent((fid) => client.create(fid, name, O.RDWR | one.flags, one.mode).then(() => undefined));
    case 'write':
      return opened(O.WRONLY | (one.appends ? O.APPEND : 0), (fid) => client.write(fid, one.offset, one.data));
    case 'read':
      return opened(O.RDONLY, async (fid) => (await client.read(fid, one.offset, 5000)).toString('hex'));
    case 'truncate':
      return client.with(one.path, (fid) => client.setattr(fid, { size: one.offset }));
    case 'chmod':
      return client.with(one.path, (fid) => client.setattr(fid, { mode: one.mode }));
    case 'times':
      return client.with(one.path, (fid) => client.setattr(fid, { accessed: 3, modified: one.offset }));
    case 'unlink':
      return inParent((fid) => client.unlinkat(fid, name));
    case 'rmdir':
      return inParent((fid) => client.unlinkat(fid, name, 0x200));
    case 'rename': {
      const [toParent, toName] = split(one.to);
      return inParent((fid) => inParent((to) => client.renameat(fid, name, to, toName), toParent));
    }
    case 'link': {
      const [toParent, toName] = split(one.to);
      return client.with(one.path, (fid) => inParent((to) => client.link(to, fid, toName), toParent));
    }
    case 'symlink':
      return inParent((fid) => client.symlink(fid, name, one.text).then(() => undefined));
    case 'readlink':
      return client.with(one.path, (fid) => client.readlink(fid));
    case 'list':
      return client.list(one.path, 200);
    case 'stat': {
      // A fid that outlives what happens to its name.
      const fid = await client.walk(one.path);
      held.push(fid);
      const { mode, size, links } = await client.getattr(fid);
      return [mode, mode & 0o40000 ? 0n : size, links];
    }
  }
}

/** By the system. No directory of a path is a link: the server follows none. */
function bySystem(root: string, one: Operation): unknown {
  const at = join(root, one.path);
  const { O_CREAT, O_NOFOLLOW, O_RDWR, O_EXCL, O_TRUNC, O_WRONLY, O_APPEND, O_RDONLY } = fs.constants;
  const opened = (flags: number, use: (fd: number) => unknown, mode?: number): unknown => {
    const fd = fs.openSync(at, flags | O_NOFOLLOW, mode);
    try {
      return use(fd);
    } finally {
      fs.closeSync(fd);
    }
  };
  const noDirectory = (): void => {
    if (fs.lstatSync(at).isDirectory()) throw Object.assign(new Error('EISDIR'), { errno: -21 });
  };
  switch (one.name) {
    case 'mkdir':
      fs.mkdirSync(at, one.mode);
      return undefined;
    case 'create': {
      const flags = (one.flags & O.EXCL ? O_EXCL : 0) | (one.flags & O.TRUNC ? O_TRUNC : 0);
      return opened(O_CREAT | O_RDWR | flags, () => undefined, one.mode);
    }
    case 'write':
      return opened(O_WRONLY | (one.appends ? O_APPEND : 0), (fd) =>
        fs.writeSync(fd, one.data, 0, one.data.length, one.offset),
      );
    case 'read':
      noDirectory();
      return opened(O_RDONLY, (fd) => {
        const bytes = Buffer.alloc(5000);
        return bytes.subarray(0, fs.readSync(fd, bytes, 0, 5000, one.offset)).toString('hex');
      });
    case 'truncate':
      if (fs.lstatSync(at).isSymbolicLink()) throw Object.assign(new Error('EINVAL'), { errno: -22 });
      return opened(O_WRONLY, (fd) => fs.ftruncateSync(fd, one.offset));
    case 'chmod':
      if (fs.lstatSync(at).isSymbolicLink()) throw Object.assign(new Error('EOPNOTSUPP'), { errno: -95 });
      fs.chmodSync(at, one.mode);
      return undefined;
    case 'times':
      fs.lutimesSync(at, 3, one.offset);
      return undefined;
    case 'unlink':
      fs.unlinkSync(at);
      return undefined;
    case 'rmdir':
      fs.rmdirSync(at);
      return undefined;
    case 'rename':
      fs.renameSync(at, join(root, one.to));
      return undefined;
    case 'link':
      fs.linkSync(at, join(root, one.to));
      return undefined;
    case 'symlink':
      fs.symlinkSync(one.text, at);
      return undefined;
    case 'readlink':
      return fs.readlinkSync(at);
    case 'list':
      if (!fs.lstatSync(at).isDirectory()) throw Object.assign(new Error('ENOTDIR'), { errno: -20 });
      return fs.readdirSync(at).sort();
    case 'stat': {
      const stats = fs.lstatSync(at, { bigint: true });
      return [Number(stats.mode), stats.isDirectory() ? 0n : stats.size, stats.nlink];
    }
  }
}

type Outcome = { readonly value: unknown } | { readonly errno: number };

async function outcome(run: () => unknown): Promise<Outcome> {
  try {
    return { value: await run() };
  } catch (error) {
    const errno = error instanceof ShareError ? error.errno : -((error as NodeJS.ErrnoException).errno ?? NaN);
    if (Number.isNaN(errno)) throw error;
    // After a walk that got only a part of the way, a client does not know which of the two it is.
    return { errno: errno === ENOTDIR ? ENOENT : errno };
  }
}

/** Whether a directory of the path is a link. */
function crossesLink(root: string, whole: string): boolean {
  const [parent] = split(whole);
  if (parent === '') return false;
  if (crossesLink(root, parent)) return true;
  try {
    return fs.lstatSync(join(root, parent)).isSymbolicLink();
  } catch {
    return false;
  }
}

/** All files below a folder, with what they are. */
function tree(root: string, below = ''): readonly unknown[] {
  return fs
    .readdirSync(join(root, below))
    .sort()
    .flatMap((name) => {
      const at = join(below, name);
      const stats = fs.lstatSync(join(root, at));
      const what = stats.isSymbolicLink()
        ? fs.readlinkSync(join(root, at))
        : stats.isDirectory()
          ? tree(root, at)
          : fs.readFileSync(join(root, at), 'hex');
      return [[at, stats.mode, stats.nlink, what]];
    });
}

test('random operations do what the system does', { timeout: 180_000, ...LINUX_ONLY }, async (context) => {
  const seed = Number(process.env['FC_SEED'] ?? 1);
  context.diagnostic(`FC_SEED=${seed}`);
  const succeeded = new Map<string, number>();
  const property = fc.asyncProperty(
    fc.array(operation, { minLength: 50, maxLength: 150, size: 'max' }),
    async (operations) => {
      const temp = await shareTemp(context);
      const twin = join(temp.outside, 'twin');
      fs.mkdirSync(twin);
      const client = await ShareClient.mount(temp.device);
      const held: number[] = [];
      for (const one of operations) {
        if (crossesLink(twin, one.path) || ('to' in one && crossesLink(twin, one.to))) continue;
        const expected = await outcome(() => bySystem(twin, one));
        const actual = await outcome(() => byGuest(client, one, held));
        assert.deepEqual(actual, expected, JSON.stringify(one));
        if ('value' in actual) succeeded.set(one.name, (succeeded.get(one.name) ?? 0) + 1);
      }
      assert.deepEqual(tree(temp.path), tree(twin));
      for (const fid of held) await client.remove(fid).catch(() => undefined);
      client.driver.reset();
      temp.device.close();
      await temp.device.closed;
      assert.equal(temp.folder.openHandles, 0);
    },
  );
  await fc.assert(property, { seed, numRuns: RUNS });
  context.diagnostic(JSON.stringify(Object.fromEntries(succeeded)));
  assert.equal(succeeded.size, 15, 'each operation succeeded');
});

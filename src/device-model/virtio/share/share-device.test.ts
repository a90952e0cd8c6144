import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { O, ROOT, ShareClient } from './fixtures/share-client.js';
import { answerOf, message, ShareError, str, u16, u32, u64 } from './fixtures/share-messages.js';
import { LINUX_ONLY, SECRET, shareTemp, type SharedTemp } from './fixtures/shared-temp.js';
import { ShareDevice } from './share-device.js';

const EPERM = 1;
const ENOENT = 2;
const ENXIO = 6;
const EBADF = 9;
const EBUSY = 16;
const EEXIST = 17;
const ENOTDIR = 20;
const EISDIR = 21;
const EINVAL = 22;
const EFBIG = 27;
const EROFS = 30;
const ENAMETOOLONG = 36;
const ENOTEMPTY = 39;
const ELOOP = 40;
const EPROTO = 71;
const EMSGSIZE = 90;
const EOPNOTSUPP = 95;
const ESTALE = 116;

interface Mounted extends SharedTemp {
  readonly client: ShareClient;
}

async function mounted(context: TestContext, isWritable = true): Promise<Mounted> {
  const temp = await shareTemp(context, isWritable);
  return { ...temp, client: await ShareClient.mount(temp.device) };
}

const fails = (errno: number, promise: Promise<unknown>): Promise<void> =>
  assert.rejects(promise, (error) => error instanceof ShareError && error.errno === errno);

describe('the device', LINUX_ONLY, () => {
  test('has the tag in its configuration, which must have 1 to 31 bytes', async (context) => {
    const { device, folder } = await shareTemp(context);
    assert.deepEqual([...device.config], [5, 0, ...Buffer.from('share')]);
    assert.throws(() => new ShareDevice({ folder, tag: '' }), RangeError);
    assert.throws(() => new ShareDevice({ folder, tag: 'ä'.repeat(16) }), RangeError);
  });

  test('closes all files at a reset, and serves the next driver after the last request', async (context) => {
    const { client, device, folder, path } = await mounted(context);
    writeFileSync(join(path, 'file'), 'abc');
    const fid = await client.walk('file');
    await client.open(fid, O.RDWR);
    assert.equal(folder.openHandles, 3);
    void client.send(message(118, 1, u32(fid), u64(0), u32(3), Buffer.from('xyz')));
    client.driver.reset();
    const next = await ShareClient.mount(device);
    assert.equal((await next.readFile('file')).toString(), 'xyz', 'what the former driver wrote is there');
    next.driver.reset();
    device.close();
    await device.closed;
    assert.equal(folder.openHandles, 0);
  });
});

describe('a session', LINUX_ONLY, () => {
  test('begins with Tversion, which agrees on the bytes of a message', async (context) => {
    const { device } = await shareTemp(context);
    const client = new ShareClient(device);
    await fails(EPROTO, client.attach(ROOT));
    await fails(EMSGSIZE, client.version(4095));
    assert.equal(await client.version(4096), '9P2000.L');
    assert.equal(client.messageBytes, 4096);
    await client.version(2 ** 30);
    assert.equal(client.messageBytes, 512 * 1024);
    assert.equal(await client.version(8192, '9P2000.u'), 'unknown');
    await fails(EPROTO, client.attach(ROOT));
  });

  test('ends all fids at the next Tversion', async (context) => {
    const { client, folder, path } = await mounted(context);
    writeFileSync(join(path, 'file'), '');
    await client.open(await client.walk('file'), O.RDONLY);
    await client.version(8192);
    await fails(EBADF, client.getattr(ROOT));
    await client.attach(ROOT);
    assert.deepEqual(await client.list('/'), ['file']);
    assert.equal(folder.openHandles, 1);
  });

  test('refuses what is not offered', async (context) => {
    const { client } = await mounted(context);
    await fails(EOPNOTSUPP, client.call(102, u32(9), str('u'), str(''), u32(0)));
    await fails(EOPNOTSUPP, client.call(30, u32(ROOT), u32(9), str('user.x')));
    await fails(EOPNOTSUPP, client.call(32, u32(ROOT), str('user.x'), u64(0), u32(0)));
    await fails(EOPNOTSUPP, client.call(112, u32(ROOT), Buffer.of(0)));
    await fails(EOPNOTSUPP, client.call(250));
    await fails(EPERM, client.call(18, u32(ROOT), str('node'), u32(0o20666), u32(1), u32(3), u32(0)));
    await fails(EOPNOTSUPP, client.call(104, u32(8), u32(7), str('u'), str(''), u32(0)));
  });

  test('answers malformed messages with EPROTO, and those that are too long with EMSGSIZE', async (context) => {
    const { client, device } = await mounted(context);
    const errno = async (bytes: Uint8Array, tag: number, room?: number): Promise<number> => {
      const answer = await client.send(bytes, room);
      assert.throws(() => answerOf(answer, 0, tag), ShareError);
      return answer.readUInt32LE(7);
    };
    assert.equal(await errno(Buffer.of(), 0xffff), EPROTO);
    assert.equal(await errno(Buffer.of(6, 0, 0, 0, 120, 1), 0xffff), EPROTO);
    const clunk = message(120, 5, u32(ROOT));
    assert.equal(await errno(clunk.subarray(0, 10), 5), EPROTO, 'shorter than its size says');
    assert.equal(await errno(Buffer.concat([clunk, u16(0)]), 5), EPROTO, 'longer');
    assert.equal(await errno(message(120, 5, u16(0)), 5), EPROTO, 'half a field');
    assert.equal(await errno(message(120, 5, u32(ROOT), u16(0)), 5), EPROTO, 'a field too many');
    assert.equal(await errno(message(72, 5, u32(ROOT), u16(100), u32(0)), 5), EPROTO, 'a name behind the end');
    assert.equal(await errno(message(118, 5, u32(ROOT), u64(0), u32(0xffff_ffff)), 5), EPROTO, 'data behind the end');
    assert.equal(await errno(message(110, 5, u32(ROOT), u32(9), u16(17)), 5), EPROTO, '17 names');
    assert.equal(await errno(message(118, 5, u32(ROOT), u64(0), u32(65_536), Buffer.alloc(65_536)), 5), EMSGSIZE);
    assert.equal(await errno(Buffer.alloc(2 ** 20), 0), EPROTO);
    assert.ok((await client.getattr(ROOT)).mode);
    assert.equal(client.driver.failure, undefined);
    device.notified();
  });

  test('does nothing if the buffer has no room for the answer', async (context) => {
    const { client, path } = await mounted(context);
    const mkdir = message(72, 1, u32(ROOT), str('new'), u32(0o755), u32(0));
    assert.equal((await client.send(mkdir, 10)).length, 0, 'not even for an error');
    assert.equal((await client.send(mkdir, 19)).readUInt32LE(7), EMSGSIZE);
    assert.equal((await client.send(message(14, 1, u32(ROOT), str('f'), u32(2), u32(0o644), u32(0)), 20))[4], 7);
    assert.deepEqual(existsSync(join(path, 'new')) || existsSync(join(path, 'f')), false);
    const walk = message(110, 1, u32(ROOT), u32(9), u16(1), str('..'));
    assert.equal((await client.send(walk, 21)).readUInt32LE(7), EMSGSIZE);
    await fails(EBADF, client.getattr(9));
    assert.equal((await client.send(walk, 22)).length, 22);
    assert.equal((await client.send(mkdir, 20)).length, 20);
  });

  test('refuses a tag that is in use', async (context) => {
    const { client } = await mounted(context);
    const [first, second] = await Promise.all([
      client.send(message(24, 3, u32(ROOT), u64(0x7ff))),
      client.send(message(24, 3, u32(ROOT), u64(0x7ff))),
    ]);
    assert.equal(first[4], 25);
    assert.equal(second.readUInt32LE(7), EPROTO);
  });

  test('answers Tflush after the request that it names', async (context) => {
    const { client } = await mounted(context);
    const order: string[] = [];
    const note =
      (name: string) =>
      (answer: Buffer): void => {
        order.push(`${name} ${answer[4]}`);
      };
    await Promise.all([
      client.send(message(24, 1, u32(ROOT), u64(0x7ff))).then(note('getattr')),
      client.send(message(108, 2, u16(1))).then(note('flush')),
      client.send(message(108, 3, u16(77))).then(note('flush of nothing')),
      client.send(message(108, 4, u16(4))).then(note('flush of itself')),
    ]);
    assert.ok(order.indexOf('getattr 25') < order.indexOf('flush 109'), order.join());
    assert.deepEqual([...order].sort(), ['flush 109', 'flush of itself 109', 'flush of nothing 109', 'getattr 25']);
  });

  test('limits the fids', async (context) => {
    const { client } = await mounted(context);
    await fails(
      EBADF,
      client.walkTo(ROOT, 1).then(() => client.walkTo(ROOT, 1)),
    );
    let last = 1;
    await assert.rejects(
      async () => {
        for (; last < 20_000;) await client.walkTo(ROOT, last + 1).then(() => last++);
      },
      (error) => error instanceof ShareError && error.errno === 23,
    );
    assert.equal(last, 16_383);
    await client.clunk(5);
    await client.walkTo(ROOT, 5);
  });
});

describe('names', LINUX_ONLY, () => {
  test('are walked one by one, and as far as they exist', async (context) => {
    const { client, path } = await mounted(context);
    mkdirSync(join(path, 'a/b'), { recursive: true });
    assert.equal((await client.walkTo(ROOT, 1, 'a', 'b')).length, 2);
    assert.equal((await client.walkTo(ROOT, 2, 'a', 'x', 'y')).length, 1);
    await fails(EBADF, client.clunk(2));
    await fails(ENOENT, client.walkTo(ROOT, 2, 'x'));
    const [qid] = await client.walkTo(1, 1, '..');
    assert.deepEqual((await client.getattr(1)).qid, qid, 'a fid may become the one that is found');
    assert.equal(qid?.path, lstatSync(join(path, 'a'), { bigint: true }).ino);
    await fails(EBADF, client.walkTo(99, 3, 'a'));
  });

  test('do not leave the folder', async (context) => {
    const { client, path } = await mounted(context);
    symlinkSync('..', join(path, 'up'));
    symlinkSync('/etc/passwd', join(path, 'passwd'));
    writeFileSync(join(path, 'file'), '');
    const root = await client.getattr(ROOT);
    const found = await client.walkTo(ROOT, 1, '..', '..', '.', '..');
    assert.deepEqual(found, [root.qid, root.qid, root.qid, root.qid]);
    for (const name of ['../secret', '/etc/passwd', 'up/secret', '', 'a\0b', 'x'.repeat(256)])
      await assert.rejects(client.walkTo(ROOT, 2, name), ShareError, JSON.stringify(name));
    await fails(ENAMETOOLONG, client.walkTo(ROOT, 2, 'x'.repeat(256)));
    assert.equal((await client.walkTo(ROOT, 2, 'up', 'secret')).length, 1, 'a link is not a directory');
    await client.walkTo(ROOT, 2, 'passwd');
    await fails(ELOOP, client.open(2, O.RDONLY));
    await fails(ELOOP, client.open(2, O.RDWR | O.TRUNC));
    assert.equal(await client.readlink(2), '/etc/passwd');
    await client.walkTo(ROOT, 3, 'file');
    await fails(ENOTDIR, client.walkTo(3, 4, '..'));
    await fails(ENOTDIR, client.walkTo(3, 4, 'x'));
  });

  test('are bytes of any kind', async (context) => {
    const { client, path } = await mounted(context);
    const name = Buffer.of(0xff, 0xfe, 0x20, 0x0a);
    await client.mkdir(ROOT, name);
    assert.ok(statSync(Buffer.concat([Buffer.from(`${path}/`), name])).isDirectory());
    assert.equal((await client.walkTo(ROOT, 1, name)).length, 1);
    await client.unlinkat(ROOT, name, 0x200);
    await client.symlink(ROOT, 'link', 'ü');
    assert.equal(await client.readlink(await client.walk('link')), 'ü');
  });

  test('are made, renamed and removed', async (context) => {
    const { client, path } = await mounted(context);
    const at = (name: string): string => join(path, name);
    await client.mkdir(ROOT, 'd', 0o750);
    assert.equal(statSync(at('d')).mode & 0o7777, 0o750);
    await client.symlink(ROOT, 'l', '/etc/passwd');
    assert.equal(readlinkSync(at('l')), '/etc/passwd');
    await client.walkTo(ROOT, 1, 'd');
    await client.walkTo(ROOT, 2);
    await client.create(2, 'f', O.RDWR, 0o4640);
    assert.equal(statSync(at('f')).mode & 0o7777, 0o640, 'no set-user-ID bit');
    await client.walkTo(ROOT, 3, 'f');
    await client.link(1, 3, 'hard');
    assert.equal(statSync(at('d/hard')).ino, statSync(at('f')).ino);
    await client.renameat(ROOT, 'f', 1, 'g');
    await client.rename(3, ROOT, 'h');
    assert.deepEqual([existsSync(at('d/g')), existsSync(at('h'))], [false, true], 'the fid knows its new name');
    await fails(EINVAL, client.renameat(ROOT, 'd', 1, 'itself'));
    await fails(ENOTDIR, client.rename(3, 3, 'x'));
    await fails(EINVAL, client.renameat(ROOT, 'h', ROOT, '..'));
    await fails(ENOTEMPTY, client.unlinkat(ROOT, 'd', 0x200));
    await fails(EISDIR, client.unlinkat(ROOT, 'd'));
    await fails(EINVAL, client.unlinkat(ROOT, 'h', 1));
    await client.unlinkat(1, 'hard');
    await client.remove(3);
    assert.equal(existsSync(at('h')), false);
    await fails(EBADF, client.getattr(3));
    await client.unlinkat(ROOT, 'd', 0x200);
    assert.equal(existsSync(at('d')), false);
    assert.equal((await client.getattr(1)).links, 0n, 'a fid outlives its name');
    await fails(ENOENT, client.mkdir(1, 'x'));
    for (const name of ['.', '..', '', 'a/b'])
      await assert.rejects(client.mkdir(ROOT, name), ShareError, JSON.stringify(name));
    await fails(ENOENT, client.symlink(ROOT, 'empty', ''));
  });

  test('that another file has now are stale', async (context) => {
    const { client, path } = await mounted(context);
    writeFileSync(join(path, 'f'), 'mine');
    const fid = await client.walk('f');
    renameSync(join(path, 'f'), join(path, 'moved'));
    writeFileSync(join(path, 'f'), 'another');
    await fails(ESTALE, client.link(ROOT, fid, 'x'));
    await fails(ESTALE, client.rename(fid, ROOT, 'x'));
    await fails(ESTALE, client.remove(fid));
    assert.equal(readFileSync(join(path, 'f'), 'utf8'), 'another');
    await client.walkTo(ROOT, 9);
    await fails(EBUSY, client.remove(9));
  });
});

describe('files', LINUX_ONLY, () => {
  test('are read and written at any position', async (context) => {
    const { client, path } = await mounted(context);
    await client.walkTo(ROOT, 1);
    await client.create(1, 'f', O.RDWR, 0o644);
    const data = randomBytes(200_000);
    for (let at = 0; at < data.length; at += 50_000)
      assert.equal(await client.write(1, at, data.subarray(at, at + 50_000)), 50_000);
    await client.fsync(1);
    assert.deepEqual(readFileSync(join(path, 'f')), data);
    assert.deepEqual(await client.read(1, 199_990, 100), data.subarray(199_990));
    assert.equal(
      (await client.read(1, 0, 10_000_000)).length,
      client.messageBytes - 11,
      'as much as a message carries',
    );
    assert.equal((await client.read(1, 200_000, 10)).length, 0);
    assert.equal((await client.read(1, 2n ** 63n, 10)).length, 0);
    await fails(EFBIG, client.write(1, 2n ** 60n, Buffer.of(1)));
    assert.deepEqual(await client.readFile('f'), data);
  });

  test('are opened as their flags say, once', async (context) => {
    const { client, path } = await mounted(context);
    writeFileSync(join(path, 'f'), 'abc');
    const open = async (flags: number): Promise<number> => {
      const fid = await client.walk('f');
      await client.open(fid, flags);
      return fid;
    };
    const reader = await open(O.RDONLY);
    await fails(EBADF, client.write(reader, 0, Buffer.of(1)));
    await fails(EBUSY, client.open(reader, O.RDONLY));
    await fails(EBUSY, client.create(reader, 'x', O.RDWR, 0o644));
    const writer = await open(O.WRONLY);
    await fails(EBADF, client.read(writer, 0, 1));
    await client.write(await open(O.WRONLY | O.APPEND), 0, Buffer.from('def'));
    assert.equal((await client.read(reader, 0, 10)).toString(), 'abcdef');
    await open(O.RDWR | O.TRUNC);
    assert.equal(statSync(join(path, 'f')).size, 0);
    await fails(ENOTDIR, open(O.DIRECTORY));
    await fails(EINVAL, open(3));
    await fails(
      EISDIR,
      client.walk('/').then((fid) => client.open(fid, O.RDWR)),
    );
    await fails(EBADF, client.read(await client.walk('f'), 0, 1));
    await fails(EBADF, client.fsync(ROOT));
  });

  test('that exist are opened by Tlcreate, unless it is exclusive', async (context) => {
    const { client, path } = await mounted(context);
    writeFileSync(join(path, 'f'), 'abc');
    symlinkSync('/etc/passwd', join(path, 'link'));
    const root = (): Promise<number> => client.walk('/');
    await fails(EEXIST, client.create(await root(), 'f', O.RDWR | O.EXCL, 0o644));
    const fid = await root();
    await client.create(fid, 'f', O.RDWR, 0o600);
    assert.equal((await client.read(fid, 0, 9)).toString(), 'abc');
    await client.create(await root(), 'f', O.RDWR | O.TRUNC, 0o600);
    assert.equal((await client.read(fid, 0, 9)).toString(), '');
    await fails(ELOOP, client.create(await root(), 'link', O.RDWR | O.TRUNC, 0o600));
    await fails(EBADF, client.call(14, u32(999), str('x'), u32(2), u32(0o600), u32(0)));
  });

  test('of devices, FIFOs and sockets are never opened, and can be removed', async (context) => {
    const { client, path } = await mounted(context);
    execFileSync('mkfifo', [join(path, 'fifo')]);
    const server = createServer().listen(join(path, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    context.after(() => server.close());
    const names = ['fifo', 'socket'];
    if (process.getuid?.() === 0) {
      execFileSync('mknod', [join(path, 'null'), 'c', '1', '3']);
      names.push('null');
    } else context.diagnostic('not root: without a device node');
    for (const name of names) {
      for (const flags of [O.RDONLY, O.WRONLY, O.RDWR, O.RDWR | O.TRUNC]) {
        await fails(
          ENXIO,
          client.walk(name).then((fid) => client.open(fid, flags)),
        );
        await fails(
          ENXIO,
          client.walk('/').then((fid) => client.create(fid, name, flags, 0o600)),
        );
      }
      assert.ok((await client.with(name, (fid) => client.getattr(fid))).mode);
      await fails(
        EINVAL,
        client.with(name, (fid) => client.setattr(fid, { size: 0 })),
      );
      await client.unlinkat(ROOT, name);
    }
    assert.deepEqual(await client.list('/'), []);
  });

  test('that are unlinked stay usable', async (context) => {
    const { client } = await mounted(context);
    await client.walkTo(ROOT, 1);
    await client.create(1, 'f', O.RDWR, 0o644);
    await client.unlinkat(ROOT, 'f');
    await client.write(1, 0, Buffer.from('abc'));
    await client.setattr(1, { size: 2 });
    assert.equal((await client.read(1, 0, 9)).toString(), 'ab');
    assert.equal((await client.getattr(1)).links, 0n);
  });

  test('are locked between the processes of the guest', async (context) => {
    const { client } = await mounted(context);
    const lock = await client.call(52, u32(ROOT), Buffer.of(1), u32(0), u64(0), u64(0), u32(5), str('debian'));
    assert.deepEqual([...lock], [0]);
    const got = await client.call(54, u32(ROOT), Buffer.of(1), u64(3), u64(4), u32(5), str('debian'));
    assert.deepEqual(got, Buffer.concat([Buffer.of(2), u64(3), u64(4), u32(5), str('debian')]));
    await fails(EBADF, client.call(52, u32(9), Buffer.of(1), u32(0), u64(0), u64(0), u32(5), str('debian')));
  });
});

describe('attributes', LINUX_ONLY, () => {
  test('are those of the host', async (context) => {
    const { client, path } = await mounted(context);
    writeFileSync(join(path, 'f'), 'abc');
    utimesSync(join(path, 'f'), 1, new Date(-1500));
    const file = await client.with('f', (fid) => client.getattr(fid));
    const stats = lstatSync(join(path, 'f'), { bigint: true });
    assert.deepEqual(
      [file.qid, BigInt(file.mode), BigInt(file.uid), BigInt(file.gid), file.links, file.size, file.modifiedNs],
      [{ type: 0, path: stats.ino }, stats.mode, stats.uid, stats.gid, stats.nlink, 3n, -1_500_000_000n],
    );
    symlinkSync('x', join(path, 'l'));
    assert.equal((await client.with('l', (fid) => client.getattr(fid))).qid.type, 2);
    assert.equal((await client.getattr(ROOT)).qid.type, 0x80);
    const space = await client.call(8, u32(ROOT));
    assert.deepEqual([space.length, space.readUInt32LE(0)], [60, 0x0102_1997]);
    assert.ok(space.readBigUInt64LE(8) > 0n && space.readUInt32LE(56) === 255);
  });

  test('can be set, but for owners and bits that run programs as these', async (context) => {
    const { client, path } = await mounted(context);
    const file = join(path, 'f');
    writeFileSync(file, 'abcdef');
    const set = (settings: Parameters<ShareClient['setattr']>[1]): Promise<void> =>
      client.with('f', (fid) => client.setattr(fid, settings));
    await set({ mode: 0o106604, size: 3 });
    assert.deepEqual([statSync(file).mode & 0o7777, readFileSync(file, 'utf8')], [0o604, 'abc']);
    await set({ modified: 1_000_000_000.25, accessed: 5 });
    assert.deepEqual([statSync(file).mtimeMs, statSync(file).atimeMs], [1_000_000_000_250, 5000]);
    await set({ modified: -2.5 });
    assert.equal(statSync(file).mtimeMs, -2500);
    await set({ modified: 1_000_000_000.25 });
    await set({ accessed: 'now' });
    assert.equal(statSync(file).mtimeMs, 1_000_000_000_250);
    assert.ok(Math.abs(statSync(file).atimeMs - Date.now()) < 60_000);
    const { uid, gid } = statSync(file);
    await set({ uid, gid });
    await fails(EPERM, set({ uid: uid + 1 }));
    await fails(EPERM, set({ gid: gid + 1, mode: 0o777 }));
    assert.equal(statSync(file).mode & 0o7777, 0o604, 'nothing is done if one is refused');
    await set({ size: 2 ** 20 });
    assert.equal(statSync(file).size, 2 ** 20);
    await assert.rejects(set({ size: 2 ** 53 }), ShareError);
  });

  test('of a link are those of the link', async (context) => {
    const { client, outside, path } = await mounted(context);
    symlinkSync(join(outside, 'secret'), join(path, 'l'));
    const before = statSync(join(outside, 'secret'));
    await client.with('l', async (fid) => {
      await client.setattr(fid, { modified: 7 });
      await fails(EOPNOTSUPP, client.setattr(fid, { mode: 0o777 }));
      await fails(EINVAL, client.setattr(fid, { size: 0 }));
      await client.link(ROOT, fid, 'hard');
    });
    assert.equal(lstatSync(join(path, 'l')).mtimeMs, 7000);
    assert.ok(lstatSync(join(path, 'hard')).isSymbolicLink());
    const after = statSync(join(outside, 'secret'));
    assert.deepEqual([after.mtimeMs, after.mode, after.nlink], [before.mtimeMs, before.mode, 1]);
    assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), SECRET);
  });
});

describe('directories', LINUX_ONLY, () => {
  test('are listed in answers of any size, with positions that stay valid', async (context) => {
    const { client, path } = await mounted(context);
    const names = Array.from({ length: 300 }, (_, index) => `file-${index}`.padEnd(1 + (index % 200), 'x'));
    for (const name of names) writeFileSync(join(path, name), '');
    for (const count of [300, 1000, 60_000]) assert.deepEqual(await client.list('/', count), [...names].sort());
    const fid = await client.walk('/');
    await fails(EBADF, client.readdir(fid, 0, 100));
    await client.open(fid, O.RDONLY);
    const first = await client.readdir(fid, 0, 1000);
    assert.deepEqual(
      first.slice(0, 2).map(({ name, type }) => [name, type]),
      [
        ['.', 4],
        ['..', 4],
      ],
    );
    const [, , third] = first;
    assert.ok(third);
    assert.equal(third.qid.path, lstatSync(join(path, third.name), { bigint: true }).ino);
    const rest = await client.readdir(fid, third.offset, 60_000);
    execFileSync('rm', ['-r', ...names.slice(0, 100).map((name) => join(path, name))]);
    writeFileSync(join(path, 'later'), '');
    const again = await client.readdir(fid, third.offset, 60_000);
    const left = rest.filter(({ name }) => existsSync(join(path, name)));
    assert.deepEqual(again, left, 'without those that are gone, and without later ones');
    assert.equal((await client.readdir(fid, 0, 60_000)).length, 2 + 201, 'position 0 lists again');
    assert.deepEqual(await client.readdir(fid, 2n ** 62n, 100), []);
    await fails(EINVAL, client.readdir(fid, 0, 20));
    await fails(EBUSY, client.open(fid, O.RDONLY));
  });

  test('that are longer than the limit of names give ENOMEM, and leave room for others', async (context) => {
    const { client, path } = await mounted(context);
    writeFileSync(join(path, 'f'), '');
    const { ListedNames, NameBudget } = await import('./listed-names.js');
    const budget = new NameBudget(250);
    const take = (count: number): Promise<unknown> =>
      ListedNames.of(
        {
          list: (add: (name: Uint8Array) => void) =>
            Promise.resolve().then(() => Array.from({ length: count }, () => add(Buffer.from('f')))),
        } as never,
        budget,
      );
    await assert.rejects(take(3), { errno: 12 });
    assert.equal(budget.left, 250);
    await take(2);
    assert.equal(budget.left, 48);
    assert.deepEqual(await client.list('/'), ['f']);
  });
});

test('without rw, everything that changes a file is refused with EROFS', LINUX_ONLY, async (context) => {
  const { client, path } = await mounted(context, false);
  writeFileSync(join(path, 'f'), 'abc');
  mkdirSync(join(path, 'd'));
  const before = lstatSync(join(path, 'f'));
  const fid = await client.walk('f');
  const directory = await client.walk('d');
  const open = async (flags: number): Promise<unknown> => client.open(await client.walk('f'), flags);
  const calls: readonly (() => Promise<unknown>)[] = [
    () => open(O.WRONLY),
    () => open(O.RDWR),
    () => open(O.RDONLY | O.TRUNC),
    () => client.create(directory, 'new', O.RDONLY, 0o644),
    () => client.walk('/').then((root) => client.create(root, 'f', O.RDWR, 0o644)),
    () => client.mkdir(ROOT, 'new'),
    () => client.symlink(ROOT, 'new', 'x'),
    () => client.link(ROOT, fid, 'new'),
    () => client.rename(fid, ROOT, 'new'),
    () => client.renameat(ROOT, 'f', ROOT, 'new'),
    () => client.unlinkat(ROOT, 'f'),
    () => client.unlinkat(ROOT, 'd', 0x200),
    () => client.setattr(fid, { mode: 0o777 }),
    () => client.setattr(fid, { size: 0 }),
    () => client.setattr(fid, { modified: 1 }),
    () => client.remove(fid),
  ];
  for (const call of calls) await assert.rejects(call, { errno: EROFS }, call.toString());
  assert.deepEqual(await client.list('/'), ['d', 'f']);
  assert.equal((await client.readFile('f')).toString(), 'abc');
  const after = lstatSync(join(path, 'f'));
  assert.deepEqual([after.mode, after.mtimeMs, after.ctimeMs], [before.mode, before.mtimeMs, before.ctimeMs]);
});

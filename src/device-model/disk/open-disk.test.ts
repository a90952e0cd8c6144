import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { host } from '../../host/current.js';
import { createQcow2 } from './qcow2/create-qcow2.js';
import { openDisk } from './open-disk.js';

const isRoot = process.getuid?.() === 0;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'upcall-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function diskOf(t: TestContext, bytes: Uint8Array): Promise<string> {
  const path = join(await folder(t), 'disk.img');
  await writeFile(path, bytes);
  return path;
}

describe('a raw disk', { timeout: 60_000 }, () => {
  test('has the size and the bytes of its file', async (t) => {
    const file = await diskOf(t, new Uint8Array(3 * 512).fill(5));
    const { image, unlocked } = await openDisk({ file });
    assert.deepEqual([image.size, image.isReadOnly], [1536, false]);
    assert.deepEqual(unlocked, process.platform === 'linux' ? [] : [file]);
    const target = new Uint8Array(512);
    await image.read(1024, target);
    assert.deepEqual(target, new Uint8Array(512).fill(5));
    await image.write(512, new Uint8Array(512).fill(6));
    await image.flush();
    await image.close();
    const again = await openDisk({ file, isReadOnly: true });
    assert.ok(again.image.isReadOnly);
    await again.image.read(512, target);
    assert.deepEqual(target, new Uint8Array(512).fill(6));
    await again.image.flush();
    await again.image.close();
  });

  test('zeros parts of it, with and without holes', async (t) => {
    const file = await diskOf(t, new Uint8Array(2 ** 20).fill(5));
    const { image } = await openDisk({ file });
    const zeros = new Uint8Array(300 * 1024);
    const target = new Uint8Array(zeros.length);
    await image.writeZeroes(512, zeros.length, false);
    await image.read(512, target);
    assert.deepEqual(target, zeros);
    assert.equal((await stat(file)).blocks, 2048);
    await image.writeZeroes(512 * 1024, zeros.length, true);
    await image.read(512 * 1024, target);
    assert.deepEqual(target, zeros);
    const sides = new Uint8Array(512);
    for (const position of [0, 512 + zeros.length, 512 * 1023, 512 * 1024 + zeros.length]) {
      await image.read(position, sides);
      assert.deepEqual(sides, new Uint8Array(512).fill(5), `at ${position}`);
    }
    if (image.canDeallocate) assert.ok((await stat(file)).blocks < 2048 - 500);
    await image.discard(0, 2 ** 20);
    if (image.canDeallocate) assert.equal((await stat(file)).blocks, 0);
    assert.equal((await stat(file)).size, 2 ** 20);
    await image.close();
  });

  test('reports a file that was made shorter', async (t) => {
    const file = await diskOf(t, new Uint8Array(1024).fill(1));
    const { image } = await openDisk({ file, isReadOnly: true });
    await writeFile(file, new Uint8Array(512));
    await assert.rejects(image.read(512, new Uint8Array(512)), /was made shorter/);
    await image.close();
  });
});

describe('files that are no disk', { timeout: 60_000 }, () => {
  test('are refused with the reason and a remedy', async (t) => {
    const base = await folder(t);
    const empty = await diskOf(t, new Uint8Array());
    const odd = await diskOf(t, new Uint8Array(513));
    const qcow2 = await diskOf(t, Uint8Array.from([0x51, 0x46, 0x49, 0xfb, ...new Array<number>(508).fill(0)]));
    await mkdir(join(base, 'folder'));
    for (const [file, code, message, remedy] of [
      [empty, 'DISK_INVALID', /is an empty file/, /truncate -s 1G /],
      [odd, 'DISK_INVALID', /has 513 bytes, which are not whole sectors/, /truncate -s %512 /],
      [qcow2, 'DISK_INVALID', /begins as a qcow2 image/, /,format=qcow2/],
      [join(base, 'folder'), 'DISK_INVALID', /is not a regular file/, /./],
      [join(base, 'none'), 'DISK_UNAVAILABLE', /does not exist/, /truncate -s 1G /],
      [join(empty, 'none'), 'DISK_UNAVAILABLE', /cannot be opened: .*ENOTDIR/, /./],
    ] as const)
      for (const isReadOnly of [false, true])
        await assert.rejects(openDisk({ file, isReadOnly }), { code, message, remedy }, file);
    // None of them is still locked.
    await writeFile(empty, new Uint8Array(512));
    await (await openDisk({ file: empty })).image.close();
  });

  test('are refused without permission', { skip: isRoot && 'root may read and write everything' }, async (t) => {
    const file = await diskOf(t, new Uint8Array(512));
    await chmod(file, 0o444);
    await assert.rejects(openDisk({ file }), { message: /may not be written/, remedy: /append ,ro/ });
    await chmod(file, 0);
    await assert.rejects(openDisk({ file, isReadOnly: true }), { message: /may not be read/ });
  });

  test('are refused while a VM writes them, or reads them and one would write', async (t) => {
    const file = await diskOf(t, new Uint8Array(512));
    const { image } = await openDisk({ file });
    await assert.rejects(openDisk({ file }), { code: 'DISK_UNAVAILABLE', message: /is used by another/ });
    await assert.rejects(openDisk({ file, isReadOnly: true }), { message: /is written by another/ });
    await image.close();
    const readers = await Promise.all([1, 2].map(() => openDisk({ file, isReadOnly: true })));
    await assert.rejects(openDisk({ file }), { message: /is used by another/ });
    for (const reader of readers) await reader.image.close();
  });
});

describe('an overlay', { timeout: 60_000 }, () => {
  const MIB = 2 ** 20;

  async function baseOf(t: TestContext): Promise<{ readonly base: string; readonly overlay: string }> {
    const base = await diskOf(t, new Uint8Array(MIB).fill(3));
    return { base, overlay: join(await folder(t), 'new.qcow2') };
  }

  test('is made over a base, gets all writes, and is opened again', async (t) => {
    const { base, overlay } = await baseOf(t);
    const before = await stat(base);
    for (const value of [3, 4]) {
      const { image, unlocked } = await openDisk({ file: base, overlay });
      assert.deepEqual(
        [image.size, image.isReadOnly, unlocked],
        [MIB, false, process.platform === 'linux' ? [] : [base, overlay]],
      );
      const part = new Uint8Array(512);
      await image.read(1024, part);
      assert.deepEqual(part, new Uint8Array(512).fill(value));
      await image.write(1024, new Uint8Array(512).fill(4));
      await image.close();
    }
    const after = await stat(base);
    assert.deepEqual([after.mtimeMs, after.size], [before.mtimeMs, before.size]);
    const { image } = await openDisk({ file: base, overlay, isReadOnly: true });
    assert.ok(image.isReadOnly);
    await image.close();
  });

  test('names its base alone in the same folder, which can be moved then', async (t) => {
    const { base } = await baseOf(t);
    const overlay = `${base}.qcow2`;
    await (await openDisk({ file: base, overlay })).image.close();
    const moved = join(await folder(t), 'moved');
    await rename(join(base, '..'), moved);
    await (await openDisk({ file: join(moved, 'disk.img'), overlay: join(moved, 'disk.img.qcow2') })).image.close();
    await mkdir(join(base, '..'));
  });

  test('over a qcow2 image', async (t) => {
    const { base, overlay } = await baseOf(t);
    await (await openDisk({ file: base, overlay })).image.close();
    // An image that stands alone, as qemu-img would make one.
    const alone = join(await folder(t), 'alone.qcow2');
    const file = await host.openDiskFile(alone, 'create');
    await createQcow2(file, { size: MIB });
    await file.close();
    const second = `${alone}.overlay`;
    const { image } = await openDisk({ file: alone, format: 'qcow2', overlay: second });
    await image.write(512, new Uint8Array(512).fill(1));
    await image.close();
    await assert.rejects(openDisk({ file: alone, format: 'raw', overlay: second }), {
      message: /is an overlay over .* \(qcow2\)/,
    });
    await assert.rejects(openDisk({ file: alone, overlay: second }), { message: /begins as a qcow2 image/ });
    await (await openDisk({ file: alone, format: 'qcow2', overlay: second })).image.close();
    await (await openDisk({ file: alone, format: 'qcow2' })).image.close();
  });

  test('is refused over another base, without a base, and as what it is not', async (t) => {
    const { base, overlay } = await baseOf(t);
    await (await openDisk({ file: base, overlay })).image.close();
    const other = await diskOf(t, new Uint8Array(MIB));
    const refused = (options: Parameters<typeof openDisk>[0], message: RegExp) =>
      assert.rejects(openDisk(options), { message, remedy: /./ });
    await refused({ file: other, overlay }, /is an overlay over .*disk.img \(raw\), not over /);
    await refused({ file: overlay }, /begins as a qcow2 image/);
    await refused({ file: overlay, format: 'qcow2' }, /is an overlay over .*disk.img/);
    await refused({ file: base, format: 'qcow2' }, /is not a qcow2 image/);
    await refused({ file: base, overlay: other }, /is not a qcow2 image/);
    await refused({ file: base, overlay: join(overlay, 'x') }, /ENOTDIR/);
    await refused({ file: base, overlay: join(base, '../none/x') }, /its folder does not exist/);
    await refused({ file: base, overlay: base }, /is used by another/);
    await refused({ file: base, overlay: `${overlay}.none`, isReadOnly: true }, /does not exist/);
    await rm(base);
    await refused({ file: other, overlay }, /is an overlay over .*, which cannot be opened \(.*ENOENT/);
    const alone = await host.openDiskFile(`${overlay}.alone`, 'create');
    await createQcow2(alone, { size: MIB });
    await alone.close();
    await refused({ file: other, overlay: `${overlay}.alone` }, /is not an overlay/);
    // All of them are closed again.
    for (const file of [other, overlay]) await (await host.openDiskFile(file, 'write')).close();
  });

  test('locks both files', async (t) => {
    const { base, overlay } = await baseOf(t);
    const { image } = await openDisk({ file: base, overlay });
    await assert.rejects(openDisk({ file: base, overlay }), { message: /new.qcow2 is used by another/ });
    await assert.rejects(openDisk({ file: base }), { message: /is used by another/ });
    const { image: second } = await openDisk({ file: base, overlay: `${overlay}.2` });
    await second.close();
    await image.close();
  });
});

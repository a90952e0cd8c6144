import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
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
      [qcow2, 'DISK_INVALID', /is a qcow2 image/, /qemu-img convert/],
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

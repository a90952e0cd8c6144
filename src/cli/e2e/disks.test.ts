import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { openDisk } from '../../device-model/disk/open-disk.js';
import { whyNoDebian } from './needed-guest.js';
import { upcall } from './upcall-process.js';

// The first run fetches a kernel, which may take long.
const LIMIT_MS = 400_000;
const MIB = 2 ** 20;

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'upcall-disks-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

describe('a disk of the command line', { timeout: 120_000 }, () => {
  test('that cannot be used ends the run with its reason', async (t) => {
    const base = await folder(t);
    const file = (name: string): string => join(base, name);
    await writeFile(file('empty'), '');
    await writeFile(file('odd'), 'x');
    await writeFile(file('disk'), new Uint8Array(512));
    const refused = async (message: RegExp, ...disks: readonly string[]): Promise<void> => {
      const options = disks.flatMap((disk) => ['--disk', disk]);
      const { status, stderr } = await upcall(['run', 'hello', ...options]);
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    };
    await refused(
      /^upcall: --disk .*none: no such file\. Check the path, or create it, for example: truncate/,
      file('none'),
    );
    await refused(/^upcall: the disk .*empty is an empty file\. Give it a size/, file('empty'));
    await refused(/^upcall: the disk .*odd has 1 bytes, which are not whole sectors\. /, file('odd'));
    await refused(/^upcall: the disk .* is not a regular file\. /, base);
    await refused(/^upcall: --disk .*,rw: unknown word "rw"\. Write FILE/, `${file('disk')},rw`);
    await refused(/^upcall: the disk .*disk is used by another VM or program\. /, file('disk'), file('disk'));
    await refused(
      /^upcall: the disk .*disk is written by another VM or program\. /,
      file('disk'),
      `${file('disk')},ro`,
    );
    // What the guest does not use is closed again, and a new overlay is whole.
    const { status, stderr } = await upcall(['run', 'hello', '--disk', `${file('disk')},overlay=${file('new')}`]);
    assert.equal(status, 0, stderr);
    await (await openDisk({ file: file('disk'), overlay: file('new') })).image.close();
  });
});

const COMMANDS = [
  'echo serials $(cat /sys/block/vd?/serial); echo ro $(cat /sys/block/vd?/ro)',
  'dd if=/dev/urandom of=/dev/vda bs=64k; echo a $(tail -c +5121 /dev/vda | md5sum)',
  'dd if=/dev/zero of=/dev/vdb count=1 || echo b refused; echo b $(md5sum < /dev/vdb)',
  'echo c begins with $(head -c 9 /dev/vdc)',
  'dd if=/dev/urandom of=/dev/vdc bs=4k count=100 seek=500; blkdiscard -o 4194304 -l 1048576 /dev/vdc',
  'echo c $(md5sum < /dev/vdc)',
  'mke2fs /dev/vdd > /dev/null; mkdir /d; mount -t ext4 /dev/vdd /d',
  'dd if=/dev/urandom of=/d/file bs=64k count=40; echo d $(md5sum < /d/file); sync',
  'umount /d; echo 3 > /proc/sys/vm/drop_caches; mount -t ext4 /dev/vdd /d; echo again $(md5sum < /d/file); umount /d',
  'echo write through > /sys/block/vda/cache_type; echo cache $(cat /sys/block/vda/cache_type)',
  'dd if=/dev/vdc of=/dev/vda bs=512 count=10 oflag=direct 2>/dev/null && echo written through',
].join('; ');

test(
  "Debian's driver finds its disks, and what it wrote is in their files",
  { timeout: LIMIT_MS, skip: await whyNoDebian() },
  async (t) => {
    const base = await folder(t);
    const file = (name: string): string => join(base, name);
    for (const name of ['a', 'b', 'c', 'd']) await writeFile(file(name), Buffer.alloc(8 * MIB, `base of ${name} `));
    const overlay = file('changes.qcow2');
    const disks = [`${file('a')},queues=4`, `${file('b')},ro`, `${file('c')},overlay=${overlay}`, file('d')];
    const run = ['run', 'debian', ...disks.flatMap((disk) => ['--disk', disk]), '--run', COMMANDS];
    const { status, stdout, stderr } = await upcall(run, '', { limitMs: LIMIT_MS });
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    const lines = stdout.replaceAll('\r', '').split('\n');
    const valueOf = (name: string): string =>
      lines
        .findLast((line) => line.startsWith(`${name} `))
        ?.slice(name.length + 1)
        .replace(/ +-$/, '') ?? '';
    assert.equal(valueOf('serials'), 'abcd');
    assert.equal(valueOf('ro'), '0 1 0 0');
    // The first sectors were written again, through the cache.
    const a = await readFile(file('a'));
    const { image } = await openDisk({ file: file('c'), overlay });
    const c = new Uint8Array(image.size);
    await image.read(0, c);
    await image.close();
    assert.deepEqual(a.subarray(0, 5120), Buffer.from(c.subarray(0, 5120)));
    assert.equal(valueOf('a'), md5(a.subarray(5120)));
    assert.ok(lines.includes('b refused'));
    const unchanged = (name: string): Buffer => Buffer.alloc(8 * MIB, `base of ${name} `);
    assert.equal(valueOf('b'), md5(unchanged('b')));
    for (const name of ['b', 'c'])
      assert.ok((await readFile(file(name))).equals(unchanged(name)), `${name} is as it was`);
    assert.ok(lines.includes('c begins with base of c'));
    assert.equal(valueOf('c'), md5(c));
    assert.deepEqual(c.subarray(4 * MIB, 5 * MIB), new Uint8Array(MIB));
    if (spawnSync('qemu-img', ['--version']).status === 0)
      assert.equal(spawnSync('qemu-img', ['check', '-f', 'qcow2', overlay]).status, 0);
    assert.match(valueOf('d'), /^[0-9a-f]{32}$/);
    assert.equal(valueOf('again'), valueOf('d'));
    assert.equal(valueOf('cache'), 'write through');
    assert.ok(lines.includes('written through'));
  },
);

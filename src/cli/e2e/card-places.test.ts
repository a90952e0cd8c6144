/**
 * Debian with a disk, a network and a shared folder, each in the Service VM's thread and in its
 * own.
 */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { whyNoDebian, whyNoPasst } from './needed-guest.js';
import { upcall } from './upcall-process.js';

const LIMIT_MS = 400_000;
const MIB = 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), 'upcall-places-'));
after(() => rmSync(folder, { recursive: true }));

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const body = randomBytes(MIB);

/** Runs the same work, and returns what it left. */
async function work(place: string, port: number): Promise<readonly string[]> {
  const base = join(folder, place === '' ? 'together' : 'apart');
  const share = join(base, 'share');
  mkdirSync(share, { recursive: true });
  const disk = join(base, 'disk.img');
  writeFileSync(disk, new Uint8Array(16 * MIB));
  writeFileSync(join(share, 'in'), body);
  const commands = [
    "gateway=$(ip route | awk '/^default/ {print $3}')",
    `wget -q -O /tmp/body http://$gateway:${port}/; echo fetched $(md5sum < /tmp/body)`,
    'mke2fs /dev/vda > /dev/null; mkdir /d; mount -t ext4 /dev/vda /d; cp /tmp/body /d/a; cp /mnt/share/in /d/b; sync',
    'umount /d; echo 3 > /proc/sys/vm/drop_caches; mount -t ext4 /dev/vda /d',
    'echo stored $(md5sum < /d/a) $(md5sum < /d/b); cp /d/a /mnt/share/out; umount /d; sync',
  ].join('; ');
  const cards = [
    ['--disk', `${disk}${place}`],
    ['--net', `passt,loopback${place}`],
    ['--share', `${share},rw${place}`],
  ].flat();
  const { status, stdout, stderr } = await upcall(['run', 'debian', ...cards, '--run', commands], '', {
    limitMs: LIMIT_MS,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  const lines = stdout.replaceAll('\r', '').replaceAll(' -', '').split('\n');
  const seen = lines.filter((line) => /^(fetched|stored) /.test(line)).map((line) => line.replace(/ +/g, ' ').trim());
  return [...seen, md5(readFileSync(join(share, 'out')))];
}

test(
  'cards do the same work in both places',
  { skip: (await whyNoDebian()) || whyNoPasst(), timeout: 2 * LIMIT_MS },
  async (t) => {
    const server = createServer((_, response) => response.end(body));
    t.after(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const sum = md5(body);
    const expected = [`fetched ${sum}`, `stored ${sum} ${sum}`, sum];
    assert.deepEqual(await work('', port), expected);
    assert.deepEqual(await work(',thread', port), expected);
  },
);

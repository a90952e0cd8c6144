/** Linux' own clients of a shared folder and of the entropy device, in Debian. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { whyNoDebian } from './needed-guest.js';
import { upcall } from './upcall-process.js';

const LIMIT_MS = 300_000;
const options = {
  timeout: LIMIT_MS,
  skip: (process.platform !== 'linux' && 'only Linux shares folders') || (await whyNoDebian()),
};

const outside = mkdtempSync(join(tmpdir(), 'upcall-e2e-share-'));
after(() => rmSync(outside, { recursive: true, force: true }));
const checksum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const LARGE = randomBytes(4 * 2 ** 20);
const FOLDERS = 10;
const FILES = 30;
const SECRET = 'not for guests';

/** A script: together they are too long for the kernel's command line. */
const COMMANDS = [
  'cd /mnt/share; echo large $(sha256sum <large)',
  'echo found $(find . -type f | wc -l) files of $(cat many/*/* | wc -c) bytes',
  'touch new 2>/dev/null; echo touch $?; rm -f large 2>/dev/null; echo rm $?',
  'mount -o remount,rw /mnt/share; touch new 2>/dev/null; echo touch $?',
  'echo link $(readlink up); ls up 2>/dev/null | grep -c secret; cat up/secret 2>/dev/null; echo cat $?',
  'cd /mnt/out; cp ../share/large .; dd if=/dev/urandom of=made bs=64k count=32 2>/dev/null',
  'sync; echo made $(sha256sum <made)',
  'ln -s /etc/passwd passwd; ln -s ../../secret secret; cat secret 2>/dev/null; echo cat $?',
  'mkdir -p d/e; mv d/e d/f; echo text >d/f/t; ln d/f/t hard; chmod 640 hard; echo more >>hard; truncate -s 7 d/f/t',
  'echo text $(cat hard) $(stat -c %a-%h d/f/t)',
  'chown 5 made 2>/dev/null; echo chown $?; mknod node c 1 3 2>/dev/null; echo mknod $?',
  'mkdir gone; touch gone/x; rm -r gone; echo names $(ls)',
  'echo entropy $(head -c 100 /dev/hwrng | wc -c) $(cat /sys/class/misc/hw_random/rng_current)',
];

const EXPECTED: readonly (readonly [what: string, expected: RegExp])[] = [
  ['a large file arrives whole', new RegExp(`^large ${checksum(LARGE)} -\\r?$`, 'm')],
  ['all files are found', new RegExp(`^found ${FOLDERS * FILES + 1} files of ${FOLDERS * FILES * 8} bytes\\r?$`, 'm')],
  ['the mount is read-only', /^touch 1\r?\nrm 1\r?$/m],
  ['and so is the server', /^rm 1\r?\ntouch 1\r?$/m],
  ['a link is followed by the guest', /^link \.\.\r?\n0\r?\ncat 1\r?$/m],
  ['a link to a secret reads a file of the guest', /^made [0-9a-f]{64} -\r?\ncat 1\r?$/m],
  ['files have names, modes and sizes', /^text text mo 640-2\r?$/m],
  ['owners and nodes are refused', /^chown 1\r?\nmknod 1\r?$/m],
  ['removed files are gone', /^names d hard large made passwd secret\r?$/m],
  ['random bytes', /^entropy 100 virtio_rng\.0\r?$/m],
];

test('Debian mounts folders: reads one and writes the other, and reaches nothing else', options, async () => {
  const [share, out] = [join(outside, 'share'), join(outside, 'out')];
  mkdirSync(join(share, 'many'), { recursive: true });
  mkdirSync(out);
  writeFileSync(join(outside, 'secret'), SECRET);
  writeFileSync(join(share, 'large'), LARGE);
  symlinkSync('..', join(share, 'up'));
  for (let folder = 0; folder < FOLDERS; folder++) {
    mkdirSync(join(share, 'many', String(folder)));
    for (let file = 0; file < FILES; file++)
      writeFileSync(join(share, 'many', String(folder), `file-${file}`), 'contents');
  }
  mkdirSync(join(outside, 'overlay'));
  writeFileSync(join(outside, 'overlay/test.sh'), COMMANDS.join('\n'));
  const shares = ['--share', share, '--share', `${out},rw,tag=out`];
  const { status, stdout, stderr } = await upcall(
    ['run', 'debian', ...shares, '--entropy', '--overlay', join(outside, 'overlay'), '--run', 'sh /test.sh'],
    '',
    { limitMs: LIMIT_MS },
  );
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  for (const [what, expected] of EXPECTED) assert.match(stdout, expected, what);
  assert.ok(!stdout.includes(SECRET), stdout);

  assert.deepEqual(readdirSync(outside).sort(), ['out', 'overlay', 'secret', 'share']);
  assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), SECRET);
  assert.deepEqual(readdirSync(share).sort(), ['large', 'many', 'up']);
  assert.equal(checksum(readFileSync(join(out, 'large'))), checksum(LARGE));
  const [, made] = /^made ([0-9a-f]{64})/m.exec(stdout) ?? [];
  assert.equal(checksum(readFileSync(join(out, 'made'))), made);
  assert.equal(readlinkSync(join(out, 'passwd')), '/etc/passwd');
  assert.equal(readFileSync(join(out, 'd/f/t'), 'utf8'), 'text\nmo');
  assert.equal(lstatSync(join(out, 'made')).uid, process.getuid?.());
});

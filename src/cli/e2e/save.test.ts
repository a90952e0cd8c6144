/** `--save` by the command line: what the file has of the console, and how a failed save ends. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoKvm } from '../../hypervisor/kvm/fixtures/needed-kvm.js';
import { delay } from '../../sync/bounded-wait.js';
import { MAIN, start, upcall, type Ended, type Started } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-e2e-save-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const LIMIT = ['--timeout', '60'];
const example = (name: string): string => fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));

for (const hypervisor of ['v86', 'kvm'])
  test(
    `a guest on ${hypervisor} that prints while it is saved loses no character of its console`,
    { skip: hypervisor === 'kvm' && (await whyNoKvm()) },
    async () => {
      const file = join(folder, `${hypervisor}.snap`);
      // Less than what a snapshot keeps of the console. The end is typed once all is printed.
      const commands = 'repeat 60 echo 0123456789abcdefghijklmnopqrstu; echo all printed';
      const options = ['--hypervisor', hypervisor, '--save', file, '--save-after', 'Type help', '--cmdline', commands];
      const printed = async (session: Started): Promise<Ended> => {
        await session.until('\r\nall printed');
        while (!existsSync(file)) await delay(20);
        session.child.stdin.end('poweroff\n');
        return session.ended;
      };
      const first = await printed(start(process.execPath, [MAIN, 'run', 'monitor', ...options, ...LIMIT]));
      assert.equal(first.status, 0, first.stderr);
      assert.match(first.stderr, /saved to .*\.snap: (\d+ KiB|\d+\.\d MiB) in/);
      assert.doesNotMatch(first.stderr, / 0\.0 MiB| 0 KiB/);
      const second = await printed(start(process.execPath, [MAIN, 'run', '--hypervisor', hypervisor, file, ...LIMIT]));
      assert.equal(second.status, 0, second.stderr);
      assert.ok(first.stdout.length < 4096);
      assert.equal(second.stdout, first.stdout);
    },
  );

const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  [
    'a folder that does not exist',
    ['--save', join(folder, 'none', 'x.snap')],
    /x\.snap: cannot write there \(ENOENT\)/,
  ],
  ['a folder in place of the file', ['--save', folder], /cannot write there \(EISDIR\)/],
  [
    'a device without save()',
    ['--save', join(folder, 'x'), '--device', `${example('devices/read-counter.js')}@0x500+4`],
    /read-counter at ports 0x500\S+0x503: it has no save\(\)/,
  ],
  [
    'a device with a thread of its own',
    ['--save', join(folder, 'x'), '--device', `${example('devices/read-counter.js')}@0x500+4,thread`],
    /read-counter\.js at ports 0x500\S+0x503: it has a thread of its own/,
  ],
  ['a card', ['--save', join(folder, 'x'), '--entropy'], /a card cannot be saved yet/],
  ['a fault plan', ['--save', join(folder, 'x'), '--fault', 'client=cmos-rtc read: stale'], /it has a fault plan/],
];
for (const [what, options, message] of refusals)
  test(`--save with ${what} is refused before the guest starts`, async () => {
    const { status, stdout, stderr } = await upcall([
      ...['run', 'monitor', '--cmdline', 'echo begun; poweroff', '--save-after', 'begun', ...LIMIT],
      ...options,
    ]);
    assert.equal(status, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, message);
  });

test('--save that nothing can trigger is refused: no terminal, no text', async () => {
  const { status, stderr } = await upcall(['run', 'monitor', '--save', join(folder, 'x.snap')]);
  assert.equal(status, 2, stderr);
  assert.match(stderr, /without a terminal there is no key\. Add --save-after TEXT/);
});

test('a run whose save failed ends with 1, and one whose text never came with 3', async () => {
  const place = join(folder, 'removed');
  mkdirSync(place);
  const file = join(place, 'x.snap');
  const failing = start(process.execPath, [
    MAIN,
    'run',
    'monitor',
    '--save',
    file,
    '--save-after',
    'to be saved',
    ...LIMIT,
  ]);
  await failing.until('monitor> ');
  rmSync(place, { recursive: true });
  failing.child.stdin.end('echo to be saved\npoweroff\n');
  const failed = await failing.ended;
  assert.equal(failed.status, 1, failed.stderr);
  assert.match(failed.stderr, /cannot write .*x\.snap \(ENOENT\)|stopped running while it was saved/);

  mkdirSync(place);
  const missing = await upcall([
    'run',
    'monitor',
    '--save',
    file,
    '--save-after',
    'no such',
    '--cmdline',
    'poweroff',
    ...LIMIT,
  ]);
  assert.equal(missing.status, 3, missing.stderr);
  assert.match(missing.stderr, /"no such" did not appear on the console: nothing was saved to .*x\.snap/);
  assert.equal(existsSync(file), false);
  assert.deepEqual(readdirSync(place), []);
});

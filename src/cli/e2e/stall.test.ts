/**
 * A device that keeps the Service VM's thread: it is named, and a signal, Ctrl-C or the timeout
 * ends the session nevertheless.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MAIN, start, upcall, type Started } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-stall-'));
after(() => rmSync(folder, { recursive: true }));
const device = join(folder, 'stalls.mjs');
/**
 * A read of port 0 loops, one of port 1 waits on shared memory. A write takes its value's seconds.
 */
writeFileSync(
  device,
  `const word = new Int32Array(new SharedArrayBuffer(4));
   export default class {
     name = 'staller';
     read(offset) {
       if (offset === 1) Atomics.wait(word, 0, 0);
       for (;;);
     }
     write(_offset, _size, seconds) {
       const end = Date.now() + seconds * 1000;
       while (Date.now() < end);
     }
   }`,
);

const run = (...words: string[]): string[] => ['run', '--device', `${device}@0x500+2`, ...words];
const NAMED = /upcall: device staller keeps the Service VM's thread \(at .*stalls\.mjs:\d+:\d+\), and nothing else/;

/** Resolves when standard error has this text. */
function onError({ child }: Started, text: string): Promise<void> {
  let seen = '';
  return new Promise((resolve) =>
    child.stderr.on('data', (bytes: Buffer) => {
      seen += bytes.toString('latin1');
      if (seen.includes(text)) resolve();
    }),
  );
}

for (const [what, port] of [
  ['loops forever', '500'],
  ['waits on shared memory', '501'],
] as const)
  test(`the timeout ends a session whose device ${what}, with status 3 and the device's name`, async () => {
    const { status, stderr } = await upcall(run('--cmdline', `in8 ${port}`, '--timeout', '6'));
    assert.equal(status, 3, stderr);
    assert.match(stderr, NAMED);
    assert.match(stderr, /\nupcall: ended after 6 s\n$/);
  });

test('a signal ends a process whose device loops forever, after the line that names the device', async () => {
  const session = start(process.execPath, [MAIN, ...run('--cmdline', 'in8 500')]);
  await onError(session, 'nothing else runs');
  session.child.kill('SIGTERM');
  const { signal, stderr } = await session.ended;
  assert.equal(signal, 'SIGTERM');
  assert.match(stderr, NAMED);
});

test('after a device that took long, signals end the session as before', async () => {
  const session = start(process.execPath, [MAIN, ...run('--cmdline', 'out8 500 4')]);
  await onError(session, 'runs again');
  session.child.kill('SIGTERM');
  const { status, stderr } = await session.ended;
  assert.equal(status, 143);
  assert.match(
    stderr,
    /keeps the Service VM's thread[^\n]*\nupcall: the Service VM's thread runs again\nupcall: ended by SIGTERM/,
  );
});

const hasScript = spawnSync('script', ['--version']).status === 0;
const options = hasScript ? {} : { skip: 'needs the program `script` of util-linux' };

test(
  'in a terminal Ctrl-C ends a session whose device loops forever, and the terminal is restored',
  options,
  async () => {
    // The shell is in the foreground too. A trap keeps Ctrl-C from ending it before stty.
    const command = `trap : INT; '${process.execPath}' '${MAIN}' run --device '${device}@0x500+2'; echo "status=$?"; stty -a`;
    const session = start('script', ['-qec', command, '/dev/null'], { env: { SHELL: '/bin/sh' }, limitMs: 60_000 });
    await session.until('monitor> ');
    session.child.stdin.write('in8 500\r');
    await session.until('nothing else runs');
    session.child.stdin.write('\x03');
    const { stdout } = await session.ended;
    assert.match(stdout, /status=130\r/);
    assert.match(stdout, /(?<!-)icanon/);
  },
);

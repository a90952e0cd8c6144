/**
 * The command line in a real terminal: a pty of util-linux' `script`, in which a shell runs it and
 * then shows the modes.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MAIN, start, type Started } from './upcall-process.js';

const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).status === 0;
const options = hasScript ? {} : { skip: 'needs the program `script` of util-linux' };

const folder = mkdtempSync(join(tmpdir(), 'upcall-terminal-'));
after(() => rmSync(folder, { recursive: true }));

/**
 * A read of port 0 sends a signal to the process, one of port 1 throws what is no error.
 * A write sends another signal.
 */
const trouble = join(folder, 'trouble.mjs');
writeFileSync(
  trouble,
  `export default class {
     name = 'trouble';
     read(offset) {
       if (offset === 0) process.kill(process.pid, 'SIGTERM');
       else setImmediate(() => { queueMicrotask(() => { throw 'this is not caught'; }); });
       return 0;
     }
     write() { process.kill(process.pid, 'SIGUSR2'); }
   }`,
);

function inTerminal(args: string): Started {
  const session = `'${process.execPath}' '${MAIN}' ${args}; echo "status=$?"; stty -a`;
  return start('script', ['-qec', session, '/dev/null'], { env: { SHELL: '/bin/sh' } });
}

const ESCAPE = '\x1d';
/** The modes that a raw terminal has not, as stty prints them when they are on. */
const RESTORED = /(?<!-)icanon/;

async function endOf(session: Started, status: number): Promise<string> {
  const { stdout } = await session.ended;
  assert.match(stdout, new RegExp(`status=${status}\\r`), stdout);
  assert.match(stdout, RESTORED);
  assert.match(stdout, /(?<!-)echo /);
  return stdout;
}

test('keys go to the guest, Ctrl-C included, and the escape key leaves', options, async () => {
  const session = inTerminal('run');
  await session.until('monitor> ');
  session.child.stdin.write('echo typed\r');
  await session.until('typed\r');
  await session.until('monitor> ');
  session.child.stdin.write('\x03');
  await session.until('^C');
  await session.until('monitor> ');
  session.child.stdin.write(`${ESCAPE}${ESCAPE}echo still here\r`);
  await session.until('still here\r');
  await session.until('monitor> ');
  session.child.stdin.write(ESCAPE);
  const shown = await endOf(session, 0);
  assert.match(shown, /upcall: Ctrl-\] leaves/);
});

test(
  'the escape key and p show the address of the page again, and without a page say how to get one',
  options,
  async () => {
    const session = inTerminal('run --page');
    await session.until('monitor> ');
    session.child.stdin.write(`${ESCAPE}p`);
    await session.until('the live page is at http://');
    session.child.stdin.write('echo still here\r');
    await session.until('still here\r');
    session.child.stdin.write(ESCAPE);
    const shown = await endOf(session, 0);
    const [first, second, ...more] = shown.match(/http:\S+#\S+/g) ?? [];
    assert.ok(first !== undefined && first === second && more.length === 0, shown);
    assert.match(shown, /Ctrl-\] p shows the page's address again/);

    const without = inTerminal('run');
    await without.until('monitor> ');
    without.child.stdin.write(`${ESCAPE}p`);
    await without.until('there is no live page: start the guest with upcall run --page');
    without.child.stdin.write(ESCAPE);
    assert.doesNotMatch(await endOf(without, 0), /Ctrl-\] p/);
  },
);

test('the tour on a terminal ends at the prompt', options, async () => {
  const session = inTerminal('run --tour');
  await session.until('That was the tour');
  await session.until('monitor> ');
  session.child.stdin.write('poweroff\r');
  await endOf(session, 0);
});

test('a signal restores the terminal', options, async () => {
  const session = inTerminal(`run --device '${trouble}@0x500+2'`);
  await session.until('monitor> ');
  session.child.stdin.write('in8 500\r');
  const shown = await endOf(session, 143);
  assert.match(shown, /upcall: ended by SIGTERM/);
});

test('a signal that upcall gives no meaning restores the terminal and ends the process', options, async () => {
  const session = inTerminal(`run --device '${trouble}@0x500+2'`);
  await session.until('monitor> ');
  session.child.stdin.write('out8 500 0\r');
  await endOf(session, 140);
});

test('an uncaught error restores the terminal', options, async () => {
  const session = inTerminal(`run --device '${trouble}@0x500+2'`);
  await session.until('monitor> ');
  session.child.stdin.write('in8 501\r');
  const shown = await endOf(session, 70);
  assert.match(shown, /upcall: unexpected error: this is not caught \(.*; from device trouble\)\. Throw an Error/);
});

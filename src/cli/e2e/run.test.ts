import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MAIN, start, upcall } from './upcall-process.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-run-'));
after(() => rmSync(folder, { recursive: true }));

/** Opens a pipe for writing once a process reads it. Before, that is refused. */
async function openOnceRead(pipe: string): Promise<number> {
  for (;;) {
    try {
      return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

test('the tour without a terminal runs, powers off and prints the statistics', async () => {
  const { status, stdout, stderr } = await upcall(['run', 'monitor', '--tour']);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /monitor> tour[\s\S]+That was the tour[\s\S]+monitor> poweroff/);
  assert.match(stderr, /^upcall: ended: /);
  assert.match(stderr, /uart16550 +\d+ +\d+/);
  const counts = /(\d+) accesses trapped = (\d+) answered by the hypervisor \+ (\d+) I\/O requests/.exec(stderr);
  assert.ok(counts !== null, stderr);
  assert.equal(Number(counts[1]), Number(counts[2]) + Number(counts[3]));
});

test('an expected text ends the session with status 0', async () => {
  const { status, stdout, stderr } = await upcall(['run', '--expect', 'Type help', '--timeout', '60']);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /Type help/);
  assert.equal(stderr, '');
});

test('an expected text that does not appear in time ends the session with status 3', async () => {
  const { status, stderr } = await upcall(['run', '--expect', 'no such text', '--timeout', '0.5']);
  assert.equal(status, 3);
  assert.match(stderr, /^upcall: "no such text" did not appear on the console; ended after 0\.5 s[^\n]*\n$/);
});

test('the timeout and signals end a run that waits for its image, here a pipe without a writer', async () => {
  const pipe = join(folder, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const late = await upcall(['run', '--timeout', '0.5', pipe], '', { limitMs: 20_000 });
  assert.equal(late.status, 3);
  assert.equal(late.stderr, 'upcall: ended after 0.5 s, before the guest was started\n');
  const session = start(process.execPath, [MAIN, 'trace', '--fault-file', pipe], { limitMs: 20_000 });
  const writer = await openOnceRead(pipe);
  session.child.kill('SIGQUIT');
  const { status, stderr } = await session.ended;
  closeSync(writer);
  assert.equal(status, 131, stderr);
  assert.equal(stderr, 'upcall: ended by SIGQUIT, before the guest was started\n');
});

test('the timeout also ends a session whose device is never created', async () => {
  const never = join(folder, 'never.mjs');
  writeFileSync(never, 'export default () => new Promise(() => {});');
  for (const placement of ['', ',thread']) {
    const { status, stderr } = await upcall(['run', '--device', `${never}@0x500${placement}`, '--timeout', '0.5']);
    assert.equal(status, 3);
    assert.match(stderr, /^upcall: ended after 0\.5 s[^\n]*\n$/);
  }
});

test('a guest that powers off before the expected text ends the session with status 3', async () => {
  const { status, stderr } = await upcall(['run', 'hello', '--expect', 'no such text']);
  assert.equal(status, 3);
  assert.match(stderr, /"no such text" did not appear/);
});

test('piped input is typed into the guest, and its end does not end the session', async () => {
  const { status, stdout } = await upcall(['run'], 'echo one\necho two\npoweroff\n');
  assert.equal(status, 0);
  assert.match(stdout, /one\r\n[\s\S]*two\r\n/);
});

test('a guest that fails ends with status 1 and a line that says why', async () => {
  for (const [command, line] of [
    ['triple', /triple fault|shut its CPU down/i],
    ['halt', /halt/i],
    ['out8 f4 7', /the guest's exit code is 7/],
  ] as const) {
    const { status, stderr } = await upcall(['run', '--cmdline', command, '--timeout', '60']);
    assert.equal(status, 1, `${command}: ${stderr}`);
    assert.match(stderr, line);
  }
});

test('a user’s device answers from either thread, with its options', async () => {
  const device = join(folder, 'answer.mjs');
  writeFileSync(
    device,
    `import { threadId } from 'node:worker_threads';
     export default class {
       name = 'answer';
       constructor(context, options) { this.value = options.value + (threadId === 0 ? 0 : 1); }
       read() { return this.value; }
       write() {}
     }`,
  );
  const args = ['--cmdline', 'in8 500; in8 501; poweroff', '--polling'];
  const devices = ['--device', `${device}@0x500,value=0x40`, '--device', `${device}@0x501,thread,value=0x60`];
  const { status, stdout, stderr } = await upcall(['run', ...args, ...devices]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /in8 500\r\n.*40[\s\S]*in8 501\r\n.*61/);
});

test('a device that throws gives the guest all ones and a line on standard error', async () => {
  const device = join(folder, 'fails.mjs');
  writeFileSync(device, 'export default class { name = "bad"; read() { throw new Error("no\\nway"); } write() {} }');
  const { status, stdout, stderr } = await upcall(['run', 'hello', '--device', `${device}@0x500`]);
  assert.equal(status, 0);
  assert.match(stdout, /ff/);
  assert.match(
    stderr,
    /^upcall: device bad failed in a read, the guest read all ones: no way \(at \/.*fails\.mjs:1:\d+\)\nupcall: ended: .*\n$/,
  );
});

test('a device that throws outside of an access is removed, with its name and place, and the guest goes on', async () => {
  const devices = ['later', 'rejects'].flatMap((name, index) => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(
      file,
      `export default class {
         name = '${name}';
         read() { setTimeout(() => { throw new Error('too late'); }, 0); return 7; }
         write() { Promise.reject(new Error('rejected')); }
       }`,
    );
    return ['--device', `${file}@0x50${index}`];
  });
  const session = start(process.execPath, [MAIN, 'run', ...devices]);
  for (const [command, answer] of [
    ['in8 500', '07'],
    ['out8 501 1', 'monitor> '],
    ['in8 500', 'ff'],
    ['in8 501', 'ff'],
    ['poweroff', 'poweroff'],
  ] as const) {
    await session.until('monitor> ');
    session.child.stdin.write(`${command}\n`);
    await session.until(answer === 'monitor> ' ? command : answer);
  }
  const { status, stderr } = await session.ended;
  assert.equal(status, 0, stderr);
  const [first, second] = stderr.split('\n');
  assert.match(
    first ?? '',
    /^upcall: device later failed outside of an access and was removed: too late \(at .*later\.mjs:3:\d+\)$/,
  );
  assert.match(
    second ?? '',
    /^upcall: device rejects failed outside of an access and was removed: rejected \(at .*rejects\.mjs:4:\d+\)$/,
  );
});

test('a rejection that is no Error ends the session with its value and the device', async () => {
  const device = join(folder, 'nothing.mjs');
  writeFileSync(
    device,
    'export default class { name = "nothing"; read() { Promise.reject({}); return 0; } write() {} }',
  );
  const { status, stderr } = await upcall(['run', 'hello', '--device', `${device}@0x500`]);
  assert.equal(status, 70);
  assert.match(
    stderr,
    /^upcall: unexpected error: \{\} \(not an Error, [^)]*; from device nothing\)\. Throw an Error, [^.]*\n/,
  );
});

test('an error of a stream, which names no file, removes the only device', async () => {
  const device = join(folder, 'streams.mjs');
  writeFileSync(
    device,
    `import { createReadStream } from 'node:fs';
     export default class { name = 'streams'; read() { createReadStream('/nonexistent'); return 1; } write() {} }`,
  );
  const commands = 'in8 500; repeat 40 echo later; in8 500; poweroff';
  const { status, stdout, stderr } = await upcall(['run', '--device', `${device}@0x500`, '--cmdline', commands]);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /01[\s\S]*in8 500\r\n.*ff/);
  assert.match(
    stderr,
    /^upcall: device streams failed outside of an access and was removed: ENOENT: .* no other device/,
  );
});

test('a process.exit in a device is reported with its place, and the status says that something failed', async () => {
  const device = join(folder, 'exits.mjs');
  writeFileSync(device, 'export default class { name = "exits"; read() { process.exit(0); } write() {} }');
  const { status, stderr } = await upcall(['run', 'hello', '--device', `${device}@0x500`]);
  assert.equal(status, 70);
  assert.match(
    stderr,
    /^upcall: a device or hypervisor ended the process by process\.exit\(0\) \(at .*exits\.mjs:1:\d+\)\. Throw/,
  );
  const threaded = await upcall(['run', 'hello', '--device', `${device}@0x500,thread`]);
  assert.match(
    threaded.stderr,
    /^upcall: device exits was removed because its thread ended: process\.exit\(0\) .* \(at .*exits\.mjs:1:\d+\)\n/,
  );
});

test('a signal ends the session with its status and the statistics', async () => {
  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const) {
    const session = start(process.execPath, [MAIN, 'run', '--stats']);
    await session.until('monitor> ');
    session.child.kill(signal);
    const { status, stderr } = await session.ended;
    assert.equal(status, expected);
    assert.match(stderr, new RegExp(`^upcall: ended by ${signal}\n`));
    assert.match(stderr, /accesses trapped/);
  }
});

test('a closed standard output ends the session without a message', async () => {
  const session = start(process.execPath, [MAIN, 'run', '--cmdline', 'repeat 100000 echo still here']);
  await session.until('still here');
  session.child.stdout.destroy();
  const { status, stderr } = await session.ended;
  assert.equal(status, 141);
  assert.equal(stderr, '');
});

test('output that is read late is complete', async () => {
  const lines = 0x400;
  const session = start(process.execPath, [
    MAIN,
    'run',
    '--cmdline',
    `repeat ${lines.toString(16)} echo line; poweroff`,
  ]);
  session.child.stdout.pause();
  await new Promise((resolve) => session.child.stderr.once('data', resolve));
  session.child.stdout.resume();
  const { status, stdout } = await session.ended;
  assert.equal(status, 0);
  assert.equal(stdout.match(/^line\r$/gm)?.length, lines);
});

test('a message does not begin in the middle of the guest’s line if both go to one file', () => {
  const file = openSync(join(folder, 'both'), 'a');
  const args = [MAIN, 'run', 'monitor', '--expect', 'monitor> ', '--stats'];
  spawnSync(process.execPath, args, { stdio: ['ignore', file, file] });
  closeSync(file);
  assert.match(readFileSync(join(folder, 'both'), 'utf8'), /\nmonitor> \n[^\n]/);
});

test('doctor lists the hypervisors that run here and why others do not', async () => {
  const { status, stdout, stderr } = await upcall(['doctor']);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /v86 +runs here .*\n.*self-test passed/);
  assert.match(stdout, /scripted +not usable .*\n.*runs no guest program/);
  assert.match(stdout, /kvm +(runs here .*\n.*self-test passed|not usable .*\n.*\n.*use --hypervisor v86)/);
  // Where KVM emulates the guest, no line says that the processor runs it.
  assert.match(stdout, /Linux's KVM: with VT-x or AMD-V the processor itself runs the guest\n/);
  assert.match(stdout, /qemu-system-x86_64 +(not )?found +.*upcall compare/);
  assert.ok(stdout.includes(process.version));
});

test('every help page has examples, that of run also the exit statuses', async () => {
  const help = await upcall(['run', '--help']);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /Examples:[\s\S]+Exit status:[\s\S]+130 {2}interrupted/);
  for (const args of [[], ['--help'], ['doctor', '--help']]) {
    const { status, stdout } = await upcall(args);
    assert.equal(status, 0);
    assert.match(stdout, /Examples?:/);
  }
  assert.match((await upcall(['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
});

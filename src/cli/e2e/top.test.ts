import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { printedAddress } from './page-browser.js';
import { MAIN, start, upcall } from './upcall-process.js';

const hasScript = spawnSync('script', ['--version']).status === 0;
const pty = hasScript ? { timeout: 120_000 } : { skip: 'needs the program `script` of util-linux' };

test('top shows the guest of another process and leaves it running', { timeout: 120_000 }, async () => {
  const run = start(process.execPath, [MAIN, 'run', '--page']);
  const address = await printedAddress(run);
  await run.until('monitor> ');
  const top = start(process.execPath, [MAIN, 'top', address]);
  await top.until('uart16550: port 0x3f8');
  top.child.kill('SIGINT');
  assert.equal((await top.ended).status, 0);
  run.child.stdin.write('poweroff\n');
  assert.equal((await run.ended).status, 0);
});

test('top runs a guest of its own, without its console', { timeout: 120_000 }, async () => {
  const top = start(process.execPath, [MAIN, 'top', 'monitor', '--cmdline', 'time in8 500 1000.']);
  await top.until('uart16550: port 0x3f8');
  top.child.kill('SIGINT');
  const { status, stdout } = await top.ended;
  assert.equal(status, 0);
  assert.match(stdout, /upcall top {2}monitor on v86/);
  assert.doesNotMatch(stdout, /monitor>/);
});

test('Ctrl-C quits top at once and restores the terminal', pty, async () => {
  const session = `stty cols 80 rows 24; '${process.execPath}' '${MAIN}' top monitor --cmdline 'repeat ffffff in8 64'; echo "status=$?"; stty -a`;
  const top = start('script', ['-qec', session, '/dev/null'], { env: { SHELL: '/bin/sh' } });
  await top.until('i8042-command: port 0x64');
  top.child.stdin.write('\x03');
  await top.until('status=0');
  const { stdout } = await top.ended;
  const [entered, left] = [stdout.lastIndexOf('\x1b[?1049h'), stdout.lastIndexOf('\x1b[?1049l')];
  assert.ok(entered >= 0 && left > entered, 'the screen that was there before is there again');
  assert.ok(stdout.lastIndexOf('\x1b[?25h') > stdout.lastIndexOf('\x1b[?25l'), 'and its cursor');
  assert.match(stdout.slice(left), /(?<!-)icanon/);
});

test('a signal ends top with the terminal and the screen as they were', pty, async () => {
  const run = start(process.execPath, [MAIN, 'run', '--page']);
  const address = await printedAddress(run);
  for (const [signal, status] of [
    ['SIGHUP', 0],
    ['SIGQUIT', 0],
    // Not one that quits: its default ends the process, 128 + 12.
    ['SIGUSR2', 140],
  ] as const) {
    const command = `sh -c 'echo pid=$$.; exec "${process.execPath}" "${MAIN}" top "${address}"'`;
    const session = `stty cols 80 rows 24; ${command}; echo "status=$?."; stty -a`;
    const top = start('script', ['-qec', session, '/dev/null'], { env: { SHELL: '/bin/sh' } });
    let pid = 0;
    top.child.stdout.on('data', (bytes: Buffer) => (pid ||= Number(/pid=(\d+)\./.exec(String(bytes))?.[1] ?? 0)));
    await top.until('uart16550: port 0x3f8');
    process.kill(pid, signal);
    await top.until(`status=${status}.`);
    const { stdout } = await top.ended;
    const [entered, left] = [stdout.lastIndexOf('\x1b[?1049h'), stdout.lastIndexOf('\x1b[?1049l')];
    assert.ok(entered >= 0 && left > entered, `${signal}: the screen that was there before is there again`);
    assert.match(stdout.slice(left), /(?<!-)icanon/, signal);
  }
  run.child.stdin.write('poweroff\n');
  assert.equal((await run.ended).status, 0);
});

test(
  'the page is served for every guest and wherever --page stands; a port that is taken is one line',
  { timeout: 120_000 },
  async () => {
    const first = start(process.execPath, [MAIN, 'run', 'monitor', '--page']);
    const address = await printedAddress(first);
    const { port } = new URL(address);
    const taken = await upcall(['run', 'hello', '--page', port]);
    assert.deepEqual([taken.status, taken.stdout], [2, '']);
    assert.match(
      taken.stderr,
      new RegExp(
        `^upcall: the page cannot be served at 127\\.0\\.0\\.1:${port}: another program listens there\\. Give another port.*\\n$`,
      ),
    );
    first.child.kill('SIGINT');
    await first.ended;
    // Ctrl-C has let go of the port: it can be had at once.
    const second = start(process.execPath, [MAIN, 'run', '--page', port, 'monitor']);
    assert.equal(new URL(await printedAddress(second)).port, port);
    await second.until('monitor> ');
    second.child.kill('SIGINT');
    assert.match((await second.ended).stderr, /ended by SIGINT/);
  },
);

test('an invalid address and an unreachable page are refused in one line', async () => {
  for (const address of ['http://127.0.0.1', 'http://127.0.0.1:1/#token']) {
    const { status, stderr } = await upcall(['top', address]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^upcall: .*upcall run --page.*\n$/);
  }
});

test('an invalid port and a host without a page are refused in one line', async () => {
  for (const args of [
    ['run', '--page', 'monitor'],
    ['run', '--page', '65536'],
    ['run', '--page-host', '0.0.0.0'],
  ]) {
    const { status, stderr } = await upcall(args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^upcall: .*--page.*\n$/);
  }
});

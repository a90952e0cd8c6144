import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAIN, start, upcall } from './upcall-process.js';

test('top shows the guest that another process runs, and leaves it running', { timeout: 60_000 }, async () => {
  const run = start(process.execPath, [MAIN, 'run', '--page']);
  let stderr = '';
  const address = await new Promise<string>((resolve) =>
    run.child.stderr.on('data', (text: Buffer) => {
      stderr += text.toString();
      const found = /http:\/\/\S+/.exec(stderr);
      if (found !== null) resolve(found[0]);
    }),
  );
  await run.until('monitor> ');
  const top = start(process.execPath, [MAIN, 'top', address]);
  await top.until('uart16550: port 0x3f8');
  top.child.kill('SIGINT');
  assert.equal((await top.ended).status, 0);
  run.child.stdin.write('poweroff\n');
  assert.equal((await run.ended).status, 0);
});

test('top runs a guest of its own, without its console', { timeout: 60_000 }, async () => {
  const top = start(process.execPath, [MAIN, 'top', 'monitor', '--cmdline', 'time in8 500 1000.']);
  await top.until('uart16550: port 0x3f8');
  top.child.kill('SIGINT');
  const { status, stdout } = await top.ended;
  assert.equal(status, 0);
  assert.match(stdout, /upcall top {2}monitor on v86/);
  assert.doesNotMatch(stdout, /monitor>/);
});

test('an address that is none, and one where nobody is: one line says what to do', async () => {
  for (const address of ['http://127.0.0.1', 'http://127.0.0.1:1/#token']) {
    const { status, stderr } = await upcall(['top', address]);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^upcall: .*upcall run --page.*\n$/);
  }
});

test('a port that is none, a host without a page: one line says what to do', async () => {
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

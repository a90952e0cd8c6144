import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadLibc } from './libc.js';

const noKoffi = loadLibc() === undefined ? 'this is not Linux, or koffi is not installed' : false;

// In a process of its own: a call that blocks would hold this one.
test('connect does not wait for a program that accepts no connections', { skip: noKoffi }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-sockets-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const code = `
    import { UnixSockets } from ${JSON.stringify(new URL('./unix-sockets.js', import.meta.url).href)};
    const sockets = new UnixSockets();
    const path = ${JSON.stringify(join(folder, 'socket'))};
    sockets.listen(path);
    let count = 0;
    try {
      for (; count < 1000; count++) sockets.connect(path);
    } catch (error) {
      console.log(count > 1, error.name === 'Error' && error.message);
    }
  `;
  const parameters = ['--input-type=module', '--eval', code];
  const { stdout, signal } = spawnSync(process.execPath, parameters, { encoding: 'utf8', timeout: 30_000 });
  assert.equal(signal, null, 'it blocks');
  assert.equal(stdout.trim(), 'true connect(2) failed: EAGAIN');
});

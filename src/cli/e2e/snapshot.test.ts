/** Snapshots of Debian by the command line: saved, restored, and the booted state of the cache. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { delay } from '../../sync/bounded-wait.js';
import { MAIN, start, type Started } from './upcall-process.js';

const PROMPT = 'debian:/root# ';
const LIMIT_MS = 240_000;
const folder = mkdtempSync(join(tmpdir(), 'upcall-e2e-snapshot-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: readonly string[]): Started {
  return start(process.execPath, [MAIN, 'run', ...args], { limitMs: LIMIT_MS, env: { XDG_CACHE_HOME: folder } });
}

/** A cache of its own, with the fetched guest of the user's, if that has one, and no states. */
function linkGuest(): void {
  const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const guest = join(caches, 'upcall', 'debian', 'guest-3');
  mkdirSync(join(folder, 'upcall', 'debian'), { recursive: true });
  if (existsSync(guest)) symlinkSync(guest, join(folder, 'upcall', 'debian', 'guest-3'));
}

linkGuest();
const states = join(folder, 'upcall', 'debian', 'states');

function savedStates(): string[] {
  return existsSync(states) ? readdirSync(states).filter((name) => name.endsWith('.state')) : [];
}

test('Debian is saved at its prompt and goes on from the file, in another process', async () => {
  const file = join(folder, 'vm.snap');
  const first = run('debian', '--cold', '--save', file, '--save-after', 'to be saved');
  await first.until(PROMPT);
  first.child.stdin.write("x=41; echo 'to be' saved\n");
  while (!existsSync(file)) await delay(20);
  first.child.stdin.end('exit\n');
  const ended = await first.ended;
  assert.equal(ended.status, 0, ended.stderr);
  assert.match(ended.stderr, /saved to .*vm\.snap: \d+\.\d MiB in \d+\.\d s/);
  for (let round = 0; round < 2; round++) {
    const startMs = performance.now();
    const second = run(file);
    await second.until(PROMPT);
    second.child.stdin.write('echo $((x + 1)); hwclock -s; date +%Y-%m-%d; exit\n');
    const { status, stdout, stderr } = await second.ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^42\r$/m);
    assert.ok(stdout.includes(new Date().toISOString().slice(0, 10)), stdout);
    assert.ok(performance.now() - startMs < LIMIT_MS);
  }
});

test('the second run of debian goes on from its booted state, with the clock right, and --cold boots', async () => {
  for (const kind of ['boots', 'restored', 'cold']) {
    const session = run('debian', ...(kind === 'cold' ? ['--cold'] : []));
    await session.until('upcall: user space reached');
    await session.until(PROMPT);
    // A guest that ends within half a second of its prompt is not saved.
    while (savedStates().length === 0) await delay(20);
    session.child.stdin.write('date +%Y-%m-%d; cat /proc/uptime; exit\n');
    const { status, stdout, stderr } = await session.ended;
    assert.equal(status, 0, stderr);
    assert.ok(stdout.includes(new Date().toISOString().slice(0, 10)), stdout);
    assert.equal(savedStates().length, 1, kind);
  }
});

test('what needs a boot boots, and leaves no state', async () => {
  const before = savedStates();
  const { status, stdout, stderr } = await run('debian', '--run', 'uname -r').ended;
  assert.equal(status, 0, stderr);
  assert.match(stdout, /686/);
  assert.deepEqual(savedStates(), before);
});

test('a damaged state is removed, and the run boots', async () => {
  const [name = ''] = savedStates();
  truncateSync(join(states, name), 5000);
  const session = run('debian');
  await session.until(PROMPT);
  session.child.stdin.end('exit\n');
  assert.equal((await session.ended).status, 0);
});

/** Debian's own root file system: built, logged in to, with apt, a network and a shared folder. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MAIN, shellAnswers, start, upcall } from './upcall-process.js';

/** The first run builds the root file system. */
const LIMIT_MS = 900_000;
const folder = mkdtempSync(join(tmpdir(), 'upcall-debian-root-'));
after(() => rmSync(folder, { recursive: true }));
const out = join(folder, 'out');
mkdirSync(out);
writeFileSync(join(out, 'from-host'), 'hello from the host\n');
const changes = join(folder, 'changes.qcow2');

/** Without a network the packages cannot be fetched, which is the reason for a skip. */
const built = await upcall(['run', 'debian', '--root', '--run', 'true'], '', { limitMs: LIMIT_MS });
const skip = built.status === 2 && !built.stderr.includes('could not be built') && built.stderr;
const options = { skip, timeout: LIMIT_MS };
const noPasst = spawnSync('passt', ['--version']).status !== 0 && 'passt is not installed';

test('all packages are configured, files are root’s, and a status is that of the commands', options, async () => {
  const commands = [
    "echo packages $(dpkg-query -W -f '${db:Status-Abbrev}\\n' | sort | uniq -c)",
    'dpkg --audit && echo audited',
    'stat -c %U:%G:%a /usr/bin/chage /bin/sh /tmp',
    'dd if=/dev/zero of=/big bs=1M count=16 2>&1 | tail -1',
    'cat /mnt/share/from-host; echo written by $(id -un) >/mnt/share/from-guest',
    'echo kept >/root/kept',
    'exit 4',
  ].join('; ');
  const { status, stdout, stderr } = await upcall(
    ['run', 'debian', '--root', changes, '--share', `${out},rw`, '--run', commands],
    '',
    { limitMs: LIMIT_MS },
  );
  assert.equal(status, 1, `${stdout}\n${stderr}`);
  assert.match(stdout, /commands ended with status 4/);
  assert.match(stdout, /^packages \d{2,3} ii\r?$/m);
  assert.match(stdout, /^audited\r?$/m);
  assert.match(stdout, /^root:shadow:2755\r?$/m);
  assert.match(stdout, /16777216 bytes/);
  assert.match(stdout, /^hello from the host\r?$/m);
  assert.equal(readFileSync(join(out, 'from-guest'), 'utf8'), 'written by root\n');
});

test('it boots to a shell of root, what was written before is kept, and its end powers off', options, async () => {
  const session = start(process.execPath, [MAIN, 'run', 'debian', '--root', changes], { limitMs: LIMIT_MS });
  await shellAnswers(session, 'root@debian:~#', 'echo it was $(cat kept), uid $(id -u)', 'it was kept, uid 0');
});

test('without a file changes are lost, and the image stays as it was', options, async () => {
  const { stdout } = await upcall(['run', 'debian', '--root', '--run', 'ls /root/kept'], '', { limitMs: LIMIT_MS });
  assert.match(stdout, /No such file/);
});

test('apt-get update reads the mirror of this machine over passt', { ...options, skip: skip || noPasst }, async () => {
  const commands = 'apt-get update && apt-cache policy hello | grep Candidate';
  const { status, stdout, stderr } = await upcall(
    ['run', 'debian', '--root', '--net', 'passt', '--run', commands],
    '',
    { limitMs: LIMIT_MS },
  );
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /Candidate: \d/);
});

test('two of them ping each other on a hub', options, async () => {
  const env = { XDG_RUNTIME_DIR: folder };
  const run = (commands: string) =>
    start(process.execPath, [MAIN, 'run', 'debian', '--root', '--net', 'hub:root', '--run', commands], {
      limitMs: LIMIT_MS,
      env,
    });
  // The first stays until the second is gone.
  const first = run(
    'ip addr add 10.1.3.1/24 dev eth0; echo is up; until ping -c 1 -W 2 10.1.3.2; do :; done; while ping -c 1 -W 2 10.1.3.2; do :; done',
  );
  await first.until('is up');
  const second = run('ip addr add 10.1.3.2/24 dev eth0; until ping -c 1 -W 2 10.1.3.1; do :; done; ping -c 3 10.1.3.1');
  const ended = await second.ended;
  assert.equal(ended.status, 0, ended.stderr);
  assert.match(ended.stdout, /3 packets transmitted, 3 received/);
  assert.equal((await first.ended).status, 0);
});

/** Linux' driver of the virtio console, in Debian: a terminal and ports with names. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { whyNoDebian } from './needed-guest.js';
import { MAIN, start } from './upcall-process.js';

const LIMIT_MS = 280_000;
const folder = mkdtempSync(join(tmpdir(), 'upcall-console-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const noDebian = await whyNoDebian();
const noTerminal =
  spawnSync('script', ['--version']).status !== 0 && 'needs the program `script` of util-linux for a terminal';

test(
  'Debian has a shell on the virtio console, talks to a program of the host by one port and fills a file by another',
  { skip: noDebian, timeout: LIMIT_MS },
  async () => {
    const [socketPath, log] = [join(folder, 'agent.sock'), join(folder, 'guest.log')];
    const ports = ['--port', `org.test.agent=unix:${socketPath}`, '--port', `log=${log}`];
    const session = start(process.execPath, [MAIN, 'run', 'debian', '--console', ...ports, '--stats'], {
      limitMs: LIMIT_MS,
    });
    await session.until('# ');
    assert.ok(existsSync(socketPath));
    const socket = connect(socketPath);
    await once(socket, 'connect');
    let answer = '';
    socket.on('data', (bytes) => (answer += String(bytes)));
    // The guest reads the question, and answers with a text that ends by the question.
    socket.write('question\n');
    session.child.stdin.write(
      'tty; exec 3<>/dev/virtio-ports/org.test.agent; read -r x <&3; seq 1 2000 >&3; echo the $x >&3; exec 3>&-\n',
    );
    await session.until('/dev/hvc0\r');
    while (!answer.endsWith('the question\n')) await once(socket, 'data');
    assert.ok(answer.startsWith('1\n2\n3\n') && answer.includes('\n1999\n2000\nthe question'));
    socket.end();
    session.child.stdin.write('seq 1 3000 >/dev/virtio-ports/log; echo file $?; seq 1 500 | tail -n 1; exit\n');
    await session.until('file 0\r');
    await session.until('500\r');
    const { status, stdout, stderr } = await session.ended;
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.equal(readFileSync(log, 'latin1'), Array.from({ length: 3000 }, (_, n) => `${n + 1}\n`).join(''));
    assert.ok(!existsSync(socketPath), 'its socket is gone');
    assert.match(stderr, /doorbells of +writes\n +virtio-console 00:01\.0 +\d+/);
  },
);

test(
  "the console has the size of the terminal, and Ctrl-C is the guest's",
  { skip: noDebian || noTerminal, timeout: LIMIT_MS },
  async () => {
    const command = `stty rows 43 cols 132; '${process.execPath}' '${MAIN}' run debian --console; echo "status=$?"`;
    const session = start('script', ['-qec', command, '/dev/null'], { env: { SHELL: '/bin/sh' }, limitMs: LIMIT_MS });
    await session.until('# ');
    // By a process of its own, because a Ctrl-C between two commands of the shell interrupts none.
    session.child.stdin.write("stty size; sh -c 'echo asleep; exec sleep 1000'\r");
    await session.until('43 132\r');
    await session.until('asleep\r');
    session.child.stdin.write('\x03');
    await session.until('# ');
    session.child.stdin.write('exit\r');
    await session.until('status=0');
    await session.ended;
  },
);

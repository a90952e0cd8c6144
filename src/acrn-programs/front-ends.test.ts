import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isLinuxAtLeast } from '../host/node/linux/kernel-version.js';
import { compileClient, missing, upcallHsm, type Running } from './fixtures/programs.js';
import { TestServer } from './fixtures/test-server.js';
import { programSupport } from './support.js';

const MODES = ['requests', 'signals', 'restarts', 'handler', 'threads', 'forks', 'dups', 'events', 'patches'] as const;
type Mode = (typeof MODES)[number];

/**
 * The results that differ under a filter on Linux before 5.19. There the system, and not the
 * server, ends a call that a signal interrupts: with EINTR, or by making it anew, which finds no
 * client after the handler.
 */
const OF_FILTER: Partial<Record<Mode, readonly [shim: string, filter: string]>> = isLinuxAtLeast([5, 19])
  ? {}
  : { signals: ['interrupted 0', 'interrupted -4'], handler: ['interrupted 0', 'interrupted -19'] };

const skip = missing();
const filter = programSupport();
const withoutFilter = skip ?? (filter.available ? undefined : filter.reason);
const folder = mkdtempSync(join(tmpdir(), 'upcall-front-ends-'));
after(() => rmSync(folder, { recursive: true }));

/** What the client prints, by mode: all modes run one after the other under one server. */
async function outputs(client: string, ...options: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const script = MODES.map((mode) => `echo "== ${mode}"; ${client} ${mode}; echo "status $?"`).join('\n');
  const { status, output, errors } = await upcallHsm(folder, ...options, '--', 'sh', '-c', script).ended;
  assert.equal(status, 0, errors);
  const parts = output.split(/^== (\w+)\n/m).slice(1);
  return new Map(MODES.map((mode) => [mode, parts[parts.indexOf(mode) + 1] ?? '']));
}

describe('a program with the shim', { skip: skip ?? false }, () => {
  let shim: ReadonlyMap<string, string> = new Map();
  let client = '';
  before(async () => {
    client = compileClient(folder);
    shim = await outputs(client, '--shim');
  });

  const lines = (mode: Mode): readonly string[] => shim.get(mode)?.split('\n') ?? [];
  const has = (mode: Mode, ...expected: readonly string[]): void => {
    for (const line of [...expected, 'status 0']) assert.ok(lines(mode).includes(line), `${line}\n${shim.get(mode)}`);
  };

  test('finds a character device, and shares memory with the guest both ways', () => {
    has('requests', 'stat 0', 'is device 1', 'another -2', 'bad address -14', 'contents kept');
    has('requests', 'write 500 1 41', 'read 500 2 0', 'write 80 2 1234', 'stored 4660', 'closed -9');
  });

  test('has ATTACH ended with 0 by a signal, whether or not the handler restarts calls', () => {
    has('signals', 'interrupted 0', 'handled 1', 'DESTROY_VM 0');
    has('restarts', 'interrupted 0', 'handled 1', 'DESTROY_VM 0');
  });

  test('makes calls in a handler inside ATTACH', () => {
    has('handler', 'PAUSE_VM in the handler 0', 'DESTROY_IOREQ_CLIENT in the handler 0', 'ATTACH -19');
  });

  test('makes calls in several threads while another one waits in ATTACH', () => {
    has('threads', 'failures 0', 'ATTACH -19');
  });

  test('shares its file with a child of fork, whose arguments are in its own memory', () => {
    has('forks', "child's NOTIFY -22", "child's SET_IRQLINE 0", "child's START_VM -22", 'child 0', 'START_VM 0');
  });

  test('uses a copy of the descriptor after the first one is closed', () => {
    has('dups', 'closed -9', 'START_VM 0', 'write 80 2 1234');
  });

  test('connects its eventfds, and gets EBADF or EINVAL for other descriptors', () => {
    has('events', 'IOEVENTFD 0', 'again -17', 'not open -9', 'not an eventfd -22', 'IRQFD is taken 1', 'value 1');
  });

  test('changes code that the guest has executed', () => {
    has('patches', 'stale 0');
  });

  test('may run on all CPUs, whatever --pin says', async () => {
    const fronts = withoutFilter === undefined ? [['--shim'], []] : [['--shim']];
    for (const front of fronts) {
      const { output, errors } = await upcallHsm(folder, ...front, '--pin', '0', '--', 'nproc').ended;
      assert.equal(output, `${availableParallelism()}\n`, errors);
    }
  });

  test('gets the results that it gets under a filter', { skip: withoutFilter ?? false }, async () => {
    const filtered = await outputs(client);
    for (const mode of MODES) {
      const [ofShim, ofFilter] = OF_FILTER[mode] ?? ['', ''];
      assert.equal(filtered.get(mode), shim.get(mode)?.replace(ofShim, ofFilter), mode);
    }
  });
});

describe('programs on one server', { skip: skip ?? false }, () => {
  const socket = join(folder, 'server');
  let client = '';
  let server: Running;
  const started: Running[] = [];
  const start = (...words: readonly string[]): Running => {
    const one = upcallHsm(folder, ...words);
    started.push(one);
    return one;
  };
  before(async () => {
    client = compileClient(folder);
    server = start('--serve', socket, '--debug');
    await server.printed(/is served/);
  });
  after(() => started.forEach(({ child }) => child.kill('SIGKILL')));

  test('a second server is refused, and the first goes on', async () => {
    const { status, errors } = await start('--serve', socket).ended;
    assert.equal(status, 2);
    assert.match(errors, /another server listens at/);
  });

  test('an option of the VMs is refused with --connect', async () => {
    const { status, errors } = await start('--connect', socket, '--memory', '8', '--', client, 'requests').ended;
    assert.equal(status, 2);
    assert.match(errors, /--memory is an option of the server/);
  });

  test('a program’s status is that of the launcher', async () => {
    const { status, errors } = await start('--connect', socket, '--shim', '--', 'sh', '-c', 'exit 7').ended;
    assert.equal(status, 7, errors);
  });

  const front = withoutFilter === undefined ? [['--shim'], []] : [['--shim'], ['--shim']];

  test('each one’s terminal has the server’s lines about it, and no others', async () => {
    const programs = front.map((options) => start('--connect', socket, ...options, '--', client, 'requests'));
    const ends = await Promise.all(programs.map(({ ended }) => ended));
    const processes = ends.map(({ errors }) => {
      const [, process] =
        /^upcall: server: process (\d+): CREATE_VM fails with EINVAL: a reserved field/m.exec(errors) ?? [];
      assert.notEqual(process, undefined, errors);
      for (const [, other] of errors.matchAll(/process (\d+)/g)) assert.equal(other, process);
      return process;
    });
    assert.notEqual(processes[0], processes[1]);
    for (const process of processes) await server.printed(new RegExp(`^upcall: process ${process}: CREATE_VM`, 'm'));
  });

  test('both run their VMs, and end when the server is killed', async (context) => {
    const programs = front.map((options) => start('--connect', socket, ...options, '--', client, 'waits'));
    const vmIds = await Promise.all(programs.map(async (one) => (await one.printed(/vmid (\d+)/))[1]));
    assert.notEqual(vmIds[0], vmIds[1]);
    server.child.kill('SIGKILL');
    const killedMs = performance.now();
    const ends = await Promise.all(programs.map(({ ended }) => ended));
    const tookMs = performance.now() - killedMs;
    context.diagnostic(`ended ${tookMs.toFixed()} ms after the server`);
    assert.ok(tookMs < 2000, `${tookMs} ms`);
    for (const { errors, status } of ends) {
      assert.match(errors, /the server \(process \d+\) has ended/);
      assert.equal(status, 137);
    }
  });

  test('a new server takes the socket of one that was killed, and removes it at its end', async () => {
    const next = start('--serve', socket);
    await next.printed(/is served/);
    next.child.kill('SIGTERM');
    const { status, errors } = await next.ended;
    assert.equal(status, 0, errors);
    const { status: refused, errors: reason } = await start('--connect', socket, '--', client, 'waits').ended;
    assert.equal(refused, 2);
    assert.match(reason, /no server listens at/);
  });

  test('a program with the shim ends with the process that started it', async () => {
    const one = start('--shim', '--', client, 'waits');
    await one.printed(/vmid/);
    one.child.kill('SIGKILL');
    const killedMs = performance.now();
    await one.ended;
    assert.ok(performance.now() - killedMs < 2000);
  });

  describe('what a program has left behind with the device open', () => {
    const isOpen = join(folder, 'is-open');
    /** Ends once `orphan`, the rest of a shell script that it starts, runs with the device open. */
    const leaves = (orphan: string): string =>
      `mkfifo ${isOpen}; (trap '' INT TERM HUP; exec 3<>/dev/acrn_hsm; echo > ${isOpen}; ${orphan}) & read x < ${isOpen}; exit 7`;
    for (const options of front) {
      const name = options[0] ?? 'filter';
      test(`is waited for (${name})`, async () => {
        const { status, output, errors } = await start(...options, '--', 'sh', '-c', leaves('sleep 0.5; echo done'))
          .ended;
        rmSync(isOpen);
        assert.match(errors, /the program has ended; what it started has a file of \/dev\/acrn_hsm open/);
        assert.deepEqual([status, output], [7, 'done\n'], errors);
      });

      test(`ends at a signal (${name})`, async () => {
        const one = start(...options, '--', 'sh', '-c', leaves('exec sleep 600'));
        await one.printed(/the program has ended/);
        rmSync(isOpen);
        one.child.kill('SIGTERM');
        // It has the output open as well.
        const { status, errors } = await one.ended;
        assert.equal(status, 7, errors);
      });
    }
  });

  test('a server closes the files of its programs', { skip: withoutFilter ?? false }, async () => {
    const own = await TestServer.create(folder);
    const one = await own.start('filter', client, 'waits');
    await one.printed(/vmid/);
    assert.equal(own.server.files.count, 1);
    await own.close();
    assert.equal(own.server.files.count, 0);
    one.kill();
    await one.ended;
  });
});

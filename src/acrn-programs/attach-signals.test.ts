import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { MAX_WAITERS } from '../acrn-hsm/userspace-client.js';
import { isLinuxAtLeast } from '../host/node/linux/kernel-version.js';
import { compileClient, missing } from './fixtures/programs.js';
import { seededRandom, TestServer, type FrontEnd, type TestProgram } from './fixtures/test-server.js';
import { programSupport } from './support.js';

const SIGNALS = 200;
/** A signal comes at most this long after the server has the call. */
const DELAY_MS = 3;

/** Of signals that come while the server receives nothing. */
const ROUNDS = 10;
const BLOCK_MS = 30;
const HANDLERS = [
  ['end', 'ends calls with EINTR'],
  ['restart', 'restarts calls'],
] as const;

const skip = missing();
const filter = programSupport();
const withoutFilter = skip ?? (filter.available ? undefined : filter.reason);
const withoutKillable = withoutFilter ?? (isLinuxAtLeast([5, 19]) ? undefined : 'this kernel is older than Linux 5.19');
const random = seededRandom(Number(process.env['UPCALL_SEED'] ?? 1));

describe('ATTACH that waits', { skip: skip ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-attach-'));
  let server: TestServer;
  let client = '';
  before(async () => {
    client = compileClient(folder, 'corner-client');
    server = await TestServer.create(folder);
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  /** Starts the client, and calls `act` whenever an ATTACH of it is here. */
  async function start(
    front: FrontEnd,
    mode: string,
    act: (program: TestProgram) => void,
    signals = SIGNALS,
  ): Promise<TestProgram> {
    server.calls.clear();
    const started: TestProgram[] = [];
    server.onCall = (code) => {
      if (code !== Ioctl.ATTACH_IOREQ_CLIENT) return;
      attached.splice(0).forEach((resolve) => resolve());
      started.forEach(act);
    };
    const program = await server.start(front, client, mode, `${signals}`);
    started.push(program);
    // It may have been quick.
    if (server.calls.has(Ioctl.ATTACH_IOREQ_CLIENT)) act(program);
    return program;
  }

  const attached: (() => void)[] = [];
  /** Resolves when as many ATTACH have come. */
  async function attaches(count: number): Promise<void> {
    while ((server.calls.get(Ioctl.ATTACH_IOREQ_CLIENT) ?? 0) < count)
      await new Promise<void>((resolve) => attached.push(resolve));
  }

  const signalSoon = (program: TestProgram): void => {
    setTimeout(() => program.kill('SIGUSR1'), random() * DELAY_MS);
  };

  for (const front of ['filter', 'shim'] as const)
    for (const [mode, what] of HANDLERS)
      test(
        `is ended with 0 by each of ${SIGNALS} signals whose handler ${what} (${front})`,
        { skip: (front === 'filter' ? withoutKillable : skip) ?? false },
        async () => {
          const { output } = await (await start(front, `attach-${mode}`, signalSoon)).ended;
          assert.equal(output, `0 ${SIGNALS}\nEINTR 0\nothers 0\ndestroy 0\n`);
        },
      );

  test(
    'is ended by each signal on a kernel whose filters do not wait for received calls: with EINTR, or with 0',
    { skip: withoutFilter ?? false },
    async () => {
      const ended = await (await start('interruptible filter', 'attach-end', signalSoon)).ended;
      assert.match(ended.output, /^0 \d+\nEINTR [1-9]\d*\nothers 0\ndestroy 0\n$/);
      const restarted = await (await start('interruptible filter', 'attach-restart', signalSoon)).ended;
      assert.match(restarted.output, /^0 \d+\nEINTR 0\nothers 0\ndestroy 0\n$/);
    },
  );

  for (const [mode, what] of HANDLERS)
    test(
      `is ended with 0, and other calls are made once, if signals come before they are received and their handler ${what}`,
      { skip: withoutKillable ?? false },
      async (context) => {
        server.calls.clear();
        server.onCall = (code) => {
          // The cue. Its answer goes out before this thread blocks.
          if (code === Ioctl.CREATE_IOREQ_CLIENT && server.calls.get(code) !== 1) setImmediate(blockThread);
        };
        const { output } = await (await server.start('filter', client, `unreceived-${mode}`, `${ROUNDS}`)).ended;
        const half = ROUNDS / 2;
        assert.equal(output, `attached ${half}\nraised ${half}\nhandled ${2 * ROUNDS}\ndestroy 0\n`);
        assert.equal(server.calls.get(Ioctl.SET_IRQLINE), half);
        // The others ended before they came here.
        const received = server.calls.get(Ioctl.ATTACH_IOREQ_CLIENT) ?? 0;
        context.diagnostic(`${received} of ${half} ATTACH were received`);
        assert.ok(received < half);
      },
    );

  for (const [front, reason] of [
    ['filter', withoutKillable],
    ['shim', skip],
  ] as const)
    test(`of a child that is killed does not count any more (${front})`, { skip: reason ?? false }, async () => {
      server.calls.clear();
      server.onCall = () => undefined;
      const program = await server.start(front, client, 'children', `${2 * MAX_WAITERS}`);
      assert.equal((await program.ended).output, 'ATTACH 0\n');
      assert.ok((server.calls.get(Ioctl.ATTACH_IOREQ_CLIENT) ?? 0) > MAX_WAITERS);
    });

  test('is ended with 0 by a stop, and the program stops', { skip: withoutKillable ?? false }, async () => {
    const program = await start('filter', 'attach-end', () => undefined, 1);
    await attaches(1);
    program.kill('SIGSTOP');
    await until(() => stateOf(program.pid) === 'T');
    program.kill('SIGCONT');
    await attaches(2);
    program.kill('SIGUSR1');
    assert.equal((await program.ended).output, '0 2\nEINTR 0\nothers 0\ndestroy 0\n');
  });

  test('lets a signal end the program that dumps its core', { skip: withoutKillable ?? false }, async () => {
    const program = await start('filter', 'attach-end', () => undefined, 1);
    await attaches(1);
    program.kill('SIGQUIT');
    const end = await program.ended;
    assert.equal('signal' in end && end.signal, constants.signals.SIGQUIT);
  });
});

/** Blocks the server for longer than the client's signals take. */
function blockThread(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCK_MS);
}

/** The letter of a process's state. */
function stateOf(pid: number): string {
  return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? '';
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(1);
}

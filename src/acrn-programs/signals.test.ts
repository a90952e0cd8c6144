import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { isLinuxAtLeast } from '../host/node/linux/kernel-version.js';
import { compileClient, missing } from './fixtures/programs.js';
import { TestServer, type FrontEnd } from './fixtures/test-server.js';
import { programSupport } from './support.js';

const SESSIONS = 3;
/** The calls of a session that are made once. */
const ONCE = ['CREATE_VM', 'SET_MEMSEG', 'START_VM', 'PAUSE_VM', 'DESTROY_IOREQ_CLIENT', 'DESTROY_VM'] as const;

const skip = missing();
const filter = programSupport();
const withoutFilter = skip ?? (filter.available ? undefined : filter.reason);
/** A signal may repeat a frequent call of the second one (InterruptibleIoctls). */
const fronts: readonly (readonly [front: FrontEnd, skip: string | undefined])[] = [
  ['filter', withoutFilter ?? (isLinuxAtLeast([5, 19]) ? undefined : 'this kernel is older than Linux 5.19')],
  ['interruptible filter', withoutFilter],
  ['shim', skip],
];

describe('a signal each millisecond', { skip: skip ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-signals-'));
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

  for (const [front, reason] of fronts)
    for (const [mode, what] of [
      ['storm-restart', 'a handler that restarts calls'],
      ['storm-end', 'a handler that ends calls with EINTR'],
      ['storm-inject', 'a handler that makes calls'],
    ] as const)
      test(
        `and ${what}: each call is made once, and no request is lost (${front})`,
        { skip: reason ?? false },
        async () => {
          server.calls.clear();
          const program = await server.start(front, client, mode, `${SESSIONS}`);
          const { output } = await program.ended;
          const isExact = front !== 'interruptible filter';
          const none = isExact ? '0' : '\\d+';
          const session = `create 0\nwrong ${none}\ndestroy 0\n`;
          // The last number is that of calls that failed with EINTR.
          const rest = `descriptors left 0\nwas handled 1\nserved (\\d+)\ninterrupted ${none}\n`;
          const [, , served] = new RegExp(`^(${session}){${SESSIONS}}${rest}$`).exec(output) ?? [];
          assert.notEqual(served, undefined, output);
          for (const name of ONCE) assert.equal(server.calls.get(Ioctl[name]), SESSIONS, name);
          const finished = server.calls.get(Ioctl.NOTIFY_REQUEST_FINISH) ?? 0;
          assert.ok(isExact ? finished === Number(served) : finished >= Number(served), `${finished} of ${served}`);
          assert.deepEqual(server.reports, []);
        },
      );
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { compileClient, missing } from './fixtures/programs.js';
import { TestServer, type FrontEnd } from './fixtures/test-server.js';
import { programSupport } from './support.js';

// Results of an ioctl without a VM: of the device, of another file, of a descriptor that is closed.
const DEVICE = -22;
const OTHER = -25;
const CLOSED = -9;
const ABSENT = -2;

const STARTED = { CREATE_VM: 0, SET_MEMSEG: 0, SET_VCPU_REGS: 0, CREATE_IOREQ_CLIENT: 0 };

/** What each mode of names-client.c prints. */
const EXPECTED: readonly (readonly [mode: string, what: string, lines: Readonly<Record<string, number>>])[] = [
  [
    'opens',
    'opens the device by each of its names, and by no other',
    {
      open: DEVICE,
      'open for reading': DEVICE,
      'open or create': DEVICE,
      'open with dots': DEVICE,
      'open with slashes': DEVICE,
      'openat with a folder': DEVICE,
      'openat with an absolute path': DEVICE,
      'openat from nowhere': CLOSED,
      relative: DEVICE,
      'relative with a dot': DEVICE,
      'relative to the root': DEVICE,
      'from another folder': ABSENT,
      'longer name': ABSENT,
    },
  ],
  [
    'stats',
    'finds a character device, whichever call it asks with',
    {
      stat: 1,
      lstat: 1,
      fstatat: 1,
      statx: 1,
      access: 0,
      'access to read and write': 0,
      faccessat: 0,
      'stat of another': ABSENT,
      'access of another': ABSENT,
      'stat of /dev/null': 0,
    },
  ],
  [
    'other-names',
    'finds the device by functions for large files, fortified ones, and those of old C libraries',
    {
      open64: DEVICE,
      openat64: DEVICE,
      __open_2: DEVICE,
      __open64_2: DEVICE,
      __openat_2: DEVICE,
      __openat64_2: DEVICE,
      stat64: 1,
      lstat64: 1,
      fstatat64: 1,
      __xstat: 1,
      __xstat64: 1,
      __lxstat: 1,
      __lxstat64: 1,
      created: 1,
    },
  ],
  [
    'others',
    'gets the ioctls of other files from the system',
    {
      'CREATE_VM of /dev/null': OTHER,
      'CREATE_VM of a pipe': OTHER,
      'CREATE_VM of none': CLOSED,
      FIONREAD: 0,
      bytes: 3,
      'before a copy to its number': DEVICE,
      'after a copy to its number': OTHER,
    },
  ],
  [
    'execs',
    'keeps a descriptor across exec unless it has close-on-exec',
    {
      flags: 0,
      'flags with O_CLOEXEC': 1,
      'exec keeps it': DEVICE,
      'exec closes it': CLOSED,
      'exec keeps it after F_SETFD': DEVICE,
      'exec closes its copy': CLOSED,
    },
  ],
  [
    'forks',
    'shares RAM and the VM with a child of fork, also after it has closed its descriptor',
    {
      ...STARTED,
      'stored by the child': 0x41,
      START_VM: 0,
      wrong: 0,
      'wrong in the child': 0,
      PAUSE_VM: 0,
    },
  ],
  [
    'notifier',
    'answers requests in one thread while another one waits in ATTACH',
    { ...STARTED, START_VM: 0, wrong: 0, PAUSE_VM: 0, DESTROY_IOREQ_CLIENT: 0, attached: 1 },
  ],
];

const skip = missing();
const filter = programSupport();
const withoutFilter = skip ?? (filter.available ? undefined : filter.reason);

describe('a program', { skip: skip ?? false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-names-'));
  let server: TestServer;
  let client = '';
  before(async () => {
    client = compileClient(folder, 'names-client');
    server = await TestServer.create(folder);
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  async function run(front: FrontEnd, mode: string): Promise<Readonly<Record<string, number>>> {
    const { output } = await (await server.start(front, client, mode)).ended;
    const lines = output.trimEnd().split('\n');
    return Object.fromEntries(lines.map((line) => [line.replace(/ \S+$/, ''), Number(/\S+$/.exec(line)?.[0])]));
  }

  for (const front of ['filter', 'shim'] as const)
    for (const [mode, what, lines] of EXPECTED)
      test(`${what} (${front})`, { skip: (front === 'filter' ? withoutFilter : undefined) ?? false }, async () => {
        assert.deepEqual(await run(front, mode), lines);
        await server.idle();
      });

  test('opens the device without the C library’s functions (filter)', { skip: withoutFilter ?? false }, async () => {
    const lines = { 'open(2)': DEVICE, 'openat2(2)': DEVICE, 'bad address': -14, fopen: 1 };
    assert.deepEqual(await run('filter', 'raw-opens'), lines);
    await server.idle();
  });
});

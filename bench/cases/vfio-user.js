// @ts-check
/**
 * An access of another process to a card that is served by vfio-user: a read of a register, from
 * the message to its reply. The bare round trip is that of the row `Unix socket`: a process in
 * JavaScript that sends back what it gets.
 *
 * The client is this process, and the card is in another one, as beside a QEMU. `with an
 * interrupt`: the register that is read sends a message by MSI-X first, whose eventfd the client
 * has passed.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { product } from '../product.js';
import { measureTrips } from '../reference/round-trip.js';

export const title = 'A card in another process (vfio-user)';

const FILE = 'cases/vfio-user.js';

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'vfio-user access',
    unit: 'ns',
    process: { file: FILE, args: ['access'] },
    compare: [{ to: 'Unix socket', max: 1.5 }],
    quick: true,
  },
  {
    name: 'vfio-user access with an interrupt',
    unit: 'ns',
    process: { file: FILE, args: ['interrupt'] },
    compare: [{ to: 'vfio-user access' }],
  },
];

/** The argument that makes this file the other process. */
const SERVE = 'serve';
const HEADER_BYTES = 16;
const Command = { VERSION: 1, SET_IRQS: 8, READ: 9, WRITE: 10 };
const CONFIG = 7;
const MSIX = 2;
/** DATA_EVENTFD and ACTION_TRIGGER. */
const EVENTS = 4 | 32;
const INTERRUPTING = 4;

/** @param {'access' | 'interrupt'} what */
export async function measure(what) {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-bench-'));
  const path = join(folder, 'socket');
  const server = fork(fileURLToPath(import.meta.url), [SERVE, path]);
  try {
    await once(server, 'message');
    const client = what === 'access' ? await streamClient(path) : await descriptorClient(path);
    if (client === undefined) return { unavailable: 'koffi is not installed' };
    await client.request(message(Command.VERSION, [0]));
    await client.request(transfer(Command.WRITE, CONFIG, 4, [7, 0]));
    const read = transfer(Command.READ, 0, what === 'access' ? 0 : INTERRUPTING);
    return await measureTrips(32, async (count) => {
      for (; count > 0; count--) await client.request(read);
    });
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} path */
async function streamClient(path) {
  const socket = connect(path);
  await once(socket, 'connect');
  /** @type {(() => void) | undefined} */
  let arrived;
  // A reply is smaller than what a socket gives at once.
  socket.setNoDelay(true).on('data', () => arrived?.());
  return {
    /** @param {Buffer} bytes */
    request: async (bytes) => {
      const answer = new Promise((/** @type {(value: void) => void} */ resolve) => (arrived = resolve));
      socket.write(bytes);
      await answer;
    },
  };
}

/**
 * One that has passed an eventfd. It waits for it, too.
 *
 * @param {string} path
 */
async function descriptorClient(path) {
  const [{ UnixSockets }, { openEventFds }] = await Promise.all([
    product('host/node/linux/unix-sockets.js'),
    product('host/node/linux/event-fds.js'),
  ]);
  const events = openEventFds();
  if (events === undefined) return undefined;
  const event = events.create();
  const sockets = new UnixSockets({ type: 'stream' });
  const fd = sockets.connect(path);
  /** @type {(() => void) | undefined} */
  let arrived;
  const { loadLibc } = await product('host/node/linux/libc.js');
  const poll = loadLibc()?.poll(fd, () => {
    if (sockets.receive(fd) !== undefined) arrived?.();
  });
  let isSetUp = false;
  /** @param {Buffer} bytes @param {readonly number[]} descriptors */
  const send = async (bytes, descriptors = []) => {
    const answer = new Promise((/** @type {(value: void) => void} */ resolve) => (arrived = resolve));
    sockets.send(fd, bytes, descriptors);
    await answer;
  };
  return {
    poll,
    /** @param {Buffer} bytes */
    request: async (bytes) => {
      await send(bytes);
      if (isSetUp && events.read(event) === 0n) throw new Error('no interrupt came');
      if (bytes.readUInt16LE(2) !== Command.WRITE) return;
      await send(message(Command.SET_IRQS, [20, EVENTS, MSIX, 0, 1]), [event]);
      isSetUp = true;
    },
  };
}

/** @param {number} command @param {readonly number[]} words */
function message(command, words) {
  const bytes = Buffer.alloc(HEADER_BYTES + 4 * words.length);
  bytes.writeUInt16LE(command, 2);
  bytes.writeUInt32LE(bytes.length, 4);
  words.forEach((word, i) => bytes.writeUInt32LE(word, HEADER_BYTES + 4 * i));
  return bytes;
}

/** @param {number} command @param {number} region @param {number} offset @param {readonly number[]} data */
function transfer(command, region, offset, data = []) {
  const bytes = Buffer.concat([
    message(command, [offset, 0, region, command === Command.READ ? 4 : data.length]),
    Buffer.from(data),
  ]);
  bytes.writeUInt32LE(bytes.length, 4);
  return bytes;
}

if (process.argv[2] === SERVE) {
  const { serveVfioUser } = await product('index.js');
  /** @type {import('../../dist/index.js').CardHandle | undefined} */
  let handle;
  await serveVfioUser(
    {
      name: 'register',
      pci: { vendor: 0x1234, device: 1, class: 0xff_00_00, bars: [{ type: 'memory', size: 0x1000 }], msix: 1 },
      connect: (/** @type {import('../../dist/index.js').CardHandle} */ card) => (handle = card),
      read: (/** @type {number} */ _, /** @type {number} */ offset) => {
        if (offset === INTERRUPTING) handle?.interrupt(0);
        return offset;
      },
      write: () => undefined,
    },
    process.argv[3] ?? '',
  );
  process.send?.('ready');
}

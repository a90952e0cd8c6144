// @ts-check
/**
 * Two processes that send each other 64 bytes, the size of a request, over a Unix socket, as device
 * models in other processes do.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { measureTrips } from './round-trip.js';

export const title = 'JavaScript: a socket between two processes';

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'Unix socket',
    unit: 'ns',
    process: { file: 'reference/unix-socket.js' },
    compare: [{ to: 'Atomics.wait' }],
  },
];

const BYTES = 64;
/** The argument that makes this file the other process. */
const ANSWER = 'answer';

export async function measure() {
  const folder = mkdtempSync(join(tmpdir(), 'upcall-bench-'));
  const path = join(folder, 'socket');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const other = fork(fileURLToPath(import.meta.url), [ANSWER, path]);
  try {
    const [socket] = /** @type {[import('node:net').Socket]} */ (await once(server, 'connection'));
    const request = Buffer.alloc(BYTES);
    /** @type {(() => void) | undefined} */
    let arrived;
    let left = 0;
    socket.setNoDelay(true).on('data', (bytes) => {
      left -= bytes.length;
      if (left === 0) arrived?.();
    });
    return await measureTrips(32, async (count) => {
      for (; count > 0; count--) {
        left = BYTES;
        const answer = new Promise((/** @type {(value: void) => void} */ resolve) => (arrived = resolve));
        socket.write(request);
        await answer;
      }
    });
  } finally {
    other.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2] === ANSWER) {
  const socket = connect(process.argv[3] ?? '');
  socket.on('data', (bytes) => socket.write(bytes));
}

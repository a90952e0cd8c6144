/**
 * Stream sockets without descriptors, where koffi is not installed, or on other systems than Linux.
 *
 * Called by: node-host.ts, as `Host.listenForPrograms`.
 *
 * The event loop reads the socket. `wait` and `send` block instead: they try the descriptor of the
 * socket itself again and again. That keeps a processor busy, because Node has no poll(2).
 */

import { chmodSync, lstatSync, readSync, rmSync, writeSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { DescriptorListener, DescriptorStream, StreamPart } from '../descriptor-streams.js';

const RECEIVE_BYTES = 0x1_0000;
/** How long a program may leave its end of the stream full. */
const SEND_LIMIT_MS = 1000;
/** Of a socket's file: only its owner can connect. */
const OWNER_ONLY = 0o600;

/**
 * Rejects with Node's error. Its code is EADDRINUSE if another program listens there, EEXIST if a
 * file of another kind is there.
 */
export async function listenWithoutDescriptors(
  path: string,
  onConnection: (stream: DescriptorStream) => void,
): Promise<DescriptorListener> {
  const server = createServer((socket) => onConnection(new PlainStream(socket)));
  try {
    await listen(server, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false)
      throw Object.assign(error as Error, { code: 'EEXIST' });
    if (!(await isStale(path))) throw error;
    rmSync(path, { force: true });
    await listen(server, path);
  }
  chmodSync(path, OWNER_ONLY);
  return {
    hasDescriptors: false,
    // Node removes the socket's file. It waits for the streams, which the caller closes.
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

class PlainStream implements DescriptorStream {
  readonly pid = undefined;
  onReadable: () => void = () => undefined;
  readonly #socket: Socket;
  readonly #parts: Uint8Array[] = [];
  #isEnded = false;
  #willCall = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Uint8Array) => {
      this.#parts.push(bytes);
      this.onReadable();
    });
    const end = (): void => {
      this.#isEnded = true;
      this.onReadable();
    };
    socket.on('error', end);
    socket.on('close', end);
  }

  /**
   * -1 once Node has closed it, which is before it emits 'close'. The number may be another file's
   * by then. Node names it nowhere else.
   */
  get #fd(): number {
    return (this.#socket as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1;
  }

  receive(): StreamPart | 'closed' | undefined {
    const bytes = this.#parts.shift();
    if (bytes === undefined) return this.#isEnded ? 'closed' : undefined;
    this.#callLater();
    return { bytes, descriptors: [], mayHaveMore: this.#parts.length > 0 };
  }

  wait(limitMs: number): void {
    const endMs = performance.now() + limitMs;
    const bytes = Buffer.allocUnsafe(RECEIVE_BYTES);
    while (this.#parts.length === 0 && !this.#isEnded && this.#fd >= 0 && performance.now() < endMs) {
      try {
        const count = readSync(this.#fd, bytes, 0, RECEIVE_BYTES, null);
        if (count === 0) this.#isEnded = true;
        else this.#parts.push(bytes.subarray(0, count));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#isEnded = true;
      }
    }
  }

  send(bytes: Uint8Array): boolean {
    const endMs = performance.now() + SEND_LIMIT_MS;
    let at = 0;
    while (!this.#isEnded && this.#fd >= 0) {
      try {
        at += writeSync(this.#fd, bytes, at, bytes.length - at);
        if (at === bytes.length) return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > endMs) return false;
      }
    }
    return false;
  }

  close(): void {
    this.#isEnded = true;
    this.onReadable = () => undefined;
    this.#socket.destroy();
  }

  /** Node reports each part once. A receiver that takes some of them is called for the others. */
  #callLater(): void {
    if (this.#willCall) return;
    this.#willCall = true;
    setImmediate(() => {
      this.#willCall = false;
      if (this.#parts.length > 0 || this.#isEnded) this.onReadable();
    });
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Whether no program listens any more at `path`, a socket. */
function isStale(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

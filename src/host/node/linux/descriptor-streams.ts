/**
 * Stream sockets with descriptors, by the system calls of libc. Node drops the descriptors that
 * arrive.
 *
 * Called by: node-host.ts, as `Host.listenForPrograms`.
 * Threads: the Service VM's. `wait` and `send` block it, a second at most: a card's DMA is a call
 * that returns bytes, so it cannot await the message that brings them. In `upcall serve` no other
 * guest is served by this thread. In another program its other devices stand still meanwhile.
 *
 * Only this user, and root, can connect: the socket's file has mode 0600 (UnixSockets.listen).
 *
 * Sources: unix(7), recvmsg(2), poll(2), fcntl(2).
 */

import { lstatSync, rmSync } from 'node:fs';
import type { DescriptorListener, DescriptorStream, StreamPart } from '../../descriptor-streams.js';
import { closeDescriptor } from './descriptors.js';
import { requireLibc, type Libc, type NativeFunction, type PollHandle } from './libc.js';
import { MAX_SOCKET_PATH, SocketError, UnixSockets } from './unix-sockets.js';

/** Bytes of one `receive`. */
const RECEIVE_BYTES = 0x1_0000;
/** How long a program may take to make room for all bytes of one `send`. */
const SEND_LIMIT_MS = 1000;
const POLLIN = 1;
const POLLOUT = 4;
const EINTR = 4;
const EADDRINUSE = 98;
const ECONNREFUSED = 111;

/** Throws Error with errno. `EADDRINUSE` is its code if another program listens there. */
export function listenWithDescriptors(
  path: string,
  onConnection: (stream: DescriptorStream) => void,
): DescriptorListener {
  const libc = requireLibc();
  const sockets = new UnixSockets({ type: 'stream', messageBytes: RECEIVE_BYTES });
  const listener = listen(sockets, path);
  const inode = lstatSync(path).ino;
  const poll = libc.poll(
    listener,
    () => {
      const fd = sockets.accept(listener);
      if (fd !== undefined) onConnection(new LinuxStream(libc, sockets, fd));
    },
    { keepsAlive: true },
  );
  let isClosed = false;
  return {
    hasDescriptors: true,
    close: () => {
      // Closed once: its number may be another file's by the second call.
      if (isClosed) return Promise.resolve();
      isClosed = true;
      poll.close();
      // Another program may have replaced the socket. While ours is open, no other has its inode.
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === inode) rmSync(path, { force: true });
      closeDescriptor(listener);
      return Promise.resolve();
    },
  };
}

class LinuxStream implements DescriptorStream {
  readonly pid: number | undefined;
  onReadable: () => void = () => undefined;
  readonly #libc: Libc;
  readonly #sockets: UnixSockets;
  readonly #fd: number;
  readonly #handle: PollHandle;
  readonly #poll: NativeFunction;
  /** struct pollfd: the descriptor, the awaited events, and those that came. */
  readonly #pollFd = new Int32Array(2);
  #isClosed = false;

  constructor(libc: Libc, sockets: UnixSockets, fd: number) {
    this.#libc = libc;
    this.#sockets = sockets;
    this.#fd = fd;
    this.#pollFd[0] = fd;
    this.#poll = libc.func('int poll(_Inout_ int *fds, ulong count, int timeout)');
    this.pid = sockets.peer(fd).pid || undefined;
    this.#handle = libc.poll(fd, () => this.onReadable(), { keepsAlive: true });
  }

  receive(): StreamPart | 'closed' | undefined {
    if (this.#isClosed) return 'closed';
    const part = this.#sockets.receive(this.#fd);
    if (part === undefined || part === 'closed') return part;
    const { bytes, descriptors } = part;
    return {
      bytes: new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength),
      descriptors,
      // The system ends a part early at a message with descriptors.
      mayHaveMore: bytes.byteLength === RECEIVE_BYTES || descriptors.length > 0,
    };
  }

  wait(limitMs: number): void {
    this.#await(POLLIN, performance.now() + limitMs);
  }

  send(bytes: Uint8Array): boolean {
    const endMs = performance.now() + SEND_LIMIT_MS;
    let rest = bytes;
    while (!this.#isClosed) {
      const sent = this.#sockets.sendSome(this.#fd, rest);
      if (sent < 0) return false;
      if (sent === rest.length) return true;
      rest = rest.subarray(sent);
      if (!this.#await(POLLOUT, endMs)) return false;
    }
    return false;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handle.close();
    closeDescriptor(this.#fd);
  }

  /**
   * Blocks until one of `events` or the end of the stream has come. Returns false if none has at
   * `endMs` of performance.now().
   */
  #await(events: number, endMs: number): boolean {
    this.#pollFd[1] = events;
    for (let leftMs = endMs - performance.now(); leftMs > 0 && !this.#isClosed; leftMs = endMs - performance.now()) {
      const count = Number(this.#poll(this.#pollFd, 1, Math.ceil(leftMs)));
      if (count > 0) return true;
      // A signal that Node handles ends the call early.
      if (count < 0 && this.#libc.errno() !== EINTR) return false;
    }
    return false;
  }
}

function listen(sockets: UnixSockets, path: string): number {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw withCode(new Error(`a socket's path has at most ${MAX_SOCKET_PATH} bytes`), 'ENAMETOOLONG');
  try {
    return sockets.listen(path);
  } catch (error) {
    if (!isTaken(error)) throw error;
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) throw withCode(error, 'EEXIST');
    if (!isStale(sockets, path)) throw withCode(error, 'EADDRINUSE');
  }
  // Two programs that do this at the same time may remove each other's: the last one has the path.
  rmSync(path, { force: true });
  try {
    return sockets.listen(path);
  } catch (error) {
    throw isTaken(error) ? withCode(error, 'EADDRINUSE') : error;
  }
}

/** Whether no program listens any more at `path`, a socket. */
function isStale(sockets: UnixSockets, path: string): boolean {
  try {
    closeDescriptor(sockets.connect(path));
    return false;
  } catch (error) {
    return error instanceof SocketError && error.errno === ECONNREFUSED;
  }
}

function isTaken(error: unknown): error is SocketError {
  return error instanceof SocketError && error.errno === EADDRINUSE;
}

function withCode(error: Error, code: string): Error {
  return Object.assign(error, { code });
}

/**
 * ProgramSocket: the socket at which a server serves programs that it did not start under a filter:
 * those with the shim, and those of other launchers.
 *
 * Called by: acrn-server.ts. Threads: the Service VM's.
 *
 * Only the server's own user and root may connect.
 */

import { lstatSync, rmSync } from 'node:fs';
import { closeDescriptor } from '../host/node/linux/descriptors.js';
import { requireLibc, type PollHandle } from '../host/node/linux/libc.js';
import { MAX_SOCKET_PATH, SocketError, UnixSockets } from '../host/node/linux/unix-sockets.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { MAX_OPEN_FILES } from './open-files.js';
import { ShimConnection, type ShimConnectionOptions } from './shim-connection.js';

/** Connections at a time: those of open files and of launchers. */
export const MAX_CONNECTIONS = 2 * MAX_OPEN_FILES;
const ROOT = 0;
const EADDRINUSE = 98;
const ECONNREFUSED = 111;

export type ProgramSocketOptions = Pick<ShimConnectionOptions, 'files' | 'serve' | 'report' | 'tracksWrites'>;

export class ProgramSocket {
  readonly path: string;
  readonly #options: ProgramSocketOptions;
  readonly #sockets = new UnixSockets();
  readonly #fd: number;
  /** Inode of the socket's file, which another process may replace. */
  readonly #inode: number;
  readonly #poll: PollHandle;
  readonly #connections = new Set<ShimConnection>();

  /**
   * Listens at `path`, an absolute path. Throws OPTION_INVALID if it is too long, is not a socket,
   * or another server listens there, and TOOL_FAILED if the system refuses to listen.
   */
  constructor(path: string, options: ProgramSocketOptions) {
    this.path = path;
    this.#options = options;
    this.#fd = listen(this.#sockets, path);
    this.#inode = lstatSync(path).ino;
    const libc = requireLibc();
    this.#poll = libc.poll(this.#fd, () => this.#accept(), { keepsAlive: true });
  }

  /** The connection of the launcher that has started `process`. */
  launcherOf(process: number): ShimConnection | undefined {
    return [...this.#connections].find((connection) => connection.isLauncherOf(process));
  }

  /** Ends the VMs of all connections, and removes the socket. */
  close(): void {
    this.#poll.close();
    closeDescriptor(this.#fd);
    for (const connection of this.#connections) connection.close();
    if (lstatSync(this.path, { throwIfNoEntry: false })?.ino === this.#inode) rmSync(this.path, { force: true });
  }

  #accept(): void {
    const fd = this.#sockets.accept(this.#fd);
    if (fd === undefined) return;
    const { pid, uid } = this.#sockets.peer(fd);
    const refusal =
      uid !== process.getuid?.() && uid !== ROOT
        ? `user ${uid} may not use this server`
        : this.#connections.size >= MAX_CONNECTIONS
          ? `there are ${MAX_CONNECTIONS} connections`
          : undefined;
    if (refusal !== undefined) {
      this.#options.report(`process ${pid} is refused: ${refusal}`, pid);
      closeDescriptor(fd);
      return;
    }
    const connection = new ShimConnection({
      ...this.#options,
      sockets: this.#sockets,
      fd,
      onClosed: (closed) => this.#connections.delete(closed),
    });
    this.#connections.add(connection);
  }
}

function listen(sockets: UnixSockets, path: string): number {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH)
    throw new UpcallError('OPTION_INVALID', `${path}: a socket's path has at most ${MAX_SOCKET_PATH} bytes`, {
      remedy: 'Give a shorter one, or set TMPDIR to a shorter folder',
    });
  try {
    return sockets.listen(path);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    if (error.errno !== EADDRINUSE) throw cannotListen(path, error);
    removeStale(sockets, path);
  }
  try {
    return sockets.listen(path);
  } catch (error) {
    throw cannotListen(path, error as Error);
  }
}

/** Removes a socket on which no process listens any more. */
function removeStale(sockets: UnixSockets, path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false)
    throw new UpcallError('OPTION_INVALID', `${path} is not a socket`, { remedy: 'Give a path that does not exist' });
  try {
    closeDescriptor(sockets.connect(path));
  } catch (error) {
    if (!(error instanceof SocketError) || error.errno !== ECONNREFUSED) throw cannotListen(path, error as Error);
    rmSync(path, { force: true });
    return;
  }
  throw new UpcallError('OPTION_INVALID', `another server listens at ${path}`, {
    remedy: `Use it with --connect ${path}, or give another path`,
  });
}

function cannotListen(path: string, cause: Error): UpcallError {
  return new UpcallError('TOOL_FAILED', `cannot listen at ${path}: ${cause.message}`, {
    remedy: 'Give a path in a folder that exists and may be written',
    cause,
  });
}

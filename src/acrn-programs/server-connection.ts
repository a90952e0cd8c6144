/**
 * ServerConnection: a launcher's connection to the server that serves its program. (A launcher is
 * an upcall process that starts a program for a server in another process.) The connection is open
 * as long as the program runs: by its end, each side notices that the other has ended.
 *
 * Called by: cli/hsm-connect.ts.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { closeDescriptor, closeReceived, socketPair } from '../host/node/linux/descriptors.js';
import { requireLibc, type PollHandle } from '../host/node/linux/libc.js';
import type { Listener } from '../host/node/linux/seccomp-filter.js';
import { SocketError, UnixSockets } from '../host/node/linux/unix-sockets.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { lineText, MAGIC, Operation, replyResult, requestBytes } from './shim-messages.js';
import type { ServerAddress } from './shimmed-program.js';

/** A server answers at once unless it is stopped. */
const REPLY_LIMIT_MS = 10_000;
const ENOENT = 2;
const EACCES = 13;
const ECONNREFUSED = 111;

export class ServerConnection {
  /** For the shim. */
  readonly address: ServerAddress;
  readonly serverPid: number;
  /** Resolves when the server has ended, or refuses the program. */
  readonly closed: Promise<'closed'>;
  readonly #sockets: UnixSockets;
  readonly #fd: number;
  readonly #poll: PollHandle;
  readonly #onLine: (line: string) => void;

  /**
   * `isFiltered`: whether the program will have a seccomp filter. Then the server must be allowed
   * to access the memory of processes that it did not start. `onLine` gets the server's lines about
   * the program. Rejects with TOOL_MISSING if no server listens at `path`, TOOL_FAILED if it may
   * not serve the program, and TIMED_OUT if it does not answer.
   */
  static async open(
    path: string,
    isFiltered: boolean,
    onLine: (line: string) => void = () => undefined,
  ): Promise<ServerConnection> {
    const sockets = new UnixSockets();
    const connection = new ServerConnection(sockets, connect(sockets, path), path, onLine);
    const word = new Uint32Array([MAGIC]);
    const result = await connection.#call(Operation.LAUNCH, isFiltered ? requireLibc().address(word) : 0n);
    // The server has read the word by now: until here it must not be collected.
    if (result === 0 && word[0] === MAGIC) return connection;
    connection.close();
    if (result === undefined)
      throw new UpcallError('TOOL_FAILED', `the server at ${path} refuses programs, or is another version of upcall`, {
        remedy: 'See its messages',
      });
    throw new UpcallError(
      'TOOL_FAILED',
      `the server (process ${connection.serverPid}) may not access the memory of programs that it did not start`,
      {
        remedy:
          'Use --connect with --shim, or start the program by upcall hsm without --connect, ' +
          'or let the server trace it: sysctl kernel.yama.ptrace_scope=0',
      },
    );
  }

  private constructor(sockets: UnixSockets, fd: number, path: string, onLine: (line: string) => void) {
    this.#sockets = sockets;
    this.#onLine = onLine;
    this.#fd = fd;
    this.address = { path, name: sockets.peerPath(fd) };
    this.serverPid = sockets.peer(fd).pid;
    let resolve: (value: 'closed') => void = () => undefined;
    this.closed = new Promise((done) => (resolve = done));
    this.#poll = requireLibc().poll(fd, () => {
      if (!this.#receive()) return;
      this.#poll.close();
      resolve('closed');
    });
  }

  /** Takes the lines that have arrived. Returns whether the server has closed the connection. */
  #receive(): boolean {
    for (;;) {
      const message = this.#sockets.receive(this.#fd);
      if (message === undefined || message === 'closed') return message === 'closed';
      // None comes with a descriptor.
      for (const fd of message.descriptors) closeReceived(fd);
      const line = lineText(message.bytes);
      if (line !== undefined) this.#onLine(line);
    }
  }

  /**
   * Gives the server the listener of the program's filter, and closes it here. A server that
   * refuses it closes the connection.
   */
  giveListener({ fd: listener, isInterruptible }: Listener): void {
    const [own, given] = socketPair();
    this.#send(Operation.LISTENER, isInterruptible ? 0n : 1n, [given.fd, listener]);
    for (const fd of [own.fd, given.fd, listener]) closeDescriptor(fd);
  }

  /** Ends the connection. The server goes on without the program. */
  close(): void {
    this.#poll.close();
    this.#receive();
    closeDescriptor(this.#fd);
  }

  /** The result, or undefined if the server closed the connection. */
  async #call(operation: number, argument: bigint): Promise<number | undefined> {
    const [own, given] = socketPair();
    this.#send(operation, argument, [given.fd]);
    closeDescriptor(given.fd);
    let handle: PollHandle | undefined;
    const replied = new Promise<number | undefined>((resolve) => {
      handle = requireLibc().poll(own.fd, () => {
        const message = this.#sockets.receive(own.fd);
        if (message !== undefined) resolve(message === 'closed' ? undefined : replyResult(message.bytes));
      });
    });
    const limit = new AbortController();
    const reply = await Promise.race([replied, sleep(REPLY_LIMIT_MS, 'late' as const, { signal: limit.signal })]);
    // A timer keeps the process alive.
    limit.abort();
    handle?.close();
    closeDescriptor(own.fd);
    if (reply !== 'late') return reply;
    this.close();
    throw new UpcallError('TIMED_OUT', `the server (process ${this.serverPid}) does not answer`, {
      remedy: 'Continue it if it is stopped, or start another one',
    });
  }

  #send(operation: number, argument: bigint, descriptors: readonly number[]): void {
    const request = requestBytes({ operation, call: 0n, argument, code: 0, descriptor: -1 });
    this.#sockets.send(this.#fd, request, descriptors);
  }
}

function connect(sockets: UnixSockets, path: string): number {
  try {
    return sockets.connect(path);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    if (error.errno === ENOENT || error.errno === ECONNREFUSED)
      throw new UpcallError('TOOL_MISSING', `no server listens at ${path}`, {
        remedy: `Start one: upcall hsm --serve ${path}`,
      });
    throw new UpcallError('TOOL_FAILED', `cannot connect to ${path}: ${error.message}`, {
      remedy: error.errno === EACCES ? 'Only the user who started the server, and root, may use it' : 'Check the path',
    });
  }
}

/**
 * SocketBackend: a port to which programs of the host connect by a Unix socket, one at a time, for
 * `--port NAME=unix:SOCKET`.
 *
 * Called by: VirtioConsole, as a ConsoleBackend.
 *
 * What the guest does not take stays in the socket, and what the program does not read stays in the
 * guest. While no program is connected, the guest sees that its port has no other end, and what it
 * writes is dropped.
 */

import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ConsoleBackend, ConsolePortHandle } from '../../device-model/virtio/console/console-backend.js';
import { UpcallError } from '../../io-request/upcall-error.js';

/** Bytes that wait for a program to read. With more, the guest waits. */
export const MAX_WAITING_SOCKET_BYTES = 64 * 1024;
/** Programs that wait for the one that is connected. More are refused. */
export const MAX_WAITING_PROGRAMS = 4;
/** How long a program may take to read the last bytes. */
const LAST_BYTES_MS = 1000;
/** The umask for the socket's file: only its owner can connect. */
const OTHERS_MASK = 0o177;

export class SocketBackend implements ConsoleBackend {
  readonly #server: Server;
  #port: ConsolePortHandle | undefined;
  #socket: Socket | undefined;
  /** Programs that have connected, in their order, without the present one. */
  #next: Socket[] = [];
  /** Bytes of the program that the guest has not taken. */
  #pending: Uint8Array = new Uint8Array(0);
  #isClosed = false;

  /**
   * Listens at `path`. A socket there that no process listens at is replaced. `option`: for
   * messages. Rejects with OPTION_INVALID.
   */
  static async listen(option: string, path: string): Promise<SocketBackend> {
    const invalid = (fact: string, remedy: string, cause?: unknown): UpcallError =>
      new UpcallError('OPTION_INVALID', `${option}: ${fact}`, { remedy, cause });
    const status = lstatSync(path, { throwIfNoEntry: false });
    if (status !== undefined && !status.isSocket())
      throw invalid(`${path} is there, and is no socket`, 'Give another path, or remove it');
    if (status !== undefined && (await isListening(path)))
      throw invalid(`another program listens at ${path}`, 'Give another path, or end that program');
    const server = createServer();
    const mask = process.umask(OTHERS_MASK);
    try {
      rmSync(path, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // It makes the file before it returns.
        server.listen(path, resolve);
        process.umask(mask);
      });
    } catch (cause) {
      throw invalid(`cannot listen at ${path} (${codeOf(cause)})`, 'Give a path in a folder that you can write', cause);
    } finally {
      process.umask(mask);
    }
    return new SocketBackend(server);
  }

  /** `server` must listen already. */
  constructor(server: Server) {
    this.#server = server.unref();
    // An error means that a connection cannot be accepted. The program sees its connection end.
    server.on('error', () => undefined);
    server.on('connection', (socket) => this.#accept(socket));
  }

  connect(port: ConsolePortHandle): void {
    this.#port = port;
    if (this.#socket !== undefined) port.setOpen(true);
  }

  write(bytes: Uint8Array): number {
    const socket = this.#socket;
    // The program has disconnected: `close` follows.
    if (socket?.writable !== true) return bytes.length;
    const taken = Math.max(0, Math.min(bytes.length, MAX_WAITING_SOCKET_BYTES - socket.writableLength));
    if (taken > 0) socket.write(bytes.slice(0, taken));
    return taken;
  }

  room(): void {
    // This is called during the guest's access: deliver afterwards.
    setImmediate(() => this.#deliver());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of this.#next) socket.destroy();
    const socket = this.#socket;
    // What the guest has written before its end is still sent, to a program that reads.
    socket?.destroySoon();
    const timer = setTimeout(() => socket?.destroy(), LAST_BYTES_MS);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    clearTimeout(timer);
  }

  #accept(socket: Socket): void {
    if (this.#isClosed || this.#next.length === MAX_WAITING_PROGRAMS) {
      socket.destroy();
      return;
    }
    // `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#gone(socket));
    this.#next.push(socket.unref());
    if (this.#socket === undefined) this.#takeNext();
  }

  #takeNext(): void {
    const socket = this.#next.shift();
    this.#socket = socket;
    if (socket === undefined) return;
    this.#pending = new Uint8Array(0);
    this.#port?.setOpen(true);
    socket.on('data', (bytes) => {
      socket.pause();
      this.#pending = bytes;
      this.#deliver();
    });
    socket.on('drain', () => this.#port?.resume());
  }

  #gone(socket: Socket): void {
    this.#next = this.#next.filter((one) => one !== socket);
    if (socket !== this.#socket) return;
    this.#port?.setOpen(false);
    this.#takeNext();
  }

  #deliver(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    if (this.#pending.length > 0) {
      const taken = this.#port?.receive(this.#pending) ?? 0;
      this.#pending = this.#pending.subarray(taken);
    }
    if (this.#pending.length === 0) socket.resume();
  }
}

/** Whether a program listens at `path`. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => done(true));
    socket.once('error', (error) => done(codeOf(error) !== 'ECONNREFUSED'));
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

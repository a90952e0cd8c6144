/**
 * SocketStream: the ByteStream that is a socket of Node. It does not keep the process alive.
 *
 * Called by: programs.ts and linux/local-sockets.ts.
 */

import type { Socket } from 'node:net';
import type { ByteStream } from '../byte-stream.js';

export class SocketStream implements ByteStream {
  readonly #socket: Socket;
  #onEnd: (() => void) | undefined;
  #hasEnded = false;

  constructor(socket: Socket) {
    this.#socket = socket.unref();
    // `close` follows, also after a write to a stream that the other side has closed.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#hasEnded = true;
      this.#onEnd?.();
    });
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  start(onData: (bytes: Uint8Array) => void, onEnd: () => void): void {
    if (this.#hasEnded) {
      queueMicrotask(onEnd);
      return;
    }
    this.#onEnd = onEnd;
    // Portable code expects a Uint8Array, whose `slice` copies. That of a Buffer does not.
    this.#socket.on('data', (bytes) => onData(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)));
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  end(): void {
    this.#onEnd = undefined;
    this.#socket.destroySoon();
  }

  close(): void {
    this.#onEnd = undefined;
    this.#socket.destroy();
  }
}

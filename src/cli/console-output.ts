/**
 * ConsoleOutput: what the guest prints, on its way to standard output. Nothing is lost and nothing
 * piles up: when the reader is slow, the guest's next character waits (`room`, which standardPc
 * asks).
 */

import type { Writable } from 'node:stream';
import type { ByteSink } from '../device-model/device.js';

/** Bytes that may wait for the reader before the guest has to. */
export const CONSOLE_BACKLOG_BYTES = 1024 * 1024;
/**
 * The longest a character waits, well below the client time limit. A guest with a reader that has
 * stopped for good still goes on, by a character in this time.
 */
export const ROOM_WAIT_MS = 1000;

export interface ConsoleOutputOptions {
  readonly stream: Writable;
  /** Sees the guest's bytes in order. */
  readonly onBytes?: (bytes: Uint8Array) => void;
  /** The stream is broken; bytes are dropped from now on. */
  readonly onBroken: (error: NodeJS.ErrnoException) => void;
}

export class ConsoleOutput implements ByteSink {
  readonly #options: ConsoleOutputOptions;
  #isBroken = false;
  #waiting: Promise<void> | undefined;

  constructor(options: ConsoleOutputOptions) {
    this.#options = options;
    options.stream.on('error', (error: NodeJS.ErrnoException) => this.#broke(error));
  }

  write(bytes: Uint8Array): void {
    this.#options.onBytes?.(bytes);
    if (!this.#isBroken) this.#options.stream.write(bytes);
  }

  /**
   * Undefined while there is room; else a promise that settles when there is, or after
   * ROOM_WAIT_MS.
   */
  readonly room = (): Promise<void> | undefined => {
    const { stream } = this.#options;
    if (stream.writableLength <= CONSOLE_BACKLOG_BYTES || this.#isBroken) return undefined;
    this.#waiting ??= new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stream.off('drain', done).off('error', done);
        this.#waiting = undefined;
        resolve();
      };
      const timer = setTimeout(done, ROOM_WAIT_MS);
      stream.once('drain', done).once('error', done);
    });
    return this.#waiting;
  };

  /** Resolves when the reader has everything, or there is none any more. */
  async flushed(): Promise<void> {
    if (this.#isBroken) return;
    const { stream } = this.#options;
    await new Promise<void>((resolve) => {
      stream.once('error', () => resolve());
      stream.write(new Uint8Array(0), () => resolve());
    });
  }

  #broke(error: NodeJS.ErrnoException): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#options.onBroken(error);
  }
}

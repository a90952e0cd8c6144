/**
 * ConsoleOutput: writes the guest's console to standard output, without loss and in bounded memory.
 *
 * - Called by: the serial port of standardPc; runSession creates it. The port waits for `room`
 *   before the guest's next character, so a slow reader of standard output slows the guest.
 */

import type { Writable } from 'node:stream';
import type { ByteSink } from '../device-model/device.js';

/** If more bytes than this are unread, the guest waits. */
export const CONSOLE_BACKLOG_BYTES = 1024 * 1024;
/**
 * Longest wait for one character, well below the time limit of a request (`--client-timeout`, by
 * default 5 s), beyond which the serial port would be removed. With a reader that has stopped for
 * good, the guest still makes progress: one character per wait.
 */
export const ROOM_WAIT_MS = 1000;

export interface ConsoleOutputOptions {
  readonly stream: Writable;
  /** Called with the guest's bytes, in order. */
  readonly onBytes?: (bytes: Uint8Array) => void;
  /** Called once when the stream fails. Later bytes are dropped. */
  readonly onBroken: (error: NodeJS.ErrnoException) => void;
}

export class ConsoleOutput implements ByteSink {
  readonly #options: ConsoleOutputOptions;
  #isBroken = false;
  /** The promise that `room` returned, until it resolves. */
  #waiting: Promise<void> | undefined;

  constructor(options: ConsoleOutputOptions) {
    this.#options = options;
    options.stream.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
  }

  write(bytes: Uint8Array): void {
    this.#options.onBytes?.(bytes);
    if (!this.#isBroken) this.#options.stream.write(bytes);
  }

  /** Undefined if there is room. Otherwise resolves when there is, or after ROOM_WAIT_MS. */
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

  /** Resolves when the system has accepted all bytes, or the stream has failed. */
  async flushed(): Promise<void> {
    if (this.#isBroken) return;
    const { stream } = this.#options;
    await new Promise<void>((resolve) => {
      stream.once('error', () => resolve());
      stream.write(new Uint8Array(0), () => resolve());
    });
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#options.onBroken(error);
  }
}

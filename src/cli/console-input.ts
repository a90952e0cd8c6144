/**
 * ConsoleInput: standard input on its way to the guest's serial port, which takes what it has room
 * for.
 *
 * A pipe or file is read no faster than the guest takes it; its end closes the input and nothing
 * else. A terminal is read always, or the escape key would be stuck behind a guest that does not
 * read; there the queue has a limit.
 */

/**
 * What somebody may type ahead of a guest whose serial port is full; the rest is dropped, and that
 * is told.
 */
export const TYPE_AHEAD_BYTES = 64 * 1024;

/** The part of a readable stream that is used here. */
export interface InputStream {
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export interface ConsoleInputOptions {
  readonly stream: InputStream;
  /** The serial port: returns how many bytes it took. */
  readonly receive: (bytes: Uint8Array) => number;
  /** For a terminal: what of the typed bytes is for the guest. */
  readonly filter?: (typed: Uint8Array) => Uint8Array;
  readonly report: (text: string) => void;
}

export class ConsoleInput {
  readonly #options: ConsoleInputOptions;
  readonly #isTerminal: boolean;
  /** Not yet taken by the serial port. */
  #waiting: Uint8Array = new Uint8Array(0);
  #hasReportedLoss = false;
  #isDelivering = false;
  readonly #onData = (chunk: Uint8Array): void => this.#hear(chunk);

  constructor(options: ConsoleInputOptions) {
    this.#options = options;
    this.#isTerminal = options.filter !== undefined;
  }

  start(): void {
    const { stream, report } = this.#options;
    // A terminal that goes away is told by a signal too; a directory as input only here.
    stream.on('error', (error) => report(`standard input ended: ${error.message}`));
    stream.on('data', this.#onData);
  }

  stop(): void {
    const { stream } = this.#options;
    stream.off('data', this.#onData);
    stream.pause();
    this.#waiting = new Uint8Array(0);
  }

  /**
   * The serial port has room again. It says so inside of a guest's access, so the bytes follow in a
   * turn of their own.
   */
  readonly room = (): void => {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    setImmediate(() => {
      this.#isDelivering = false;
      this.#deliver(this.#waiting);
    });
  };

  #hear(chunk: Uint8Array): void {
    const bytes = this.#options.filter?.(chunk) ?? chunk;
    if (this.#waiting.length === 0) {
      this.#deliver(bytes);
      return;
    }
    const room = this.#isTerminal ? TYPE_AHEAD_BYTES - this.#waiting.length : bytes.length;
    if (bytes.length > room && !this.#hasReportedLoss) {
      this.#hasReportedLoss = true;
      this.#options.report('the guest does not read what you type: some of it is dropped');
    }
    this.#waiting = Buffer.concat([this.#waiting, bytes.subarray(0, Math.max(0, room))]);
  }

  #deliver(bytes: Uint8Array): void {
    const { stream, receive } = this.#options;
    if (bytes.length === 0) return;
    const taken = receive(bytes);
    this.#waiting = bytes.subarray(taken);
    if (this.#isTerminal) return;
    if (this.#waiting.length > 0) stream.pause();
    else stream.resume();
  }
}

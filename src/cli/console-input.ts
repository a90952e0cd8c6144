/**
 * ConsoleInput: feeds standard input to the guest's serial port, as fast as the port has room.
 *
 * - Called by: runSession. The serial port calls `room`.
 * - A pipe or file is read no faster than the guest reads. Its end closes only the input.
 * - A terminal is always read: otherwise a guest that does not read would block the escape key.
 *   Its queue is therefore bounded.
 */

/**
 * How many typed bytes wait for a serial port that is full. More are dropped, which is reported
 * once.
 */
export const TYPE_AHEAD_BYTES = 64 * 1024;

/** The part of a readable stream that ConsoleInput uses. */
export interface InputStream {
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export interface ConsoleInputOptions {
  readonly stream: InputStream;
  /** Offers bytes to the serial port. Returns how many it accepted. */
  readonly receive: (bytes: Uint8Array) => number;
  /** Present if the stream is a terminal: returns the typed bytes that are for the guest. */
  readonly filter?: (typed: Uint8Array) => Uint8Array;
  /** Prints a line for the operator. */
  readonly report: (text: string) => void;
}

export class ConsoleInput {
  readonly #options: ConsoleInputOptions;
  readonly #isTerminal: boolean;
  /** Bytes that the serial port has not accepted yet. */
  #pending: Uint8Array = new Uint8Array(0);
  #hasReportedLoss = false;
  #isDelivering = false;
  readonly #onData = (chunk: Uint8Array): void => this.#accept(chunk);

  constructor(options: ConsoleInputOptions) {
    this.#options = options;
    this.#isTerminal = options.filter !== undefined;
  }

  start(): void {
    const { stream, report } = this.#options;
    // A terminal that is closed also raises a signal. A directory as input fails only here.
    stream.on('error', (error) => report(`standard input ended: ${error.message}`));
    stream.on('data', this.#onData);
  }

  stop(): void {
    const { stream } = this.#options;
    stream.off('data', this.#onData);
    stream.pause();
    this.#pending = new Uint8Array(0);
  }

  /**
   * Call it when the serial port has room again. That happens inside a guest's access, so the bytes
   * follow in a later turn of the event loop.
   */
  readonly room = (): void => {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    setImmediate(() => {
      this.#isDelivering = false;
      this.#deliver(this.#pending);
    });
  };

  #accept(chunk: Uint8Array): void {
    const bytes = this.#options.filter?.(chunk) ?? chunk;
    if (this.#pending.length === 0) {
      this.#deliver(bytes);
      return;
    }
    const room = this.#isTerminal ? TYPE_AHEAD_BYTES - this.#pending.length : bytes.length;
    if (bytes.length > room && !this.#hasReportedLoss) {
      this.#hasReportedLoss = true;
      this.#options.report('the guest does not read its console: some of what you typed is dropped');
    }
    this.#pending = Buffer.concat([this.#pending, bytes.subarray(0, Math.max(0, room))]);
  }

  #deliver(bytes: Uint8Array): void {
    const { stream, receive } = this.#options;
    if (bytes.length === 0) return;
    const accepted = receive(bytes);
    this.#pending = bytes.subarray(accepted);
    if (this.#isTerminal) return;
    if (this.#pending.length > 0) stream.pause();
    else stream.resume();
  }
}

/**
 * RawTerminal: the operator's terminal while it is the guest's: every key goes through, none is
 * echoed or turned into a signal. The one duty here is to give it back, however the process ends
 * (only SIGKILL leaves it raw: `reset` mends it).
 *
 * Signals are the session's: it ends the VM and restores. What ends the process without it passes
 * the `exit` event.
 */

/** The part of tty.ReadStream that is used here. */
export interface TerminalStream {
  setRawMode(raw: boolean): unknown;
}

/** Where the end of the process and its continuation are announced; `process`. */
export interface ProcessEvents {
  on(event: 'exit' | 'SIGCONT', listener: () => void): unknown;
  off(event: 'exit' | 'SIGCONT', listener: () => void): unknown;
}

/** Gives the terminal back that is raw now. */
let restoreActive: (() => void) | undefined;

export class RawTerminal {
  readonly #stream: TerminalStream;
  readonly #events: ProcessEvents;
  #isRaw = false;
  readonly #onExit = (): void => this.restore();
  /**
   * Whoever stopped and continued the process (`kill -STOP`, a shell's `fg`) may have set the
   * terminal otherwise.
   */
  readonly #onContinue = (): void => void this.#stream.setRawMode(true);

  constructor(stream: TerminalStream, events: ProcessEvents = process) {
    this.#stream = stream;
    this.#events = events;
  }

  enter(): void {
    if (this.#isRaw) return;
    this.#events.on('exit', this.#onExit);
    this.#events.on('SIGCONT', this.#onContinue);
    this.#stream.setRawMode(true);
    this.#isRaw = true;
    restoreActive = this.#onExit;
  }

  /** Once is enough, more does no harm. */
  restore(): void {
    if (!this.#isRaw) return;
    this.#isRaw = false;
    if (restoreActive === this.#onExit) restoreActive = undefined;
    this.#events.off('exit', this.#onExit);
    this.#events.off('SIGCONT', this.#onContinue);
    this.#stream.setRawMode(false);
  }
}

/** For the one that reports an error nobody caught: before it prints. */
export function restoreTerminal(): void {
  restoreActive?.();
}

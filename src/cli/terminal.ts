/**
 * RawTerminal: puts the operator's terminal into raw mode for the guest and restores it. In raw
 * mode no key is echoed or turned into a signal.
 *
 * - Callers must: call `restore` when the session ends. The session also handles signals.
 * - Every other end of the process restores in the `exit` event. After SIGKILL the terminal stays
 *   raw: the command `reset` repairs it.
 */

/** The part of tty.ReadStream that RawTerminal uses. */
export interface TerminalStream {
  setRawMode(raw: boolean): unknown;
}

/** The part of `process` that RawTerminal uses. */
export interface ProcessEvents {
  on(event: 'exit' | 'SIGCONT', listener: () => void): unknown;
  off(event: 'exit' | 'SIGCONT', listener: () => void): unknown;
}

/** The RawTerminal that is in raw mode. */
let active: Pick<RawTerminal, 'enter' | 'restore'> | undefined;

export class RawTerminal {
  readonly #stream: TerminalStream;
  readonly #events: ProcessEvents;
  #isRaw = false;
  readonly #self = { enter: () => this.enter(), restore: () => this.restore() };
  readonly #onExit = (): void => this.restore();
  /** While the process was stopped, the shell may have changed the terminal's mode. */
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
    active = this.#self;
  }

  /** May be called more than once. */
  restore(): void {
    if (!this.#isRaw) return;
    this.#isRaw = false;
    if (active === this.#self) active = undefined;
    this.#events.off('exit', this.#onExit);
    this.#events.off('SIGCONT', this.#onContinue);
    this.#stream.setRawMode(false);
  }
}

/** Restores the terminal that is raw, if any. Returns a function that makes it raw again. */
export function restoreTerminal(): () => void {
  const terminal = active;
  terminal?.restore();
  return () => terminal?.enter();
}

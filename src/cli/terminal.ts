/**
 * RawTerminal: puts the operator's terminal into raw mode for the guest and restores it. In raw
 * mode no key is echoed or turned into a signal.
 *
 * Called by: runSession and commands/top-watch.ts. `restoreTerminal`: by what ends the process.
 * Callers must: listen to ENDING_SIGNALS (session-end.ts) while it is raw, and call `restore` when
 * the session ends.
 *
 * - A process.exit() and an uncaught error restore it too, by the process's `exit` event.
 * - So do OTHER_SIGNALS, by listeners of RawTerminal's own.
 * - After any other signal, such as SIGKILL, the terminal stays raw. The command `reset` repairs
 *   it.
 */

/** The part of tty.ReadStream that RawTerminal uses. */
export interface TerminalStream {
  setRawMode(raw: boolean): unknown;
}

/** The part of `process` that RawTerminal uses. */
export interface ProcessEvents {
  readonly pid: number;
  on(event: 'exit' | NodeJS.Signals, listener: () => void): unknown;
  off(event: 'exit' | NodeJS.Signals, listener: () => void): unknown;
  kill(pid: number, signal: NodeJS.Signals): unknown;
}

/** Node was started with its profiler. */
const isProfiled = /--(?:cpu-)?prof\b/.test([...process.execArgv, process.env['NODE_OPTIONS']].join(' '));

/**
 * Signals that end or stop a process by default. Not in the list, although they can be caught:
 *
 * - the session's own (ENDING_SIGNALS)
 * - SIGUSR1, by which Node starts its debugger
 * - SIGPROF while Node's profiler runs, which uses it
 * - SIGPIPE, which Node ignores: a write fails with EPIPE instead
 * - SIGTTIN and SIGTTOU: they stop a process in the background, which does not have the terminal
 * - faults such as SIGSEGV: no JavaScript can run after them
 *
 * Elsewhere than on Linux some do not exist.
 */
export const OTHER_SIGNALS: readonly NodeJS.Signals[] = [
  'SIGABRT',
  'SIGTRAP',
  'SIGALRM',
  'SIGVTALRM',
  'SIGUSR2',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGSYS',
  'SIGIO',
  'SIGTSTP',
  ...(isProfiled ? [] : (['SIGPROF'] as const)),
  ...(process.platform === 'linux' ? (['SIGPWR', 'SIGSTKFLT'] as const) : []),
];

/** The RawTerminal that is in raw mode. */
let active: Pick<RawTerminal, 'enter' | 'restore'> | undefined;

export class RawTerminal {
  readonly #stream: TerminalStream;
  readonly #events: ProcessEvents;
  #isRaw = false;
  /** What `active` gets. Not `this`, which a variable must not alias (ESLint, no-this-alias). */
  readonly #self = { enter: () => this.enter(), restore: () => this.restore() };
  readonly #onExit = (): void => this.restore();
  /** While the process was stopped, the shell may have changed the terminal's mode. */
  readonly #onContinue = (): void => void this.#stream.setRawMode(true);
  readonly #onSignals = OTHER_SIGNALS.map((signal) => ({ signal, listener: () => this.#onSignal(signal) }));

  constructor(stream: TerminalStream, events: ProcessEvents = process) {
    this.#stream = stream;
    this.#events = events;
  }

  enter(): void {
    if (this.#isRaw) return;
    this.#events.on('exit', this.#onExit);
    this.#events.on('SIGCONT', this.#onContinue);
    for (const { signal, listener } of this.#onSignals) this.#events.on(signal, listener);
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
    for (const { signal, listener } of this.#onSignals) this.#events.off(signal, listener);
    this.#stream.setRawMode(false);
  }

  /** Restores the terminal, and then lets the signal have its default. */
  #onSignal(signal: NodeJS.Signals): void {
    if (signal === 'SIGTSTP') {
      // SIGCONT makes it raw again.
      this.#stream.setRawMode(false);
      this.#events.kill(this.#events.pid, 'SIGSTOP');
      return;
    }
    this.restore();
    this.#events.kill(this.#events.pid, signal);
  }
}

/** Restores the terminal that is raw, if any. Returns a function that makes it raw again. */
export function restoreTerminal(): () => void {
  const terminal = active;
  terminal?.restore();
  return () => terminal?.enter();
}

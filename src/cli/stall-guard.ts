/**
 * StallGuard: what an operator needs while a device keeps the Service VM's thread: to read which
 * one, and to end it. The event loop handles neither keys nor signals then, so the terminal and the
 * signals get their defaults back until it turns again.
 *
 * Called by: runSession, around the start and the run of its devices.
 */

import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { authorFrame } from '../io-request/author-frame.js';
import { ExitStatus } from './exit-status.js';
import type { Reporter } from './reporter.js';
import { StallWatch } from './stall-watch.js';
import { restoreTerminal } from './terminal.js';

export interface StallGuardOptions {
  readonly reporter: Reporter;
  /** The names of the devices that a stack comes from. */
  readonly namesOf: (stack: string) => readonly string[];
  readonly addSignalListeners: () => void;
  readonly removeSignalListeners: () => void;
  /** The message if the session's time limit has passed. */
  readonly timedOut: () => string | false | undefined;
  /** Called before the process is ended from inside of the device's code. */
  readonly onExiting: () => void;
}

export class StallGuard {
  readonly #options: StallGuardOptions;
  readonly #watch: StallWatch;
  /** Takes terminal and signals back after a stall. Undefined while they are not released. */
  #takeBack: (() => void) | undefined;

  constructor(options: StallGuardOptions) {
    this.#options = options;
    this.#watch = new StallWatch({ onStall: (stack) => this.onStall(stack), onTurn: () => this.onTurn() });
  }

  /** Resolves when stalls are noticed, or cannot be. Call it before the first device runs. */
  ready(): Promise<void> {
    return this.#watch.ready();
  }

  async close(): Promise<void> {
    await this.#watch.close();
  }

  onStall(stack: string): void {
    const { reporter, namesOf, timedOut, onExiting } = this.#options;
    const place = authorFrame(stack);
    // Not a device: the machine is busy, or upcall is.
    if (place === undefined) return;
    if (this.#takeBack === undefined) {
      this.#takeBack = this.#release();
      const [name] = namesOf(stack);
      reporter.line(
        `${name === undefined ? 'a device' : `device ${name}`} keeps the Service VM's thread (at ${place}), and nothing else runs in it. ` +
          'End upcall by Ctrl-C or a signal; append ,thread to --device for a thread of its own',
      );
    }
    const message = timedOut();
    if (typeof message !== 'string') return;
    reporter.line(message);
    onExiting();
    exitInDebugger(ExitStatus.TIMED_OUT);
  }

  onTurn(): void {
    if (this.#takeBack === undefined) return;
    this.#takeBack();
    this.#takeBack = undefined;
    this.#options.reporter.line("the Service VM's thread runs again");
  }

  /** Without listeners, the signals have their default: they end the process. */
  #release(): () => void {
    const { reporter, addSignalListeners, removeSignalListeners } = this.#options;
    const { isRaw } = reporter.state;
    const makeRaw = restoreTerminal();
    reporter.state.isRaw = false;
    removeSignalListeners();
    return () => {
      addSignalListeners();
      makeRaw();
      reporter.state.isRaw = isRaw;
    };
  }
}

/**
 * Node takes the interruption for a debugger, and prints that it waits for it to disconnect. It
 * does not have to wait: the thread that is connected ends with the process. So that line is
 * dropped: the null device gets the descriptor of standard error, the lowest one that is free.
 */
function exitInDebugger(status: ExitStatus): never {
  closeSync(process.stderr.fd);
  openSync(devNull, 'w');
  return process.exit(status);
}

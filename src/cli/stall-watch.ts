/**
 * StallWatch: notices that the event loop of this thread does not turn, because a device computes
 * or waits in it, and calls back from inside of what keeps it. Signals, keys and timers are handled
 * by the event loop only, so without it nothing but SIGKILL ends a device that loops forever
 * (docs/decisions/0019-a-watchdog-for-the-service-vms-thread.md).
 *
 * Called by: StallGuard, if a device of the operator runs in this thread.
 * Threads: the one that is watched. stall-watch-thread.ts is the other.
 */

import { Worker } from 'node:worker_threads';
import { SharedWords } from '../sync/shared-words.js';
import { BEAT_MS, INTERRUPT_NAME, STALL_WORDS, StallWord, type StallWatchData } from './stall-watch-words.js';

/** Frames of a stack that are searched for the author's. */
const FRAMES = 100;
const STANDARD_ERROR = 2;

export interface StallWatchOptions {
  /**
   * Called once a second during a stall, in the middle of the code that causes it, whose frames are
   * in `stack`. Must be synchronous.
   */
  readonly onStall: (stack: string) => void;
  /** Called every BEAT_MS while the event loop turns, also without a stall before. */
  readonly onTurn: () => void;
}

export class StallWatch {
  readonly #words = new SharedWords(STALL_WORDS);
  readonly #worker: Worker;
  readonly #timer: NodeJS.Timeout;
  readonly #property = Symbol.for(INTERRUPT_NAME);

  constructor({ onStall, onTurn }: StallWatchOptions) {
    const interrupt = (): void => {
      this.#words.add(StallWord.INTERRUPTED, 1);
      onStall(currentStack());
    };
    Object.defineProperty(globalThis, this.#property, { value: interrupt, configurable: true });
    const workerData: StallWatchData = { words: this.#words.buffer, fd: STANDARD_ERROR };
    this.#worker = new Worker(new URL('./stall-watch-thread.js', import.meta.url), { workerData, name: 'stall watch' });
    this.#worker.unref();
    this.#timer = setInterval(() => {
      this.#words.add(StallWord.BEATS, 1);
      onTurn();
    }, BEAT_MS);
    this.#timer.unref();
  }

  /** Resolves when the thread runs, or cannot: then nothing is watched. */
  ready(): Promise<void> {
    return new Promise((resolve) => {
      this.#worker.once('message', () => resolve());
      this.#worker.once('error', () => resolve());
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    Reflect.deleteProperty(globalThis, this.#property);
    await this.#worker.terminate();
  }
}

function currentStack(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = limit;
  return stack;
}

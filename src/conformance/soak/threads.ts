/**
 * Threads: all threads that this process starts while this object is open, whether upcall or a test
 * starts them.
 *
 * Called by: soak.ts; SoakVm, which finds the thread of a device with it.
 */

import type { Worker } from 'node:worker_threads';

export class Threads {
  readonly #alive = new Set<Worker>();
  #latest: Worker | undefined;
  #onEmpty: (() => void) | undefined;
  readonly #onWorker = (worker: Worker): void => {
    this.#latest = worker;
    this.#alive.add(worker);
    worker.once('exit', () => {
      this.#alive.delete(worker);
      if (this.#alive.size === 0) this.#onEmpty?.();
    });
  };

  constructor() {
    process.on('worker', this.#onWorker);
  }

  get count(): number {
    return this.#alive.size;
  }

  /** The thread that `start` starts, which Node reports in the next tick. Undefined without one. */
  async startedBy(start: () => void): Promise<Worker | undefined> {
    this.#latest = undefined;
    start();
    await new Promise((resolve) => setImmediate(resolve));
    return this.#latest;
  }

  /** Resolves with true when no thread is left, with false after `limitMs`. */
  async ended(limitMs: number): Promise<boolean> {
    if (this.#alive.size === 0) return true;
    let timer: NodeJS.Timeout | undefined;
    const empty = new Promise<boolean>((resolve) => {
      this.#onEmpty = () => resolve(true);
      timer = setTimeout(() => resolve(false), limitMs);
    });
    try {
      return await empty;
    } finally {
      clearTimeout(timer);
      this.#onEmpty = undefined;
    }
  }

  close(): void {
    process.off('worker', this.#onWorker);
  }
}

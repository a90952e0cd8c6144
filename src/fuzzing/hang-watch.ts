/**
 * HangWatch: a watchdog that kills the process if one input takes too long, and saves that input.
 * It runs in a thread of its own, because the hung thread cannot check itself.
 *
 * Called by: `npm run fuzz`.
 */

import { Worker } from 'node:worker_threads';
import { SharedWords } from '../sync/shared-words.js';
import { HANG_WORDS, HangWord, inputBytes } from './hang-words.js';

export class HangWatch {
  readonly #words = new SharedWords(HANG_WORDS);
  readonly #bytes = inputBytes(this.#words.buffer);
  readonly #worker: Worker;

  /** Writes `file` and kills the process if one input takes longer than `limitMs`. */
  constructor(file: string, limitMs: number) {
    this.#worker = new Worker(new URL('./hang-watch-thread.js', import.meta.url), {
      workerData: { words: this.#words.buffer, file, limitMs },
    });
    this.#worker.unref();
  }

  /** To be called before `input` is played. Only its first MiB is saved (hang-words.ts). */
  playing(input: Uint8Array): void {
    const kept = input.subarray(0, this.#bytes.length);
    this.#bytes.set(kept);
    this.#words.store(HangWord.LENGTH, kept.length);
    this.#words.add(HangWord.COUNT, 1);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/**
 * HangWatch: ends a process whose thread has been with one input for too long, and leaves that
 * input in a file. A thread of its own looks, because the hung one cannot.
 */

import { Worker } from 'node:worker_threads';
import { SharedWords } from '../sync/shared-words.js';
import { HANG_WORDS, HangWord, inputBytes } from './hang-words.js';

export class HangWatch {
  readonly #words = new SharedWords(HANG_WORDS);
  readonly #bytes = inputBytes(this.#words.buffer);
  readonly #worker: Worker;

  /** `file` is written when one input takes longer than `limitMs`; then the process is killed. */
  constructor(file: string, limitMs: number) {
    this.#worker = new Worker(new URL('./hang-watch-thread.js', import.meta.url), {
      workerData: { words: this.#words.buffer, file, limitMs },
    });
    this.#worker.unref();
  }

  /** `input` begins. */
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

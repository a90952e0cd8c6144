/**
 * SharedWords: 32-bit words outside of the page that several threads read and write.
 *
 * Only Slot, Doorbell, the trace's lanes (trace/lane.ts) and this class use `Atomics`, so a review
 * of upcall's concurrency needs only these four files.
 *
 * Called by: all other code that shares words between threads.
 *
 * Ordering: all operations are sequentially consistent except `loadRelaxed` and `storeRelaxed`.
 * An atomic store publishes the relaxed stores before it to a thread that loads it atomically.
 * A relaxed load orders nothing. It may be a hint whether an atomic load is worth its cost, or read
 * data that an earlier atomic load acquired.
 */

/**
 * Unused bytes at the end. Small buffers lie close together in memory, and a word that one thread
 * writes must not share a cache line (64 or 128 bytes) with one that another thread polls.
 */
export const LINES_APART = 128;

export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  /** The number of new words, which are 0, or the buffer of words to view. */
  constructor(source: number | SharedArrayBuffer) {
    this.buffer = typeof source === 'number' ? new SharedArrayBuffer(source * 4 + LINES_APART) : source;
    this.#words = new Int32Array(this.buffer);
  }

  /** Includes the padding of LINES_APART bytes, which stays 0. */
  get length(): number {
    return this.#words.length;
  }

  load(index: number): number {
    return Atomics.load(this.#words, index);
  }

  /** Plain load, for hints and for data that an atomic load acquired. */
  loadRelaxed(index: number): number {
    return this.#words[index] as number;
  }

  /**
   * Plain store, for words with one writer that no thread waits for (counters), and for data that a
   * later atomic store publishes.
   */
  storeRelaxed(index: number, value: number): void {
    this.#words[index] = value;
  }

  store(index: number, value: number): void {
    Atomics.store(this.#words, index, value);
  }

  /** `add`, `or`, `and` and `exchange` return the word as it was before. */
  add(index: number, delta: number): number {
    return Atomics.add(this.#words, index, delta);
  }

  or(index: number, bits: number): number {
    return Atomics.or(this.#words, index, bits);
  }

  and(index: number, bits: number): number {
    return Atomics.and(this.#words, index, bits);
  }

  exchange(index: number, value: number): number {
    return Atomics.exchange(this.#words, index, value);
  }

  /** Compare-and-exchange. Returns whether the word was `from` and is now `to`. */
  move(index: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, index, from, to) === from;
  }
}

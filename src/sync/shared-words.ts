/**
 * SharedWords: 32-bit words that several threads read and write, outside of the page.
 *
 * Slot, Doorbell and this class are the only three that name `Atomics`: whoever reviews the concurrency of upcall
 * reads those three files.
 *
 * Ordering: all operations are sequentially consistent except `loadRelaxed` and `storeRelaxed`. What a
 * thread stored relaxed is visible to one that loads an atomic store which came after it. A relaxed load
 * orders nothing: it may only say whether an atomic one is worth its cost, or read what an atomic load
 * before it has made visible.
 */

/**
 * Bytes at the end that nobody uses: small buffers lie close together in memory, and a word that one thread writes must not
 * share a cache line (64 or 128 bytes) with one that another thread reads all the time.
 */
export const LINES_APART = 128;

export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  /** `count` new words, all 0, or a view of words that another thread made. */
  constructor(source: number | SharedArrayBuffer) {
    this.buffer = typeof source === 'number' ? new SharedArrayBuffer(source * 4 + LINES_APART) : source;
    this.#words = new Int32Array(this.buffer);
  }

  /** A few more than were asked for, see LINES_APART; those stay 0. */
  get length(): number {
    return this.#words.length;
  }

  load(index: number): number {
    return Atomics.load(this.#words, index);
  }

  /** A look without ordering: for words that only say whether a real look is worth it. */
  loadRelaxed(index: number): number {
    return this.#words[index] as number;
  }

  /** A write without ordering: for words that only one thread writes and nobody waits for (counters). */
  storeRelaxed(index: number, value: number): void {
    this.#words[index] = value;
  }

  store(index: number, value: number): void {
    Atomics.store(this.#words, index, value);
  }

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

  /** True when the word was `from` and now is `to`. */
  move(index: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, index, from, to) === from;
  }
}

/**
 * VectorSet: a 256-bit register of a local APIC, a bit for each interrupt vector.
 *
 * Called by: VectorRegisters.
 */

/** Of 32 vectors each. */
export const WORDS = 8;

export class VectorSet {
  readonly #words = new Int32Array(WORDS);

  has(vector: number): boolean {
    return (this.word(vector >>> 5) & (1 << (vector & 31))) !== 0;
  }

  add(vector: number): void {
    this.#words[vector >>> 5] = this.word(vector >>> 5) | (1 << (vector & 31));
  }

  delete(vector: number): void {
    this.#words[vector >>> 5] = this.word(vector >>> 5) & ~(1 << (vector & 31));
  }

  /** The highest vector in the set, or −1. */
  get highest(): number {
    for (let index = WORDS - 1; index >= 0; index--) {
      const word = this.word(index);
      if (word !== 0) return index * 32 + 31 - Math.clz32(word);
    }
    return -1;
  }

  /** Vectors 32·index … 32·index + 31, unsigned for a reader of the register. */
  word(index: number): number {
    return (this.#words[index] as number) >>> 0;
  }

  save(): readonly number[] {
    return Array.from(this.#words);
  }

  restore(words: readonly number[]): void {
    this.#words.set(words);
  }
}

/**
 * CharacterFifo: received characters in order, each with its line errors. UartReceiver has two: the
 * chip's receiver FIFO, and a longer one for characters that the terminal has sent and the chip has
 * not taken yet.
 *
 * A character is a number: the byte in bits 7…0, its LSR error bits (PE, FE, BI) in bits 15…8.
 */

import type { SavedState } from '../../io-request/saved-state.js';

/** A byte and its error bits. */
const MAX_CHARACTER = 0xffff;

export class CharacterFifo {
  readonly capacity: number;
  readonly #ring: Uint16Array;
  #first = 0;
  #length = 0;
  /** Characters that still have errors. */
  #withErrors = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#ring = new Uint16Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get room(): number {
    return this.capacity - this.#length;
  }

  /** Whether any character still has its errors. */
  get hasErrors(): boolean {
    return this.#withErrors > 0;
  }

  /** Returns false, and stores nothing, if full. */
  push(character: number): boolean {
    if (this.#length === this.capacity) return false;
    this.#ring[(this.#first + this.#length) % this.capacity] = character;
    this.#length++;
    if (character > 0xff) this.#withErrors++;
    return true;
  }

  /** Removes and returns the oldest character. Undefined if empty. */
  shift(): number | undefined {
    if (this.#length === 0) return undefined;
    const character = this.#ring[this.#first] as number;
    this.#first = (this.#first + 1) % this.capacity;
    this.#length--;
    if (character > 0xff) this.#withErrors--;
    return character;
  }

  /** The oldest character. Undefined if empty. */
  get oldest(): number | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#first];
  }

  /** Removes and returns the errors of the oldest character: LSR then shows them. */
  takeErrors(): number {
    if (this.#length === 0) return 0;
    const character = this.#ring[this.#first] as number;
    if (character <= 0xff) return 0;
    this.#ring[this.#first] = character & 0xff;
    this.#withErrors--;
    return character >>> 8;
  }

  /** The characters, oldest first. */
  save(): readonly number[] {
    return Array.from({ length: this.#length }, (_, i) => this.#ring[(this.#first + i) % this.capacity] ?? 0);
  }

  /** The characters of the field `name`. */
  restore(from: SavedState, name: string): void {
    this.clear();
    for (const character of from.integersUpTo(name, this.capacity, 0, MAX_CHARACTER)) this.push(character);
  }

  clear(): void {
    this.#length = 0;
    this.#withErrors = 0;
  }
}

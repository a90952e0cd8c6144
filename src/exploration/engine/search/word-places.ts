/**
 * WordPlaces: where in a state each shared word lies. A word's place is its index in the array of
 * the state (StateWords). It gets one when it is first used.
 *
 * Called by: StateSpace.
 */

import type { WordAddress } from './space-parts.js';
import { CAPACITY } from './state-words.js';

export class WordPlaces {
  readonly #first: number;
  readonly #places = new Map<number, number>();
  /** The word of each place, from the first on. */
  readonly #addresses: WordAddress[] = [];
  readonly #onNew: (place: number, word: WordAddress) => void;

  /**
   * `first` is the first place, after the words that the state has for other things. `onNew` is
   * called for each word that gets a place, for example to note which thread owns it.
   */
  constructor(first: number, onNew: (place: number, word: WordAddress) => void) {
    this.#first = first;
    this.#onNew = onNew;
  }

  get addresses(): readonly WordAddress[] {
    return this.#addresses;
  }

  addressAt(place: number): WordAddress | undefined {
    return this.#addresses[place - this.#first];
  }

  place(buffer: number, index: number): number {
    // No view has 2^31 words, and no buffer number is above 100,000 (EXITS): the key is exact.
    const key = buffer * 2 ** 31 + index;
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.#first + this.#addresses.length;
      if (place >= CAPACITY) throw new Error(`more than ${CAPACITY} shared words are used`);
      const word = { buffer, index };
      this.#places.set(key, place);
      this.#addresses.push(word);
      this.#onNew(place, word);
    }
    return place;
  }
}

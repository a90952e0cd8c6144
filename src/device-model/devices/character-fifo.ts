/**
 * CharacterFifo: received characters in order, each with the line errors it arrived with. The 16550's receiver FIFO is
 * one; the characters which the terminal has sent but the chip has not taken yet wait in a longer one.
 *
 * A character is a number: the byte in bits 7…0, its LSR error bits (PE, FE, BI) in bits 15…8.
 */

export class CharacterFifo {
  readonly capacity: number;
  readonly #ring: Uint16Array;
  #first = 0;
  #length = 0;
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

  /** False, and nothing stored, when full. */
  push(character: number): boolean {
    if (this.#length === this.capacity) return false;
    this.#ring[(this.#first + this.#length) % this.capacity] = character;
    this.#length++;
    if (character > 0xff) this.#withErrors++;
    return true;
  }

  /** The oldest character, taken out; undefined when empty. */
  shift(): number | undefined {
    if (this.#length === 0) return undefined;
    const character = this.#ring[this.#first] as number;
    this.#first = (this.#first + 1) % this.capacity;
    this.#length--;
    if (character > 0xff) this.#withErrors--;
    return character;
  }

  /** The oldest character, left in; undefined when empty. */
  get oldest(): number | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#first];
  }

  /** The errors of the oldest character, which has none afterwards. */
  takeErrors(): number {
    if (this.#length === 0) return 0;
    const character = this.#ring[this.#first] as number;
    if (character <= 0xff) return 0;
    this.#ring[this.#first] = character & 0xff;
    this.#withErrors--;
    return character >>> 8;
  }

  clear(): void {
    this.#length = 0;
    this.#withErrors = 0;
  }
}

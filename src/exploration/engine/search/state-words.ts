/**
 * StateWords: a state as an array of numbers with a 64-bit hash. A log of changes leads back to
 * earlier states: a mark is the length of the log in one of them.
 *
 * Called by: StateSpace and the searches.
 *
 * The hash is the exclusive or of what each word adds to it, so a change costs the same however
 * many words there are.
 */

/** Words that a state may have. */
export const CAPACITY = 4096;

export class StateWords {
  /** Others only read it: `set` keeps the hash and the log. */
  readonly words = new Int32Array(CAPACITY);
  hashLow = 0;
  hashHigh = 0;
  /** Place and former value of each change since mark 0: two numbers a change. */
  #log = new Int32Array(1 << 16);
  #logged = 0;

  set(at: number, value: number): void {
    const before = this.words[at] as number;
    if (before === value) return;
    if (this.#logged + 2 > this.#log.length) {
      const longer = new Int32Array(this.#log.length * 2);
      longer.set(this.#log);
      this.#log = longer;
    }
    this.#log[this.#logged++] = at;
    this.#log[this.#logged++] = before;
    this.#change(at, before, value);
  }

  /** The length of the log. `back` with this number returns to the present state. */
  get mark(): number {
    return this.#logged;
  }

  back(mark: number): void {
    while (this.#logged > mark) {
      const before = this.#log[--this.#logged] as number;
      const at = this.#log[--this.#logged] as number;
      this.#change(at, this.words[at] as number, before);
    }
  }

  /** The difference from the state at mark 0: pairs of place and value. */
  difference(): Int32Array {
    const places = new Set<number>();
    for (let at = 0; at < this.#logged; at += 2) places.add(this.#log[at] as number);
    return Int32Array.from([...places].flatMap((place) => [place, this.words[place] as number]));
  }

  /** Goes to the state at mark 0 with a difference applied. */
  goTo(difference: Int32Array): void {
    this.back(0);
    for (let at = 0; at < difference.length; at += 2) this.set(difference[at] as number, difference[at + 1] as number);
  }

  /** Makes this the state at mark 0. Earlier marks and differences are void. */
  forgetChanges(): void {
    this.#logged = 0;
  }

  #change(at: number, before: number, value: number): void {
    this.hashLow ^= mixLow(at, before) ^ mixLow(at, value);
    this.hashHigh ^= mixHigh(at, before) ^ mixHigh(at, value);
    this.words[at] = value;
  }
}

// Two independent integer hashes of an index and its value, with constants of common integer
// hashes.
function mixLow(at: number, value: number): number {
  let x = Math.imul(at + 0x9e37, 0x85eb_ca6b) ^ Math.imul(value, 0xc2b2_ae35);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b_3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a_2d39);
  return x ^ (x >>> 15);
}

function mixHigh(at: number, value: number): number {
  let x = Math.imul(at + 0x7f4a, 0xcc9e_2d51) + Math.imul(value, 0x1b87_3593);
  x = Math.imul(x ^ (x >>> 16), 0x7feb_352d);
  x = Math.imul(x ^ (x >>> 15), 0x846c_a68b);
  return x ^ (x >>> 16);
}

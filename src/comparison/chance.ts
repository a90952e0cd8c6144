/**
 * Chance: seeded random choices, of which programs are made. The same seed gives the same choices,
 * so the order of the calls must not depend on anything else.
 *
 * Called by: Comparison, which creates one for each program; the `action` of each ComparedDevice.
 */

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export class Chance {
  readonly #random: ReturnType<typeof xoroshiro128plus>;

  constructor(seed: number) {
    this.#random = xoroshiro128plus(seed);
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return uniformInt(this.#random, low, high);
  }

  /** 0 to `count` − 1. */
  below(count: number): number {
    return this.between(0, count - 1);
  }

  /** True with a probability of 1 in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  byte(): number {
    return this.below(256);
  }

  pick<T>(values: readonly [T, ...T[]]): T {
    return values[this.below(values.length)] as T;
  }
}

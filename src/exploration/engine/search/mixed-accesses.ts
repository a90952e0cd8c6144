/**
 * MixedAccesses: the rule that a word which one thread uses by atomic operations is not accessed
 * plainly by another, but for places that are named as relaxed.
 *
 * Called by: the state space, for each operation on a word.
 *
 * The rule is about the code and not about a schedule: the two accesses need not come together in
 * one. So it keeps what it has seen when a search goes back. Set-up does not count: what one thread
 * does there comes before the others begin.
 */

import { OperationKind, type Operation } from '../machine/operation.js';
import type { WordAddress } from './space-parts.js';
import { CAPACITY } from './state-words.js';

/** One thread's accesses to a word. */
export interface WordAccess extends WordAddress {
  readonly thread: number;
  readonly isPlain: boolean;
}

export class MixedAccesses {
  /** By place, bit n for thread n. */
  readonly #plain = new Int32Array(CAPACITY);
  readonly #atomic = new Int32Array(CAPACITY);

  /** Returns the access of another thread that does not go with this one. */
  note(thread: number, { kind, buffer, index, isRelaxed }: Operation, place: number): WordAccess | undefined {
    if (isRelaxed) return undefined;
    const isPlain = kind === OperationKind.READ || kind === OperationKind.WRITE;
    const others = ((isPlain ? this.#atomic : this.#plain)[place] as number) & ~(1 << thread);
    this.add(thread, place, isPlain);
    return others === 0 ? undefined : { buffer, index, thread: 31 - Math.clz32(others), isPlain: !isPlain };
  }

  add(thread: number, place: number, isPlain: boolean): void {
    const users = isPlain ? this.#plain : this.#atomic;
    users[place] = (users[place] as number) | (1 << thread);
  }

  forget(): void {
    this.#plain.fill(0);
    this.#atomic.fill(0);
  }
}

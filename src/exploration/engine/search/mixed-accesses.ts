/**
 * MixedAccesses: the rule that a word which one thread uses by atomic operations is not accessed
 * plainly by another, but for places that are named as relaxed (CodeOptions.relaxed).
 *
 * Called by: the state space, for each operation on a word; ExploredWorld, for the access that
 * Schedule.access brings from another run.
 *
 * The rule is about the code and not about a schedule: the two accesses need not come together in
 * one. So it keeps what it has seen when a search goes back. Set-up does not count: what one thread
 * does there comes before the others begin.
 */

import { OperationKind, type Operation } from '../machine/operation.js';
import type { WordAddress } from './space-parts.js';
import { CAPACITY } from './state-words.js';
import { Violation } from './violation.js';

/** One thread's accesses to a word. */
export interface WordAccess extends WordAddress {
  readonly thread: number;
  readonly isPlain: boolean;
}

export class MixedAccesses {
  /** Set-up is over. ExploredWorld sets it. */
  hasBegun = false;
  /** The other thread's access when the rule broke last, for Schedule.access. */
  brokenWith: WordAccess | undefined;
  /** By place, bit n for thread n. */
  readonly #plain = new Int32Array(CAPACITY);
  readonly #atomic = new Int32Array(CAPACITY);
  readonly #nameOf: (thread: number) => string;

  constructor(nameOf: (thread: number) => string) {
    this.#nameOf = nameOf;
  }

  /**
   * Returns whether the operation is a plain read. Throws Violation if another thread's access does
   * not go with this one.
   */
  check(thread: number, { kind, buffer, index, isRelaxed }: Operation, place: number): boolean {
    if (place < 0 || !this.hasBegun) return false;
    const isRead = kind === OperationKind.READ;
    if (isRelaxed) return isRead;
    const isPlain = isRead || kind === OperationKind.WRITE;
    const others = ((isPlain ? this.#atomic : this.#plain)[place] as number) & ~(1 << thread);
    this.add(thread, place, isPlain);
    if (others === 0) return isRead;
    const other = 31 - Math.clz32(others);
    this.brokenWith = { buffer, index, thread: other, isPlain: !isPlain };
    const [plain, atomic] = (isPlain ? [thread, other] : [other, thread]).map(this.#nameOf);
    throw new Violation(`${plain} accesses a word plainly that ${atomic} uses by atomic operations`);
  }

  /** Records an access. */
  add(thread: number, place: number, isPlain: boolean): void {
    const users = isPlain ? this.#plain : this.#atomic;
    users[place] = (users[place] as number) | (1 << thread);
  }
}

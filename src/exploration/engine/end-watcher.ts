/**
 * EndWatcher: the rule of models without rules of their own. When no thread can move, each thread
 * must have ended, except those that may wait forever (ThreadPlan.mayWait).
 *
 * Called by: the searches and `replay`, when no thread can move; the state space, like every
 * Watcher (search/space-parts.ts), for accesses and notes, which this rule allows.
 */

import { OperationKind } from './machine/operation.js';
import type { ThreadPlan } from './model.js';
import type { Watcher } from './search/space-parts.js';
import type { StateSpace } from './search/state-space.js';
import { Violation } from './search/violation.js';

export class EndWatcher implements Watcher {
  readonly wordCount = 0;
  readonly #threads: readonly ThreadPlan[];
  #space: StateSpace | undefined;

  constructor(threads: readonly ThreadPlan[]) {
    this.#threads = threads;
  }

  begin(space: StateSpace): void {
    this.#space = space;
  }

  read(): void {
    /* Any thread may read any word. */
  }

  write(): void {
    /* Any thread may write any word. */
  }

  note(): void {
    /* Notes are for the table of a schedule. */
  }

  /** Dead threads have ended too. */
  end(): void {
    const space = this.#space;
    const stuck = this.#threads.filter(({ mayWait }, thread) => {
      const hasEnded = space?.at(thread).kind === OperationKind.DONE || space?.sleepers.isDead(thread) === true;
      return !hasEnded && mayWait !== true;
    });
    if (stuck.length > 0)
      throw new Violation(`no thread can move, and these still wait: ${stuck.map(({ name }) => name).join(', ')}`);
  }
}

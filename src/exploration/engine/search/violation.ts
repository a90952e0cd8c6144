/**
 * What ends a search early: a rule that broke, or knowledge that turned out to be wrong. Thrown by
 * the state space, its parts and watchers. Caught by the searches, explore.ts, ExploredWorld and
 * schedule.ts.
 */

/** Thrown at the move that breaks a rule. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/**
 * Thrown when the search relied on knowledge of the threads (word-uses.ts) that turns out to be
 * wrong. It has to begin again.
 */
export class Relearn extends Error {
  override readonly name = 'Relearn';
}

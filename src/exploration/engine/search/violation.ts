/** Violation: what a search finds. Something that must never happen, at the end of some moves. */

/** One move: a thread makes one operation. */
export interface Move {
  readonly thread: number;
  /** 0 where there is no choice. Others: results of PICK and WAIT in operation.ts, and DIES. */
  readonly choice: number;
}

/** The choice that the thread ends here. */
export const DIES = 4095;

/** Thrown when a search relied on what turns out to be wrong. It has to begin again. */
export class Relearn extends Error {
  override readonly name = 'Relearn';
}

/** Thrown at the move that breaks a rule. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

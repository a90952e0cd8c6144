/** What a search finds: something that must never happen, and the moves that lead there. */

/** One move: a thread makes one operation. */
export interface Move {
  readonly thread: number;
  /** 0 where there is no choice; see operation.ts for the others, and DIES. */
  readonly choice: number;
}

/** The choice "this thread ends here". */
export const DIES = 4095;

/** Thrown by the state space at the move that breaks an invariant. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/**
 * Move: one step of a schedule, a thread and its choice. Searches keep moves packed into one
 * number, because there are many millions of them.
 *
 * Called by: the searches, ThreadMoves and StateSpace; explore.ts, schedule.ts and
 * schedule-table.ts.
 */

/** One move: a thread makes one operation. */
export interface Move {
  readonly thread: number;
  /** 0 where there is no choice. Others: results of PICK and WAIT in operation.ts, and DIES. */
  readonly choice: number;
}

/** Choices of a packed move. The choice is its low 12 bits, the thread the bits above. */
const CHOICES = 4096;

/** The choice that the thread ends here. */
export const DIES = CHOICES - 1;

export function packMove(thread: number, choice: number): number {
  return thread * CHOICES + choice;
}

export function threadOf(move: number): number {
  return move >> 12;
}

export function choiceOf(move: number): number {
  return move & (CHOICES - 1);
}

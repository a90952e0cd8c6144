/**
 * Operation: what a thread does next, as far as others can notice: one access to a word that threads share, a wait, the
 * choice of its event loop, or a note to whoever watches. Rewritten code yields them; the search decides their results.
 */

export const OperationKind = {
  /** A plain read or write: no ordering, and only the owner of the word should make one. */
  READ: 0,
  WRITE: 1,
  LOAD: 2,
  STORE: 3,
  ADD: 4,
  OR: 5,
  AND: 6,
  EXCHANGE: 7,
  COMPARE_EXCHANGE: 8,
  NOTIFY: 9,
  WAIT: 10,
  WAIT_ASYNC: 11,
  /** The event loop has nothing under way: which of the waiting tasks runs next? */
  PICK: 12,
  /** For the invariants. Takes no time. */
  NOTE: 13,
  /** The thread has ended, or waits for nothing any more. */
  DONE: 14,
  /** An exception that nobody caught. */
  CRASH: 15,
} as const;
export type OperationKind = (typeof OperationKind)[keyof typeof OperationKind];

export interface Operation {
  readonly kind: OperationKind;
  /** The buffer and the word in it; −1 when it is about no word. */
  readonly buffer: number;
  readonly index: number;
  /** What is stored, added or compared with. */
  readonly value: number;
  /** What COMPARE_EXCHANGE puts in its place; how long a wait may take, in ms. */
  readonly other: number;
  /** Of PICK: the tasks that may run, by name. Of NOTE: what is noted. Of CRASH: the message. */
  readonly names: readonly string[];
  /** Of PICK: the numbers of the asynchronous waits that are under way. Of NOTE: its values. */
  readonly numbers: readonly number[];
}

/**
 * A wait or a timer of at least so many ms is a safety net: the protocol must work without it, so it never ends by time
 * here. Shorter ones are part of the protocol and may end at any moment.
 */
export const SAFETY_NET_MS = 500;

/** Results of WAIT. */
export const WaitResult = { OK: 0, NOT_EQUAL: 1, TIMED_OUT: 2 } as const;
/** The result of a WAIT_ASYNC that finds another value; otherwise it is the number of the wait. */
export const NOT_ASYNC = -1;
/** Results of PICK: the number of a task, or this much more than the number of a wait that is over. */
export const WOKEN = 1000;
export const TIMED_OUT = 2000;

const NONE: readonly never[] = [];

export function wordOperation(kind: OperationKind, buffer: number, index: number, value = 0, other = 0): Operation {
  return { kind, buffer, index, value, other, names: NONE, numbers: NONE };
}

export function namedOperation(
  kind: OperationKind,
  names: readonly string[] = NONE,
  numbers: readonly number[] = NONE,
): Operation {
  return { kind, buffer: -1, index: -1, value: 0, other: 0, names, numbers };
}

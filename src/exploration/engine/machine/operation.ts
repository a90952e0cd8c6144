/**
 * Operation: what a thread does next, as far as others can notice. It is an access to a word that
 * threads share, a wait, the choice of its event loop, or a note to the watcher.
 *
 * Rewritten code yields operations. The search decides their results: what a load returns, whether
 * a wait times out, which task a loop takes. A result is always a number.
 *
 * Called by: the files of this folder and program.ts, which make operations; search/, which decides
 * their results; schedule.ts and schedule-table.ts.
 */

export const OperationKind = {
  /**
   * A plain read or write: no ordering. Only the owner of the word makes one, or a relaxed place.
   */
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
  /** Atomics.wait and Atomics.waitAsync. */
  WAIT: 10,
  WAIT_ASYNC: 11,
  /** The event loop is idle and chooses the task that runs next. */
  PICK: 12,
  /** For the watcher. Takes no time. */
  NOTE: 13,
  /** The thread has ended. */
  DONE: 14,
  /** An exception that was not caught. */
  CRASH: 15,
} as const;
export type OperationKind = (typeof OperationKind)[keyof typeof OperationKind];

export interface Operation {
  readonly kind: OperationKind;
  /** The buffer and the word in it. −1: the operation is about no word. */
  readonly buffer: number;
  readonly index: number;
  /** What is stored, added or compared with. NOTIFY: how many sleepers it may wake. */
  readonly value: number;
  /** The new value of COMPARE_EXCHANGE, or the timeout of a wait in ms. */
  readonly other: number;
  /** PICK: the names of the tasks that may run. NOTE: its name. CRASH: the message. */
  readonly names: readonly string[];
  /** PICK: the numbers of the asynchronous waits. NOTE: its values. */
  readonly numbers: readonly number[];
  /** A READ or WRITE in a function that is named as relaxed (code-base.ts). */
  readonly isRelaxed: boolean;
}

/**
 * A wait or timer of at least this many ms is a safety net: the protocol must work without it, so
 * it never ends by time here, unless Model.safetyNetsFire is set. Shorter ones are part of the
 * protocol and may end at any moment.
 */
export const SAFETY_NET_MS = 500;

/** The `value` of a NOTIFY without a limit. */
export const WAKE_ALL = 0x7fff_ffff;

/** Results of WAIT: woken, another value found, timed out. */
export const WaitResult = { OK: 0, NOT_EQUAL: 1, TIMED_OUT: 2 } as const;
/** The result of a WAIT_ASYNC that finds another value. Otherwise it is the number of the wait. */
export const NOT_ASYNC = -1;
/**
 * Results of PICK: the number of a task, or one of these plus the number of an asynchronous wait
 * that a notification or the time has ended. A loop has far fewer tasks than 1000, and each result
 * fits into the 12 bits of a packed choice (search/move.ts).
 */
export const WOKEN = 1000;
export const TIMED_OUT = 2000;

/** Whether a result of PICK is the number of a task. Otherwise it is about an asynchronous wait. */
export function isPickOfTask(picked: number): boolean {
  return picked < WOKEN;
}

/** The asynchronous wait that a result of PICK is about: `picked` without WOKEN or TIMED_OUT. */
export function waitOfPick(picked: number): number {
  return picked >= TIMED_OUT ? picked - TIMED_OUT : picked - WOKEN;
}

const NONE: readonly never[] = [];

export function wordOperation(
  kind: OperationKind,
  buffer: number,
  index: number,
  value = 0,
  other = 0,
  isRelaxed = false,
): Operation {
  return { kind, buffer, index, value, other, names: NONE, numbers: NONE, isRelaxed };
}

export function namedOperation(
  kind: OperationKind,
  names: readonly string[] = NONE,
  numbers: readonly number[] = NONE,
): Operation {
  return { kind, buffer: -1, index: -1, value: 0, other: 0, names, numbers, isRelaxed: false };
}

/** What an operation puts into its word, which holds `now`. Undefined if it writes nothing. */
export function storedBy({ kind, value, other }: Operation, now: number): number | undefined {
  switch (kind) {
    case OperationKind.WRITE:
    case OperationKind.STORE:
    case OperationKind.EXCHANGE:
      return value;
    case OperationKind.ADD:
      return (now + value) | 0;
    case OperationKind.OR:
      return now | value;
    case OperationKind.AND:
      return now & value;
    case OperationKind.COMPARE_EXCHANGE:
      return now === value ? other : undefined;
    default:
      return undefined;
  }
}

/**
 * ScheduleStep: one operation of a schedule, as a file keeps it. Called by: schedule.ts,
 * random-search.ts.
 */

import type { Operation, OperationKind } from '../machine/operation.js';
import type { Move } from './move.js';

/**
 * A move, with the kind and the word of its operation. A replay compares them, because changed code
 * may have another operation there.
 */
export interface ScheduleStep extends Move {
  readonly kind: OperationKind;
  readonly buffer: number;
  readonly index: number;
}

export function scheduleStep(thread: number, choice: number, { kind, buffer, index }: Operation): ScheduleStep {
  return { thread, choice, kind, buffer, index };
}

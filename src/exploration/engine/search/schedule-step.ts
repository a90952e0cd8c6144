/** ScheduleStep: one operation of a schedule, as a file keeps it. */

import type { Operation, OperationKind } from '../machine/operation.js';
import type { Move } from './move.js';

/** A move, and what its operation was about. Other code may have another operation there. */
export interface ScheduleStep extends Move {
  readonly kind: OperationKind;
  readonly buffer: number;
  readonly index: number;
}

export function scheduleStep(thread: number, choice: number, { kind, buffer, index }: Operation): ScheduleStep {
  return { thread, choice, kind, buffer, index };
}

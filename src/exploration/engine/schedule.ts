/**
 * Schedule: how a world was run, operation by operation, so that it can be run again. It is what a
 * search finds, as a file.
 *
 * The operations depend on nothing but the code. If the code has changed so that a schedule no
 * longer fits, `replay` reports the step.
 *
 * Called by: explore.ts, which makes schedules; explore-main.ts and users of `upcall/exploration`,
 * which save, parse and replay them.
 */

import { ExploredWorld } from './explored-world.js';
import { OperationKind, type Operation } from './machine/operation.js';
import type { Model } from './model.js';
import type { ExploredProgram } from './program.js';
import type { WordAccess } from './search/mixed-accesses.js';
import type { EventCount } from './search/space-parts.js';
import type { StateSpace } from './search/state-space.js';
import { scheduleStep, type ScheduleStep } from './search/schedule-step.js';
import { packMove, type Move } from './search/move.js';
import { Violation } from './search/violation.js';

export interface Schedule {
  /** The plan of the model. */
  readonly plan: unknown;
  /** The seeded defect that the code had, by name. */
  readonly defect?: string | undefined;
  /** The rule that broke. */
  readonly violation: string;
  /** The event counts that were known when it began. */
  readonly eventCounts: readonly EventCount[];
  /** The access that broke the rule together with the last step, if it is not one of the steps. */
  readonly access?: WordAccess | undefined;
  readonly steps: readonly ScheduleStep[];
}

/** The text is not a schedule, or the code cannot run it. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
}

/** Reads a schedule's file. Throws ScheduleError. */
export function parseSchedule(text: string): Schedule {
  const refuse = (cause?: unknown): ScheduleError =>
    new ScheduleError('this is not a schedule: give a file that was saved as one', { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(error);
  }
  const schedule = value as Partial<Schedule> | null;
  const hasSteps =
    Array.isArray(schedule?.steps) && schedule.steps.every(isStep) && Array.isArray(schedule.eventCounts);
  if (!hasSteps || typeof schedule.violation !== 'string') throw refuse();
  return value as Schedule;
}

function isStep(step: unknown): boolean {
  const { thread, choice, kind, buffer, index } = (step ?? {}) as Partial<ScheduleStep>;
  return [thread, choice, kind, buffer, index].every(Number.isInteger);
}

/** One step of a replay: an operation as the code made it, and its result. */
export interface ScheduledStep {
  readonly thread: number;
  readonly choice: number;
  readonly operation: Operation;
  readonly result: number;
}

/**
 * The single operations of `moves`, from the beginning. `message`: the rule that one of them
 * breaks. It is undefined also if only the end breaks one. `space` is the one of the search, with
 * all that it has learned.
 */
export function stepsOf(
  space: StateSpace,
  moves: readonly Move[],
): { readonly steps: readonly ScheduleStep[]; readonly message: string | undefined } {
  const steps: ScheduleStep[] = [];
  let message: string | undefined;
  space.state.back(0);
  space.onStep = (thread, choice, operation) => steps.push(scheduleStep(thread, choice, operation));
  try {
    for (const { thread, choice } of moves) space.move(thread, choice);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    message = error.message;
  } finally {
    space.onStep = undefined;
  }
  return { steps, message };
}

export interface Replay {
  /** The rule that broke this time. Undefined if no rule broke. */
  readonly violation: string | undefined;
  readonly steps: readonly ScheduledStep[];
  readonly world: ExploredWorld;
}

/** Runs the code itself through a schedule. Throws ScheduleError if the code cannot go that way. */
export function replay(program: ExploredProgram, model: Model, schedule: Schedule): Replay {
  const world = new ExploredWorld(program, model, {
    reduces: false,
    learns: false,
    eventCounts: schedule.eventCounts,
    access: schedule.access,
  });
  const { space } = world;
  const steps: ScheduledStep[] = [];
  space.onStep = (thread, choice, operation, result) => steps.push({ thread, choice, operation, result });
  let violation: string | undefined;
  try {
    for (const step of schedule.steps) {
      if (!canStep(space, step))
        throw new ScheduleError(`the schedule does not fit this code from step ${steps.length + 1} on`);
      space.step(step.thread, step.choice);
    }
    const moves: number[] = [];
    space.moves(moves);
    if (moves.length === 0) space.watcher?.end();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
  }
  return { violation, steps, world };
}

/** Whether the thread stands at the operation that the schedule has, and may make that choice. */
function canStep(space: StateSpace, { thread, choice, ...expected }: ScheduleStep): boolean {
  if (space.threads[thread] === undefined) return false;
  const { kind, buffer, index } = space.at(thread).operation;
  if (kind !== expected.kind || buffer !== expected.buffer || index !== expected.index) return false;
  // The step before it goes on to this one at once (StateSpace.move): even a mortal thread cannot
  // die in between.
  if (kind === OperationKind.NOTE || kind === OperationKind.CRASH) return choice === 0;
  const moves: number[] = [];
  space.moves(moves);
  return moves.includes(packMove(thread, choice));
}

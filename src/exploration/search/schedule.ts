/**
 * Schedule: how a world was run, operation by operation, so that it can be run again: what a search found, as a file. The
 * operations depend on nothing but the code; a schedule of changed code says where it does not fit any more.
 */

import { OperationKind, type Operation } from '../machine/operation.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { WorldPlan } from '../world/world.js';
import { ExploredWorld, type ExploredProgram } from './explored-world.js';
import type { Bell } from './space-parts.js';
import type { StateSpace } from './state-space.js';
import { DIES, Violation, type Move } from './violation.js';

export interface Schedule {
  readonly plan: WorldPlan;
  /** The seeded defect that the code had, by name. */
  readonly defect?: string | undefined;
  /** What it came to. */
  readonly violation: string;
  /** The doorbells that were known when it began. */
  readonly bells: readonly Bell[];
  readonly steps: readonly ScheduleStep[];
}

/** A move, and what the operation was about: other code may have another one there. */
export interface ScheduleStep extends Move {
  readonly kind: OperationKind;
  readonly buffer: number;
  readonly index: number;
}

export function scheduleStep(thread: number, choice: number, { kind, buffer, index }: Operation): ScheduleStep {
  return { thread, choice, kind, buffer, index };
}

/** Reads a schedule's file. Throws OPTION_INVALID when it is none. */
export function parseSchedule(text: string): Schedule {
  const refuse = (cause?: unknown): UpcallError =>
    new UpcallError('OPTION_INVALID', 'this is not a schedule', {
      remedy: 'Give a file that --save has written',
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(error);
  }
  const schedule = value as Partial<Schedule> | null;
  const hasSteps = Array.isArray(schedule?.steps) && schedule.steps.every(isStep) && Array.isArray(schedule.bells);
  if (!hasSteps || typeof schedule.plan !== 'object' || typeof schedule.violation !== 'string') throw refuse();
  return value as Schedule;
}

function isStep(step: unknown): boolean {
  const { thread, choice, kind, buffer, index } = (step ?? {}) as Partial<ScheduleStep>;
  return [thread, choice, kind, buffer, index].every(Number.isInteger);
}

/** One operation as it was made. */
export interface ScheduledStep {
  readonly thread: number;
  readonly choice: number;
  readonly operation: Operation;
  readonly result: number;
}

/** The single operations of `moves`, made from the beginning. The space must be as it was in the search. */
export function stepsOf(space: StateSpace, moves: readonly Move[]): ScheduleStep[] {
  const steps: ScheduleStep[] = [];
  space.state.back(0);
  space.onStep = (thread, choice, operation) => steps.push(scheduleStep(thread, choice, operation));
  try {
    for (const { thread, choice } of moves) space.move(thread, choice);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
  } finally {
    space.onStep = undefined;
  }
  return steps;
}

export interface Replay {
  /** What it came to this time; undefined: nothing. */
  readonly violation: string | undefined;
  readonly steps: readonly ScheduledStep[];
  readonly world: ExploredWorld;
}

/** Runs the code itself through a schedule. Throws OPTION_INVALID when the code cannot go that way. */
export function replay(program: ExploredProgram, schedule: Schedule): Replay {
  const world = new ExploredWorld(program, schedule.plan, {
    reduces: false,
    learns: false,
    bells: schedule.bells,
  });
  const { space } = world;
  const steps: ScheduledStep[] = [];
  space.onStep = (thread, choice, operation, result) => steps.push({ thread, choice, operation, result });
  let violation: string | undefined;
  try {
    for (const step of schedule.steps) {
      if (!canStep(space, step))
        throw new UpcallError('OPTION_INVALID', `the schedule does not fit this code from step ${steps.length + 1} on`);
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

function canStep(space: StateSpace, { thread, choice, ...expected }: ScheduleStep): boolean {
  if (space.threads[thread] === undefined) return false;
  const { kind, buffer, index } = space.at(thread).operation;
  if (kind !== expected.kind || buffer !== expected.buffer || index !== expected.index) return false;
  if (kind === OperationKind.NOTE || kind === OperationKind.CRASH) return choice === 0;
  const moves: number[] = [];
  space.moves(moves);
  return moves.includes(thread * (DIES + 1) + choice);
}

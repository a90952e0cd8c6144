/**
 * A schedule as a table for people: a column for each thread if there is room, a line for each
 * operation. Called by: explore-main.ts, and users of `upcall/exploration`.
 */

import { OperationKind, TIMED_OUT, WaitResult, WOKEN } from './machine/operation.js';
import type { WordNaming } from './model.js';
import type { Replay, ScheduledStep } from './schedule.js';
import { DIES } from './search/move.js';

/** By OperationKind, up to WAIT_ASYNC. The kinds after it have texts of their own. */
const VERBS = [
  'reads',
  'writes',
  'loads',
  'stores',
  'adds',
  'or',
  'and',
  'exchanges',
  'moves',
  'notifies',
  'sleeps on',
  'awaits',
];

/** Columns of a wider table would not fit on a line: the threads stand below each other then. */
const MAX_WIDTH = 240;

export interface TableOptions {
  /** Also the words that the model calls minor. */
  readonly isComplete?: boolean;
}

export function scheduleTable(run: Replay, { isComplete = false }: TableOptions = {}): string {
  const names = run.world.naming;
  const { threads } = run.world.space;
  const moving = [...new Set(run.steps.map(({ thread }) => thread))].sort((a, b) => a - b);
  const rows = run.steps.flatMap((step) => {
    const { buffer, index } = step.operation;
    return !isComplete && names.isMinor(buffer, index) ? [] : [{ thread: step.thread, text: textOf(step, names) }];
  });
  const nameOf = (thread: number): string => threads[thread]?.name ?? '';
  const widths = new Map(moving.map((thread) => [thread, nameOf(thread).length]));
  for (const { thread, text } of rows) widths.set(thread, Math.max(widths.get(thread) ?? 0, text.length));
  const isWide = [...widths.values()].reduce((sum, width) => sum + width + 2, 0) > MAX_WIDTH;
  if (isWide) {
    const width = Math.max(...moving.map((thread) => nameOf(thread).length));
    return rows.map(({ thread, text }, at) => `${number(at + 1)}  ${nameOf(thread).padEnd(width)}  ${text}`).join('\n');
  }
  const line = (first: string, cell: (thread: number) => string): string =>
    [first, ...moving.map((thread) => cell(thread).padEnd(widths.get(thread) ?? 0))].join('  ').trimEnd();
  return [
    line(number(''), nameOf),
    ...rows.map((row, at) => line(number(at + 1), (thread) => (thread === row.thread ? row.text : ''))),
  ].join('\n');
}

function number(value: number | string): string {
  return String(value).padStart(4);
}

function textOf({ choice, operation, result }: ScheduledStep, names: WordNaming): string {
  const { kind, buffer, index, value, other } = operation;
  if (choice === DIES) return 'ends here';
  const name = buffer < 0 ? '' : names.name(buffer, index);
  const show = (number: number): string => names.value(buffer, index, number);
  switch (kind) {
    case OperationKind.READ:
    case OperationKind.LOAD:
      return `${VERBS[kind]} ${name}: ${show(result)}`;
    case OperationKind.COMPARE_EXCHANGE:
      return result === value
        ? `moves ${name}: ${show(value)} → ${show(other)}`
        : `cannot move ${name} from ${show(value)}: it is ${show(result)}`;
    case OperationKind.NOTIFY:
      return `${VERBS[kind]} ${name}`;
    case OperationKind.WAIT:
      if (choice === WaitResult.TIMED_OUT) return `times out: ${name}`;
      // Falling asleep has the result 0 (StepListener), which is also that of being woken.
      return result === WaitResult.NOT_EQUAL ? `does not sleep: ${name} has changed` : `sleeps on or wakes by ${name}`;
    case OperationKind.WAIT_ASYNC:
      return result < 0 ? `does not sleep: ${name} has changed` : `awaits ${name}`;
    case OperationKind.PICK:
      if (choice >= TIMED_OUT) return 'a wait times out';
      return choice >= WOKEN ? 'is woken' : `runs ${operation.names[choice]}`;
    case OperationKind.NOTE:
      return `(${operation.names[0]} ${operation.numbers.map((number) => show(number)).join(' ')})`;
    case OperationKind.DONE:
    case OperationKind.CRASH:
      return operation.names[0]?.split('\n')[0] ?? 'ends';
    default:
      return `${VERBS[kind]} ${name}: ${show(result)}, ${show(value)}`;
  }
}

/**
 * Adaptations: the changes to the explored code, besides those that let it stop (engine/code/).
 *
 * They make times and long counts small, so that there are finitely many states. They remove no
 * schedule, for the reason in `why`. A place that no longer exists is an error (engine/change/).
 *
 * Called by: program.ts.
 */

import { replace, type CodeChange } from '../engine/change/code-change.js';
import { initial } from '../engine/change/selector.js';

export interface Adaptation extends CodeChange {
  /** Why the change hides no schedule of the shipped code. */
  readonly why: string;
}

export const ADAPTATIONS: readonly Adaptation[] = [
  {
    module: 'sync/adaptive-spin',
    edit: replace(initial('MAX_SPIN_US'), '0'),
    why: 'Spinning before parking is one poll that comes later.',
  },
  {
    module: 'sync/adaptive-spin',
    edit: replace(initial('MAX_EVENT_LOOP_SPIN_US'), '0'),
    why: 'The same, in a thread with an event loop.',
  },
  {
    module: 'sync/adaptive-spin',
    edit: replace(initial('MAX_DELAY_STEPS'), '0'),
    why: 'Delaying a poll is polling later, which a schedule can do anyway.',
  },
  {
    module: 'sync/adaptive-spin',
    edit: replace(initial('POLLS_PER_ROUND'), '1'),
    why: 'Polls are counted only to choose the delay, and to end each round with an ordered poll.',
  },
  {
    module: 'hsm/dispatch-worker',
    edit: replace(initial('PASSES_PER_TURN'), '1'),
    why: 'A turn in which no other task runs changes nothing: turning after each pass allows every schedule of rarer turns.',
  },
  {
    module: 'hsm/clear-wait',
    edit: replace(initial('CLEAR_ROUNDS'), '2'),
    why: 'All rounds of CLEAR but the last are alike and may take any time here, so the first of two stands for all of them.',
  },
  {
    module: 'hsm/slot-assignment',
    edit: replace(initial('#counter'), 'new TicketCounter(0x7fff_fffe)'),
    why: 'The counter is the shipped one. It starts near its end, so that the second ticket is 1 again.',
  },
];

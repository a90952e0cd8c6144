/**
 * Relaxed places: the functions that may access a word plainly although other threads use it by
 * atomic operations. A plain access anywhere else is a violation.
 *
 * Called by: program.ts.
 */

import type { RelaxedPlace } from '../engine/code/code-base.js';

export interface AcrnRelaxedPlace extends RelaxedPlace {
  readonly why: string;
}

export const RELAXED: readonly AcrnRelaxedPlace[] = [
  {
    module: 'sync/shared-words',
    in: 'SharedWords.loadRelaxed',
    why: 'A hint, or data that an earlier atomic load acquired. The name says it at each call.',
  },
  {
    module: 'sync/shared-words',
    in: 'SharedWords.storeRelaxed',
    why: 'Published by a later atomic operation. The name says it at each call.',
  },
  {
    module: 'io-request/slot',
    in: 'Slot.get relaxedState',
    why: 'A hint. The caller reads `state`, or changes it, before it acts.',
  },
  {
    module: 'io-request/slot',
    in: 'Slot.fill',
    why: 'No other thread changes a FREE slot, and the change to PENDING compares its state.',
  },
];

/**
 * Defect: a seeded mistake. It is one change to a shipped module, made only in the explored copy,
 * that the explorer must find. `plan` is a small world in which it shows.
 *
 * Called by: `npm run explore -- --defects` and a test, which search `plan` with the change made. A
 * defect that no schedule shows means that the invariants have a hole.
 */

import type { CodeChange } from '../engine/change/code-change.js';
import type { WorldPlan } from './world.js';

export interface Defect extends CodeChange {
  readonly name: string;
  /** What is wrong, for people. */
  readonly sentence: string;
  readonly plan: WorldPlan;
}

/**
 * Defect: a seeded mistake. It is one change to a shipped module, made only in the explored copy,
 * that the explorer must find. `plan` is the smallest world in which it shows.
 */

import type { CodeChange } from '../engine/change/code-change.js';
import type { WorldPlan } from './world.js';

export interface Defect extends CodeChange {
  readonly name: string;
  /** What is wrong, for people. */
  readonly sentence: string;
  readonly plan: WorldPlan;
}

/**
 * Defect: one change to a shipped module that the explorer must find, and the smallest world in
 * which it shows. It is made only in the explored copy.
 */

import type { CodeChange } from '../engine/change/code-change.js';
import type { WorldPlan } from './world.js';

export interface Defect extends CodeChange {
  readonly name: string;
  readonly sentence: string;
  readonly plan: WorldPlan;
}

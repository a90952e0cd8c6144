/**
 * Defect: one change to the text of a shipped module that the explorer must find, made only in the
 * explored copy. With it the world in which it shows, as small as it can be.
 */

import type { CodeChange } from '../engine/change/code-change.js';
import type { WorldPlan } from './world.js';

export interface Defect extends CodeChange {
  readonly name: string;
  readonly sentence: string;
  readonly plan: WorldPlan;
}

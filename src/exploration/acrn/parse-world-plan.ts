/**
 * Checks the plan in the file of a saved schedule, which may be damaged or of another version.
 *
 * Called by: explore-main.ts for `--replay`.
 */

import { ScheduleError } from '../engine/schedule.js';
import { SMALLEST } from './configurations.js';
import type { WorldPlan } from './world.js';

/**
 * Throws ScheduleError if a field is missing or has another type. Elements of arrays are not
 * checked.
 */
export function parseWorldPlan(value: unknown): WorldPlan {
  const plan = Object(value) as Record<string, unknown>;
  for (const [name, sample] of Object.entries(SMALLEST)) {
    const isValid = Array.isArray(sample) ? Array.isArray(plan[name]) : typeof plan[name] === typeof sample;
    if (!isValid) throw new ScheduleError(`the schedule’s plan has no valid ${name}`);
  }
  return value as WorldPlan;
}

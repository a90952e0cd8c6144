/** The plan of a schedule's file. */

import { ScheduleError } from '../engine/schedule.js';
import { SMALLEST } from './configurations.js';
import type { WorldPlan } from './world.js';

/** Throws ScheduleError if a field is missing or has another type. */
export function parseWorldPlan(value: unknown): WorldPlan {
  const plan = Object(value) as Record<string, unknown>;
  for (const [name, sample] of Object.entries(SMALLEST)) {
    const isValid = Array.isArray(sample) ? Array.isArray(plan[name]) : typeof plan[name] === typeof sample;
    if (!isValid) throw new ScheduleError(`the schedule’s plan has no valid ${name}`);
  }
  return value as WorldPlan;
}

/**
 * shrinkProgram: reduces a program that shows a difference to one in which each action is needed,
 * as far as MAX_TRIES allow.
 *
 * Called by: Comparison. Removes runs of actions, from half of the program down to single ones, and
 * then clears single bits of what is written, if the device allows any value.
 */

import type { ComparedDevice } from './compared-device.js';
import type { Action, Program, Step } from './step.js';

/** Limit of the tries. Each plays a program on both machines. */
const MAX_TRIES = 600;

/** Returns the reduced program. `stillDiffers` is called with each candidate that is defined. */
export async function shrinkProgram(
  device: ComparedDevice,
  program: Program,
  stillDiffers: (candidate: Program) => Promise<boolean>,
): Promise<Program> {
  let best = program;
  let triesLeft = MAX_TRIES;
  const accept = async (candidate: Program): Promise<boolean> => {
    if (triesLeft-- <= 0 || device.isDefined?.(candidate) === false || !(await stillDiffers(candidate))) return false;
    best = candidate;
    return true;
  };
  for (let size = best.length >> 1; size > 0;) {
    let removed = false;
    for (let at = best.length - size; at >= 0; at -= size)
      if (await accept([...best.slice(0, at), ...best.slice(at + size)])) removed = true;
    // One removal may make another possible, so single actions are tried until none can go.
    if (size > 1) size >>= 1;
    else if (!removed) break;
    if (size > best.length) size = best.length;
  }
  if (device.anyValue) await clearBits();
  return best;

  async function clearBits(): Promise<void> {
    for (let at = 0; at < best.length; at++)
      for (let within = 0; within < (best[at]?.length ?? 0); within++)
        for (let bit = 31; bit >= 0; bit--) {
          const step = best[at]?.[within];
          if (step?.kind !== 'write' || ((step.value >>> bit) & 1) === 0) continue;
          const cleared: Step = { ...step, value: (step.value & ~(1 << bit)) >>> 0 };
          const action: Action = (best[at] as Action).with(within, cleared);
          await accept(best.with(at, action));
        }
  }
}

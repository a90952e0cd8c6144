/**
 * Step: one thing that happens to a device under comparison: an access, or time that passes. An
 * Action is a group of steps that only make sense together, such as the two bytes of a count. A
 * Program is a list of actions.
 *
 * Offsets are from the device's first port. The text form is that of access lists in bug reports:
 * `write(1,1,0x2) read(2)`: offset, size, value. A read of one byte names only its offset.
 */

import { hex } from '../io-request/io-request.js';
import type { AccessSize } from '../device-model/device.js';

export type Step =
  | { readonly kind: 'write'; readonly offset: number; readonly size: AccessSize; readonly value: number }
  | { readonly kind: 'read'; readonly offset: number; readonly size: AccessSize }
  /** Guest time, at least this long. The machine that keeps the time says how long it was. */
  | { readonly kind: 'wait'; readonly us: number };

export type Action = readonly Step[];
export type Program = readonly Action[];

export function write(offset: number, value: number, size: AccessSize = 1): Step {
  return { kind: 'write', offset, size, value };
}

export function read(offset: number, size: AccessSize = 1): Step {
  return { kind: 'read', offset, size };
}

export function wait(us: number): Step {
  return { kind: 'wait', us };
}

export function stepText(step: Step): string {
  if (step.kind === 'wait') return `wait(${step.us}us)`;
  const { kind, offset, size } = step;
  if (kind === 'write') return `write(${offset},${size},${hex(step.value)})`;
  return size === 1 ? `read(${offset})` : `read(${offset},${size})`;
}

export function programText(steps: readonly Step[]): string {
  return steps.map(stepText).join(' ');
}

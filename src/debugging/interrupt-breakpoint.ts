/**
 * InterruptBreakpoint: at which interrupts of a VM to hold its next request. Plain data, which
 * `interruptCondition` compiles to a function.
 *
 * Called by: ArmedBreakpoints (armed-breakpoints.ts).
 */

import { UpcallError } from '../io-request/upcall-error.js';
import { INTERRUPT_NAMES, type InterruptEvent, type InterruptName } from '../trace/interrupt-reader.js';
import { LAST_LINE } from './breakpoint-limits.js';

const MAX_VECTOR = 0xff;

/**
 * All fields that are present must match. An interrupt has no request of its own, so the next one
 * that the HSM dispatches or finishes is held, of whichever vCPU. If a device causes the interrupt
 * while it handles a request, that is usually this request, before COMPLETE.
 */
export interface InterruptBreakpoint {
  readonly at: 'interrupt';
  /** What happens to the line or message; see InterruptEvent. */
  readonly interrupt?: InterruptName;
  /** A line, 0…47. Messages never match. */
  readonly line?: number;
  /** The CPU's vector of a message, 0…255. Lines never match. */
  readonly vector?: number;
  /**
   * The name of the device that changes the line or sends the message. An EOI has none, and never
   * matches.
   */
  readonly by?: string;
}

export type InterruptCondition = (event: InterruptEvent) => boolean;

/** The condition of a breakpoint. Throws OPTION_INVALID. */
export function interruptCondition({ interrupt, line, vector, by }: InterruptBreakpoint): InterruptCondition {
  if (interrupt !== undefined && !INTERRUPT_NAMES.includes(interrupt))
    throw invalid(`the interrupt "${interrupt as string}"`, INTERRUPT_NAMES.join(', '));
  expectNumber('line', line, LAST_LINE);
  expectNumber('vector', vector, MAX_VECTOR);
  return (event) =>
    (interrupt === undefined || event.interrupt === interrupt) &&
    (line === undefined || event.line === line) &&
    (vector === undefined || event.vector === vector) &&
    (by === undefined || event.by === by);
}

function expectNumber(name: string, value: number | undefined, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= most)) return;
  throw invalid(`the ${name} ${value}`, `a number from 0 to ${most}`);
}

function invalid(what: string, remedy: string): UpcallError {
  return new UpcallError('OPTION_INVALID', `invalid breakpoint: ${what}`, { remedy: `Give ${remedy}` });
}

/**
 * FuzzTarget: code that must survive any input.
 *
 * - Called by: campaigns (campaign.ts), which open a target once and play many inputs on it.
 * - Targets must: restore their state after each input.
 */

import { withTimeout } from '../sync/bounded-wait.js';

export interface FuzzTarget {
  readonly name: string;
  /** Short description for --help. */
  readonly about: string;
  /** Longest input that a campaign makes. */
  readonly maxBytes: number;
  open(): Promise<OpenTarget>;
}

export interface OpenTarget {
  /** Throws or rejects if the input was handled wrongly. */
  run(input: Uint8Array): void | Promise<void>;
  /** Throws or rejects if something is left behind. */
  close(): void | Promise<void>;
}

/** An input violated a property of the target. Any other error from a target is a finding too. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** Throws a Violation if `condition` is false. */
export function expect(condition: boolean, what: string | (() => string)): asserts condition {
  if (!condition) throw new Violation(typeof what === 'string' ? what : what());
}

/** Settles like `promise`. Rejects with a Violation after `limitMs`. */
export function within<T>(limitMs: number, what: string, promise: Promise<T>): Promise<T> {
  return withTimeout(limitMs, promise, () => {
    throw new Violation(`${what} takes more than ${limitMs} ms`);
  });
}

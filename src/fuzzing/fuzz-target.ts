/**
 * FuzzTarget: something that must bear any input. A campaign (campaign.ts) opens it once and plays
 * one input after the other; what a target opens lives until `close`, and an input must leave it as
 * it found it.
 */

import { withTimeout } from '../sync/bounded-wait.js';

export interface FuzzTarget {
  readonly name: string;
  /** In half a sentence, for --help. */
  readonly about: string;
  readonly maxBytes: number;
  open(): Promise<OpenTarget>;
}

export interface OpenTarget {
  /** Throws or rejects when something is wrong with how the input was taken. */
  run(input: Uint8Array): void | Promise<void>;
  /** Throws or rejects as well: what is left behind is wrong, too. */
  close(): void | Promise<void>;
}

/**
 * An input showed something that must not be. Whatever else is thrown out of a target is a finding
 * as well.
 */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export function expect(condition: boolean, what: string | (() => string)): asserts condition {
  if (!condition) throw new Violation(typeof what === 'string' ? what : what());
}

/** Settles as `promise` does. Rejects with a Violation after `limitMs`. */
export function within<T>(limitMs: number, what: string, promise: Promise<T>): Promise<T> {
  return withTimeout(limitMs, promise, () => {
    throw new Violation(`${what} takes more than ${limitMs} ms`);
  });
}

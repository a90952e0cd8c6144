/**
 * Rule: one thing that checkRegisters checks, and what rules have in common.
 *
 * Called by: register-check.ts, which runs the rules of register-rules.ts and access-rules.ts. The
 * random programs use `steadyValues`.
 */

import type { RegisterDescription } from '../device-model/register-map.js';
import type { Bench } from './bench.js';

/** What a rule gets. */
export interface RuleContext {
  /** A new device, without preparation. */
  readonly fresh: () => Promise<Bench>;
  /** A new device after `prepare`. */
  readonly prepared: () => Promise<Bench>;
  /** Adds a finding once. */
  readonly find: (sentence: string) => void;
  readonly leaveOut: (what: string) => void;
}

export type Rule = (context: RuleContext) => Promise<void>;

/** The registers that a guest can read. */
export function readable({ registers }: Bench): readonly RegisterDescription[] {
  return registers?.registers.filter(({ access }) => access !== 'w') ?? [];
}

/** The values of all readable registers that neither time nor input changes, by peek. */
export function steadyValues(bench: Bench): ReadonlyMap<string, number | undefined> {
  const steady = readable(bench).filter(({ isVolatile }) => isVolatile !== true);
  return new Map(
    steady.map(({ name, offset, size, bar }) => [`${bar ?? 0}:${name}`, bench.peek(offset, size, name, bar)]),
  );
}

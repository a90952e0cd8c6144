/**
 * checkRegisters: whether a device does what its register map says, and withstands what a hostile
 * guest does.
 *
 * Called by: an author's tests.
 *
 * The rules are in register-rules.ts and access-rules.ts. Each rule gets a new device, so `create`
 * is called often. Only what the map says is checked: give registers a `reset` value, and fields
 * their `access`.
 */

import type { Bench } from './bench.js';
import { play } from './play.js';
import { ACCESS_RULES } from './access-rules.js';
import type { RuleContext } from './register-rule.js';
import { REGISTER_RULES } from './register-rules.js';

export interface RegisterCheckOptions {
  /**
   * A program that brings the device into a state in which its flags are set, such as
   * `write(CONTROL,1) wait(10ms)`. Played before each rule but that of the reset values.
   */
  readonly prepare?: string;
}

export interface RegisterCheck {
  /** What is wrong, a sentence each, with the accesses that show it. */
  readonly findings: readonly string[];
  /** What could not be checked: flags that `prepare` has not set. */
  readonly unchecked: readonly string[];
}

/** Rejects if `create` does, or if `prepare` is not a program or fails (`play`). */
export async function checkRegisters(
  create: () => Promise<Bench>,
  { prepare = '' }: RegisterCheckOptions = {},
): Promise<RegisterCheck> {
  const findings = new Set<string>();
  const unchecked = new Set<string>();
  const made: Bench[] = [];
  const fresh = async (): Promise<Bench> => {
    const bench = await create();
    made.push(bench);
    return bench;
  };
  const context: RuleContext = {
    fresh,
    prepared: async () => {
      const bench = await fresh();
      await play(bench, prepare);
      return bench;
    },
    find: (sentence) => findings.add(sentence),
    leaveOut: (what) => unchecked.add(what),
  };
  for (const rule of [...REGISTER_RULES, ...ACCESS_RULES]) {
    await rule(context);
    for (const bench of made.splice(0)) {
      bench.close();
      if (bench.clock.pending > 0) findings.add(`${bench.clock.pending} timers are left after close()`);
    }
  }
  return { findings: [...findings], unchecked: [...unchecked] };
}

/**
 * The conformance suite of hypervisors: what every hypervisor has to do for upcall, as cases that
 * any test runner can run.
 *
 * Called by: the tests of a hypervisor, through `upcall/conformance` (index.ts).
 *
 *     import { test } from 'node:test';
 *     runHypervisorSuite({ name: 'mine', create: () => new MyHypervisor(), ...x86Guests }, test);
 *
 * Expectations are checked in the page of slots, which hypervisor and Service VM share: the
 * requests of a guest, their order, addresses, sizes and values. The guest reports the values that
 * it read.
 */

import { ACCESS_CASES } from './cases/accesses.js';
import type { CaseDefinition } from './cases/case.js';
import { FAULT_CASES } from './cases/faults.js';
import { INTERRUPT_CASES } from './cases/interrupts.js';
import { LIFE_CYCLE_CASES } from './cases/life-cycle.js';
import { SERVICE_VM_CASES } from './cases/service-vm.js';
import { STRING_CASES } from './cases/strings.js';
import { VCPU_CASES } from './cases/vcpus.js';
import { WAITING_CASES } from './cases/waiting.js';
import { CannotDo } from './check.js';
import type { HypervisorUnderTest } from './hypervisor-under-test.js';

const CASES: readonly CaseDefinition[] = [
  ...ACCESS_CASES,
  ...STRING_CASES,
  ...WAITING_CASES,
  ...INTERRUPT_CASES,
  ...FAULT_CASES,
  ...LIFE_CYCLE_CASES,
  ...VCPU_CASES,
  ...SERVICE_VM_CASES,
];

export interface HypervisorCase {
  readonly name: string;
  /**
   * Resolves to undefined if the hypervisor passed, or to the reason why it cannot do this and the
   * case was skipped. Rejects with what was wrong.
   */
  run(): Promise<string | undefined>;
}

/** The cases for one hypervisor. Throws RangeError if `skip` names a case that does not exist. */
export function hypervisorSuite(under: HypervisorUnderTest): HypervisorCase[] {
  const names = new Set(CASES.map(({ name }) => name));
  for (const name of Object.keys(under.skip ?? {}))
    if (!names.has(name)) throw new RangeError(`skip: the suite has no case "${name}"`);
  return CASES.map((one) => ({ name: one.name, run: () => outcome(under, one) }));
}

/** A function that registers a test, for example `test` of node:test or Vitest. */
export type RegisterTest = (name: string, run: (context: { skip(reason?: string): void }) => Promise<void>) => unknown;

/**
 * Registers each case as a test of `test`. A case that the hypervisor cannot do is skipped with the
 * reason.
 */
export function runHypervisorSuite(under: HypervisorUnderTest, test: RegisterTest): void {
  for (const one of hypervisorSuite(under))
    test(`${under.name}: ${one.name}`, async (context) => {
      const reason = await one.run();
      if (reason !== undefined) context.skip(reason);
    });
}

async function outcome(under: HypervisorUnderTest, one: CaseDefinition): Promise<string | undefined> {
  const known = under.skip?.[one.name];
  if (known !== undefined) return known;
  try {
    await one.run(under);
    return undefined;
  } catch (error) {
    if (error instanceof CannotDo) return error.message;
    throw error;
  }
}

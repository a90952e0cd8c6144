/**
 * CaseDefinition: a case of the hypervisor suite, and what most cases use.
 *
 * Called by: suite.ts, which runs the cases; the files of cases in this folder.
 */

import type { VmConfig } from '../../../hypervisor/hypervisor.js';
import type { GuestStep } from '../guest-program.js';
import type { HypervisorUnderTest } from '../hypervisor-under-test.js';
import { TestedVm, type Exchange } from '../tested-vm.js';

export interface CaseDefinition {
  /** Subject, condition, outcome. */
  readonly name: string;
  /** Rejects with ConformanceError, or with CannotDo. */
  readonly run: (under: HypervisorUnderTest) => Promise<void>;
}

/** Where guests report what they read. No case has anything else there. */
export const REPORT_PORT = 0x700;
/** Outside of every hypervisor's RAM and interrupt controllers. */
export const MMIO = 0xd000_0000;

/** Steps of one vCPU's guest, and the requests expected from them. */
export interface Act {
  readonly steps: readonly GuestStep[];
  readonly requests: readonly Exchange[];
}

/**
 * Runs the acts one after the other in a VM with one vCPU. There must be no other request.
 * `options` change the VM's configuration.
 */
export async function play(
  under: HypervisorUnderTest,
  acts: readonly Act[],
  options: Partial<VmConfig> = {},
): Promise<void> {
  const steps = acts.flatMap((act) => act.steps);
  const requests = acts.flatMap((act) => act.requests);
  await TestedVm.run(
    under,
    [{ steps }],
    async (tested) => {
      tested.start();
      await tested.exchange(requests);
      await tested.halted();
    },
    options,
  );
}

/** `value` truncated to `size` bytes. */
export function cut(value: number | bigint, size: number): bigint {
  return BigInt.asUintN(8 * size, BigInt(value));
}

/**
 * `value` with all bits of a u64 above `size` bytes set, as a careless client answers. The guest
 * must ignore them.
 */
export function withUpperBitsSet(value: number | bigint, size: number): bigint {
  return BigInt.asUintN(64, cut(value, size) | (-1n << BigInt(8 * size)));
}

/** As in the texts of requests. */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;

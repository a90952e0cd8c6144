/**
 * HypervisorUnderTest: what the suite needs to test a hypervisor: how it is created, and how its
 * guests get their programs. For hypervisors whose guests execute x86 machine code, `x86Guests`
 * (x86-guests.ts) implements the second half.
 *
 * Called by: authors of hypervisors pass one to `runHypervisorSuite` (suite.ts).
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { Hypervisor } from '../../hypervisor/hypervisor.js';
import type { VcpuRegisters } from '../../hypervisor/vcpu-registers.js';
import type { GuestProgram, GuestStep } from './guest-program.js';

/** How guests get their programs, for hypervisors that execute them from guest memory. */
export interface GuestLoader {
  /**
   * Writes the programs to RAM. Returns the registers with which each vCPU starts. Called before
   * each start of a VM.
   */
  load?(memory: GuestMemory, programs: readonly GuestProgram[]): readonly VcpuRegisters[];
  /** Why a guest of this hypervisor cannot do `step`, as a sentence. Undefined if it can. */
  cannot?(step: GuestStep): string | undefined;
}

export interface HypervisorUnderTest extends GuestLoader {
  readonly name: string;
  /**
   * A hypervisor for one VM, whose vCPU n is to run `programs[n]` from the beginning each time the
   * VM starts. One that executes code from guest memory leaves the programs to `load`.
   */
  create(programs: readonly GuestProgram[]): Hypervisor | Promise<Hypervisor>;
  /** vCPUs that a VM can have. More must be refused with VM_LIMIT. Default: 16. */
  readonly maxVcpus?: number;
  /**
   * Whether the hypervisor may be unavailable here, for example for lack of hardware. Every case is
   * then skipped. Default: false, and a hypervisor that is not available fails.
   */
  readonly mayBeAbsent?: boolean;
  /**
   * How long a guest may take until its next request, and a hypercall until its result, in
   * milliseconds. Default: 10,000.
   */
  readonly limitMs?: number;
  /** Cases that the hypervisor is known to fail: name → reason. */
  readonly skip?: Readonly<Record<string, string>>;
}

/**
 * SavedVcpu: the state of one vCPU between two instructions, as a snapshot has it.
 *
 * Called by: a VcpuProgram that can be saved makes it; vm/snapshot/ writes it to a file and reads
 * it; the same hypervisor starts a vCPU from it. VcpuSnapshots is how a VM's vCPUs are held
 * meanwhile.
 */

import type { SparsePages } from './sparse-pages.js';

export interface SavedVcpu {
  /** The hypervisor's own, as JSON can carry it. */
  readonly state: unknown;
  /** Memory of the vCPU's own, beside the guest's RAM. */
  readonly memory?: SparsePages;
}

/** Of one VM. Threads: the Service VM's. */
export interface VcpuSnapshots {
  /**
   * Holds every vCPU between two instructions, when it has no request open, and resolves with their
   * states by vCPU. They do nothing until `release`, which the caller must call in any case.
   * Resolves with undefined if that was not possible within `limitMs`, or the VM stopped running.
   */
  hold(limitMs: number): Promise<readonly SavedVcpu[] | undefined>;
  release(): void;
}

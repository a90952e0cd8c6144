/**
 * ThreadedSnapshots: holds the vCPU threads of one VM while it is saved.
 *
 * Called by: the VM's snapshot (vm/snapshot/), through Hypercalls.snapshots; ThreadedVm, with what
 * a vCPU's thread has posted. Threads: the Service VM's. The other side is the run loop
 * (vcpu-loop.ts): between two slices it sees the word `VmSharedState.hold`, posts its state and
 * parks until the word changes.
 *
 * The VM stays RUNNING, because ACRN's PAUSED leads only to a reset. If it is paused or destroyed
 * meanwhile, the vCPUs leave the hold by themselves.
 */

import { delay } from '../sync/bounded-wait.js';
import type { SavedVcpu, VcpuSnapshots } from './saved-vcpu.js';
import { VmState, type VmSharedState } from './vm-shared-state.js';

/** Interval of the checks. A running vCPU ends its slice within about a millisecond. */
const CHECK_MS = 1;

export class ThreadedSnapshots implements VcpuSnapshots {
  readonly #shared: VmSharedState;
  readonly #vcpuCount: number;
  readonly #saveAll: (() => readonly SavedVcpu[]) | undefined;
  /** The number of the hold in progress, or 0. */
  #hold = 0;
  readonly #states = new Map<number, SavedVcpu>();

  /** `saveAll`: the states, of vCPUs that are all held. Default: what their threads have posted. */
  constructor(shared: VmSharedState, vcpuCount: number, saveAll?: () => readonly SavedVcpu[]) {
    this.#shared = shared;
    this.#vcpuCount = vcpuCount;
    this.#saveAll = saveAll;
  }

  /** vCPU `vcpu` has posted its state for hold number `hold`, and parks. */
  held(vcpu: number, hold: number, state: SavedVcpu): void {
    if (hold === this.#hold) this.#states.set(vcpu, state);
  }

  async hold(limitMs: number): Promise<readonly SavedVcpu[] | undefined> {
    this.#states.clear();
    const hold = (this.#hold = this.#shared.beginHold());
    const endMs = performance.now() + limitMs;
    while (this.#hold === hold && this.#shared.vmState === VmState.RUNNING) {
      if (this.#states.size === this.#vcpuCount)
        return this.#saveAll?.() ?? [...this.#states].sort(([a], [b]) => a - b).map(([, state]) => state);
      if (performance.now() >= endMs) break;
      await delay(CHECK_MS);
    }
    return undefined;
  }

  release(): void {
    if (this.#hold === 0) return;
    this.#hold = 0;
    this.#states.clear();
    this.#shared.endHold();
  }
}

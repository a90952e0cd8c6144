/**
 * ScriptedHypervisor: up to 16 vCPUs that play lists of accesses, each in a thread of its own. It
 * has the whole request path and no guest code. scripted-thread.ts is the other side.
 *
 * Called by: tests, also those of a device's author (docs/write-a-device.md); the soak and fuzzing.
 * ServiceVm calls `createVm`.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import type { SharedBuffer } from '../../io-request/shared-buffer.js';
import { DirtyPages } from '../dirty-pages.js';
import { GuestMemory } from '../guest-memory.js';
import type { Hypercalls } from '../hypercalls.js';
import { MAX_VCPUS, type Availability, type Hypervisor, type VmConfig, type HypervisorEvent } from '../hypervisor.js';
import { ThreadedVm } from '../threaded-vm.js';
import type { Upcall } from '../upcall.js';
import type { Script, ScriptResult } from './script.js';

export type { Script, ScriptResult, ScriptStep, ScriptValue } from './script.js';

export class ScriptedHypervisor implements Hypervisor {
  readonly name = 'scripted';
  readonly #scripts: readonly Script[];
  readonly #listeners = new Set<(vcpu: number, result: ScriptResult) => void>();

  /** vCPU n plays `scripts[n]` each time the VM starts. A vCPU without a script halts at once. */
  constructor(scripts: readonly Script[]) {
    this.#scripts = scripts;
  }

  /**
   * Calls `listener` when a vCPU has ended its script. Returns a function that removes the
   * listener.
   */
  onResult(listener: (vcpu: number, result: ScriptResult) => void): () => void {
    // A new function each time: removing one must not remove another for the same listener.
    const own = (vcpu: number, result: ScriptResult): void => listener(vcpu, result);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /**
   * Resolves when `vcpuCount` vCPUs have ended their scripts, with the results by vCPU. Call it
   * before the VM starts: earlier results are not kept. A vCPU without a script counts, too.
   */
  results(vcpuCount = this.#scripts.length): Promise<ScriptResult[]> {
    return new Promise((resolve) => {
      const results: ScriptResult[] = [];
      let left = vcpuCount;
      const end = this.onResult((vcpu, result) => {
        results[vcpu] = result;
        if (--left > 0) return;
        end();
        resolve(results);
      });
    });
  }

  available(): Promise<Availability> {
    return Promise.resolve({ available: true, detail: 'plays lists of accesses, no guest code' });
  }

  createVm(
    config: VmConfig,
    buffer: SharedBuffer,
    upcall: Upcall,
    onEvent: (event: HypervisorEvent) => void,
  ): Promise<Hypercalls> {
    if (config.vcpuCount > MAX_VCPUS)
      return Promise.reject(new UpcallError('VM_LIMIT', `${config.vcpuCount} vCPUs: a VM has at most ${MAX_VCPUS}`));
    return ThreadedVm.create({
      config,
      buffer,
      upcall,
      onEvent,
      entry: new URL('./scripted-thread.js', import.meta.url),
      program: (vcpu) => this.#scripts[vcpu] ?? { steps: [] },
      memory: new GuestMemory({
        buffer: new SharedArrayBuffer(config.memoryBytes),
        byteOffset: 0,
        byteLength: config.memoryBytes,
        dirty: DirtyPages.create(config.memoryBytes),
      }),
      canProtect: () => true,
      onReport: (vcpu, report) => this.#listeners.forEach((listener) => listener(vcpu, report as ScriptResult)),
    });
  }
}

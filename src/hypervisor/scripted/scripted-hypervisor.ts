/**
 * ScriptedHypervisor: vCPUs that play lists of accesses, any number up to 16, each in a thread of
 * its own. It is a real hypervisor of this project, for tests and benchmarks: all of the request
 * path, no guest code.
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

  /** `scripts[n]` is played by vCPU n each time the VM starts; a vCPU without one halts at once. */
  constructor(scripts: readonly Script[]) {
    this.#scripts = scripts;
  }

  /** Calls back when a vCPU has played its script to the end. Returns a function that ends it. */
  onResult(listener: (vcpu: number, result: ScriptResult) => void): () => void {
    // A function of its own each time, so that ending one does not end another for the same
    // listener.
    const own = (vcpu: number, result: ScriptResult): void => listener(vcpu, result);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** Resolves when `vcpuCount` vCPUs have played their scripts, with their results by vCPU. */
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

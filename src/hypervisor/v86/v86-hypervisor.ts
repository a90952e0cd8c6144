/**
 * V86Hypervisor: a hypervisor that needs no virtualization hardware. The guest's CPU is the core of
 * the v86 emulator, in a thread of its own, and its RAM lies in the core's shared memory. One vCPU,
 * 32-bit guests, up to 2 GiB.
 *
 * Called by: ServiceVm. The other side is v86-thread.ts.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import type { SharedBuffer } from '../../io-request/shared-buffer.js';
import type { Hypercalls, ReservedRange } from '../hypercalls.js';
import type { Availability, Hypervisor, VmConfig, HypervisorEvent } from '../hypervisor.js';
import type { SavedVcpu } from '../saved-vcpu.js';
import { ThreadedVm } from '../threaded-vm.js';
import type { Upcall } from '../upcall.js';
import { canProtect } from './trapped-ram.js';
import { CONTROLLER_RANGES } from './controller-handlers.js';
import { coreIdentity, CORE_VERSION, loadCoreImage } from './core-image.js';

/** The program of the vCPU's thread. */
export interface V86Program {
  /** A compiled WebAssembly.Module. */
  readonly module: unknown;
  readonly memoryBytes: number;
  readonly translate: boolean;
  /** The state to start from. Undefined: power-on. */
  readonly restored?: SavedVcpu | undefined;
}

export interface V86Options {
  /**
   * Default: true. If false, every instruction is interpreted: slower for hot code, but nothing is
   * compiled.
   */
  readonly translate?: boolean;
}

export class V86Hypervisor implements Hypervisor {
  readonly name = 'v86';
  readonly #translate: boolean;

  constructor(options: V86Options = {}) {
    this.#translate = options.translate ?? true;
  }

  async available(): Promise<Availability> {
    try {
      await loadCoreImage();
      return { available: true, detail: `v86 ${CORE_VERSION} as a bare CPU core` };
    } catch (error) {
      if (!(error instanceof UpcallError)) throw error;
      return { available: false, reason: error.message, remedy: error.remedy ?? '' };
    }
  }

  /** Saved states hold the core's memory as it is, so they are for the very same code. */
  async stateVersion(): Promise<string> {
    await loadCoreImage();
    return `v86 ${CORE_VERSION}, ${coreIdentity()}`;
  }

  async createVm(
    config: VmConfig,
    buffer: SharedBuffer,
    upcall: Upcall,
    onEvent: (event: HypervisorEvent) => void,
  ): Promise<Hypercalls> {
    if (config.vcpuCount !== 1)
      throw new UpcallError('VM_LIMIT', `${config.vcpuCount} vCPUs: a VM on the v86 core has exactly one`, {
        remedy: 'Ask for one vCPU, or use another hypervisor',
      });
    const module = await loadCoreImage();
    const program: V86Program = {
      module,
      memoryBytes: config.memoryBytes,
      translate: this.#translate,
      restored: config.restored?.[0],
    };
    return ThreadedVm.create({
      config,
      buffer,
      upcall,
      onEvent,
      entry: new URL('./v86-thread.js', import.meta.url),
      program: () => program,
      reservedRanges: [...CONTROLLER_RANGES, ...ramRanges(config.memoryBytes)],
      addressBits: ADDRESS_BITS,
      canProtect,
      canSave: true,
    });
  }
}

/** Also with PAE paging: the upper halves of its entries are reserved (paging-edits.ts). */
const ADDRESS_BITS = 32;

/** The core traps accesses to this window whatever the RAM: the screen memory of a PC. */
const SCREEN_START = 0xa_0000;
const SCREEN_END = 0xc_0000;

function ramRanges(memoryBytes: number): ReservedRange[] {
  const range = (start: number, end: number): ReservedRange => ({
    type: 'mmio',
    start,
    end: end - 1,
    what: "the guest's RAM",
  });
  const low = range(0, Math.min(memoryBytes, SCREEN_START));
  return memoryBytes > SCREEN_END ? [low, range(SCREEN_END, memoryBytes)] : [low];
}

/**
 * KvmHypervisor: the guest's CPUs are the machine's own, by Linux's KVM. 1 to 16 vCPUs, each in a
 * thread of its own. The interrupt controllers are the kernel's.
 *
 * Called by: ServiceVm.
 *
 * The other side is kvm-thread.ts.
 */

import { host } from '../../host/current.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { errorText } from '../../io-request/error-text.js';
import type { SharedBuffer } from '../../io-request/shared-buffer.js';
import type { Hypercalls, ReservedRange } from '../hypercalls.js';
import {
  MAX_VCPUS,
  type Availability,
  type Hypervisor,
  type HypervisorEvent,
  type Limitation,
  type VmConfig,
} from '../hypervisor.js';
import { ThreadedVm } from '../threaded-vm.js';
import type { Upcall } from '../upcall.js';
import { Kernel } from './kernel.js';
import { kvmAvailability, maxVcpus, whyNotOpen } from './kvm-availability.js';
import type { KvmProgram } from './kvm-vcpu.js';
import { probeSystem } from './system-probe.js';
import { KvmMachine } from './kvm-machine.js';
import { SCREEN_END, SCREEN_START } from './kvm-memory-slots.js';
import { stateVersion } from './state-version.js';

export interface KvmOptions {
  /**
   * How often, in ms, a vCPU in the guest is interrupted. 0: never, for tests of kicks. Then a
   * guest that has halted is not noticed, and Node cannot end the process while a guest runs.
   * Default: 25.
   */
  readonly tickMs?: number;
}

const TICK_MS = 25;

export class KvmHypervisor implements Hypervisor {
  readonly name = 'kvm';
  readonly longMode = true;
  readonly #tickMs: number;

  constructor({ tickMs = TICK_MS }: KvmOptions = {}) {
    this.#tickMs = tickMs;
  }

  available(): Promise<Availability> {
    return kvmAvailability();
  }

  async whyNoSystem(): Promise<Limitation | undefined> {
    if (!(await kvmAvailability()).available) return undefined;
    const kernel = await Kernel.open();
    const kvm = kernel.calls.open();
    if (kvm < 0) return undefined;
    try {
      return probeSystem(kernel, kvm);
    } finally {
      kernel.calls.close(kvm);
    }
  }

  async stateVersion(): Promise<string> {
    return withKvm((kernel, kvm) => stateVersion(kernel, kvm));
  }

  async createVm(
    config: VmConfig,
    buffer: SharedBuffer,
    upcall: Upcall,
    onEvent: (event: HypervisorEvent) => void,
  ): Promise<Hypercalls> {
    const machine = await createMachine(config);
    const { memoryBytes } = config;
    try {
      return await ThreadedVm.create({
        config,
        buffer,
        upcall,
        onEvent,
        entry: new URL('./kvm-thread.js', import.meta.url),
        program: (vcpu): KvmProgram => ({ ...machine.handleOf(vcpu), tickMs: this.#tickMs }),
        memory: machine.memory,
        reservedRanges: [...CONTROLLER_RANGES, ...ramRanges(memoryBytes)],
        machine,
        canSave: true,
      });
    } catch (error) {
      // No thread runs any more, and none of a device has been given the descriptor.
      machine.close(true);
      throw error;
    }
  }
}

async function createMachine(config: VmConfig): Promise<KvmMachine> {
  const eventFds = await host.openEventFds();
  return withKvm((kernel, kvm) => {
    try {
      const limit = Math.min(MAX_VCPUS, maxVcpus(kernel, kvm));
      if (config.vcpuCount > limit)
        throw new UpcallError('VM_LIMIT', `${config.vcpuCount} vCPUs: a VM on KVM has at most ${limit}`, {
          remedy: `Ask for at most ${limit} vCPUs`,
        });
      return new KvmMachine(kernel, kvm, config, eventFds);
    } catch (error) {
      if (error instanceof UpcallError) throw error;
      throw new UpcallError('VM_LIMIT', `the kernel creates no VM: ${errorText(error).message}`, {
        remedy: 'Give the VM less memory or fewer vCPUs, or end other VMs',
        cause: error,
      });
    }
  });
}

/** `kvm`: the descriptor of /dev/kvm, during the work. Rejects with HYPERVISOR_UNAVAILABLE. */
async function withKvm<Result>(work: (kernel: Kernel, kvm: number) => Result | Promise<Result>): Promise<Result> {
  const state = await kvmAvailability();
  if (!state.available) throw new UpcallError('HYPERVISOR_UNAVAILABLE', state.reason, { remedy: state.remedy });
  const kernel = await Kernel.open();
  const kvm = kernel.calls.open();
  if (kvm < 0) {
    const { reason, remedy } = whyNotOpen(kernel.calls, -kvm);
    throw new UpcallError('HYPERVISOR_UNAVAILABLE', reason, { remedy });
  }
  try {
    return await work(kernel, kvm);
  } finally {
    kernel.calls.close(kvm);
  }
}

/** Ends are inclusive. */
const CONTROLLER_RANGES: readonly ReservedRange[] = [
  ...[0x20, 0xa0, 0x4d0].map((start): ReservedRange => ({
    type: 'port',
    start,
    end: start + 1,
    what: "the kernel's 8259s",
  })),
  { type: 'mmio', start: 0xfec0_0000, end: 0xfec0_00ff, what: "the kernel's I/O APIC" },
  { type: 'mmio', start: 0xfee0_0000, end: 0xfee0_0fff, what: "the kernel's local APICs" },
];

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

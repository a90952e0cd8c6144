/**
 * HandDrivenHypervisor: a hypervisor without vCPU threads. Its owner, a test, acts for the vCPUs:
 * it fills slots and takes results. The hypercalls have the life cycle and the refusals of ACRN.
 *
 * Called by: tests that decide each step themselves, the ioctls of a script (control-process.ts,
 * control-caller.ts), and fuzzing/.
 */

import { AsyncIo } from '../hypervisor/async-io.js';
import { GuestMemory } from '../hypervisor/guest-memory.js';
import { HYPERCALL_REFUSED, type Hypercalls } from '../hypervisor/hypercalls.js';
import { MAX_VCPUS, type Availability, type Hypervisor, type VmConfig } from '../hypervisor/hypervisor.js';
import { INTERRUPT_LINES } from '../hypervisor/interrupt-lines.js';
import { isMsiAddress } from '../hypervisor/msi-queue.js';
import type { Upcall } from '../hypervisor/upcall.js';
import type { VcpuRegisters } from '../hypervisor/vcpu-registers.js';
import { VmSharedState, VmState } from '../hypervisor/vm-shared-state.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';

/** A hypercall that was accepted: completion, registers, interrupt line, message. */
export type AcceptedHypercall =
  | { readonly kind: 'notify'; readonly vcpu: number }
  | { readonly kind: 'regs'; readonly vcpu: number }
  | { readonly kind: 'line'; readonly gsi: number; readonly operation: number }
  | { readonly kind: 'msi'; readonly address: number; readonly data: number };

/** Called with each accepted hypercall. Returns the hypercall's result. */
export type HypercallListener = (call: AcceptedHypercall) => number;

/** Memory for a VM's RAM. */
export type AllocateRam = (bytes: number) => SharedArrayBuffer;

export class HandDrivenVm implements Hypercalls {
  readonly config: VmConfig;
  readonly buffer: SharedBuffer;
  readonly upcall: Upcall;
  readonly vcpuCount: number;
  readonly memory: GuestMemory;
  readonly shared = new VmSharedState();
  readonly asyncIo: AsyncIo = this.shared.asyncIo;
  /** Arguments of the accepted hypercalls, oldest first. */
  readonly notified: number[] = [];
  readonly messages: { readonly address: number; readonly data: number }[] = [];
  readonly registers = new Map<number, VcpuRegisters>();
  readonly lineOperations: (readonly [gsi: number, operation: number])[] = [];
  readonly #listener: HypercallListener;

  constructor(
    config: VmConfig,
    buffer: SharedBuffer,
    upcall: Upcall,
    { listener, allocate }: { readonly listener: HypercallListener; readonly allocate: AllocateRam },
  ) {
    this.#listener = listener;
    this.config = config;
    this.buffer = buffer;
    this.upcall = upcall;
    this.vcpuCount = config.vcpuCount;
    const { memoryBytes } = config;
    this.memory = new GuestMemory({
      buffer: allocate(memoryBytes),
      byteOffset: 0,
      byteLength: memoryBytes,
    });
    this.shared.setVmState(VmState.CREATED);
  }

  get state(): VmState {
    return this.shared.vmState;
  }

  setIoreqBuffer(): number {
    if (this.state !== VmState.CREATED) return HYPERCALL_REFUSED;
    this.buffer.stampFree();
    return 0;
  }

  notifyRequestFinish(vcpu: number): number {
    if (this.state === VmState.POWERED_OFF || vcpu >= this.vcpuCount) return HYPERCALL_REFUSED;
    this.notified.push(vcpu);
    return this.#listener({ kind: 'notify', vcpu });
  }

  setVcpuRegs(vcpu: number, registers: VcpuRegisters): number {
    const { state } = this;
    if (state === VmState.RUNNING || state === VmState.POWERED_OFF || vcpu >= this.vcpuCount) return HYPERCALL_REFUSED;
    this.registers.set(vcpu, registers);
    return this.#listener({ kind: 'regs', vcpu });
  }

  startVm(): number {
    return this.#move(VmState.CREATED, VmState.RUNNING);
  }

  pauseVm(): Promise<number> {
    if (this.state === VmState.POWERED_OFF) return Promise.resolve(HYPERCALL_REFUSED);
    this.shared.setVmState(VmState.PAUSED);
    return Promise.resolve(0);
  }

  resetVm(): Promise<number> {
    const result = this.#move(VmState.PAUSED, VmState.CREATED);
    if (result === 0) this.buffer.stampFree();
    return Promise.resolve(result);
  }

  destroyVm(): Promise<number> {
    return Promise.resolve(this.#move(VmState.PAUSED, VmState.POWERED_OFF));
  }

  setIrqLine(gsi: number, operation: number): number {
    if (this.state === VmState.POWERED_OFF || gsi >= INTERRUPT_LINES) return HYPERCALL_REFUSED;
    this.lineOperations.push([gsi, operation]);
    return this.#listener({ kind: 'line', gsi, operation });
  }

  injectMsi(address: number, data: number): number {
    if (this.state === VmState.POWERED_OFF || !isMsiAddress(address)) return HYPERCALL_REFUSED;
    this.messages.push({ address, data });
    return this.#listener({ kind: 'msi', address, data });
  }

  /** Changes the VM's state, if it is `from`. Otherwise the hypercall is refused. */
  #move(from: VmState, to: VmState): number {
    if (this.state !== from) return HYPERCALL_REFUSED;
    this.shared.setVmState(to);
    return 0;
  }
}

export class HandDrivenHypervisor implements Hypervisor {
  readonly name = 'hand-driven';
  /** Oldest first. */
  readonly vms: HandDrivenVm[] = [];
  readonly #listener: HypercallListener;
  readonly #allocate: AllocateRam;

  constructor(listener: HypercallListener = () => 0, allocate: AllocateRam = (bytes) => new SharedArrayBuffer(bytes)) {
    this.#listener = listener;
    this.#allocate = allocate;
  }

  available(): Promise<Availability> {
    return Promise.resolve({ available: true, detail: 'its owner acts for the vCPUs' });
  }

  createVm(config: VmConfig, buffer: SharedBuffer, upcall: Upcall): Promise<Hypercalls> {
    if (config.vcpuCount > MAX_VCPUS)
      return Promise.reject(new UpcallError('VM_LIMIT', `${config.vcpuCount} vCPUs: a VM has at most ${MAX_VCPUS}`));
    const vm = new HandDrivenVm(config, buffer, upcall, { listener: this.#listener, allocate: this.#allocate });
    this.vms.push(vm);
    return Promise.resolve(vm);
  }
}

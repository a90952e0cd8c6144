/**
 * KvmMachine: one VM of the kernel: its memory, its interrupt controllers and its vCPUs.
 *
 * Called by: KvmHypervisor, which creates it; ThreadedVm, for what is no vCPU's own.
 * Callers must: `close` it, after the threads of its vCPUs have ended.
 * Threads: the Service VM's. Requests for a vCPU are made only while it is parked.
 *
 * The kernel keeps the addresses of the RAM and of each kvm_run. So this object keeps their
 * buffers, and the descriptors are closed before it lets go of them.
 */

import type { EventFds } from '../../host/event-fds.js';
import type { KvmCalls } from '../../host/kvm-calls.js';
import { GuestMemory, type GuestMemoryHandle } from '../guest-memory.js';
import type { VmConfig } from '../hypervisor.js';
import type { VmMachine } from '../threaded-vcpu.js';
import { KvmEventFds } from './kvm-event-fds.js';
import { cpuidOf, supportedCpuid } from './cpuid.js';
import { Bytes, Request } from './kvm-abi.js';
import type { Kernel } from './kernel.js';
import { KvmRun } from './kvm-run.js';
import { msrIndices, putState, takeState, type VcpuState } from './vcpu-state.js';
import { VcpuWords } from './vcpu-words.js';

/** Three pages for the emulation of real mode on old Intel processors, after one for paging. */
const IDENTITY_MAP = 0xfffb_c000;
const TASK_STATE = 0xfffb_d000;
/** The two 8259s and the I/O APIC. */
const CHIPS = [0, 1, 2];

/** A PC's screen memory: no RAM is there. */
export const SCREEN_START = 0xa_0000;
export const SCREEN_END = 0xc_0000;

/** What the thread of a vCPU gets. */
export interface KvmVcpuHandle {
  readonly descriptor: number;
  readonly run: SharedArrayBuffer;
  /** Of `run`, those that are the kernel's. */
  readonly runBytes: number;
  readonly words: SharedArrayBuffer;
  readonly vcpuCount: number;
  readonly memory: GuestMemoryHandle;
}

interface MachineVcpu {
  readonly descriptor: number;
  readonly memory: SharedArrayBuffer;
  readonly run: KvmRun;
  readonly powerOn: VcpuState;
}

export class KvmMachine implements VmMachine {
  readonly kernelVm: number;
  readonly memory: GuestMemory;
  readonly words = new VcpuWords();
  readonly events: KvmEventFds;
  readonly #kernel: Kernel;
  readonly #vcpuCount: number;
  readonly #runBytes: number;
  readonly #vcpus: MachineVcpu[] = [];
  readonly #chips: Uint8Array[] = [];

  /**
   * `eventFds`: as for KvmEventFds. Throws with the request that failed, and then leaves nothing
   * open.
   */
  constructor(kernel: Kernel, kvm: number, config: VmConfig, eventFds?: EventFds) {
    this.#kernel = kernel;
    this.#vcpuCount = config.vcpuCount;
    this.#runBytes = kernel.call(kvm, Request.GET_VCPU_MMAP_SIZE);
    const buffer = this.#calls.allocate(config.memoryBytes);
    this.memory = new GuestMemory({ buffer, byteOffset: 0, byteLength: config.memoryBytes });
    this.kernelVm = kernel.call(kvm, Request.CREATE_VM);
    this.events = new KvmEventFds(kernel, this.kernelVm, eventFds);
    try {
      this.#build(kvm, config);
    } catch (error) {
      this.close(true);
      throw error;
    }
  }

  handleOf(vcpu: number): KvmVcpuHandle {
    const { descriptor, memory: run } = this.#vcpu(vcpu);
    const { handle: memory } = this.memory;
    const vcpuCount = this.#vcpuCount;
    return { descriptor, run, runBytes: this.#runBytes, words: this.words.buffer, vcpuCount, memory };
  }

  /**
   * The request comes before the signal: a vCPU that is about to enter the guest misses the signal
   * and finds the request.
   */
  kick(vcpu: number): void {
    this.#vcpu(vcpu).run.requestExit();
    const thread = this.words.thread(vcpu);
    if (thread !== 0) this.#calls.interrupt(thread);
  }

  message(address: number, data: number): void {
    // struct kvm_msi: the low half of the address, the high half, the data.
    const message = new Uint32Array(Bytes.MSI / 4);
    message.set([address, 0, data]);
    this.#kernel.call(this.kernelVm, Request.SIGNAL_MSI, new Uint8Array(message.buffer));
  }

  reset(): void {
    for (const chip of this.#chips) this.#kernel.call(this.kernelVm, Request.SET_IRQCHIP, chip);
    for (const { descriptor, powerOn } of this.#vcpus) putState(this.#kernel, descriptor, powerOn);
    this.words.clearHalts();
  }

  close(isIdle: boolean): void {
    this.events.close();
    for (const { descriptor, memory } of this.#vcpus) {
      // A mapping keeps the vCPU, too.
      this.#calls.unmap(memory, this.#runBytes);
      this.#calls.close(descriptor);
    }
    this.#vcpus.length = 0;
    // Another file could get the number while a thread still has it.
    if (isIdle) this.#calls.close(this.kernelVm);
  }

  get #calls(): KvmCalls {
    return this.#kernel.calls;
  }

  #vcpu(vcpu: number): MachineVcpu {
    const found = this.#vcpus[vcpu];
    if (found === undefined) throw new RangeError(`the VM has no vCPU ${vcpu}`);
    return found;
  }

  #build(kvm: number, { memoryBytes, vcpuCount }: VmConfig): void {
    const vm = this.kernelVm;
    const kernel = this.#kernel;
    kernel.call(vm, Request.SET_IDENTITY_MAP_ADDR, new Uint8Array(BigUint64Array.of(BigInt(IDENTITY_MAP)).buffer));
    kernel.call(vm, Request.SET_TSS_ADDR, TASK_STATE);
    this.#addMemory(0, 0, Math.min(memoryBytes, SCREEN_START));
    if (memoryBytes > SCREEN_END) this.#addMemory(1, SCREEN_END, memoryBytes);
    kernel.call(vm, Request.CREATE_IRQCHIP);
    for (const number of CHIPS) {
      const chip = new Uint8Array(Bytes.IRQCHIP);
      new DataView(chip.buffer).setUint32(0, number, true);
      kernel.call(vm, Request.GET_IRQCHIP, chip);
      this.#chips.push(chip);
    }
    const supported = supportedCpuid(kernel, kvm);
    const indices = msrIndices(kernel, kvm);
    for (let vcpu = 0; vcpu < vcpuCount; vcpu++) this.#addVcpu(vcpu, cpuidOf(supported, vcpu, vcpuCount), indices);
  }

  #addMemory(slot: number, start: number, end: number): void {
    const region = { slot, guestAddress: start, memory: this.memory.handle.buffer, offset: start, bytes: end - start };
    const result = this.#calls.setRegion(this.kernelVm, region);
    if (result < 0) throw this.#kernel.error('KVM_SET_USER_MEMORY_REGION', -result);
  }

  #addVcpu(vcpu: number, cpuid: Uint8Array, indices: readonly number[]): void {
    const descriptor = this.#kernel.call(this.kernelVm, Request.CREATE_VCPU, vcpu);
    let memory: SharedArrayBuffer | undefined;
    try {
      memory = this.#calls.map(descriptor, this.#runBytes);
      this.#kernel.call(descriptor, Request.SET_CPUID2, cpuid);
      const powerOn = takeState(this.#kernel, descriptor, indices);
      this.#vcpus.push({ descriptor, memory, run: new KvmRun(memory, this.#runBytes), powerOn });
    } catch (error) {
      if (memory !== undefined) this.#calls.unmap(memory, this.#runBytes);
      this.#calls.close(descriptor);
      throw error;
    }
  }
}

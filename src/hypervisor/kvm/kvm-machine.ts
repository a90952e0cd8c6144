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
import { errorText } from '../../io-request/error-text.js';
import { savedStateError } from '../../io-request/saved-state.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { GuestMemory, GuestMemoryHandle } from '../guest-memory.js';
import type { VmConfig } from '../hypervisor.js';
import type { SavedVcpu } from '../saved-vcpu.js';
import type { VmMachine } from '../threaded-vcpu.js';
import { KvmEventFds } from './kvm-event-fds.js';
import { KvmIrqFds } from './kvm-irq-fds.js';
import { KvmMemorySlots } from './kvm-memory-slots.js';
import { cpuidOf, supportedCpuid } from './cpuid.js';
import { Bytes, CAP_IRQ_ROUTING, IrqChip, Request } from './kvm-abi.js';
import type { Kernel } from './kernel.js';
import { KvmRun } from './kvm-run.js';
import { readMachine, saveMachine, type MachineState } from './saved-machine.js';
import {
  canHaveVms,
  fixedRegisters,
  putState,
  stateForm,
  takePowerOn,
  takeState,
  type StateForm,
  type VcpuState,
} from './vcpu-state.js';
import { VcpuWords } from './vcpu-words.js';

/** Three pages for the emulation of real mode on old Intel processors, after one for paging. */
const IDENTITY_MAP = 0xfffb_c000;
const TASK_STATE = 0xfffb_d000;
const CHIPS = [IrqChip.FIRST_PIC, IrqChip.SECOND_PIC, IrqChip.IO_APIC];
/** Of struct kvm_clock_data. Then come flags, and what they are about. */
const CLOCK_VALUE_BYTES = 8;
/** By how much the rate of a time-stamp counter may differ: what its measurement is good for. */
const RATE_TOLERANCE = 250e-6;

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
  readonly writeLog: KvmMemorySlots;
  readonly words = new VcpuWords();
  readonly events: KvmEventFds;
  readonly messageEvents: KvmIrqFds;
  readonly #kernel: Kernel;
  readonly #vcpuCount: number;
  readonly #runBytes: number;
  readonly #vcpus: MachineVcpu[] = [];
  /** At power-on. */
  readonly #chips: Uint8Array[] = [];
  /** What the first start goes on from. Undefined after it, and for a VM that boots. */
  #restored: MachineState | undefined;

  /**
   * `eventFds`: as for KvmEventFds. Throws with the request that failed, and then leaves nothing
   * open.
   */
  constructor(kernel: Kernel, kvm: number, config: VmConfig, eventFds?: EventFds) {
    this.#kernel = kernel;
    this.#vcpuCount = config.vcpuCount;
    this.#runBytes = kernel.call(kvm, Request.GET_VCPU_MMAP_SIZE);
    this.writeLog = new KvmMemorySlots(kernel, config.memoryBytes);
    this.memory = this.writeLog.memory;
    this.kernelVm = kernel.call(kvm, Request.CREATE_VM);
    this.events = new KvmEventFds(kernel, this.kernelVm, eventFds);
    // Without that capability, the kernel refuses each of them.
    const maxRoutes = this.#calls.ioctl(kvm, Request.CHECK_EXTENSION, CAP_IRQ_ROUTING);
    this.messageEvents = new KvmIrqFds(kernel, this.kernelVm, maxRoutes);
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

  /**
   * The controllers come last: what they have not delivered yet goes to the local APICs. Lines that
   * are high have been raised before, so that the guest gets no interrupt of that.
   */
  starting(): void {
    const state = this.#restored;
    if (state === undefined) return;
    this.#restored = undefined;
    const kernel = this.#kernel;
    try {
      this.#vcpus.forEach(({ descriptor }, vcpu) => {
        this.#setRate(descriptor, state.tscKhz);
        putState(kernel, descriptor, state.vcpus[vcpu] as VcpuState);
      });
      kernel.call(this.kernelVm, Request.SET_CLOCK, state.clock);
      for (const chip of state.chips) kernel.call(this.kernelVm, Request.SET_IRQCHIP, chip);
    } catch (error) {
      throw error instanceof UpcallError ? error : savedStateError('the VM', `is refused: ${errorText(error).message}`);
    }
  }

  save(): readonly SavedVcpu[] {
    const kernel = this.#kernel;
    try {
      const clock = kernel.read(this.kernelVm, Request.GET_CLOCK, Bytes.CLOCK);
      // Without flags it is set to this value, and not to what the clock would be by then.
      clock.fill(0, CLOCK_VALUE_BYTES);
      const vcpus = this.#vcpus.map(({ descriptor, powerOn }) => takeState(kernel, descriptor, powerOn));
      if (vcpus.some(canHaveVms))
        throw refused('its guest runs VMs of its own, whose state is not saved', 'Save it without them');
      return saveMachine({
        vcpus,
        chips: this.#takeChips(),
        clock,
        tscKhz: kernel.call(this.#vcpu(0).descriptor, Request.GET_TSC_KHZ),
      });
    } catch (error) {
      if (error instanceof UpcallError) throw error;
      throw refused(`the kernel does not give the VM's state: ${errorText(error).message}`, 'Save again');
    }
  }

  reset(): void {
    this.#restored = undefined;
    try {
      for (const chip of this.#chips) this.#kernel.call(this.kernelVm, Request.SET_IRQCHIP, chip);
      for (const { descriptor, powerOn } of this.#vcpus) putState(this.#kernel, descriptor, powerOn);
    } catch (error) {
      throw new UpcallError('VM_STATE', `the kernel does not reset the VM: ${errorText(error).message}`, {
        remedy: 'Destroy it and create another one',
        cause: error,
      });
    }
    this.words.clearHalts();
  }

  close(isIdle: boolean): void {
    this.events.close();
    this.messageEvents.close();
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

  #build(kvm: number, { vcpuCount, restored }: VmConfig): void {
    const vm = this.kernelVm;
    const kernel = this.#kernel;
    kernel.call(vm, Request.SET_IDENTITY_MAP_ADDR, new Uint8Array(BigUint64Array.of(BigInt(IDENTITY_MAP)).buffer));
    kernel.call(vm, Request.SET_TSS_ADDR, TASK_STATE);
    this.writeLog.addTo(vm);
    kernel.call(vm, Request.CREATE_IRQCHIP);
    this.#chips.push(...this.#takeChips());
    const supported = supportedCpuid(kernel, kvm);
    const form = stateForm(kernel, kvm);
    for (let vcpu = 0; vcpu < vcpuCount; vcpu++) this.#addVcpu(vcpu, cpuidOf(supported, vcpu, vcpuCount), form);
    if (restored !== undefined)
      this.#restored = readMachine(
        restored,
        this.#vcpus.map(({ powerOn }) => powerOn),
        fixedRegisters(kernel, kvm),
      );
  }

  #takeChips(): Uint8Array<ArrayBuffer>[] {
    return CHIPS.map((number) => {
      const chip = new Uint8Array(Bytes.IRQCHIP);
      new DataView(chip.buffer).setUint32(0, number, true);
      this.#kernel.call(this.kernelVm, Request.GET_IRQCHIP, chip);
      return chip;
    });
  }

  /** The time-stamp counter of `vcpu` counts `khz`, or nearly. Throws SNAPSHOT_REFUSED. */
  #setRate(vcpu: number, khz: number): void {
    const present = this.#kernel.call(vcpu, Request.GET_TSC_KHZ);
    if (Math.abs(present - khz) <= khz * RATE_TOLERANCE) return;
    if (this.#kernel.calls.ioctl(vcpu, Request.SET_TSC_KHZ, khz) < 0)
      throw refused(
        `the time-stamp counter of the snapshot counts ${khz} kHz, this processor's ${present}`,
        'Restore it on the machine that saved it',
      );
  }

  #addVcpu(vcpu: number, cpuid: Uint8Array, form: StateForm): void {
    const descriptor = this.#kernel.call(this.kernelVm, Request.CREATE_VCPU, vcpu);
    let memory: SharedArrayBuffer | undefined;
    try {
      memory = this.#calls.map(descriptor, this.#runBytes);
      this.#kernel.call(descriptor, Request.SET_CPUID2, cpuid);
      const powerOn = takePowerOn(this.#kernel, descriptor, form);
      this.#vcpus.push({ descriptor, memory, run: new KvmRun(memory, this.#runBytes), powerOn });
    } catch (error) {
      if (memory !== undefined) this.#calls.unmap(memory, this.#runBytes);
      this.#calls.close(descriptor);
      throw error;
    }
  }
}

function refused(fact: string, remedy: string): UpcallError {
  return new UpcallError('SNAPSHOT_REFUSED', fact, { remedy });
}

/**
 * ThreadedVm: the hypercalls of a User VM whose vCPUs are threads of this process. It has the VM's
 * life cycle, by the rules of hypercalls.ts. The threads follow the shared words.
 *
 * Called by: hypervisors with vCPU threads, which `create` one for each VM, and then the Service
 * VM.
 * Threads: all calls in the Service VM's thread.
 */

import { UpcallError } from '../io-request/upcall-error.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { OrderedPoll } from '../sync/poll.js';
import type { AsyncIo } from './async-io.js';
import { GuestMemory } from './guest-memory.js';
import { HYPERCALL_INVALID, HYPERCALL_REFUSED, type Hypercalls, type ReservedRange } from './hypercalls.js';
import type { VmConfig } from './hypervisor.js';
import { IrqLineOperation } from './interrupt-lines.js';
import { isMsiAddress, msiTargets } from './msi-queue.js';
import type { MessageEvents } from './message-events.js';
import type { VcpuRegisters } from './vcpu-registers.js';
import type { VcpuSnapshots } from './saved-vcpu.js';
import { ThreadedSnapshots } from './threaded-snapshots.js';
import { startVcpuThread, type ThreadedVcpu, type ThreadedVmOptions, type VmMachine } from './threaded-vcpu.js';
import { VcpuState, VmSharedState, VmState } from './vm-shared-state.js';
import type { WriteLog } from './write-log.js';

/** Interval in ms at which PAUSE and RESET poll: a slot that becomes PENDING rings no `owner`. */
const PAUSE_RECHECK_MS = 2;
/** Time in ms that a vCPU's thread has to end by itself. Then it is terminated. */
export const THREAD_END_MS = 1000;

export class ThreadedVm implements Hypercalls {
  readonly vcpuCount: number;
  readonly memory: GuestMemory;
  readonly shared: VmSharedState;
  readonly asyncIo: AsyncIo;
  readonly reservedRanges: readonly ReservedRange[];
  readonly addressBits?: number;
  readonly writeProtectPage?: (address: number, protect: boolean) => number;
  readonly snapshots?: VcpuSnapshots;
  readonly messageEvents?: MessageEvents;
  readonly writeLog?: WriteLog;
  readonly #config: VmConfig;
  readonly #buffer: SharedBuffer;
  readonly #threads: readonly ThreadedVcpu[];
  readonly #machine: VmMachine | undefined;
  /** Whether the Service VM has set the page, without which the VM does not start. */
  #hasBuffer = false;

  /**
   * Starts the threads and resolves when each has built its vCPU. Rejects with UpcallError if one
   * cannot start, and then leaves none running.
   */
  static async create(options: ThreadedVmOptions): Promise<ThreadedVm> {
    const { config, machine } = options;
    const shared = new VmSharedState(undefined, { ...config, kernelVm: machine?.kernelVm });
    if (machine !== undefined)
      shared.onWake = () => {
        for (let vcpu = 0; vcpu < config.vcpuCount; vcpu++) machine.kick(vcpu);
      };
    if (config.waker !== undefined) shared.useWaker(config.waker);
    shared.setVmState(VmState.CREATED);
    const snapshots = new ThreadedSnapshots(shared, config.vcpuCount, machine && (() => machine.save()));
    const threads: ThreadedVcpu[] = [];
    let memory = options.memory;
    try {
      const ready: Promise<GuestMemory | undefined>[] = [];
      for (let vcpu = 0; vcpu < config.vcpuCount; vcpu++) {
        const started = startVcpuThread(options, shared, vcpu, (hold, state) => snapshots.held(vcpu, hold, state));
        threads.push(started.thread);
        ready.push(started.ready);
      }
      for (const given of await Promise.all(ready)) memory ??= given;
      if (memory === undefined) throw new UpcallError('THREAD_FAILED', 'no vCPU thread brought guest memory');
    } catch (error) {
      // Makes their ends expected ones.
      shared.setVmState(VmState.POWERED_OFF);
      await Promise.all(threads.map(({ handle }) => handle.terminate()));
      throw error;
    }
    return new ThreadedVm(options, shared, threads, memory, snapshots);
  }

  private constructor(
    options: ThreadedVmOptions,
    shared: VmSharedState,
    threads: readonly ThreadedVcpu[],
    memory: GuestMemory,
    snapshots: ThreadedSnapshots,
  ) {
    this.#config = options.config;
    this.#buffer = options.buffer;
    this.vcpuCount = options.config.vcpuCount;
    this.shared = shared;
    this.asyncIo = shared.asyncIo;
    this.asyncIo.completed = options.machine?.events;
    const { messageEvents, writeLog } = options.machine ?? {};
    if (messageEvents !== undefined) this.messageEvents = messageEvents;
    if (writeLog !== undefined) this.writeLog = writeLog;
    this.reservedRanges = options.reservedRanges ?? [];
    if (options.addressBits !== undefined) this.addressBits = options.addressBits;
    this.memory = memory;
    this.#threads = threads;
    this.#machine = options.machine;
    if (options.canSave === true) this.snapshots = snapshots;
    const { canProtect } = options;
    if (canProtect !== undefined)
      this.writeProtectPage = (address, protect) => {
        if (shared.vmState === VmState.POWERED_OFF) return HYPERCALL_REFUSED;
        const isPage = address % PAGE_BYTES === 0 && memory.contains(address, PAGE_BYTES);
        if (!isPage || !canProtect(address)) return HYPERCALL_INVALID;
        shared.protectedPages.set(address, protect);
        return 0;
      };
  }

  setIoreqBuffer(): number {
    if (this.shared.vmState !== VmState.CREATED) return HYPERCALL_REFUSED;
    this.#buffer.stampFree();
    this.#hasBuffer = true;
    return 0;
  }

  notifyRequestFinish(vcpu: number): number {
    if (!(vcpu >= 0 && vcpu < this.vcpuCount) || this.shared.relaxedVmState === VmState.POWERED_OFF)
      return HYPERCALL_REFUSED;
    if (!this.#config.completionPolling) this.shared.doorbell(vcpu).ring();
    return 0;
  }

  setVcpuRegs(vcpu: number, registers: VcpuRegisters): number {
    const state = this.shared.vmState;
    const thread = this.#threads[vcpu];
    if (thread === undefined || state === VmState.RUNNING || state === VmState.POWERED_OFF) return HYPERCALL_REFUSED;
    return thread.registers.store(registers) ? 0 : HYPERCALL_INVALID;
  }

  startVm(): number {
    if (this.shared.vmState !== VmState.CREATED || !this.#hasBuffer) return HYPERCALL_REFUSED;
    this.#machine?.starting();
    this.shared.setVmState(VmState.RUNNING);
    return 0;
  }

  async pauseVm(): Promise<number> {
    const state = this.shared.vmState;
    if (state === VmState.POWERED_OFF) return HYPERCALL_REFUSED;
    this.shared.setVmState(VmState.PAUSED);
    await this.#until((vcpu) => this.#isParked(vcpu) || this.#isWaiting(vcpu));
    return 0;
  }

  async resetVm(): Promise<number> {
    if (this.shared.vmState !== VmState.PAUSED) return HYPERCALL_REFUSED;
    this.#buffer.stampFree();
    // The withdrawal, not the page, ends the vCPUs' waiting: others may write to the page
    // meanwhile.
    this.shared.withdraw();
    for (let vcpu = 0; vcpu < this.vcpuCount; vcpu++) this.shared.doorbell(vcpu).ring();
    await this.#until((vcpu) => this.#isParked(vcpu));
    // Again, for what others have written meanwhile.
    this.#buffer.stampFree();
    for (const slot of this.#buffer.slots) slot.clearPolling();
    this.shared.msis.clear();
    const machine = this.#machine;
    if (machine !== undefined) this.shared.pins?.reset(this.shared.lines, () => machine.reset());
    this.shared.setVmState(VmState.CREATED);
    return 0;
  }

  async destroyVm(): Promise<number> {
    if (this.shared.vmState !== VmState.PAUSED) return HYPERCALL_REFUSED;
    this.shared.setVmState(VmState.POWERED_OFF);
    for (const thread of this.#threads) {
      const timer = setTimeout(() => void thread.handle.terminate(), THREAD_END_MS);
      await thread.ended;
      clearTimeout(timer);
    }
    this.#machine?.close(this.shared.pins?.close() ?? true);
    return 0;
  }

  setIrqLine(gsi: number, operation: number): number {
    const { lines, vmState } = this.shared;
    if (vmState === VmState.POWERED_OFF || !(gsi >= 0 && gsi < lines.count)) return HYPERCALL_REFUSED;
    if (operation === IrqLineOperation.HIGH) lines.set(gsi, true);
    else if (operation === IrqLineOperation.LOW) lines.set(gsi, false);
    else if (operation === IrqLineOperation.RAISING_PULSE) lines.pulse(gsi);
    else if (operation === IrqLineOperation.FALLING_PULSE) {
      lines.set(gsi, false);
      lines.set(gsi, true);
    }
    return 0;
  }

  injectMsi(address: number, data: number): number {
    if (this.shared.vmState === VmState.POWERED_OFF || !isMsiAddress(address)) return HYPERCALL_REFUSED;
    if (this.#machine !== undefined) {
      this.#machine.message(address, data);
      return 0;
    }
    let targets = msiTargets(address, data, this.vcpuCount);
    while (targets !== 0) {
      const vcpu = 31 - Math.clz32(targets & -targets);
      targets &= targets - 1;
      if (this.shared.msis.post(vcpu, data)) this.shared.doorbell(vcpu).ring();
    }
    return 0;
  }

  #isParked(vcpu: number): boolean {
    return this.shared.vcpuState(vcpu) !== VcpuState.RUNNING;
  }

  /** Whether the Service VM has its request: then the vCPU does nothing until the slot moves. */
  #isWaiting(vcpu: number): boolean {
    const { state } = this.#buffer.slot(vcpu);
    return state === IoRequestState.PENDING || state === IoRequestState.PROCESSING;
  }

  /**
   * Resolves when `isSettled` holds for every vCPU, each of which rings `owner` at a new state. A
   * vCPU that hangs in its program never settles: VmLifeCycle.end has a limit for that.
   */
  async #until(isSettled: (vcpu: number) => boolean): Promise<void> {
    const all = new OrderedPoll(() => this.#threads.every((_, vcpu) => isSettled(vcpu)));
    while (!(await this.shared.owner.waitAsync(all, PAUSE_RECHECK_MS)));
  }
}

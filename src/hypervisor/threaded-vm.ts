/**
 * ThreadedVm: the hypercalls of a User VM whose vCPUs are threads of this process. It holds the VM's life cycle
 * (hypercalls.ts says the rules); the threads obey the shared words.
 */

import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { UpcallError } from '../io-request/upcall-error.js';
import { errorText } from '../io-request/error-text.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import type { AsyncIo } from './async-io.js';
import { GuestMemory } from './guest-memory.js';
import { HYPERCALL_INVALID, HYPERCALL_REFUSED, type Hypercalls, type OwnRange } from './hypercalls.js';
import type { VmConfig, VmEvent } from './hypervisor.js';
import { INTERRUPT_LINES, IrqLineOperation } from './interrupt-lines.js';
import { isMsiAddress, msiTargets } from './msi-queue.js';
import { threadFlags } from './thread-flags.js';
import type { Upcall } from './upcall.js';
import type { VcpuRegisters } from './vcpu-registers.js';
import type { VcpuThreadData, VcpuThreadMessage } from './vcpu-thread.js';
import { VcpuState, VmSharedState, VmState } from './vm-shared-state.js';

/** How often a pausing hypercall looks again: a slot's move to PENDING rings nobody. */
const PAUSE_RECHECK_MS = 2;
/** How long a vCPU's thread may take to end by itself before it is terminated. */
export const THREAD_END_MS = 1000;

export interface ThreadedVmOptions {
  readonly ownRanges?: readonly OwnRange[];
  readonly config: VmConfig;
  readonly buffer: SharedBuffer;
  readonly upcall: Upcall;
  readonly onEvent: (event: VmEvent) => void;
  /** The thread's entry file, one that calls `serveVcpu`. */
  readonly entry: URL;
  /** What vCPU `vcpu` gets as its `program`. */
  readonly program: (vcpu: number) => unknown;
  /** The guest memory, unless vCPU 0's core brings it. */
  readonly memory?: GuestMemory;
  readonly onReport?: (vcpu: number, report: unknown) => void;
  /** Whether the vCPUs can trap stores to that page of RAM; left out when they obey no `protectedPages` at all. */
  readonly canProtect?: (address: number) => boolean;
}

interface VcpuThread {
  readonly worker: Worker;
  readonly registers: MessagePort;
  readonly ended: Promise<void>;
}

export class ThreadedVm implements Hypercalls {
  readonly vcpuCount: number;
  readonly memory: GuestMemory;
  readonly shared: VmSharedState;
  readonly asyncIo: AsyncIo;
  readonly ownRanges: readonly OwnRange[];
  readonly writeProtectPage?: (address: number, protect: boolean) => number;
  readonly #config: VmConfig;
  readonly #buffer: SharedBuffer;
  readonly #threads: readonly VcpuThread[];
  #hasBuffer = false;

  /** Starts the threads and resolves when each is parked. Throws UpcallError when one cannot start; none is left running then. */
  static async create(options: ThreadedVmOptions): Promise<ThreadedVm> {
    const shared = new VmSharedState(undefined, options.config.memoryBytes);
    shared.setVmState(VmState.CREATED);
    const threads: VcpuThread[] = [];
    let memory = options.memory;
    try {
      const ready: Promise<GuestMemory | undefined>[] = [];
      for (let vcpu = 0; vcpu < options.config.vcpuCount; vcpu++) {
        const started = startThread(options, shared, vcpu);
        threads.push(started.thread);
        ready.push(started.ready);
      }
      for (const given of await Promise.all(ready)) memory ??= given;
      if (memory === undefined) throw new UpcallError('THREAD_FAILED', 'no vCPU thread brought guest memory');
    } catch (error) {
      // So that their ends are expected ones.
      shared.setVmState(VmState.POWERED_OFF);
      await Promise.all(threads.map((thread) => thread.worker.terminate()));
      throw error;
    }
    return new ThreadedVm(options, shared, threads, memory);
  }

  private constructor(
    options: ThreadedVmOptions,
    shared: VmSharedState,
    threads: readonly VcpuThread[],
    memory: GuestMemory,
  ) {
    this.#config = options.config;
    this.#buffer = options.buffer;
    this.vcpuCount = options.config.vcpuCount;
    this.shared = shared;
    this.asyncIo = shared.asyncIo;
    this.ownRanges = options.ownRanges ?? [];
    this.memory = memory;
    this.#threads = threads;
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
    thread.registers.postMessage(registers);
    return 0;
  }

  startVm(): number {
    if (this.shared.vmState !== VmState.CREATED || !this.#hasBuffer) return HYPERCALL_REFUSED;
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
    // Somebody may write to the page at this moment: what ends the waiting is not there.
    this.shared.withdraw();
    for (let vcpu = 0; vcpu < this.vcpuCount; vcpu++) this.shared.doorbell(vcpu).ring();
    await this.#until((vcpu) => this.#isParked(vcpu));
    this.#buffer.stampFree();
    for (const slot of this.#buffer.slots) slot.clearPolling();
    this.shared.msis.clear();
    this.shared.setVmState(VmState.CREATED);
    return 0;
  }

  async destroyVm(): Promise<number> {
    if (this.shared.vmState !== VmState.PAUSED) return HYPERCALL_REFUSED;
    this.shared.setVmState(VmState.POWERED_OFF);
    for (const thread of this.#threads) {
      const timer = setTimeout(() => void thread.worker.terminate(), THREAD_END_MS);
      await thread.ended;
      clearTimeout(timer);
      thread.registers.close();
    }
    return 0;
  }

  setIrqLine(gsi: number, operation: number): number {
    if (this.shared.vmState === VmState.POWERED_OFF || !(gsi >= 0 && gsi < INTERRUPT_LINES)) return HYPERCALL_REFUSED;
    const { lines } = this.shared;
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

  /** In the Service VM's hands: the vCPU can do nothing until somebody moves the slot. */
  #isWaiting(vcpu: number): boolean {
    const { state } = this.#buffer.slot(vcpu);
    return state === IoRequestState.PENDING || state === IoRequestState.PROCESSING;
  }

  async #until(isSettled: (vcpu: number) => boolean): Promise<void> {
    const all = (): boolean => this.#threads.every((_, vcpu) => isSettled(vcpu));
    while (!(await this.shared.owner.wait(all, PAUSE_RECHECK_MS)));
  }
}

function startThread(
  options: ThreadedVmOptions,
  shared: VmSharedState,
  vcpu: number,
): { thread: VcpuThread; ready: Promise<GuestMemory | undefined> } {
  const { config, onEvent } = options;
  const { port1, port2 } = new MessageChannel();
  port1.unref();
  const data: VcpuThreadData = {
    vcpu,
    vcpuCount: config.vcpuCount,
    page: options.buffer.page,
    upcall: options.upcall.buffer,
    shared: shared.handle,
    registers: port2,
    completionPolling: config.completionPolling,
    interceptPci: config.interceptPci ?? false,
    spinUs: config.spinUs,
    program: options.program(vcpu),
  };
  let worker: Worker;
  try {
    const name = `${config.name} vCPU ${vcpu}`;
    worker = new Worker(options.entry, { workerData: data, transferList: [port2], name, ...threadFlags() });
  } catch (error) {
    port1.close();
    throw new UpcallError('THREAD_FAILED', `no thread for vCPU ${vcpu}: ${errorText(error).message}`, { cause: error });
  }
  let isReady = false;
  const ready = new Promise<GuestMemory | undefined>((resolve, reject) => {
    worker.on('message', (message: VcpuThreadMessage) => {
      switch (message.kind) {
        case 'ready':
          isReady = true;
          resolve(message.memory === undefined ? undefined : new GuestMemory(message.memory));
          break;
        case 'failed':
          reject(
            new UpcallError(
              message.code,
              message.message,
              message.remedy === undefined ? {} : { remedy: message.remedy },
            ),
          );
          break;
        case 'event':
          // Of a start that a reset has ended meanwhile: the vCPU runs again.
          if (message.event.kind === 'halted' && message.start !== shared.starts) break;
          onEvent(message.event);
          break;
        case 'report':
          options.onReport?.(vcpu, message.report);
      }
    });
    worker.on('error', (error: Error) => {
      if (isReady)
        onEvent({
          kind: 'crashed',
          vcpu,
          message: error.message,
          ...(error.stack === undefined ? {} : { stack: error.stack }),
        });
      else reject(new UpcallError('THREAD_FAILED', `vCPU ${vcpu}: ${error.message}`, { cause: error }));
    });
  });
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      const wasExpected = shared.vmState === VmState.POWERED_OFF || !isReady;
      shared.setVcpuState(vcpu, VcpuState.OFFLINE);
      if (!wasExpected) onEvent({ kind: 'crashed', vcpu, message: `the thread of vCPU ${vcpu} ended` });
      resolve();
    });
  });
  // Whoever awaits `ready` hears of a failure; an exit before that is one too.
  const exited = ended.then(() => {
    if (!isReady) throw new UpcallError('THREAD_FAILED', `the thread of vCPU ${vcpu} ended before it was ready`);
    return undefined;
  });
  const settled = Promise.race([ready, exited]);
  // Nobody awaits it when another vCPU could not start.
  settled.catch(() => undefined);
  return { thread: { worker, registers: port1, ended }, ready: settled };
}

/**
 * VmSharedState: the words that the threads of one User VM share beside its page: the VM's state,
 * each vCPU's state and doorbell, the interrupt lines and messages, the asynchronous writes, the
 * write-protected pages, and each vCPU's counters.
 *
 * Called by: ThreadedVm, which creates it; the threads of vCPUs, devices and ACRN userspace, which
 * make a view of it by its `handle`.
 *
 * Threads: the Service VM's thread writes the VM's state and the protected pages, each vCPU's
 * thread its own words until it has ended. Any thread may ring and raise lines.
 *
 * Ordering: all words are SharedWords. The counters are doubles that one vCPU's thread writes and
 * others read at any time, by plain accesses. No code acts on them: a stale counter shows a moment
 * that has passed. On a 32-bit processor a double may also be torn: one read then shows a wrong
 * number.
 */

import { host } from '../host/current.js';
import { Doorbell } from '../sync/doorbell.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import type { Waker } from '../sync/waker.js';
import { SharedWords } from '../sync/shared-words.js';
import { TraceRing } from '../trace/trace-ring.js';
import { AsyncIo, type AsyncIoHandle } from './async-io.js';
import { INTERRUPT_LINE_WORDS, InterruptLines } from './interrupt-lines.js';
import { LinePins, type LinePinsHandle } from './line-pins.js';
import { MSI_WORDS, MsiQueue } from './msi-queue.js';
import { ProtectedPages } from './protected-pages.js';

/**
 * ACRN's VM states. A VM is CREATED by createVm and by a reset, RUNNING after start, PAUSED before
 * a reset or destroy.
 */
export const VmState = { POWERED_OFF: 0, CREATED: 1, RUNNING: 2, PAUSED: 3 } as const;
export type VmState = (typeof VmState)[keyof typeof VmState];

/**
 * The state of a vCPU's thread. INIT: parked until the VM runs. OFFLINE: it has ended. A vCPU of a
 * paused VM that still waits for a request is ACRN's ZOMBIE. Here that is RUNNING with a slot that
 * is not FREE.
 */
export const VcpuState = { INIT: 0, RUNNING: 1, OFFLINE: 2 } as const;
export type VcpuState = (typeof VcpuState)[keyof typeof VcpuState];

/** Counters of one vCPU, each written by its own thread only. */
export const VcpuCounter = {
  /** Trapped accesses of the vCPU, by kind. */
  portAccesses: 0,
  mmioAccesses: 1,
  /** Those of them that the hypervisor answered itself. */
  answeredByHypervisor: 2,
  /** Those of them that went through the page. */
  requests: 3,
  /**
   * Accesses that ended in a #GP, requests that another writer of the page made invalid, and
   * asynchronous writes that were lost because their ring stayed full.
   */
  failed: 4,
  /** Times the vCPU was halted and slept. */
  halts: 5,
  /** Writes that the hypervisor completed itself by asynchronous I/O, such as doorbells. */
  asyncWrites: 6,
} as const;
export type VcpuCounter = (typeof VcpuCounter)[keyof typeof VcpuCounter];
export type VcpuCounters = Readonly<Record<keyof typeof VcpuCounter, number>>;

/**
 * A cache line for each vCPU, in doubles and in int32 words, so that threads do not share lines.
 */
const LINE_DOUBLES = 8;
const LINE_WORDS = 16;

/** The buffers of a VM's shared state. Survives structured cloning. */
export interface VmSharedStateHandle {
  readonly words: SharedArrayBuffer;
  readonly lines: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly msis: SharedArrayBuffer;
  readonly asyncIo: AsyncIoHandle;
  readonly trace: SharedArrayBuffer;
  readonly protectedPages: SharedArrayBuffer;
  /** Of a VM whose interrupt controllers are the kernel's. */
  readonly pins?: LinePinsHandle;
}

/** As in VmConfig. */
export interface NewStateOptions {
  readonly memoryBytes?: number;
  readonly allocatePage?: ((name: string) => SharedArrayBuffer) | undefined;
  /** The descriptor of the kernel's VM, if it has the interrupt controllers. */
  readonly kernelVm?: number | undefined;
}

// Indices of words. The states are seldom written and share lines. Each doorbell has its own line.
const VM_STATE = 0;
const VCPU_STATE = 1;
const STARTS = VCPU_STATE + SLOT_COUNT;
const WITHDRAWALS = STARTS + 1;
const PCI_ADDRESS = WITHDRAWALS + 1;
const HOLD = PCI_ADDRESS + 1;
const OWNER_DOORBELL = 2 * LINE_WORDS;
const VCPU_DOORBELL = 3 * LINE_WORDS;
const WORDS = VCPU_DOORBELL + SLOT_COUNT * LINE_WORDS;

export class VmSharedState {
  readonly handle: VmSharedStateHandle;
  readonly lines: InterruptLines;
  /** Undefined: a vCPU has the interrupt controllers. */
  readonly pins: LinePins | undefined;
  readonly msis: MsiQueue;
  readonly asyncIo: AsyncIo;
  /** Records the transitions of the page's slots while it is on. */
  readonly trace: TraceRing;
  readonly protectedPages: ProtectedPages;
  /** Rung after a vCPU's state changed. The Service VM's thread waits on it. */
  readonly owner: Doorbell;
  readonly #words: SharedWords;
  readonly #doorbells: readonly Doorbell[];
  readonly #counters: Float64Array;
  /**
   * Of the owner: makes the vCPUs poll these words although they do not wait on a doorbell. Called
   * after the VM's state changed or a hold began.
   */
  onWake: () => void = () => undefined;

  /** Another thread's view by `handle`, or the new words of a VM. */
  constructor(handle?: VmSharedStateHandle, { memoryBytes, allocatePage, kernelVm }: NewStateOptions = {}) {
    this.handle = handle ?? {
      words: new SharedWords(WORDS).buffer,
      lines: new SharedWords(INTERRUPT_LINE_WORDS).buffer,
      counters: new SharedArrayBuffer(8 * SLOT_COUNT * LINE_DOUBLES),
      msis: new SharedWords(MSI_WORDS).buffer,
      asyncIo: new AsyncIo(undefined, allocatePage).handle,
      trace: new TraceRing().buffer,
      protectedPages: new ProtectedPages(memoryBytes ?? 0).buffer,
      ...(kernelVm === undefined ? {} : { pins: LinePins.create(kernelVm) }),
    };
    const { words, lines, msis, asyncIo, protectedPages } = this.handle;
    this.#words = new SharedWords(words);
    this.owner = new Doorbell(words, OWNER_DOORBELL);
    this.#doorbells = Array.from(
      { length: SLOT_COUNT },
      (_, vcpu) => new Doorbell(words, VCPU_DOORBELL + vcpu * LINE_WORDS),
    );
    const { pins } = this.handle;
    this.pins = pins === undefined ? undefined : new LinePins(pins, host.kernelLines(pins.vm));
    this.lines = new InterruptLines(lines, this.doorbell(0), this.pins);
    this.msis = new MsiQueue(msis);
    this.asyncIo = new AsyncIo(asyncIo);
    this.trace = new TraceRing(this.handle.trace);
    this.protectedPages = new ProtectedPages(protectedPages);
    this.#counters = new Float64Array(this.handle.counters);
  }

  /**
   * `waker`: this thread's, by which it wakes vCPUs. A vCPU's thread leaves `waker.thread` in its
   * own doorbell while it is parked.
   */
  useWaker(waker: Waker): void {
    for (const doorbell of this.#doorbells) doorbell.waker = waker;
  }

  get vmState(): VmState {
    return this.#words.load(VM_STATE) as VmState;
  }

  /** Relaxed, for loops that load `vmState` before they park. */
  get relaxedVmState(): number {
    return this.#words.loadRelaxed(VM_STATE);
  }

  /** Relaxed, for a vCPU's inner loop. */
  get isRunning(): boolean {
    return this.#words.loadRelaxed(VM_STATE) === VmState.RUNNING;
  }

  /** Sets the VM's state and wakes every vCPU to see it. */
  setVmState(state: VmState): void {
    if (state === VmState.RUNNING) this.#words.add(STARTS, 1);
    this.#words.store(VM_STATE, state);
    // After the state: a vCPU that sees its request withdrawn also sees that the VM no longer runs.
    // So it stops, instead of freeing its slot and going on with all ones.
    if (state === VmState.POWERED_OFF) this.withdraw();
    this.#wakeAll();
  }

  /**
   * Start generation. A vCPU compares it to detect a new start, however short the pause before it.
   */
  get starts(): number {
    return this.#words.load(STARTS);
  }

  /**
   * Ends every vCPU's waiting for its request, whatever the page holds: others may write to the
   * page. The caller must ring the doorbells.
   */
  withdraw(): void {
    this.#words.add(WITHDRAWALS, 1);
  }

  /** Withdrawal generation. A vCPU compares it to detect that its request was withdrawn. */
  get withdrawals(): number {
    return this.#words.load(WITHDRAWALS);
  }

  /** Relaxed. */
  get relaxedWithdrawals(): number {
    return this.#words.loadRelaxed(WITHDRAWALS);
  }

  /**
   * Makes each vCPU post its state and park between two slices, until `endHold`. Returns the number
   * of this hold, which is odd.
   */
  beginHold(): number {
    const hold = this.#words.add(HOLD, 1) + 1;
    this.#wakeAll();
    return hold;
  }

  endHold(): void {
    this.#words.add(HOLD, 1);
    for (const doorbell of this.#doorbells) doorbell.ring();
  }

  /** The number of the hold in progress if it is odd. */
  get hold(): number {
    return this.#words.load(HOLD);
  }

  /** Whether a hold is in progress. Relaxed, for the vCPU's run loop. */
  get isHolding(): boolean {
    return (this.#words.loadRelaxed(HOLD) & 1) !== 0;
  }

  /** The hypervisor's register behind port 0xCF8 (pci-interception.ts), one for all vCPUs. */
  get pciAddress(): number {
    return this.#words.load(PCI_ADDRESS);
  }

  set pciAddress(value: number) {
    this.#words.store(PCI_ADDRESS, value);
  }

  /** Reads and clears `pciAddress` in one. */
  takePciAddress(): number {
    return this.#words.exchange(PCI_ADDRESS, 0);
  }

  #wakeAll(): void {
    for (const doorbell of this.#doorbells) doorbell.ring();
    this.onWake();
  }

  vcpuState(vcpu: number): VcpuState {
    return this.#words.load(VCPU_STATE + vcpu) as VcpuState;
  }

  setVcpuState(vcpu: number, state: VcpuState): void {
    this.#words.store(VCPU_STATE + vcpu, state);
    this.owner.ring();
  }

  /** The doorbell of vCPU `vcpu`: for a completion, an interrupt, or a change of the VM's state. */
  doorbell(vcpu: number): Doorbell {
    const doorbell = this.#doorbells[vcpu];
    if (doorbell === undefined) throw new RangeError(`vCPU ${vcpu}: a VM has vCPUs 0…${SLOT_COUNT - 1}`);
    return doorbell;
  }

  /** Only in the vCPU's own thread. */
  count(vcpu: number, counter: VcpuCounter): void {
    const index = vcpu * LINE_DOUBLES + counter;
    this.#counters[index] = (this.#counters[index] as number) + 1;
  }

  counters(vcpu: number): VcpuCounters {
    const at = (counter: VcpuCounter): number => this.#counters[vcpu * LINE_DOUBLES + counter] as number;
    return {
      portAccesses: at(VcpuCounter.portAccesses),
      mmioAccesses: at(VcpuCounter.mmioAccesses),
      answeredByHypervisor: at(VcpuCounter.answeredByHypervisor),
      requests: at(VcpuCounter.requests),
      failed: at(VcpuCounter.failed),
      halts: at(VcpuCounter.halts),
      asyncWrites: at(VcpuCounter.asyncWrites),
    };
  }

  /** The counters of vCPUs 0 to `vcpuCount` − 1, summed. */
  totals(vcpuCount: number): VcpuCounters {
    const sum = { ...this.counters(0) };
    for (let vcpu = 1; vcpu < vcpuCount; vcpu++) {
      const counters = this.counters(vcpu);
      for (const name of Object.keys(sum) as (keyof VcpuCounters)[]) sum[name] += counters[name];
    }
    return sum;
  }
}

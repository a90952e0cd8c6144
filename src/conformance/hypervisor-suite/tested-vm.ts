/**
 * TestedVm: one VM of a hypervisor under test.
 *
 * Called by: the cases, mostly by way of `play` (cases/case.ts).
 *
 * The suite takes the place of the Service VM: it waits for the upcall, reads the slots, completes
 * requests and makes the hypercalls. So a case decides when each of these happens.
 */

import type { Hypercalls } from '../../hypervisor/hypercalls.js';
import type { HypervisorEvent, VmConfig } from '../../hypervisor/hypervisor.js';
import { IrqLineOperation } from '../../hypervisor/interrupt-lines.js';
import { Upcall } from '../../hypervisor/upcall.js';
import { VcpuState, VmState } from '../../hypervisor/vm-shared-state.js';
import { IoRequestType } from '../../io-request/layout.js';
import { SharedBuffer } from '../../io-request/shared-buffer.js';
import type { Slot } from '../../io-request/slot.js';
import { IoRequestState } from '../../io-request/state.js';
import { OrderedPoll } from '../../sync/poll.js';
import { hypervisorFor, limitOf, orCannot } from './capability.js';
import { check, delay, equal, until, within } from './check.js';
import type { GuestProgram } from './guest-program.js';
import type { HypervisorUnderTest } from './hypervisor-under-test.js';
import { requestText } from './request-text.js';

/** How long the suite watches a vCPU that must not act. A vCPU that acts later passes wrongly. */
export const QUIET_MS = 30;
const MEMORY_BYTES = 1 << 20;

/**
 * A request as text (request-text.ts), and the value with which the suite completes it. Default: 0.
 */
export type Exchange = readonly [request: string, answer?: number | bigint];

const { COMPLETE, FREE, PENDING, PROCESSING } = IoRequestState;

export class TestedVm {
  readonly vm: Hypercalls;
  readonly buffer: SharedBuffer;
  readonly upcall: Upcall;
  /** Of the hypervisor, since the VM was created. */
  readonly events: readonly HypervisorEvent[];
  /** How long a guest may take until its next request, and a hypercall until its result, in ms. */
  readonly limitMs: number;
  readonly #under: HypervisorUnderTest;
  readonly #programs: readonly GuestProgram[];
  /** Events before the current start. */
  #oldEvents = 0;

  private constructor(
    under: HypervisorUnderTest,
    programs: readonly GuestProgram[],
    parts: Pick<TestedVm, 'vm' | 'buffer' | 'upcall' | 'events'>,
  ) {
    this.#under = under;
    this.#programs = programs;
    this.vm = parts.vm;
    this.buffer = parts.buffer;
    this.upcall = parts.upcall;
    this.events = parts.events;
    this.limitMs = limitOf(under);
  }

  /**
   * A VM in state CREATED with its page set. Throws CannotDo if the hypervisor has no such VM or no
   * such guest.
   */
  static async create(
    under: HypervisorUnderTest,
    programs: readonly GuestProgram[],
    options: Partial<VmConfig> = {},
  ): Promise<TestedVm> {
    const hypervisor = await hypervisorFor(under, programs);
    const config: VmConfig = {
      name: 'tested',
      memoryBytes: MEMORY_BYTES,
      vcpuCount: programs.length,
      completionPolling: false,
      ...options,
    };
    const buffer = new SharedBuffer();
    const upcall = new Upcall();
    const events: HypervisorEvent[] = [];
    const vm = await orCannot(
      hypervisor.createVm(config, buffer, upcall, (event) => events.push(event)),
      config.vcpuCount,
      under,
    );
    const tested = new TestedVm(under, programs, { vm, buffer, upcall, events });
    try {
      equal(vm.vcpuCount, config.vcpuCount, 'vcpuCount');
      equal(vm.shared.vmState, VmState.CREATED, 'the state of a new VM');
      equal(vm.setIoreqBuffer(), 0, 'setIoreqBuffer');
    } catch (error) {
      await tested.#endAfter(error);
    }
    return tested;
  }

  /** Creates a VM, passes it to `work`, and ends it even if `work` failed. */
  static async run(
    under: HypervisorUnderTest,
    programs: readonly GuestProgram[],
    work: (tested: TestedVm) => Promise<void>,
    options: Partial<VmConfig> = {},
  ): Promise<void> {
    const tested = await TestedVm.create(under, programs, options);
    try {
      await work(tested);
    } catch (error) {
      await tested.#endAfter(error);
    }
    await tested.close();
  }

  /** Ends the VM as far as possible, so that no thread stays behind, and throws `error`. */
  async #endAfter(error: unknown): Promise<never> {
    // The error that is reported is the case's own.
    await this.close().catch(() => undefined);
    throw error;
  }

  slot(vcpu = 0): Slot {
    return this.buffer.slot(vcpu);
  }

  /** Loads the guest and starts it. */
  start(): void {
    this.load();
    this.#oldEvents = this.events.length;
    equal(this.vm.startVm(), 0, 'startVm');
  }

  /** Loads the guest's programs and sets the registers, if the hypervisor takes them so. */
  load(): void {
    this.#under
      .load?.(this.vm.memory, this.#programs)
      .forEach((registers, vcpu) => equal(this.vm.setVcpuRegs(vcpu, registers), 0, `setVcpuRegs of vCPU ${vcpu}`));
  }

  /**
   * Waits until vCPU `vcpu` has made a request. Returns it as text, for example `out 0x500/1 =
   * 0x41`.
   */
  async request(vcpu = 0): Promise<string> {
    const slot = this.slot(vcpu);
    const isPending = (): boolean => slot.state === PENDING;
    const startMs = performance.now();
    await this.upcall.wait(new OrderedPoll(isPending), this.limitMs);
    // `wait` polls once more when its time is over, so a request without an upcall is found late.
    const isLate = performance.now() - startMs >= this.limitMs;
    if (isLate || !isPending()) {
      check(!isPending(), `vCPU ${vcpu} made a request without raising the upcall`);
      const events = this.events.map(({ message }) => message).join(', ');
      check(false, `vCPU ${vcpu} made no request within ${this.limitMs} ms${events === '' ? '' : ` (${events})`}`);
    }
    return requestText(slot);
  }

  /** Assigns the request of vCPU `vcpu`, as the HSM does for the default client. */
  assign(vcpu = 0): void {
    const isKernelHandled = false;
    check(this.slot(vcpu).assign(isKernelHandled), `vCPU ${vcpu} has no request to be assigned`);
  }

  /**
   * Completes the request of vCPU `vcpu` with `value`. Makes the hypercall unless `notify` is
   * false.
   */
  finish(vcpu = 0, value: number | bigint = 0, notify = true): void {
    const slot = this.slot(vcpu);
    if (slot.state !== PROCESSING) this.assign(vcpu);
    const low = Number(BigInt.asIntN(32, BigInt(value)));
    if (slot.type === IoRequestType.PORT) slot.setValue(low);
    else slot.setValue64(low, Number(BigInt.asIntN(32, BigInt(value) >> 32n)));
    check(slot.complete(), `the slot of vCPU ${vcpu} left PROCESSING by itself`);
    if (notify) equal(this.vm.notifyRequestFinish(vcpu), 0, 'notifyRequestFinish');
  }

  /** Checks that vCPU `vcpu` makes exactly these requests, in this order, and completes each. */
  async exchange(exchanges: readonly Exchange[], vcpu = 0): Promise<void> {
    for (const [expected, answer] of exchanges) {
      equal(await this.request(vcpu), expected, `request of vCPU ${vcpu}`);
      this.finish(vcpu, answer);
    }
  }

  /**
   * The same for several vCPUs at once, in any order between them. `exchanges[n]` are those of
   * vCPU n.
   */
  async exchangeAll(exchanges: readonly (readonly Exchange[])[]): Promise<void> {
    const left = exchanges.map((list) => [...list]);
    const ready = (): number => left.findIndex((list, vcpu) => list.length > 0 && this.slot(vcpu).state === PENDING);
    while (left.some((list) => list.length > 0)) {
      const startMs = performance.now();
      // One wait for all: an upcall wakes one waiter.
      await this.upcall.wait(new OrderedPoll(() => ready() >= 0), this.limitMs);
      const waiting = left.flatMap((list, vcpu) => (list.length > 0 ? [vcpu] : []));
      check(
        performance.now() - startMs < this.limitMs,
        `no upcall within ${this.limitMs} ms for vCPUs ${waiting.join(', ')}`,
      );
      for (const vcpu of waiting) {
        if (this.slot(vcpu).state !== PENDING) continue;
        const [expected, answer] = left[vcpu]?.shift() ?? [''];
        equal(requestText(this.slot(vcpu)), expected, `request of vCPU ${vcpu}`);
        this.finish(vcpu, answer);
      }
    }
  }

  /** Checks that vCPU `vcpu` ends its program without another request. */
  async halted(vcpu = 0): Promise<void> {
    const isHalted = (): boolean =>
      this.events.slice(this.#oldEvents).some((event) => event.kind === 'halted' && event.vcpu === vcpu);
    const isPending = (): boolean => this.slot(vcpu).state === PENDING;
    await until(() => isHalted() || isPending(), `the end of vCPU ${vcpu}'s program`, this.limitMs);
    check(!isPending(), `vCPU ${vcpu} made another request: ${requestText(this.slot(vcpu))}`);
    equal(this.slot(vcpu).state, FREE, `the slot of vCPU ${vcpu} after its last request`);
  }

  /**
   * Checks that the slot of vCPU `vcpu` stays in `state`, with the same request in it. For FREE, a
   * vCPU that has been completed first gets time to take its result: its thread may not run yet.
   */
  async stays(state: number, what: string, vcpu = 0): Promise<void> {
    const slot = this.slot(vcpu);
    if (state === FREE) await until(() => slot.state !== COMPLETE, `vCPU ${vcpu} takes its result`, this.limitMs);
    const before = requestText(slot);
    await delay(QUIET_MS);
    equal(slot.state, state, `the slot's state ${what}`);
    equal(requestText(slot), before, `the request ${what}`);
  }

  /** Raises a line, which stays high. */
  raise(line: number): void {
    equal(this.vm.setIrqLine(line, IrqLineOperation.HIGH), 0, 'setIrqLine');
  }

  lower(line: number): void {
    equal(this.vm.setIrqLine(line, IrqLineOperation.LOW), 0, 'setIrqLine');
  }

  /** Pauses the VM. No vCPU may run afterwards: it is parked, or the Service VM has its request. */
  async pause(): Promise<void> {
    equal(await within(this.vm.pauseVm(), 'pauseVm', this.limitMs), 0, 'pauseVm');
    for (let vcpu = 0; vcpu < this.vm.vcpuCount; vcpu++) {
      const isRunning = this.vm.shared.vcpuState(vcpu) === VcpuState.RUNNING;
      const { state } = this.slot(vcpu);
      const isWaiting = state === PENDING || state === PROCESSING;
      check(!isRunning || isWaiting, `vCPU ${vcpu} of a paused VM runs, and the state of its slot is ${state}`);
    }
  }

  async reset(): Promise<void> {
    equal(await within(this.vm.resetVm(), 'resetVm', this.limitMs), 0, 'resetVm');
  }

  async destroy(): Promise<void> {
    equal(await within(this.vm.destroyVm(), 'destroyVm', this.limitMs), 0, 'destroyVm');
    equal(this.vm.shared.vmState, VmState.POWERED_OFF, 'the state of a destroyed VM');
    for (let vcpu = 0; vcpu < this.vm.vcpuCount; vcpu++)
      equal(this.vm.shared.vcpuState(vcpu), VcpuState.OFFLINE, `the state of vCPU ${vcpu} of a destroyed VM`);
  }

  /**
   * Pauses and destroys the VM, unless a case has done so. Fails if the hypervisor has failed
   * meanwhile.
   */
  async close(): Promise<void> {
    if (this.vm.shared.vmState !== VmState.POWERED_OFF) {
      await this.pause();
      await this.destroy();
    }
    const crash = this.events.find(({ kind }) => kind === 'crashed');
    check(crash === undefined, `the hypervisor failed: ${crash?.message ?? ''}`);
  }
}

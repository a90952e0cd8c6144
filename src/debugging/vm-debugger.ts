/**
 * VmDebugger: breakpoints and single steps for the requests of one User VM. It holds requests at
 * PENDING or before COMPLETE. A held request can be inspected, changed and released, or stepped to
 * its next stop. A breakpoint on an interrupt holds the request that comes next.
 *
 * - A held request blocks its vCPU and nothing else. The worker serves the other slots, and the
 *   client's time limit does not run.
 * - While nothing can be held, the HSM has no gate: the request path costs nothing more.
 * - A pause, a reset and the end of the VM release everything. Breakpoints stay until they are
 *   removed.
 *
 * Called by: the live page's server, `upcall top`, programs that run a VM; UserVm; the HSM, for
 * which it is the gate that holds requests (hsm/request-gate.ts).
 * Threads: the Service VM's thread only.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import { GateDecision, type RequestGate } from '../hsm/request-gate.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { ArmedBreakpoints, type BreakpointState, type OpenInterrupts } from './armed-breakpoints.js';
import type { Breakpoint, HoldPoint } from './breakpoint.js';
import { HeldRequest, subjectOf, type StoppedRequest } from './held-request.js';

export interface VmDebuggerOptions {
  readonly requests: VmRequests;
  readonly buffer: SharedBuffer;
  /** Queues a pass of the worker. */
  readonly queuePass: () => void;
  /** Begins to read the VM's interrupts. */
  readonly openInterrupts: OpenInterrupts;
}

export class VmDebugger implements RequestGate {
  readonly #options: VmDebuggerOptions;
  readonly #breakpoints: ArmedBreakpoints;
  #holdAll: Readonly<Record<HoldPoint, boolean>> = { pending: false, complete: false };
  /** By slot. */
  readonly #held: (HeldRequest | undefined)[] = Array.from({ length: SLOT_COUNT });
  /** Slots whose PENDING request was released: the next dispatch must not hold it again. */
  readonly #passing = new Set<number>();
  /** vCPUs that stop at the next point. */
  readonly #stepping = new Set<number>();
  readonly #listeners = new Set<() => void>();
  /** Between a pause or reset and the next start: nothing is held. */
  #isSuspended = false;
  #isClosed = false;

  constructor(options: VmDebuggerOptions) {
    this.#options = options;
    this.#breakpoints = new ArmedBreakpoints(options.openInterrupts);
  }

  /** Held requests by vCPU. */
  get stops(): readonly StoppedRequest[] {
    this.#dropEnded();
    return this.#held.filter((held) => held !== undefined).map((held) => held.describe());
  }

  get breakpoints(): readonly BreakpointState[] {
    return this.#breakpoints.states;
  }

  get holdAll(): Readonly<Record<HoldPoint, boolean>> {
    return this.#holdAll;
  }

  /**
   * Whether every request is held at that point from now on, besides those of breakpoints and
   * steps. Releases nothing.
   */
  set holdAll(points: Readonly<Record<HoldPoint, boolean>>) {
    this.#holdAll = { pending: points.pending, complete: points.complete };
    this.#changed();
  }

  /** Returns the breakpoint's number. Throws OPTION_INVALID and VM_LIMIT. */
  add(breakpoint: Breakpoint): number {
    const number = this.#breakpoints.add(breakpoint);
    this.#changed();
    return number;
  }

  /**
   * Removes a breakpoint. Requests that are held for it stay held. Returns false if the number does
   * not exist.
   */
  remove(number: number): boolean {
    const isRemoved = this.#breakpoints.remove(number);
    this.#changed();
    return isRemoved;
  }

  /**
   * Sets the value of a held request: a write at PENDING, or a read before COMPLETE. Throws
   * OPTION_INVALID and VM_STATE.
   */
  change(vcpu: number, value: number | bigint): void {
    this.#expectHeld(vcpu).change(this.#options.buffer.slot(vcpu), value);
    this.#changed();
  }

  /**
   * Releases the request of slot `vcpu`, or cancels its step. Throws VM_STATE if there is neither.
   */
  go(vcpu: number): void {
    if (!this.#stepping.delete(vcpu)) this.#release(this.#expectHeld(vcpu));
    this.#changed();
  }

  /** Releases all requests and cancels all steps. */
  goAll(): void {
    this.#stepping.clear();
    this.#dropEnded();
    for (const held of this.#held) if (held !== undefined) this.#release(held);
    this.#changed();
  }

  /**
   * Releases the request until its vCPU's next stop: this request before COMPLETE, or the next
   * request at PENDING. Throws VM_STATE.
   */
  step(vcpu: number): void {
    const held = this.#expectHeld(vcpu);
    this.#stepping.add(vcpu);
    this.#release(held);
    this.#changed();
  }

  /** Removes all breakpoints and releases all requests. */
  detach(): void {
    this.#breakpoints.clear();
    this.#holdAll = { pending: false, complete: false };
    this.goAll();
  }

  /**
   * Calls back after each change. Returns a function that removes the listener.
   *
   * Callers must: be quick, and read the state later. It is called during the HSM's work.
   */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Resolves when a request is held, at once if one is already, with that of the lowest vCPU.
   * Resolves with undefined when the VM has ended.
   */
  stopped(): Promise<StoppedRequest | undefined> {
    return new Promise((resolve) => {
      const check = (): void => {
        const [stop] = this.stops;
        if (stop === undefined && !this.#isClosed) return;
        unsubscribe();
        resolve(stop);
      };
      const unsubscribe = this.onChange(check);
      check();
    });
  }

  /** For UserVm, before a pause or reset: nothing is held until `resume`. */
  suspend(): void {
    this.#isSuspended = true;
    this.#passing.clear();
    this.goAll();
  }

  /** For UserVm, before the VM runs. */
  resume(): void {
    this.#isSuspended = false;
    this.#breakpoints.forgetInterrupts();
    this.#changed();
  }

  /** For UserVm, after the end of the VM. */
  close(): void {
    this.#isClosed = true;
    this.suspend();
    this.#breakpoints.close();
  }

  holdsPending(request: AssignedRequest, client: string): boolean {
    const { vcpu } = request;
    if (this.#held[vcpu]?.at === 'pending') return true;
    // An answer that is still held belongs to a request that has ended.
    this.#held[vcpu] = undefined;
    if (this.#passing.delete(vcpu)) {
      // After the dispatch: the gate may not be needed any more, but is in use.
      queueMicrotask(() => this.#changed());
      return false;
    }
    return this.#tryHold('pending', request, client, request.valueLow, request.valueHigh);
  }

  decideAnswer(request: AssignedRequest, client: string, ticket: number, low: number, high: number): GateDecision {
    const held = this.#held[request.vcpu];
    // The client answers once more: its first answer is held, and that one counts.
    if (held?.at === 'complete' && held.ticket === ticket) return GateDecision.REFUSED;
    const [valueLow, valueHigh] = request.isRead ? [low, high] : [request.valueLow, request.valueHigh];
    return this.#tryHold('complete', request, client, valueLow, valueHigh) ? GateDecision.HELD : GateDecision.PASS;
  }

  hasAnswer(vcpu: number): boolean {
    return this.#held[vcpu]?.at === 'complete';
  }

  /** Holds the request if it is to stop at `at`. Returns whether it does. */
  #tryHold(at: HoldPoint, request: AssignedRequest, client: string, low: number, high: number): boolean {
    if (this.#isSuspended) return false;
    const { vcpu } = request;
    const hit = this.#breakpoints.hit(at, subjectOf(request, client, low, high));
    const isStep = this.#stepping.delete(vcpu);
    if (hit === undefined && !isStep && !this.#holdAll[at]) return false;
    this.#held[vcpu] = new HeldRequest({ at, client, request, low, high, hit });
    // After the dispatch: it may hold more slots.
    queueMicrotask(() => this.#changed());
    return true;
  }

  #release(held: HeldRequest): void {
    const { vcpu, at, ticket, low, high } = held;
    const { requests, queuePass } = this.#options;
    this.#held[vcpu] = undefined;
    if (at === 'complete') {
      requests.assignments.of(vcpu).finishNow(ticket, low, high);
      return;
    }
    if (!this.#isSuspended) this.#passing.add(vcpu);
    // A stalled slot is no work for the worker. Now it is again.
    requests.assignments.of(vcpu).isStalled = false;
    queuePass();
  }

  #expectHeld(vcpu: number): HeldRequest {
    this.#dropEnded();
    const held = this.#held[vcpu];
    if (held !== undefined) return held;
    throw new UpcallError('VM_STATE', `no request of vCPU ${vcpu} is held`, {
      remedy: 'It was released, or the VM was paused, reset or ended, or its client was removed',
    });
  }

  /**
   * Drops requests that ended while held: by a reset, a client's end, or another writer of the
   * page.
   */
  #dropEnded(): void {
    const { requests, buffer } = this.#options;
    this.#held.forEach((held, vcpu) => {
      if (held === undefined) return;
      const isHeld =
        held.at === 'pending'
          ? buffer.slot(vcpu).state === IoRequestState.PENDING
          : requests.assignments.of(vcpu).isAssigned;
      if (!isHeld) this.#held[vcpu] = undefined;
    });
  }

  /**
   * Sets or removes the gate, whichever the present state needs, and calls the listeners. Relaying:
   * clients in other threads pass their answers through this thread, so that they can be held.
   */
  #changed(): void {
    const { requests } = this.#options;
    const isNeeded =
      !this.#isSuspended &&
      (!this.#breakpoints.isEmpty ||
        this.#holdAll.pending ||
        this.#holdAll.complete ||
        this.#passing.size + this.#stepping.size > 0 ||
        this.#held.some((held) => held !== undefined));
    const isRelaying =
      isNeeded && (this.#holdAll.complete || this.#stepping.size > 0 || this.#breakpoints.holdsAnswers);
    requests.setGate(isNeeded ? this : undefined, isRelaying);
    for (const listener of [...this.#listeners]) listener();
  }
}

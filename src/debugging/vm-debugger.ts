/**
 * VmDebugger: stop and step for the requests of one User VM. It holds those that breakpoints name, or all, at PENDING or
 * before COMPLETE; whoever debugs looks at them, changes a value, and lets them go, one by one or to the next stop.
 *
 * A held request keeps its vCPU waiting and nobody else: the worker goes on with the other slots, and no client's time
 * runs. While nothing is to be held, the HSM does not know of this object. A pause, a reset and the end of the VM let
 * everything go; breakpoints stay until they are removed. All calls are in the Service VM's thread.
 */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import { AnswerFate, type RequestGate } from '../hsm/request-gate.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { breakpointCondition, type Breakpoint, type HoldPoint } from './breakpoint.js';
import type { Condition } from './breakpoint-expression.js';
import { MAX_BREAKPOINTS } from './breakpoint-limits.js';
import { HeldRequest, subjectOf, type StoppedRequest } from './held-request.js';

export interface BreakpointState {
  readonly number: number;
  readonly breakpoint: Breakpoint;
  /** Requests that it has stopped. */
  readonly hits: number;
}

export interface VmDebuggerOptions {
  readonly requests: VmRequests;
  readonly buffer: SharedBuffer;
  /** Asks the worker for a pass. */
  readonly queuePass: () => void;
}

interface Armed {
  readonly number: number;
  readonly breakpoint: Breakpoint;
  readonly condition: Condition;
  hits: number;
}

export class VmDebugger implements RequestGate {
  readonly #options: VmDebuggerOptions;
  #breakpoints: readonly Armed[] = [];
  #nextNumber = 1;
  #holdAll: Readonly<Record<HoldPoint, boolean>> = { pending: false, complete: false };
  readonly #held: (HeldRequest | undefined)[] = Array.from({ length: SLOT_COUNT });
  /** Slots whose PENDING request was let go: the next look at them is no stop. */
  readonly #passing = new Set<number>();
  /** vCPUs that stop at whatever comes next. */
  readonly #stepping = new Set<number>();
  readonly #listeners = new Set<() => void>();
  #isSuspended = false;
  #isClosed = false;

  constructor(options: VmDebuggerOptions) {
    this.#options = options;
  }

  /** What is held now, in the order of the vCPUs. */
  get stops(): readonly StoppedRequest[] {
    this.#forgetEnded();
    return this.#held.filter((held) => held !== undefined).map((held) => held.describe());
  }

  get breakpoints(): readonly BreakpointState[] {
    return this.#breakpoints.map(({ number, breakpoint, hits }) => ({ number, breakpoint, hits }));
  }

  get holdAll(): Readonly<Record<HoldPoint, boolean>> {
    return this.#holdAll;
  }

  /** Every request from now on, or only those of breakpoints. Lets nobody go. */
  set holdAll(points: Readonly<Record<HoldPoint, boolean>>) {
    this.#holdAll = { pending: points.pending, complete: points.complete };
    this.#changed();
  }

  /** Returns its number. Throws OPTION_INVALID and VM_LIMIT. */
  add(breakpoint: Breakpoint): number {
    if (this.#breakpoints.length >= MAX_BREAKPOINTS)
      throw new UpcallError('VM_LIMIT', `more than ${MAX_BREAKPOINTS} breakpoints`, { remedy: 'Remove some of them' });
    const number = this.#nextNumber++;
    const armed: Armed = { number, breakpoint, condition: breakpointCondition(breakpoint), hits: 0 };
    this.#breakpoints = [...this.#breakpoints, armed];
    this.#changed();
    return number;
  }

  /** What it holds stays held. False: there is none of this number. */
  remove(number: number): boolean {
    const before = this.#breakpoints.length;
    this.#breakpoints = this.#breakpoints.filter((armed) => armed.number !== number);
    this.#changed();
    return this.#breakpoints.length < before;
  }

  /** Another value: what a held write writes, at PENDING, or what a held read gives, before COMPLETE. Throws OPTION_INVALID. */
  change(vcpu: number, value: number | bigint): void {
    this.#expectHeld(vcpu).change(this.#options.buffer.slot(vcpu), value);
    this.#changed();
  }

  /**
   * Lets the request of slot `vcpu` go on. Its vCPU may be on its way to the stop of a `step`: then it does not stop there.
   * Throws VM_STATE when neither is so.
   */
  go(vcpu: number): void {
    if (!this.#stepping.delete(vcpu)) this.#release(this.#expectHeld(vcpu));
    this.#changed();
  }

  /** The same for all vCPUs. */
  goAll(): void {
    this.#stepping.clear();
    this.#forgetEnded();
    for (const held of this.#held) if (held !== undefined) this.#release(held);
    this.#changed();
  }

  /** The same until its vCPU's next stop: this request before COMPLETE, or its next one at PENDING. */
  step(vcpu: number): void {
    const held = this.#expectHeld(vcpu);
    this.#stepping.add(vcpu);
    this.#release(held);
    this.#changed();
  }

  /** No breakpoints, nothing held, as if nobody had been here. */
  detach(): void {
    this.#breakpoints = [];
    this.#holdAll = { pending: false, complete: false };
    this.goAll();
  }

  /** Calls back after whatever changes here. It is called in the middle of the HSM's work: be quick, and only look later. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves with a request that is held, now or soon; with undefined when the VM has ended. */
  stopped(): Promise<StoppedRequest | undefined> {
    return new Promise((resolve) => {
      const look = (): void => {
        const [stop] = this.stops;
        if (stop === undefined && !this.#isClosed) return;
        leave();
        resolve(stop);
      };
      const leave = this.onChange(look);
      look();
    });
  }

  /** For UserVm: the VM is about to be paused or reset; nothing is held until `resume`. */
  suspend(): void {
    this.#isSuspended = true;
    this.#passing.clear();
    this.goAll();
  }

  /** For UserVm: the VM is about to run. */
  resume(): void {
    this.#isSuspended = false;
    this.#changed();
  }

  /** For UserVm: the VM has ended. */
  close(): void {
    this.#isClosed = true;
    this.suspend();
  }

  holdsPending(request: AssignedRequest, client: string): boolean {
    const { vcpu } = request;
    if (this.#held[vcpu]?.at === 'pending') return true;
    // An answer that is still held here belongs to a request that ended in another way.
    this.#held[vcpu] = undefined;
    if (this.#passing.delete(vcpu)) {
      queueMicrotask(() => this.#changed());
      return false;
    }
    return this.#holds('pending', request, client, request.valueLow, request.valueHigh);
  }

  holdsAnswer(request: AssignedRequest, client: string, ticket: number, low: number, high: number): AnswerFate {
    const held = this.#held[request.vcpu];
    if (held?.at === 'complete' && held.ticket === ticket) return AnswerFate.LATE;
    const [valueLow, valueHigh] = request.isRead ? [low, high] : [request.valueLow, request.valueHigh];
    return this.#holds('complete', request, client, valueLow, valueHigh) ? AnswerFate.HELD : AnswerFate.PASS;
  }

  hasAnswer(vcpu: number): boolean {
    return this.#held[vcpu]?.at === 'complete';
  }

  #holds(at: HoldPoint, request: AssignedRequest, client: string, low: number, high: number): boolean {
    if (this.#isSuspended) return false;
    const { vcpu } = request;
    const subject = subjectOf(request, client, low, high);
    const hit = this.#breakpoints.find(({ breakpoint, condition }) => breakpoint.at === at && condition(subject));
    const isStep = this.#stepping.delete(vcpu);
    if (hit !== undefined) hit.hits++;
    else if (!isStep && !this.#holdAll[at]) return false;
    this.#held[vcpu] = new HeldRequest({ at, client, request, low, high, breakpoint: hit?.number });
    // Not in the middle of a dispatch, which may go on to hold other slots.
    queueMicrotask(() => this.#changed());
    return true;
  }

  #release(held: HeldRequest): void {
    const { vcpu, at, ticket, low, high } = held;
    const { requests, queuePass } = this.#options;
    this.#held[vcpu] = undefined;
    if (at === 'complete') {
      requests.finishNow(vcpu, ticket, low, high);
      return;
    }
    if (!this.#isSuspended) this.#passing.add(vcpu);
    requests.retry(vcpu);
    queuePass();
  }

  #expectHeld(vcpu: number): HeldRequest {
    this.#forgetEnded();
    const held = this.#held[vcpu];
    if (held !== undefined) return held;
    throw new UpcallError('VM_STATE', `no request of vCPU ${vcpu} is held`, {
      remedy: 'It was let go, or the VM was paused, reset or ended, or its client was taken out',
    });
  }

  /** Requests that ended although they are held: a reset, the end of a client, or somebody else who writes to the page. */
  #forgetEnded(): void {
    const { requests, buffer } = this.#options;
    this.#held.forEach((held, vcpu) => {
      if (held === undefined) return;
      const isThere =
        held.at === 'pending' ? buffer.slot(vcpu).state === IoRequestState.PENDING : requests.isAssigned(vcpu);
      if (!isThere) this.#held[vcpu] = undefined;
    });
  }

  #changed(): void {
    const { requests } = this.#options;
    const isNeeded =
      !this.#isSuspended &&
      (this.#breakpoints.length > 0 ||
        this.#holdAll.pending ||
        this.#holdAll.complete ||
        this.#passing.size + this.#stepping.size > 0 ||
        this.#held.some((held) => held !== undefined));
    const isRelaying =
      isNeeded &&
      (this.#holdAll.complete ||
        this.#stepping.size > 0 ||
        this.#breakpoints.some(({ breakpoint }) => breakpoint.at === 'complete'));
    requests.setGate(isNeeded ? this : undefined, isRelaying);
    for (const listener of [...this.#listeners]) listener();
  }
}

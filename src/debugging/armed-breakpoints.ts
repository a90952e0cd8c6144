/**
 * ArmedBreakpoints: the breakpoints of one User VM with what each has hit, on requests and on
 * interrupts.
 *
 * The interrupts of a VM are recorded while there is a breakpoint on one (trace/interrupt-lane.ts).
 * They are read when a request is about to be held or let through, so what happened before in any
 * thread is seen, as far as the recording has kept it. The first match is kept until a request is
 * held for it. Later matches until then are only counted.
 *
 * Called by: VmDebugger (vm-debugger.ts).
 * Threads: the Service VM's thread only.
 */

import { UpcallError } from '../io-request/upcall-error.js';
import type { InterruptEvent, InterruptReader } from '../trace/interrupt-reader.js';
import type { ExpressionSubject } from './breakpoint-expression.js';
import { MAX_BREAKPOINTS } from './breakpoint-limits.js';
import { breakpointCondition, type Breakpoint, type HoldPoint, type RequestBreakpoint } from './breakpoint.js';
import { interruptCondition, type InterruptBreakpoint } from './interrupt-breakpoint.js';

export interface BreakpointState {
  readonly number: number;
  readonly breakpoint: Breakpoint;
  /**
   * Requests or interrupts that it has matched. If several breakpoints match one, only the
   * breakpoint that was added first counts it.
   */
  readonly hits: number;
}

/** Why a request is held. */
export interface BreakpointHit {
  /** The breakpoint's. */
  readonly number: number;
  /** The interrupt that it matched. Undefined for a breakpoint on requests. */
  readonly interrupt?: InterruptEvent;
}

interface Armed<Kind extends Breakpoint, Subject> {
  readonly number: number;
  readonly breakpoint: Kind;
  readonly matches: (subject: Subject) => boolean;
  hits: number;
}

/** Creates a reader that begins with the next interrupt. */
export type OpenInterrupts = () => Pick<InterruptReader, 'take' | 'close'>;

export class ArmedBreakpoints {
  readonly #openInterrupts: OpenInterrupts;
  #requests: readonly Armed<RequestBreakpoint, ExpressionSubject>[] = [];
  #interrupts: readonly Armed<InterruptBreakpoint, InterruptEvent>[] = [];
  /** Open while there is a breakpoint on an interrupt. */
  #reader: ReturnType<OpenInterrupts> | undefined;
  /** The first match that no request was held for yet. */
  #interruptHit: BreakpointHit | undefined;
  #nextNumber = 1;

  constructor(openInterrupts: OpenInterrupts) {
    this.#openInterrupts = openInterrupts;
  }

  /** By number. */
  get states(): readonly BreakpointState[] {
    this.#readInterrupts();
    return [...this.#requests, ...this.#interrupts]
      .sort((a, b) => a.number - b.number)
      .map(({ number, breakpoint, hits }) => ({ number, breakpoint, hits }));
  }

  get isEmpty(): boolean {
    return this.#requests.length + this.#interrupts.length === 0;
  }

  /** Whether one of the breakpoints may hold a request before COMPLETE. */
  get holdsAnswers(): boolean {
    return this.#interrupts.length > 0 || this.#requests.some(({ breakpoint }) => breakpoint.at === 'complete');
  }

  /** Returns the breakpoint's number. Throws OPTION_INVALID and VM_LIMIT. */
  add(breakpoint: Breakpoint): number {
    if (this.#requests.length + this.#interrupts.length >= MAX_BREAKPOINTS)
      throw new UpcallError('VM_LIMIT', `more than ${MAX_BREAKPOINTS} breakpoints`, { remedy: 'Remove some of them' });
    if (breakpoint.at === 'interrupt') {
      const matches = interruptCondition(breakpoint);
      this.#reader ??= this.#openInterrupts();
      this.#interrupts = [...this.#interrupts, { number: this.#nextNumber, breakpoint, matches, hits: 0 }];
    } else {
      const matches = breakpointCondition(breakpoint);
      this.#requests = [...this.#requests, { number: this.#nextNumber, breakpoint, matches, hits: 0 }];
    }
    return this.#nextNumber++;
  }

  /** Returns false if the number does not exist. */
  remove(number: number): boolean {
    const isOther = (armed: { readonly number: number }): boolean => armed.number !== number;
    const before = this.#requests.length + this.#interrupts.length;
    this.#requests = this.#requests.filter(isOther);
    this.#interrupts = this.#interrupts.filter(isOther);
    if (this.#interruptHit?.number === number) this.#interruptHit = undefined;
    if (this.#interrupts.length === 0) this.#closeReader();
    return this.#requests.length + this.#interrupts.length < before;
  }

  clear(): void {
    this.#requests = [];
    this.#interrupts = [];
    this.#closeReader();
  }

  /**
   * The breakpoint for which this request is held at `at`, if there is one. Counts the hit, and
   * forgets the matched interrupt.
   */
  hit(at: HoldPoint, subject: ExpressionSubject): BreakpointHit | undefined {
    this.#readInterrupts();
    const own = this.#requests.find(({ breakpoint, matches }) => breakpoint.at === at && matches(subject));
    if (own !== undefined) own.hits++;
    const hit = this.#interruptHit ?? (own && { number: own.number });
    this.#interruptHit = undefined;
    return hit;
  }

  /** Interrupts up to now hold no request any more. They count as hits. */
  forgetInterrupts(): void {
    this.#readInterrupts();
    this.#interruptHit = undefined;
  }

  /** Call it after the end of the VM: no interrupt follows. */
  close(): void {
    this.#readInterrupts();
    this.#closeReader();
  }

  #readInterrupts(): void {
    if (this.#reader === undefined) return;
    for (const interrupt of this.#reader.take()) {
      const hit = this.#interrupts.find(({ matches }) => matches(interrupt));
      if (hit === undefined) continue;
      hit.hits++;
      this.#interruptHit ??= { number: hit.number, interrupt };
    }
  }

  #closeReader(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#interruptHit = undefined;
  }
}

/**
 * InterruptReader: the interrupts of a VM since this reader was created, as plain data in their
 * order.
 *
 * Called by: VmTrace, for `vm.trace` with interrupts; the debugger's ArmedBreakpoints. The creator
 * must close() it.
 * Threads: the Service VM's.
 *
 * An entry that is begun and not written holds the ones behind it back, for a moment. If half of
 * the ring is behind it, its writer was terminated, and it counts as lost.
 */

import { INTERRUPT_ENTRIES, InterruptKind, type InterruptEntry, type InterruptLane } from './interrupt-lane.js';

/** What happens to a line or a message, in the order of InterruptKind. */
export const INTERRUPT_NAMES = ['lowered', 'raised', 'ended', 'sent', 'refused'] as const;
export type InterruptName = (typeof INTERRUPT_NAMES)[number];

export interface InterruptEvent {
  /** By the clock of `Move.timeNs`. */
  readonly timeNs: number;
  /** `ended`: the guest's EOI. `sent` and `refused`: a message. */
  readonly interrupt: InterruptName;
  /** Of a line its number. */
  readonly line: number | undefined;
  /** The CPU's vector. */
  readonly vector: number | undefined;
  /** The number of a message within its card. */
  readonly message: number | undefined;
  /**
   * The device whose output changed the line, or the sender of a message. Undefined: it has no
   * name, or is the guest.
   */
  readonly by: string | undefined;
  /** How many events right before this one were overwritten before they were read. */
  readonly lost: number;
}

const NO_NUMBER = -1;

export interface InterruptReaderOptions {
  readonly lane: Pick<InterruptLane, 'use' | 'begun' | 'entry'>;
  /** `owner`: the number of an owner. `driver`: of the line. Undefined for one without a name. */
  readonly nameOf: (owner: number, driver: number) => string | undefined;
  /** Unix time in ms of `timeNs` 0. */
  readonly startMs: number;
}

export class InterruptReader {
  readonly #options: InterruptReaderOptions;
  #next: number;
  #lost = 0;
  #isClosed = false;

  constructor(options: InterruptReaderOptions) {
    this.#options = options;
    options.lane.use(1);
    this.#next = options.lane.begun;
  }

  /** The events since the last call. `isLast`: entries that are not written will never be. */
  take(isLast = false): InterruptEvent[] {
    const { lane } = this.#options;
    const events: InterruptEvent[] = [];
    const end = lane.begun;
    const overwritten = ((end - this.#next) | 0) - INTERRUPT_ENTRIES;
    if (overwritten > 0) {
      this.#lost += overwritten;
      this.#next = (this.#next + overwritten) | 0;
    }
    for (; this.#next !== end; this.#next = (this.#next + 1) | 0) {
      const entry = lane.entry(this.#next);
      if (entry !== undefined) events.push(this.#event(entry));
      else if (!isLast && ((end - this.#next) | 0) < INTERRUPT_ENTRIES / 2) break;
      else this.#lost++;
    }
    return events;
  }

  close(): void {
    if (!this.#isClosed) this.#options.lane.use(-1);
    this.#isClosed = true;
  }

  #event({ kind, number, owner, detail, seconds, nanoseconds }: InterruptEntry): InterruptEvent {
    const { nameOf, startMs } = this.#options;
    const isMessage = kind === InterruptKind.SENT || kind === InterruptKind.REFUSED;
    const lost = this.#lost;
    this.#lost = 0;
    return {
      timeNs: Math.max(0, Math.round((seconds * 1000 - startMs) * 1e6 + nanoseconds)),
      interrupt: INTERRUPT_NAMES[kind] ?? 'refused',
      line: isMessage ? undefined : number,
      vector: isMessage ? detail : undefined,
      message: isMessage && number !== NO_NUMBER ? number : undefined,
      by: kind === InterruptKind.ENDED ? undefined : nameOf(owner, isMessage ? 0 : detail),
      lost,
    };
  }
}

export function isInterrupt(event: object): event is InterruptEvent {
  return 'interrupt' in event;
}

/** In one line: `12.345678 ms line 4 raised by uart16550`. */
export function describeInterrupt(event: InterruptEvent): string {
  const before = event.lost === 0 ? '' : ` (${event.lost} lost before)`;
  return `${(event.timeNs / 1e6).toFixed(6)} ms ${interruptText(event)}${before}`;
}

/** Without its time: `line 4 raised by uart16550`. */
export function interruptText({ interrupt, line, vector, message, by }: InterruptEvent): string {
  const sender = by === undefined ? '' : ` by ${by}`;
  if (line !== undefined) return `line ${line} ${interrupt === 'ended' ? 'ended (EOI)' : interrupt}${sender}`;
  const number = message === undefined ? '' : ` ${message}`;
  return `message${number} ${interrupt}${sender}: vector 0x${(vector ?? 0).toString(16)}`;
}

/**
 * ThreadHolder: names what kept the Service VM's thread from its event loop, so that a time limit
 * that fired late blames the right one.
 *
 * Called by: VmRequests, which records each call of a client while a time limit runs; TimeLimit,
 * which asks after its timer fired late. ServiceVm creates one for all VMs of the thread.
 */

/** Calls of `notify` that take less than this, in ms, are not recorded. */
const NAMED_MS = 5;
/** If the process used less than this part of a blocked time as processor time, it was stopped. */
const STOPPED_CPU_PART = 0.25;

export type HoldCause =
  /** A client's `notify` did not return. */
  | { readonly cause: 'client'; readonly holder: string }
  /** The process was stopped, frozen or in a debugger: it used no processor time. */
  | { readonly cause: 'stopped' }
  /** Something else in the thread: a device's timer or promise, the program around it. */
  | { readonly cause: 'unknown' };

export class ThreadHolder {
  /**
   * Number of TimeLimits whose timer runs. They count it. While it is 0, calls are not recorded.
   */
  limits = 0;
  readonly #processorMs: () => number;
  #holder = '';
  // NaN: no call is recorded, and no comparison with it is true.
  #startMs = NaN;
  #endMs = NaN;

  /** `processorMs`: the processor time of the process in ms. */
  constructor(processorMs: () => number) {
    this.#processorMs = processorMs;
  }

  get processorMs(): number {
    return this.#processorMs();
  }

  /**
   * A client's `notify` ran from `startMs` to `endMs`. Keeps the latest call that took NAMED_MS or
   * longer.
   */
  record(client: string, startMs: number, endMs: number): void {
    if (endMs - startMs < NAMED_MS) return;
    this.#holder = client;
    this.#startMs = startMs;
    this.#endMs = endMs;
  }

  /**
   * What blocked the thread from `fromMs` to `toMs`, a time in which the process used `usedMs` of
   * processor time. It is the recorded client if its call took more than half of that time.
   */
  causeOf(fromMs: number, toMs: number, usedMs: number): HoldCause {
    const heldMs = toMs - fromMs;
    const recordedMs = Math.min(this.#endMs, toMs) - Math.max(this.#startMs, fromMs);
    if (recordedMs > heldMs / 2) return { cause: 'client', holder: this.#holder };
    return { cause: usedMs < heldMs * STOPPED_CPU_PART ? 'stopped' : 'unknown' };
  }
}

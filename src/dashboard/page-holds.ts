/**
 * PageHolds: the commands of pages for the VM's debugger, and which of its breakpoints and holds
 * come from pages. The program that runs the VM may use the same debugger. What that program holds
 * is not released here, except as noted below.
 *
 * Called by: LiveView, which creates it; PageConnection, for its page's commands; AbandonedHolds,
 * once no page is open.
 */

import type { StoppedRequest } from '../debugging/held-request.js';
import type { VmDebugger } from '../debugging/vm-debugger.js';
import type { PageMessage } from './page-messages.js';
import { breakpointOf } from './rows.js';

/** The messages of a page that are for the debugger. */
export type DebuggerMessage = Exclude<PageMessage, { readonly kind: 'hello' | 'watch' | 'type' | 'peek' }>;

export class PageHolds {
  readonly #debugger: VmDebugger;
  readonly #onWish: () => void;
  /** The numbers of the breakpoints that pages have added. */
  readonly #breakpoints = new Set<number>();
  /**
   * Whether a page has stepped, or held all requests: such a stop has no breakpoint. From then on
   * those of the program count as the pages' too, because they look the same.
   */
  #hasUnnumbered = false;
  #keepsHeld: boolean;

  /**
   * `keepsHeld`: the first value of that property. `onWish`: called when a page changes it. The
   * debugger reports every other change itself.
   */
  constructor(vmDebugger: VmDebugger, keepsHeld: boolean, onWish: () => void) {
    this.#debugger = vmDebugger;
    this.#keepsHeld = keepsHeld;
    this.#onWish = onWish;
  }

  /** Whether the operator wants requests to stay held when no page is open. */
  get keepsHeld(): boolean {
    return this.#keepsHeld;
  }

  /** The held requests that a page's breakpoint, hold or step has stopped. */
  get stops(): readonly StoppedRequest[] {
    return this.#debugger.stops.filter(({ breakpoint }) =>
      breakpoint === undefined ? this.#hasUnnumbered : this.#breakpoints.has(breakpoint),
    );
  }

  /** Throws UpcallError, as the debugger does. */
  run(message: DebuggerMessage): void {
    switch (message.kind) {
      case 'hold-all':
        this.#hasUnnumbered ||= message.pending || message.complete;
        this.#debugger.holdAll = { pending: message.pending, complete: message.complete };
        return;
      case 'break':
        this.#breakpoints.add(this.#debugger.add(breakpointOf(message.breakpoint)));
        return;
      case 'unbreak':
        // The requests that it holds stay held, and count as the pages' still.
        if (!this.stops.some(({ breakpoint }) => breakpoint === message.number))
          this.#breakpoints.delete(message.number);
        this.#debugger.remove(message.number);
        return;
      case 'change':
        this.#debugger.change(message.vcpu, BigInt(message.value));
        return;
      case 'step':
        this.#debugger.step(message.vcpu);
        this.#hasUnnumbered = true;
        return;
      case 'go':
        if (message.vcpu === null) this.#debugger.goAll();
        else this.#debugger.go(message.vcpu);
        return;
      case 'detach':
        this.#debugger.detach();
        this.#breakpoints.clear();
        this.#hasUnnumbered = false;
        return;
      case 'keep-held':
        this.#keepsHeld = message.keep;
        this.#onWish();
    }
  }

  /**
   * Removes the breakpoints and holds of pages, and releases their requests. Returns how many
   * breakpoints it has removed.
   */
  release(): number {
    const vmDebugger = this.#debugger;
    const { stops } = this;
    let removed = 0;
    for (const number of this.#breakpoints) if (vmDebugger.remove(number)) removed++;
    if (this.#hasUnnumbered) vmDebugger.holdAll = { pending: false, complete: false };
    // `goAll` also cancels the steps of pages. With requests held by the program, it would release
    // those.
    if (stops.length === vmDebugger.stops.length) vmDebugger.goAll();
    else for (const { vcpu } of stops) vmDebugger.go(vcpu);
    this.#breakpoints.clear();
    this.#hasUnnumbered = false;
    return removed;
  }
}

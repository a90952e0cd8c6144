/**
 * AbandonedHolds: what becomes of requests that pages hold while no page is open. The
 * operator cannot continue them then, and the guest hangs for no visible reason.
 *
 * - After RETURN_MS without a page it emits `hold-abandoned`: the operator may have lost the page.
 * - `releaseMs` later the guest continues without the pages' breakpoints (`hold-released`), unless
 *   the operator wants to keep requests held.
 * - A page that opens before then cancels it, and emits `hold-resumed` if it was reported.
 *
 * Called by: LiveView, after each change of its pages and of the debugger.
 * Threads: the Service VM's.
 */

import { describe } from '../io-request/io-request.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { startFairTimeout, type FairTimeout } from '../sync/fair-timeout.js';
import type { Timing } from '../sync/timer-lateness.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import { DEFAULT_RELEASE_MS, RETURN_MS } from './limits.js';
import type { PageHolds } from './page-holds.js';

export interface AbandonedHoldsOptions {
  readonly holds: Pick<PageHolds, 'stops' | 'keepsHeld' | 'release'>;
  /** From the report to the release. Not Infinity: LiveView makes `keepsHeld` of that. */
  readonly releaseMs: number;
  readonly emit: (event: UserVmEvent) => void;
  readonly timing?: Timing | undefined;
}

export class AbandonedHolds {
  readonly #options: AbandonedHoldsOptions;
  /** Whether a request of a page is held and no page is open. */
  #isAbandoned = false;
  /** Whether `hold-abandoned` was emitted for it. */
  #isReported = false;
  #timeout: FairTimeout | undefined;

  /** Throws OPTION_INVALID. */
  constructor(options: AbandonedHoldsOptions) {
    if (!(options.releaseMs > 0))
      throw new UpcallError('OPTION_INVALID', `releaseMs ${options.releaseMs}: expected milliseconds above 0`, {
        remedy: `Leave it out for ${DEFAULT_RELEASE_MS}, or give Infinity`,
      });
    this.#options = options;
  }

  /** `hasPage`: whether a page is open. */
  update(hasPage: boolean): void {
    const { holds, emit } = this.#options;
    const isAbandoned = !hasPage && holds.stops.length > 0;
    if (isAbandoned === this.#isAbandoned) return;
    this.#isAbandoned = isAbandoned;
    this.#timeout?.stop();
    if (isAbandoned) this.#wait(RETURN_MS, () => this.#report());
    else if (this.#isReported) {
      this.#isReported = false;
      if (hasPage) emit({ kind: 'hold-resumed' });
    }
  }

  stop(): void {
    this.#timeout?.stop();
    this.#timeout = undefined;
  }

  #report(): void {
    const { holds, releaseMs, emit } = this.#options;
    const { keepsHeld, stops } = holds;
    const [first] = stops;
    if (first === undefined) return;
    const { vcpu, at, client, request, breakpoint } = first;
    this.#isReported = true;
    emit({
      kind: 'hold-abandoned',
      vcpu,
      at,
      client,
      request: describe(request),
      ...(breakpoint === undefined ? {} : { breakpoint }),
      more: stops.length - 1,
      ...(keepsHeld ? {} : { releaseMs }),
    });
    if (!keepsHeld) this.#wait(releaseMs, () => this.#release());
  }

  #release(): void {
    const { holds, releaseMs, emit } = this.#options;
    this.#isAbandoned = false;
    this.#isReported = false;
    emit({ kind: 'hold-released', afterMs: releaseMs, breakpoints: holds.release() });
  }

  #wait(ms: number, then: () => void): void {
    this.#timeout = startFairTimeout(then, ms, this.#options.timing);
  }
}

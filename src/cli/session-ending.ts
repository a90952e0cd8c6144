/**
 * SessionEnding: how a session is going to end, from before its guest is read until its VM is gone:
 * `--timeout`, the ending signals, and what the session itself reports. The first one decides.
 *
 * Called by: the commands that run a guest (`run`, `trace`, `top`), by `withEnding`; runSession.
 *
 * Before the session there is only preparation: files are read, Debian is fetched, the hypervisor
 * is loaded. An end then aborts `signal`. Work that has begun something (`cleansUp`) has
 * CLEAN_UP_MS to remove it. A promise that never settles does not keep the process.
 */

import { UpcallError } from '../io-request/upcall-error.js';
import { atMost } from '../sync/bounded-wait.js';
import type { ExitStatus } from './exit-status.js';
import type { Reporter } from './reporter.js';
import { ENDING_SIGNALS, endMessage, statusOf, type SessionEnd } from './session-end.js';

/** Time that work which cleans up after itself gets when the session has ended. */
const CLEAN_UP_MS = 5000;

export interface SessionLimits {
  /** In ms. */
  readonly timeout?: number | undefined;
  /** The text that the guest is to print. */
  readonly expect?: string | undefined;
}

export class SessionEnding {
  readonly ended: Promise<SessionEnd>;
  /** Ends the session: the first call decides how. */
  readonly end: (end: SessionEnd) => void;
  /** On the clock of performance.now(). Infinity: none. */
  readonly endMs: number;
  readonly #listeners = ENDING_SIGNALS.map((signal) => ({
    signal,
    listener: () => this.end({ kind: 'signal', signal }),
  }));
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #abort = new AbortController();
  #end: SessionEnd | undefined;
  #graceMs = 0;

  constructor(timeoutMs?: number) {
    let resolve: (end: SessionEnd) => void;
    this.ended = new Promise((settle) => (resolve = settle));
    this.end = (end) => {
      if (this.#end !== undefined) return;
      this.#end = end;
      resolve(end);
      this.#abort.abort(new EndedEarly());
    };
    this.endMs = performance.now() + (timeoutMs ?? Infinity);
    if (timeoutMs !== undefined) this.#timer = setTimeout(() => this.end({ kind: 'timed-out' }), timeoutMs);
    this.addSignalListeners();
  }

  /** Aborted by the end. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  addSignalListeners(): void {
    for (const { signal, listener } of this.#listeners) process.on(signal, listener);
  }

  /** From now on a signal ends the process at once. */
  removeSignalListeners(): void {
    for (const { signal, listener } of this.#listeners) process.off(signal, listener);
  }

  /** Does work that removes what it has begun when `signal` aborts it. */
  async cleansUp<T>(work: Promise<T>): Promise<T> {
    this.#graceMs = CLEAN_UP_MS;
    try {
      return await work;
    } finally {
      this.#graceMs = 0;
    }
  }

  /** How long an end has to wait for the work in progress (`cleansUp`). */
  get graceMs(): number {
    return this.#graceMs;
  }

  get isTimedOut(): boolean {
    return this.#end?.kind === 'timed-out';
  }

  close(): void {
    clearTimeout(this.#timer);
    this.removeSignalListeners();
  }
}

/** Why work was given up that an end has made pointless. */
class EndedEarly extends Error {
  constructor() {
    super('the session has ended before it began');
  }
}

/**
 * Prepares and runs a session. If the session ends during the preparation, this waits for the
 * preparation only as long as `cleansUp` says. Rejects as `prepare` and `run` do.
 */
export async function withEnding<Plan>(
  limits: SessionLimits,
  reporter: Reporter,
  prepare: (ending: SessionEnding) => Promise<Plan>,
  run: (plan: Plan, ending: SessionEnding) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  const ending = new SessionEnding(limits.timeout);
  try {
    const preparing = prepare(ending).then((plan) => ({ plan }));
    const first = await Promise.race([preparing, ending.ended]);
    if ('plan' in first) return await run(first.plan, ending);
    // A second signal ends the process at once.
    ending.removeSignalListeners();
    const cleanedUp = preparing.catch((error: unknown) => {
      // This error says what took so long.
      if (error instanceof UpcallError && error.code === 'TIMED_OUT') throw error;
    });
    await atMost(ending.graceMs, cleanedUp);
    return reportEarlyEnd(first, limits, reporter);
  } finally {
    ending.close();
  }
}

/** For an end before there is a VM. */
export function reportEarlyEnd(end: SessionEnd, { timeout, expect }: SessionLimits, reporter: Reporter): ExitStatus {
  const message = endMessage(end, expect, timeout);
  if (message !== undefined) reporter.line(`${message}, before the guest was started`);
  return statusOf(end, expect !== undefined);
}

/**
 * DispatchWorker: the HSM's worker, which waits for upcalls and dispatches every PENDING slot of
 * every User VM to its client.
 *
 * Called by: HypervisorServiceModule.
 * Threads: the Service VM's.
 *
 * It shares the Service VM's event loop. The loop turns after a bounded number of passes and a
 * bounded time, so that busy guests cannot starve the console, the disks and the timers.
 */

import type { Upcall } from '../hypervisor/upcall.js';
import { AdaptiveSpin, MAX_EVENT_LOOP_SPIN_US } from '../sync/adaptive-spin.js';
import type { Poll } from '../sync/poll.js';
import type { PlacingWaker } from '../sync/waker.js';
import type { VmRequests } from './vm-requests.js';

/** At most this many passes over all VMs before the event loop turns, however quick they are. */
export const PASSES_PER_TURN = 8192;
/**
 * After this time, in ms, the loop turns at the end of the next pass that reads the clock. A pass
 * takes as long as the devices that answer in it.
 */
export const MAX_TURN_MS = 5;
/**
 * Reading the clock allocates a number. While passes are quick, the number of passes between two
 * readings doubles, up to this maximum. After slow passes every pass is timed again.
 */
const MAX_PASSES_PER_CLOCK = 64;
/** Passes between two readings of the clock are quick if they take less than this. */
const QUICK_MS = 0.5;
/**
 * A wait for an upcall that takes longer has parked. A shorter one may have parked too: then the
 * loop only turns again earlier than it must.
 */
const PARKED_MS = 1;

export interface DispatchWorkerOptions {
  readonly upcall: Upcall;
  /** All User VMs, newest first. */
  readonly vms: () => readonly VmRequests[];
  /** Lets the event loop run everything that is due, e.g. by setImmediate. */
  readonly turn: () => Promise<void>;
  /** How long to spin for the next request before parking, in microseconds. Default: adaptive. */
  readonly spinUs?: number | undefined;
  /**
   * Of this thread, if it wakes vCPUs on other CPUs. The loop spins longer after it woke one, and
   * keeps `willSpin` up to date (AdaptiveSpin).
   */
  readonly waker?: PlacingWaker | undefined;
  /** In ms. Default: the host's clock. */
  readonly now?: () => number;
}

export class DispatchWorker {
  readonly #options: DispatchWorkerOptions;
  /** Calls of `pause` without their `resume`. */
  #pauses = 0;
  #isStopped = false;
  /**
   * A pass is due although no slot asks for one: after a pause, for example while a client was
   * destroyed, or after a gate has released requests.
   */
  #isQueued = false;
  /** Other code in this thread has work that must not wait for the last pass of the turn. */
  #isTurnDue = false;
  /** A pass is in progress: its clients are being called. */
  #isPassing = false;
  #running: Promise<void> | undefined;

  constructor(options: DispatchWorkerOptions) {
    this.#options = options;
  }

  /**
   * A complete pass over all VMs, as after an upcall. Conformance and fuzzing call it themselves.
   */
  pass(): void {
    this.#isQueued = false;
    this.#isPassing = true;
    try {
      for (const vm of this.#options.vms()) vm.dispatch();
    } finally {
      this.#isPassing = false;
    }
  }

  /**
   * A pass at once, for a hypervisor that makes its requests in this thread. If a pass is in
   * progress, or the worker is paused, one follows later.
   */
  passNow(): void {
    if (this.#isPassing || this.#pauses > 0) this.queuePass();
    else this.pass();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when the worker's loop has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#options.upcall.raise();
    await this.#running;
  }

  /**
   * The loop begins no pass until each `pause` has had its `resume`. Upcalls meanwhile are not
   * lost. `pass` itself still runs.
   */
  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
    this.queuePass();
  }

  /** Lets the event loop turn after the current pass, for the trace's readers. */
  turnSoon(): void {
    this.#isTurnDue = true;
  }

  /** Requests a pass even if no slot asks for one: a gate has released requests that it held. */
  queuePass(): void {
    this.#isQueued = true;
    this.#options.upcall.raise();
  }

  #hasWork(isOrdered: boolean): boolean {
    // The loop has to go on to see it.
    if (this.#isStopped) return true;
    if (this.#pauses > 0) return false;
    if (this.#isQueued) return true;
    for (const { work } of this.#options.vms()) if (isOrdered ? work.ordered() : work.relaxed()) return true;
    return false;
  }

  async #run(): Promise<void> {
    const { upcall, turn, spinUs, waker, now = () => performance.now() } = this.#options;
    const work: Poll = { relaxed: () => this.#hasWork(false), ordered: () => this.#hasWork(true) };
    const spin = new AdaptiveSpin({ maxUs: MAX_EVENT_LOOP_SPIN_US, fixedUs: spinUs, waker });
    // Passes since the loop last turned, passes between two readings of the clock, and passes until
    // the next reading.
    let passes = 0;
    let passesPerClock = 1;
    let passesToClock = 1;
    // When the loop last turned, and when the clock was last read.
    let turnedMs = now();
    let readMs = turnedMs;
    for (;;) {
      // Spin outside of `wait`, because an await allocates. A spin that finds work does not let the
      // loop turn, so every pass counts.
      if (!spin.spin(work)) {
        const parkedMs = now();
        await upcall.wait(work);
        const nowMs = now();
        // The event loop turns while the worker is parked, but not if the wait finds work at once.
        if (nowMs - parkedMs > PARKED_MS) {
          passes = 0;
          turnedMs = readMs = nowMs;
        }
      }
      if (this.#isStopped) return;
      if (this.#pauses === 0) this.pass();
      if (++passes < PASSES_PER_TURN && !this.#isTurnDue) {
        if (--passesToClock > 0) continue;
        const nowMs = now();
        passesPerClock = nowMs - readMs < QUICK_MS ? Math.min(2 * passesPerClock, MAX_PASSES_PER_CLOCK) : 1;
        passesToClock = passesPerClock;
        readMs = nowMs;
        if (nowMs - turnedMs < MAX_TURN_MS) continue;
      }
      this.#isTurnDue = false;
      await turn();
      passes = 0;
      passesPerClock = passesToClock = 1;
      turnedMs = readMs = now();
    }
  }
}

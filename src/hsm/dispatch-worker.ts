/**
 * DispatchWorker: the HSM's worker. It waits for upcalls and hands every PENDING slot of every User VM to its client.
 * It lives in the Service VM's event loop and works at its own pace: a bounded number of passes and a bounded time, then the loop turns,
 * so that the console, disks and timers get their share however busy the guests are.
 */

import type { Upcall } from '../hypervisor/upcall.js';
import { AdaptiveSpin, MAX_EVENT_LOOP_SPIN_US } from '../sync/adaptive-spin.js';
import type { Poll } from '../sync/poll.js';
import type { VmRequests } from './vm-requests.js';

/** Passes over all VMs before the event loop turns. */
export const PASSES_PER_TURN = 1024;
/** Time after which the loop turns at the end of a pass, in ms: a pass is as long as the devices take that answer in it. */
export const MAX_TURN_MS = 5;
/**
 * A look at the clock allocates its number. While passes are quick, twice as many go by before each next one, up to so
 * many; after slow ones each pass is timed again.
 */
const MAX_PASSES_PER_CLOCK = 64;
/** The time that so many passes take at most while they are quick. */
const QUICK_MS = 0.5;

export interface DispatchWorkerOptions {
  readonly upcall: Upcall;
  /** All User VMs, newest first. */
  readonly vms: () => readonly VmRequests[];
  /** Lets the event loop do everything that waits, e.g. by setImmediate. */
  readonly turn: () => Promise<void>;
  /** How long to look for the next request before sleeping, in microseconds; adaptive when left out. */
  readonly spinUs?: number | undefined;
  /** In ms; the host's unless a test holds it. */
  readonly now?: () => number;
}

export class DispatchWorker {
  readonly #options: DispatchWorkerOptions;
  #pauses = 0;
  #isStopped = false;
  /** A pass is due although no slot asks for one: a client was destroyed, or the worker was paused. */
  #isQueued = false;
  /** Somebody in this thread has work that must not wait for the end of the turn. */
  #isTurnDue = false;
  #running: Promise<void> | undefined;

  constructor(options: DispatchWorkerOptions) {
    this.#options = options;
  }

  /** One whole pass over all VMs, as after an upcall. */
  pass(): void {
    this.#isQueued = false;
    for (const vm of this.#options.vms()) vm.dispatch();
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

  /** No pass begins until `resume`, however many times it was paused. Upcalls meanwhile are not lost. */
  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
    this.queuePass();
  }

  /** Lets the event loop turn after the pass that is being made. */
  turnSoon(): void {
    this.#isTurnDue = true;
  }

  /** Asks for a pass although no slot does. */
  queuePass(): void {
    this.#isQueued = true;
    this.#options.upcall.raise();
  }

  #hasWork(isOrdered: boolean): boolean {
    if (this.#isStopped) return true;
    if (this.#pauses > 0) return false;
    if (this.#isQueued) return true;
    for (const { work } of this.#options.vms()) if (isOrdered ? work.ordered() : work.relaxed()) return true;
    return false;
  }

  async #run(): Promise<void> {
    const { upcall, turn, spinUs, now = () => performance.now() } = this.#options;
    const work: Poll = { relaxed: () => this.#hasWork(false), ordered: () => this.#hasWork(true) };
    const spin = new AdaptiveSpin({ maxUs: MAX_EVENT_LOOP_SPIN_US, fixedUs: spinUs });
    let passes = 0;
    let passesPerClock = 1;
    let passesToClock = 1;
    let turnedMs = now();
    let readMs = turnedMs;
    for (;;) {
      // Outside of `wait`, because an await allocates. A spin that finds work does not let the loop turn: every pass counts.
      if (!spin.spin(work)) await upcall.wait(work);
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

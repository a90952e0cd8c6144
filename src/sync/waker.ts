/**
 * Waker: how one thread wakes the threads whose doorbells it rings.
 *
 * A scheduler may put a thread that wakes up on the CPU of the thread that woke it. If that one
 * spins for the other's answer, neither goes on until a tick or two have passed, and another CPU
 * idles meanwhile. So a PlacingWaker wakes threads on another CPU, unless its own thread is about
 * to park. Its CPU is free then, but a scheduler may prefer one that idles, which in a virtual
 * machine takes tens of microseconds to wake. So a thread that certainly parks wakes others on its
 * own CPU.
 *
 * Called by: Doorbell, when it rings, and AdaptiveSpin, which keeps `willSpin` up to date.
 * Threads: a waker belongs to one thread.
 */

import type { CpuPlacement } from '../host/host.js';

/** Left in a doorbell by a waiter that does not know its thread's number. */
const UNKNOWN_THREAD = 1;

/** Wakes a thread wherever the scheduler puts it. Keeps no state. */
export class Waker {
  /** What this thread leaves in a doorbell while it is parked. Not 0, which means "not parked". */
  readonly thread: number = UNKNOWN_THREAD;

  /**
   * The thread that left the number `sleeper` in the doorbell is parked, or about to park.
   * Implementations call `wake`, which wakes it, once before they return.
   */
  wake(_sleeper: number, wake: () => void): void {
    wake();
  }

  /** A waiter was rung that is not parked. */
  foundAwake(): void {}
}

/**
 * Wakes a thread on another CPU than that of the thread which wakes it, if that one will spin, and
 * on the same CPU, if it parks next.
 */
export class PlacingWaker extends Waker {
  /** The thread's number on the host, above 1. */
  override readonly thread: number;
  /**
   * Whether each thread that this one waits for has a CPU beside this one's. The Service VM's
   * thread follows the number of vCPUs (vm/thread-pinning.ts); a vCPU's thread leaves it true.
   */
  isOn = true;
  /** Whether the waiter that this thread rang last was awake. */
  wasAwake = true;
  /** Whether this thread spins at its next wait. */
  willSpin = true;
  /**
   * Whether this thread has nothing left to do after the work that it does now. It then parks,
   * unless `willSpin`. `foreignIoctl` sets it around the answer of a program in another process.
   */
  parksNext = false;
  readonly #placement: CpuPlacement;

  constructor(placement: CpuPlacement) {
    super();
    this.#placement = placement;
    this.thread = placement.thread;
  }

  override wake(sleeper: number, wake: () => void): void {
    this.wasAwake = false;
    if (!this.isOn || sleeper === UNKNOWN_THREAD) wake();
    else if (this.willSpin) this.#placement.wakeApart(sleeper, wake);
    else if (this.parksNext) this.#placement.wakeHere(sleeper, wake);
    else wake();
  }

  override foundAwake(): void {
    this.wasAwake = true;
  }
}

/** For doorbells of threads that have no waker of their own. */
export const PLAIN_WAKER = new Waker();

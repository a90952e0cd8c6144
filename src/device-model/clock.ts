/**
 * Clock: the only source of time that devices have, so that a test can stop it.
 *
 * Called by: devices, which get a Clock from the caller that creates them; fault injection and the
 * command line, for their delays.
 *
 * Times are in ms. They are not rounded: differences below a microsecond count. `now` and
 * `schedule` count from an arbitrary start, `wallTimeMs` from 1970.
 */

import { startBackgroundTimer, type BackgroundTimer } from '../sync/background-timer.js';

export interface ClockTimer {
  /** Does nothing if the timer has fired. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic, in ms. */
  now(): number;
  /** Ms since 1970-01-01 UTC, as the battery-backed clock of the machine shows it. It may jump. */
  wallTimeMs(): number;
  /** Calls back once, when `now()` is at least `atMs`. Never early, and never inside this call. */
  schedule(atMs: number, callback: () => void): ClockTimer;
}

/** The host's time. Its timers are about 1 ms coarse and do not keep the process alive. */
export class SystemClock implements Clock {
  /** What `now` is ahead of performance.now(). */
  #leadMs = 0;

  now(): number {
    return performance.now() + this.#leadMs;
  }

  /** `now` goes on from `nowMs`, for a machine that was saved then. The wall time is the host's. */
  resume(nowMs: number): void {
    this.#leadMs = nowMs - performance.now();
  }

  wallTimeMs(): number {
    return Date.now();
  }

  schedule(atMs: number, callback: () => void): ClockTimer {
    let timer: BackgroundTimer;
    const arm = (): void => {
      timer = startBackgroundTimer(
        () => {
          // setTimeout may fire a fraction of a millisecond early.
          if (this.now() < atMs) arm();
          else callback();
        },
        Math.min(Math.max(0, atMs - this.now()), MAX_TIMEOUT_MS),
      );
    };
    arm();
    return { cancel: () => clearTimeout(timer) };
  }
}

/** setTimeout's longest delay. */
const MAX_TIMEOUT_MS = 0x7fff_ffff;

interface ManualTimer extends ClockTimer {
  readonly atMs: number;
  /** Position among all calls of `schedule`. */
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that stands still until `advance`: for tests, and for machines that must be
 * deterministic.
 */
export class ManualClock implements Clock {
  #now: number;
  readonly #epochMs: number;
  readonly #timers = new Set<ManualTimer>();
  #order = 0;

  /**
   * `epochMs`: the wall time at `now() === 0`, default: the start of 2000. `startMs`: the first
   * `now()`, default: 0.
   */
  constructor(epochMs = Date.UTC(2000, 0, 1), startMs = 0) {
    this.#epochMs = epochMs;
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  wallTimeMs(): number {
    return this.#epochMs + this.#now;
  }

  schedule(atMs: number, callback: () => void): ClockTimer {
    const timer: ManualTimer = {
      atMs,
      order: this.#order++,
      callback,
      cancel: () => void this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    return timer;
  }

  /**
   * Moves time forward by `ms` and fires the timers that are due, in order of time, then of
   * scheduling.
   */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: ManualTimer | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs > end) continue;
        if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order))
          next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.atMs);
      next.callback();
    }
    // A callback may have advanced it further.
    this.#now = Math.max(this.#now, end);
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size;
  }
}

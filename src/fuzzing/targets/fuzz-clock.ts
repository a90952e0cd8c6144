/**
 * FuzzClock: a clock that the input of the fuzz targets "devices" and "virtio" moves. `walk` fires
 * each timer at its time. `jump` fires the due timers once and late, as after a suspend of the
 * host. It counts timers, so that a target detects unbounded work.
 */

import type { Clock, ClockTimer } from '../../device-model/clock.js';
import { Violation } from '../fuzz-target.js';

/** The wall time at the start: any fixed one. */
const EPOCH_MS = Date.UTC(2026, 0, 1);
/** Limit that ends a timer which reschedules itself in the past. */
const MAX_FIRED = 100_000;

interface Waiting {
  readonly atMs: number;
  readonly callback: () => void;
}

export class FuzzClock implements Clock {
  /** Calls of `schedule` so far. */
  scheduled = 0;
  /** Callbacks called so far. */
  fired = 0;
  #nowMs = 0;
  readonly #waiting = new Set<Waiting>();

  get pending(): number {
    return this.#waiting.size;
  }

  now(): number {
    return this.#nowMs;
  }

  wallTimeMs(): number {
    return EPOCH_MS + this.#nowMs;
  }

  schedule(atMs: number, callback: () => void): ClockTimer {
    if (Number.isNaN(atMs)) throw new Violation('a timer for no time at all');
    this.scheduled++;
    const waiting = { atMs, callback };
    this.#waiting.add(waiting);
    return { cancel: () => void this.#waiting.delete(waiting) };
  }

  /** Time passes. Each timer fires at its time, also one that another timer sets. */
  walk(ms: number): void {
    const end = this.#nowMs + ms;
    for (let left = MAX_FIRED; this.#fireNext(end, { movesClock: true }); left--)
      if (left === 0) throw new Violation(`${MAX_FIRED} timers within ${ms} ms`);
    this.#nowMs = end;
  }

  /**
   * The time passes at once. All due timers fire after it, also those that they set for the past.
   */
  jump(ms: number): void {
    this.#nowMs += ms;
    for (let left = MAX_FIRED; this.#fireNext(this.#nowMs, { movesClock: false }); left--)
      if (left === 0) throw new Violation(`${MAX_FIRED} timers after a jump of ${ms} ms`);
  }

  /**
   * Fires the earliest timer that is due at `end`. Returns false if no timer is due. `movesClock`:
   * whether the timer sees its own time, not a later one.
   */
  #fireNext(end: number, { movesClock }: { readonly movesClock: boolean }): boolean {
    let next: Waiting | undefined;
    for (const waiting of this.#waiting)
      if (waiting.atMs <= end && (next === undefined || waiting.atMs < next.atMs)) next = waiting;
    if (next === undefined) return false;
    this.#waiting.delete(next);
    if (movesClock) this.#nowMs = Math.max(this.#nowMs, next.atMs);
    this.fired++;
    next.callback();
    return true;
  }
}

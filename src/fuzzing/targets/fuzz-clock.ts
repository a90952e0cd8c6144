/**
 * FuzzClock: a clock that a program moves. A walk fires each timer at its time; a jump fires those
 * that are due once, late, as on a host that slept. It counts timers, so that work without bound
 * shows.
 */

import type { Clock, ClockTimer } from '../../device-model/clock.js';
import { Violation } from '../fuzz-target.js';

const EPOCH_MS = Date.UTC(2026, 0, 1);
/** A timer that fires and sets itself again for a time that has passed would never end. */
const MAX_FIRED = 100_000;

interface Waiting {
  readonly atMs: number;
  readonly callback: () => void;
}

export class FuzzClock implements Clock {
  scheduled = 0;
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

  walk(ms: number): void {
    const end = this.#nowMs + ms;
    for (let left = MAX_FIRED; this.#fireNext(end, true); left--)
      if (left === 0) throw new Violation(`${MAX_FIRED} timers within ${ms} ms`);
    this.#nowMs = end;
  }

  jump(ms: number): void {
    this.#nowMs += ms;
    for (let left = MAX_FIRED; this.#fireNext(this.#nowMs, false); left--)
      if (left === 0) throw new Violation(`${MAX_FIRED} timers after a jump of ${ms} ms`);
  }

  #fireNext(end: number, movesClock: boolean): boolean {
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

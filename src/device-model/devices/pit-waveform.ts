/**
 * PIT waveforms: the six modes of an 8254 counter as functions of time. Given the tick at which a
 * count was loaded, they compute the counting element, OUT, and when OUT rises.
 *
 * Called by: PitCounter, which decides when counts are loaded and handles the gate.
 *
 * There is no state and no simulation of single ticks, so any moment costs the same. `elapsed` is
 * in CLK pulses since the load.
 */

export type PitMode = 0 | 1 | 2 | 3 | 4 | 5;

/** A count in the counting element. */
export interface Loaded {
  /**
   * The tick of the load. A reload for the low half of mode 3 counts from where the high half would
   * have started.
   */
  readonly start: number;
  /** 1 to 65536. */
  readonly count: number;
}

/** Modes 2 and 3 restart by themselves. */
export function isPeriodic(mode: PitMode): boolean {
  return mode === 2 || mode === 3;
}

/** Gate low stops the count, except in the modes where only its rising edge matters. */
export function gateStopsCounting(mode: PitMode): boolean {
  return mode !== 1 && mode !== 5;
}

/** Length of mode 3's high half. The low half is one tick shorter if the count is odd. */
export function highTicks(count: number): number {
  return Math.ceil(count / 2);
}

/** The counting element, 0 to 65535. `modulus` is 65536, or 10000 for decimal digits. */
export function countAfter(mode: PitMode, count: number, elapsed: number, modulus: number): number {
  if (mode === 2) return (count - (elapsed % count)) % modulus;
  if (mode !== 3) return (((count - elapsed) % modulus) + modulus) % modulus;
  // Mode 3 counts down by two in each half. With an odd count both halves start one lower, and the
  // high half reaches zero.
  const even = count - (count % 2);
  const inPeriod = elapsed % count;
  const half = inPeriod < highTicks(count) ? inPeriod : inPeriod - highTicks(count);
  return Math.max(0, even - 2 * half) % modulus;
}

export function isOutHigh(mode: PitMode, count: number, elapsed: number): boolean {
  switch (mode) {
    case 0:
    case 1:
      return elapsed >= count;
    case 2:
      return elapsed % count !== count - 1;
    case 3:
      return elapsed % count < highTicks(count);
    case 4:
    case 5:
      return elapsed !== count;
  }
}

/** How many times OUT rises after tick `from`, up to and including `to`. */
export function risesBetween(mode: PitMode, loaded: Loaded, from: number, to: number): number {
  const first = firstRise(mode, loaded);
  if (!isPeriodic(mode)) return first > from && first <= to ? 1 : 0;
  const upTo = (tick: number): number => Math.max(0, Math.floor((tick - loaded.start) / loaded.count));
  return first === Infinity ? 0 : upTo(Math.max(from, to)) - upTo(from);
}

/** The first tick after `after` at which OUT rises. Infinity if it does not. */
export function nextRise(mode: PitMode, loaded: Loaded, after: number): number {
  const first = firstRise(mode, loaded);
  if (first > after) return first;
  if (!isPeriodic(mode)) return Infinity;
  return loaded.start + (Math.floor((after - loaded.start) / loaded.count) + 1) * loaded.count;
}

/**
 * When a count that was written at `tick` is loaded, and whether it starts mode 3's low half. Mode
 * 2 loads it at the end of its cycle, mode 3 of its half.
 */
export function nextReload(mode: PitMode, { start, count }: Loaded, tick: number): [at: number, isLowHalf: boolean] {
  const inPeriod = (tick - start) % count;
  const isLowHalf = mode === 3 && inPeriod < highTicks(count);
  return [tick - inPeriod + (isLowHalf ? highTicks(count) : count), isLowHalf];
}

function firstRise(mode: PitMode, { start, count }: Loaded): number {
  switch (mode) {
    case 0:
    case 1:
      return start + count;
    case 2:
    case 3:
      // A count of 1 is not allowed in these modes: OUT could not fall.
      return count > 1 ? start + count : Infinity;
    case 4:
    case 5:
      return start + count + 1;
  }
}

/**
 * Bench: our device model under comparison, with a clock that the reference's times drive.
 *
 * Called by: Comparison. Each `play` begins with a new device.
 *
 * An access is made after all timers that are due before or at its time have fired.
 */

import { ManualClock } from '../device-model/clock.js';
import type { AccessSize, InterruptLine } from '../device-model/device.js';
import type { DeviceUnderComparison, Observation } from './device-under-comparison.js';
import type { Step } from './step.js';

const NS_PER_MS = 1e6;
/** Time from one step to the next, if `times` has none for the next. */
const DEFAULT_STEP_NS = 1000;

/** A device model by the offsets of its comparison (step.ts). `value` has no bits above `size`. */
export interface BenchDevice {
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
}

export type CreateBenchDevice = (clock: ManualClock, interrupt: InterruptLine) => BenchDevice;

export class Bench implements DeviceUnderComparison {
  readonly name = 'upcall';
  readonly #create: CreateBenchDevice;

  constructor(create: CreateBenchDevice) {
    this.#create = create;
  }

  play(steps: readonly Step[], times: readonly number[] = []): Promise<readonly Observation[]> {
    return Promise.resolve(this.playNow(steps, times));
  }

  /**
   * As `play`, without a promise. `times`: when to make each step, in ns since the first, which is
   * made as soon as the device is created. A step without a time is made DEFAULT_STEP_NS after the
   * one before. A step whose time is before that of the step before is made at once after it.
   */
  playNow(steps: readonly Step[], times: readonly number[] = []): readonly Observation[] {
    const clock = new ManualClock();
    let level = false;
    let rises = 0;
    const device = this.#create(clock, {
      set: (high) => {
        if (high && !level) rises++;
        level = high;
      },
    });
    let nowNs = 0;
    return steps.map((step, index) => {
      const timeNs = Math.max(nowNs, times[index] ?? (index === 0 ? 0 : nowNs + DEFAULT_STEP_NS));
      clock.advance(timeNs / NS_PER_MS - clock.now());
      nowNs = timeNs;
      let value: number | undefined;
      if (step.kind === 'write') device.write(step.offset, step.size, step.value);
      else if (step.kind === 'read') value = truncated(device.read(step.offset, step.size), step.size);
      return { value, timeNs, level, rises };
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function truncated(value: number, size: AccessSize): number {
  return size === 4 ? value >>> 0 : value & (2 ** (8 * size) - 1);
}

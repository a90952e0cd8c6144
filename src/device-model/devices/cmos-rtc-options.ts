/** CmosRtcOptions: what a CmosRtc is created with. Read by: cmos-rtc.ts. */

import type { Clock } from '../clock.js';
import type { InterruptLine } from '../device.js';

export interface CmosRtcOptions {
  readonly clock: Clock;
  /** Bytes of RAM, which firmware and old kernels read from the CMOS. */
  readonly memoryBytes: number;
  readonly interrupt?: InterruptLine;
  /** More CMOS bytes, by index, that only a certain firmware reads. Default: none. */
  readonly contents?: Readonly<Record<number, number>>;
  /**
   * Called when the guest has set the clock: with its time before, in seconds since 1970, and the
   * change in seconds. If the guest halts the clock to set it (SET, or the divider's reset), the
   * call comes when the clock runs again, otherwise for each byte written. A clock that was halted
   * for a second counts as set back by one.
   */
  readonly onTimeSet?: (lastTime: number, delta: number) => void;
}

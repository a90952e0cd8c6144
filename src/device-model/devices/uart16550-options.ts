/** Uart16550Options: what a Uart16550 is created with. Read by: uart16550.ts. */

import type { Clock } from '../clock.js';
import type { ByteSink, InterruptLine } from '../device.js';

export interface Uart16550Options {
  readonly interrupt?: InterruptLine;
  /** Gets what the guest sends. Default: it is dropped. */
  readonly output?: ByteSink;
  /** For the character timeout. Default: the host's clock. */
  readonly clock?: Clock;
  /**
   * The terminal sends only while the guest asserts RTS. So text that is piped in before the guest
   * has opened the port survives the FIFO resets of the driver's probing. A guest that never writes
   * MCR receives nothing. Default: false.
   */
  readonly flowControl?: boolean;
  /**
   * Called after `receive` refused bytes, when half of the queue is free again. That is inside an
   * access of the guest or a reset, so it must return soon.
   */
  readonly onInputRoom?: () => void;
}

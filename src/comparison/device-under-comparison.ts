/**
 * DeviceUnderComparison: the interface of everything that can play a list of steps and say what it
 * observed: our device model (bench.ts), and a QEMU (qemu/qemu-device.ts). Another partner, such as
 * another emulator or a real machine, is one more implementation.
 *
 * Called by: Comparison.
 *
 * One of the two machines compared is the reference and keeps the time: it plays first, and the
 * other gets the times of its observations.
 */

import type { Step } from './step.js';

/** What a device showed at one step. */
export interface Observation {
  /** Of a read: the value, truncated to the access. Otherwise undefined. */
  readonly value: number | undefined;
  /** When the access was made, in ns since the first step. */
  readonly timeNs: number;
  /** The interrupt line after the step. */
  readonly level: boolean;
  /** How many times the line has risen since the first step. */
  readonly rises: number;
}

export interface DeviceUnderComparison {
  /** For messages, e.g. `qemu`. */
  readonly name: string;
  /**
   * Plays steps and returns one observation for each. Rejects with UpcallError if the machine is
   * gone.
   *
   * @param times - when to make each step, in ns since the first one. Undefined lets this machine
   *   choose: it is the reference
   */
  play(steps: readonly Step[], times?: readonly number[]): Promise<readonly Observation[]>;
  /** Ends what the machine started. */
  close(): Promise<void>;
}

/**
 * Bench: a device or a PCI card without a machine around it. The caller makes the accesses that a
 * guest would make, moves the clock, and looks at interrupts and memory.
 *
 * Called by: an author's tests, and the checks of this folder. deviceBench and cardBench make one.
 *
 * `bar` is the base address register of a PCI card that an offset counts from, and 0 for a device.
 */

import type { ManualClock } from '../device-model/clock.js';
import type { AccessSize } from '../device-model/device.js';
import type { RegisterMap } from '../device-model/register-map.js';
import type { GuestMemory } from '../hypervisor/guest-memory.js';

/** Bytes of a bench's RAM, if its creator gives no other number. */
export const DEFAULT_MEMORY_BYTES = 0x1_0000;

/** A range of offsets that a guest can access. */
export interface BenchSpace {
  readonly bar: number;
  /** Bytes or ports. */
  readonly length: number;
}

export interface Bench {
  /** The device's. */
  readonly name: string;
  readonly registers: RegisterMap | undefined;
  readonly spaces: readonly BenchSpace[];
  readonly clock: ManualClock;
  readonly memory: GuestMemory;
  /**
   * What a guest would read: truncated to `size` bytes, and unsigned. Rejects with what the device
   * throws, and with a TypeError for a value that no guest could read.
   */
  read(offset: number, size: AccessSize, bar?: number): Promise<number>;
  /** `value` is truncated to `size` bytes. Rejects with what the device throws. */
  write(offset: number, size: AccessSize, value: number, bar?: number): Promise<void>;
  /**
   * The register's value, read without side effects. Undefined: it cannot be known. `name`: that of
   * the register, where several have this offset; without it the device chooses.
   */
  peek(offset: number, size: AccessSize, name?: string, bar?: number): number | undefined;
  /**
   * Of a device: the level of interrupt line `number`, or whether any is high. Of a card: that of
   * its pin.
   */
  level(number?: number): boolean;
  /**
   * How often interrupt line `number` of a device rose (default: any), or message `number` of a
   * card was sent (default: any).
   */
  raised(number?: number): number;
  /** Changes of lines and messages sent since the beginning: what an access costs the machine. */
  readonly interruptMoves: number;
  /** As a reset of the VM does. */
  reset(): void;
  /**
   * Closes the device as a VM does, a card after a reset. Do it at the end: what it leaves behind
   * is a leak. Later calls do nothing, because a device's `close` is called once.
   */
  close(): void;
}

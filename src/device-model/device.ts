/**
 * Device: what a device model is. A device knows its registers and nothing else: offsets come in, values go out; its
 * interrupt line, clock, output and guest memory come in through its constructor. So the same class runs in the Service
 * VM's thread, in a thread of its own and in a test.
 *
 * The guest is hostile: any offset of the range, any size, any value, in any order. A device answers as its data sheet
 * says, or as an unconnected bus does (all ones; writes ignored). It never throws for what a guest does: a throw is a bug
 * in the device, which the operator is told and the guest sees as all ones.
 */

import type { AccessSize } from '../io-request/io-request.js';
import type { RegisterMap } from './register-map.js';

export type { AccessSize } from '../io-request/io-request.js';

export interface Device {
  readonly name: string;
  /** The register at `offset` from the start of the range; a value wider than `size` bytes is cut. */
  read(offset: number, size: AccessSize): number | Promise<number>;
  /** `value` is unsigned and no wider than `size` bytes. */
  write(offset: number, size: AccessSize, value: number): void | Promise<void>;
  /** What the data sheet says about its registers, for people who look at them. */
  readonly registers?: RegisterMap;
  /**
   * What a register holds, without any effect on the device: as a rule what `read` would give, except that nothing is taken,
   * cleared or advanced. `offset` and `size` are those of the device's RegisterMap, and `name` says which is meant where
   * several share an offset. Undefined: it cannot be known.
   */
  peek?(offset: number, size: AccessSize, name?: string): number | undefined;
  /** Power-on state, and the interrupt line low. Called when the VM is reset. */
  reset?(): void;
  /** Frees timers and handles. Called when the VM is destroyed. */
  close?(): void;
}

/** One input pin of the VM's interrupt controllers. May be driven from any thread; setting the level it has does nothing. */
export interface InterruptLine {
  set(high: boolean): void;
}

/** What a device may do to the machine it is in. Both return at once; the machine stops or restarts after the access. */
export interface PowerControl {
  powerOff(reason: string): void;
  reset(reason: string): void;
}

/** Where a character device's bytes go, e.g. `process.stdout`. */
export interface ByteSink {
  write(bytes: Uint8Array): unknown;
}

/** A line that nobody listens to. */
export const UNCONNECTED: InterruptLine = { set: () => undefined };

/** What an access of `size` bytes reads where nothing answers. */
export function allOnes(size: number): number {
  return size >= 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}
